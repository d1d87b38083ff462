# After logins, right and wrong, by a table that checks and by one of hashes: neither smtp nor lookup
# holds a password any more.
use strict;
use warnings;
no warnings 'portable';	# addresses have 64 bits
use MIME::Base64 ();
use Tabmail;
use Test::More;

plan skip_all => 'needs root, to read the memory of processes' if $> != 0;
plan skip_all => 'a sanitizer has too much memory to read' if ($ENV{BUILD} || '') =~ m{/san$};
my $check = <<'H';
#!/usr/bin/perl
use strict;
use warnings;
$| = 1;
while (<STDIN>) {
	chomp;
	if ($_ eq 'config|ready') { print "register|auth\nregister|ready\n"; next }
	my ($kind, undef, undef, undef, $op, undef, $id, $key) = split /\|/, $_, 8;
	print "$op-result|$id|", $key =~ /Right/ ? 'found' : 'not-found', "\n" if $kind eq 'table';
}
H
my $hash = crypt('AbcRightByHash', '$6$saltsalt$');
my $d = Tabmail->start(users => ['bob'], files => { check => $check }, config => <<"C");
table users file:\$D/users
table check command "\$D/check"
table list { bob = "$hash" }
listen on 127.0.0.1 port \$PORT auth <check>
listen on 127.0.0.1 port \$PORT2 auth <list>
accept from any for domain example.org userbase <users> deliver to maildir
C

# How often a text stands in what a process may write to.
sub count {
	my ($pid, $text) = @_;
	my $n = 0;
	open my $mem, '<:raw', "/proc/$pid/mem" or die "mem of $pid: $!";
	for (split /\n/, slurp("/proc/$pid/maps")) {
		my ($from, $to) = /^([0-9a-f]+)-([0-9a-f]+) rw/ or next;
		sysseek $mem, hex $from, 0 or next;
		sysread $mem, my $bytes, hex($to) - hex($from) or next;
		$n += () = $bytes =~ /\Q$text\E/g;
	}
	return $n;
}

my @passwords = ('AbcRightByCheck', 'AbcWrongByCheck', 'AbcRightByHash', 'AbcWrongByHash');
my @sessions;
for my $i (0 .. 3) {
	my $c = $d->client($i < 2 ? 1 : 2);
	$c->ehlo;
	like $c->cmd('AUTH PLAIN ' . MIME::Base64::encode_base64("\0bob\0$passwords[$i]", '')),
	    $i % 2 ? qr/^535/ : qr/^235/, $passwords[$i];
	push @sessions, $c;	# they stay
}
my %pid = map { $_ => ($d->pids($_))[0] } 'smtp', 'lookup';
cmp_ok count($pid{lookup}, 'AbcNobodyTypes') + count($pid{lookup}, $hash), '>', 0, 'memory can be read: the list is there';
for my $role (sort keys %pid) {
	is count($pid{$role}, $_), 0, "$role: $_ is gone" for @passwords;
}
$d->stop;
done_testing;
