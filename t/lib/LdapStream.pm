# What the tests of table-ldap under fire share: the helper on a slapd, and a stream of questions to it.
package LdapStream;
use strict;
use warnings;
use Exporter 'import';
use File::Temp qw(tempdir);
use TabHelper;
use Tabmail;
use Test::More;
use Time::HiRes qw(time);

our @EXPORT = qw(table stream only_true fifty);
my $build = $ENV{BUILD} // 'build';
my $dir = tempdir(CLEANUP => 1);

# Entries of a slapd: aliases a0 to a49, to box0@example.org and so on.
sub fifty { print $_[0]->alias("a$_", "box$_\@example.org") for 0 .. 49 }

# table-ldap with these URLs (one text; or a list of it and of what Slapd::settings takes) and more lines of its
# file, after the handshake.
sub table {
	my ($s, $urls, @more) = @_;
	spew("$dir/ldap.conf", $s->settings(url => ref $urls ? @$urls : $urls) . join '', map { "$_\n" }
	    'alias_filter (&(objectClass=courierMailAlias)(uid=%s))', 'alias_attributes maildrop', @more);
	chmod 0600, "$dir/ldap.conf";
	my $h = TabHelper->start("$build/table-ldap", "$dir/ldap.conf");
	$h->handshake;
	return $h;
}

sub conf { return "$dir/ldap.conf" }

# Asks for an alias every 2 ms for so long, without waiting, and calls what is given when its time has come
# (seconds => code, …).  Counts the kinds of answers; `after` is when the first found one came after all calls.
sub stream {
	my ($h, $secs, @calls) = @_;
	my $start = time;
	my (%open, %got);
	my $n = 0;
	while (time < $start + $secs || %open) {
		while (@calls && time >= $start + $calls[0]) {
			shift @calls;
			(shift @calls)->();
			delete $got{after};
		}
		my $asking = time < $start + $secs;
		if ($asking) {
			my ($id, $line) = $h->question('lookup', 'alias', 'a' . $n++ % 50);
			$open{$id} = 1;
			$h->put($line);
		}
		my $wait = $asking ? 0.002 : 20;
		while (%open && defined(my $line = $h->get($wait))) {
			my ($id, $what, $value) = $line =~ /^lookup-result\|(\w+)\|([^|]*)(?:\|(.*))?$/ or die "odd: $line";
			delete $open{$id} or $got{twice}++;
			$got{$what}++;
			$got{wrong}++ if $what eq 'found' && $value !~ /^box\d+\@example\.org$/;
			$got{after} //= time if $what eq 'found';
			last if @calls && time >= $start + $calls[0];
			$wait = 0 if $asking;
		}
		last if time > $start + $secs + 25;
	}
	$got{lost} = keys %open;
	$got{asked} = $n;
	return \%got;
}

sub only_true {
	my ($got, $name) = @_;
	ok !$got->{twice} && !$got->{lost} && !$got->{wrong} && !$got->{'not-found'},
	    "$name: $got->{asked} questions, each answered once, none with what is not true ("
	    . join(', ', map { "$_ $got->{$_}" } grep { defined $got->{$_} } qw(found error not-found twice lost wrong)) . ')';
}

1;
