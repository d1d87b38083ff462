# Many sessions of strangers guess at once, against a hash that takes long: who is known waits for nobody,
# a newcomer for a few, and the guesses of those who have gone are not looked at.
use strict;
use warnings;
use IO::Socket::INET;
use List::Util qw(max);
use MIME::Base64 ();
use Tabmail;
use Test::More;
use Time::HiRes qw(time);

my ($addresses, $sessions) = (15, 8);
my $hash = crypt('Richtig1', '$2b$09$abcdefghijklmnopqrstuu');
my $d = Tabmail->start(users => ['bob'], config => <<"C");
table users file:\$D/users
table creds { bob = "$hash", ann = "$hash", eve = "$hash" }
listen on 127.0.0.1 port \$PORT auth <creds>
accept from any for domain example.org userbase <users> deliver to maildir
C

# A session that has sent a login; what reads its reply.
sub try {
	my ($from, $user, $password) = @_;
	my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $d->port, LocalAddr => $from, Timeout => 20)
	    or die "connect from $from: $!";
	my $read = sub { my $line; do { $line = <$s> // 'closed' } while $line =~ /^\d{3}-/; $line };
	$read->();
	print $s "EHLO x\r\n";
	$read->();
	print $s 'AUTH PLAIN ', MIME::Base64::encode_base64("\0$user\0$password", ''), "\r\n";
	return ($read, $s);
}

# How long a good login takes.
sub took {
	my ($from, $user) = @_;
	my $began = time;
	my ($read) = try($from, $user, 'Richtig1');
	like $read->(), qr/^235 /, "$user logs in from $from";
	return time - $began;
}

my $alone = max(map { took('127.9.9.9', 'ann') } 1 .. 3);
my $all = $addresses * $sessions * $alone;	# as if one waited for every guess
my @crowd;
for my $i (1 .. $addresses) {
	push @crowd, (try("127.3.$i.1", "nobody$i", 'x'))[1] for 1 .. $sessions;
}
cmp_ok took('127.9.9.9', 'ann'), '<', $all / 2, 'who is known there waits for nobody';
cmp_ok took('127.8.8.8', 'bob'), '<', $all / 2, 'a newcomer for one guess of each address';
@crowd = ();
cmp_ok took('127.7.7.7', 'eve'), '<', $all / 2, 'nobody waits for those who have gone';
# The same from 127.0.0.1, which has no limit of an address.
took('127.0.0.1', 'ann');
for my $i (1 .. 300) {
	push @crowd, (try('127.0.0.1', "nobody$i", 'x'))[1];
}
$all = 300 * $alone;
cmp_ok took('127.9.9.9', 'ann'), '<', $all / 3, 'a flood on loopback: who is known elsewhere waits for nobody';
cmp_ok took('127.5.5.5', 'bob'), '<', $all / 3, 'a newcomer for a few';
cmp_ok took('127.0.0.1', 'ann'), '<', $all / 3, 'who is known on loopback for nobody';
@crowd = ();
$d->stop;
done_testing;
