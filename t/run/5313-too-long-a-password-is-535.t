# A password longer than crypt(3) takes is wrong, for who is there and for who is not: another reply for one of
# them would tell who is there, and the guess would not count.
use strict;
use warnings;
use MIME::Base64 ();
use Tabmail;
use Test::More;

my %hash = map { $_ => crypt('Richtig1', $_ eq 'sha' ? '$6$saltsalt$' : '$2b$04$abcdefghijklmnopqrstuu') } qw(sha blow);
my @lens = (511, 512, 1024);
my @users = map { my $u = $_; map { "$u$_" } @lens } 'sha', 'blow';
my $d = Tabmail->start(users => ['bob'], files => { creds => join('', map { "$_ $_:$hash{ /^([a-z]+)/ && $1 }\n" } @users) },
	config => <<'C' =~ s/HASHES/join ', ', map { "$_ = \"$hash{ \/^([a-z]+)\/ && $1 }\"" } @users/er);
table users file:$D/users
table creds file:$D/creds
table list { HASHES }
listen on 127.0.0.1 port $PORT auth <creds>
listen on 127.0.0.1 port $PORT2 auth <list>
accept from any for domain example.org userbase <users> deliver to maildir
C

my @sessions;
for my $n (1, 2) {
	for my $len (@lens) {
		for my $user ("sha$len", "blow$len", "nobody$len") {
			my $c = $d->client($n);
			$c->ehlo;
			$c->send('AUTH PLAIN ' . MIME::Base64::encode_base64("\0$user\0" . 'x' x $len, '') . "\r\n");
			push @sessions, [ ($n == 1 ? 'check' : 'hashes') . ", $user, $len octets", $c ];
		}
	}
}
like $_->[1]->reply, qr/^535 5\.7\.8 /, "$_->[0]: 535" for @sessions;
unlike $d->log_text, qr/event=later/, 'and nothing is said against the table';
$d->stop;
done_testing;
