# After logins, right and wrong, by a table that checks and by one of hashes, in clear and over TLS, and after one
# that was cut off: neither smtp nor lookup holds a password any more.
use strict;
use warnings;
no warnings 'portable';	# addresses have 64 bits
use MIME::Base64 ();
use Tabmail;
use Tabmail::Certs;
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
my $d = Tabmail::new('Tabmail', users => ['bob'], files => { check => $check }, config => <<"C");
table users file:\$D/users
table check command "\$D/check"
table list { bob = "$hash" }
listen on 127.0.0.1 port \$PORT auth <check>
listen on 127.0.0.1 port \$PORT2 auth <list>
pki mail.example.org certificate "\$D/mail.example.org.crt" key "\$D/mail.example.org.key"
listen on 127.0.0.1 port \$PORT3 tls-require auth <list>
accept from any for domain example.org userbase <users> deliver to maildir
C
Tabmail::Certs->new($d->dir)->issue('mail.example.org');
$d->start;

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

my @passwords = ('AbcRightByCheck', 'AbcWrongByCheck', 'AbcRightByHash', 'AbcWrongByHash', 'AbcWrongOverTls');
my @shown = @passwords;
my @sessions;
sub session {
	my ($n) = @_;
	my $c = $d->client($n);
	push @sessions, $c;	# they stay
	$c->ehlo;
	return $c if $n < 3;
	like $c->cmd('STARTTLS'), qr/^220/, 'STARTTLS';
	is $c->starttls, '', 'TLS';
	$c->ehlo;
	return $c;
}
for my $case ([ 1, 0, 235 ], [ 1, 1, 535 ], [ 2, 2, 235 ], [ 2, 3, 535 ], [ 3, 2, 235 ], [ 3, 4, 535 ]) {
	my ($n, $i, $code) = @$case;
	my $base64 = MIME::Base64::encode_base64("\0bob\0$passwords[$i]", '');
	like session($n)->cmd("AUTH PLAIN $base64"), qr/^$code/, "$passwords[$i] at listener $n";
	push @shown, substr $base64, 8, 16;	# a piece, whole groups of three octets
}
for my $n (2, 3) {
	my $c = session($n);
	$c->send('AUTH PLAIN AGJvYgBBYmNDdXRPZmZB' . $n);
	my ($pid) = $d->pids('smtp');
	wait_for { count($pid, 'BBYmNDdXRPZmZB') } 'half a line to come';
	my $before = () = $d->log_text =~ /event=disconnected/g;
	$c->close;
	wait_for { (() = $d->log_text =~ /event=disconnected/g) > $before } 'its end';
}
push @shown, 'BBYmNDdXRPZmZB';
my %pid = map { $_ => ($d->pids($_))[0] } 'smtp', 'lookup';
cmp_ok count($pid{lookup}, 'AbcNobodyTypes') + count($pid{lookup}, $hash), '>', 0, 'memory can be read: the list is there';
for my $role (sort keys %pid) {
	is count($pid{$role}, $_), 0, "$role: $_ is gone" for @shown;
}
$d->stop;
done_testing;
