#!/usr/bin/perl
# Users and their passwords from a text file, in Perl.
#
#	table users command "/usr/local/libexec/tabmail/users.pl /etc/tabmail/users" user root
#	accept from any for domain example.org userbase <users> deliver to maildir
#
# A line of the file is user:hash:uid:gid:home, the hash as `openssl passwd -6` prints it:
#	ann:$6$sUb8fEq2$…:2001:2001:/home/ann
# An empty hash, or one that begins with '!' or '*', lets nobody in.  Give the file to a user of its own,
# name him with the table's option `user`, and let nobody else read it.
use strict;
use warnings;

$| = 1;    # each answer goes out at once
my $NOBODYS = '$6$nobodysnobodysno$';    # as slow as a real hash: who asks learns no names by the clock

my ($path) = @ARGV;
my ($users, $why) = load($path);

my %serve = (
	'lookup userinfo' => sub {
		my $user = $users->{ $_[0] } or return 'not-found';
		return "found|$user->{info}";
	},
	'lookup credentials' => sub {
		my $user = $users->{ $_[0] } or return 'not-found';
		return $user->{hash} eq '' ? 'not-found' : "found|$_[0]:$user->{hash}";
	},
	# user:password, the only key that is not in lower case.  The password may hold ':' and '|', and
	# is never printed, neither here nor in an error.
	'check auth' => sub {
		my ($name, $password) = split /:/, $_[0], 2;
		return 'not-found' if !defined $password;
		my $user = $users->{ lc $name };
		my $hash = $user ? $user->{hash} : '';
		my $locked = $hash =~ /^([!*]|$)/;
		my $got = crypt $password, $locked ? $NOBODYS : $hash;
		return 'not-found' if $locked;
		return 'error|a hash that crypt(3) does not know' if !defined $got || $got =~ /^\*/;
		return $got eq $hash ? 'found' : 'not-found';
	},
);

while (my $line = <STDIN>) {
	chomp $line or last;    # a line cut off: the daemon is gone
	if ($line eq 'config|ready') {
		print map { "register|$_\n" } qw(userinfo credentials auth ready);
		next;
	}
	# table|0.1|TIME|TABLE|OP|SERVICE|ID|KEY; 8 fields at most, for a key may hold '|'.
	my ($word, undef, undef, undef, $op, @rest) = split /\|/, $line, 8;
	next if $word ne 'table' || $op !~ /^(update|check|lookup|fetch)$/;
	if ($op eq 'update') {
		# A bad file changes nothing: what was read before goes on serving.
		my ($new, $wrong) = load($path);
		($users, $why) = ($new, undef) if $new;
		print "update-result|$rest[0]|", $new ? 'ok' : "error|$wrong", "\n";
		next;
	}
	my ($service, $id, $key) = @rest;
	my $answer = $serve{"$op $service"};
	print "$op-result|$id|",
	      !$answer ? 'error|not served here'
	    # Never not-found when we do not know: the mail would bounce.  With an error it waits.
	    : !$users ? "error|$why"
	    : $answer->($key), "\n";
}
close STDOUT;    # here, for at the end Perl would complain of a daemon that is gone

# The whole file as { name => { hash, info } }, or nothing of it: undef and why.
sub load {
	my ($path) = @_;
	my %all;

	open my $file, '<', $path or return failed("$path: $!");
	while (my $line = <$file>) {
		chomp $line;
		next if $line =~ /^\s*(#|$)/;
		my ($name, $hash, $info) = $line =~ m{^([^:\s]+):([^:\s]*):(\d+:\d+:/[^\r]*)$}
		    or return failed("$path:$.: not user:hash:uid:gid:home");
		$all{ lc $name } = { hash => $hash, info => $info };
	}
	$file->error and return failed("$path: $!");
	return \%all;
}

sub failed {
	print STDERR "$_[0]\n";    # the daemon logs it under the table's name
	return (undef, $_[0]);
}
