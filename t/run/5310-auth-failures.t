# Failed logins: slowed down, then refused, by address and by user; a good user is never locked out of
# where he logs in from; and a line of the log that sshguard's rule for OpenSMTPD takes.
use strict;
use warnings;
use IO::Socket::INET;
use MIME::Base64 ();
use Tabmail;
use Test::More;
use Time::HiRes qw(time);

my $hash = crypt('Richtig1', '$2b$05$abcdefghijklmnopqrstuu');
my $d = Tabmail->start(users => ['bob'], config => <<"C");
table users file:\$D/users
table creds { bob = "$hash", ann = "$hash" }
limit smtp auth-failures 2
listen on 127.0.0.1 port \$PORT auth <creds>
accept from any for domain example.org userbase <users> deliver to maildir
C

# A session from an address of 127.0.0.0/8; the reply to a login and how long it took.
sub login {
	my ($from, $user, $password) = @_;
	my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $d->port, LocalAddr => $from, Timeout => 20)
	    or die "connect from $from: $!";
	my $read = sub { my $line; do { $line = <$s> // 'closed' } while $line =~ /^\d{3}-/; $line =~ s/\r?\n//; $line };
	$read->();
	print $s "EHLO x\r\n";
	$read->();
	my $began = time;
	print $s 'AUTH PLAIN ', MIME::Base64::encode_base64("\0$user\0$password", ''), "\r\n";
	my $reply = $read->();
	return ($reply, time - $began, $s);
}

my @took;
for my $i (1 .. 2) {
	my ($reply, $took) = login('127.0.0.7', 'bob', "wrong$i");
	like $reply, qr/^535 5\.7\.8 /, "a wrong password: 535 ($i)";
	push @took, $took;
}
cmp_ok $took[0], '>', 0.4, 'each is slowed down';
cmp_ok $took[1], '>', 0.9, 'the next more than the one before';
my ($reply) = login('127.0.0.7', 'bob', 'Richtig1');
like $reply, qr/^421 4\.7\.0 /, 'then even the right one is put off, and never answered 535';
(undef, undef, my $s) = login('127.0.0.7', 'ann', 'Richtig1');
is scalar(<$s>), undef, 'for every user, and the session ends';
($reply) = login('127.0.0.8', 'bob', 'Richtig1');
like $reply, qr/^235 /, 'from elsewhere bob comes in';

# Many addresses, one user: 5 times the limit, and who has not logged in from there before waits.
for my $i (1 .. 10) {
	my ($r) = login("127.1.0.$i", 'ann', "wrong$i");
	last if $r =~ /^454/;
	BAIL_OUT("an unexpected $r") unless $r =~ /^535/;
}
($reply) = login('127.2.0.1', 'ann', 'Richtig1');
like $reply, qr/^454 4\.7\.0 /, 'a user whom many addresses guess: put off';
($reply) = login('127.0.0.8', 'bob', 'Richtig1');
like $reply, qr/^235 /, 'others are not';

# This machine itself is trusted: whoever fails behind a web mail does not lock out the others there.
login('127.0.0.1', 'nobody', "wrong$_") for 1 .. 3;
($reply) = login('127.0.0.1', 'bob', 'Richtig1');
like $reply, qr/^235 /, '127.0.0.1 is not locked out';

my ($line) = $d->log_text =~ /^\S+ smtp: (.* event=failed-command address=127\.0\.0\.7 .*)$/m;
like $line, qr/^[0-9a-f]{16} smtp event=failed-command address=127\.0\.0\.7 host=unknown command="AUTH PLAIN \(user="bob"\)" result="535 Authentication failed"$/,
    'the line names user, address, mechanism and result';
SKIP: {
	my ($parser) = grep { -x } '/usr/libexec/sshguard/sshg-parser', '/usr/lib/x86_64-linux-gnu/sshg-parser';
	skip 'sshguard is not installed', 1 unless $parser;
	my ($status, $out) = run([ input => "Nov 24 00:00:00 mail tabmaild/smtp[123]: $line\n" ], $parser);
	like $out, qr/^\d+ 127\.0\.0\.7 /, 'sshguard takes it for an attack from there';
}
$d->stop;
done_testing;
