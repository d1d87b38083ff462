# A line of AUTH that is refused is wiped like one that is taken: the smtp process's memory holds none.
use strict;
use warnings;
use FindBin;
use MIME::Base64 ();
use Test::More;
use Tabmail;
require "$FindBin::Bin/2-talk.pl";

plan skip_all => 'reads the memory of a process: as root only' if $> != 0;
my $hash = crypt('Richtig1', '$6$saltsalt$');
my $d = Tabmail->start(users => ['bob'], config => <<"END");
table users file:\$D/users
table creds { bob = "$hash" }
limit smtp errors 100
listen on 127.0.0.1 port \$PORT auth-optional <creds>
accept from any for domain example.org userbase <users> deliver to maildir
END
my ($pid) = $d->pids('smtp');

# How often the process's writable memory holds it.
sub found {
	my ($what) = @_;
	my $n = 0;
	open my $maps, '<', "/proc/$pid/maps" or die "maps: $!";
	open my $mem, '<:raw', "/proc/$pid/mem" or die "mem: $!";
	while (<$maps>) {
		my ($from, $to) = /^([0-9a-f]+)-([0-9a-f]+) rw/ or next;
		no warnings 'portable';
		($from, $to) = (hex $from, hex $to);
		next if $to - $from > 64 << 20;
		sysseek $mem, $from, 0 or next;
		my $bytes = '';
		sysread $mem, $bytes, $to - $from or next;
		$n += () = $bytes =~ /\Q$what\E/g;
	}
	return $n;
}

my $c = $d->client;
$c->ehlo;
$c->send("NOOP CanaryThatStays\r\n");
$c->reply;
cmp_ok found('CanaryThatStays'), '>', 0, 'a line of no secret is found: the search sees them';
my $n = 0;
for my $case (
	[ 'a bare LF', "AUTH PLAIN\r\n", "%s\n rest\r\n" ],
	[ 'a CR in it', "AUTH PLAIN\r\n", "x\r%s\r\n" ],
	[ 'a NUL in it', "AUTH LOGIN\r\n", "x\0%s\r\n" ],
	[ 'too long', "AUTH PLAIN\r\n", 'x' x 2100 . "%s\r\n" ],
	[ 'no base64', "AUTH PLAIN\r\n", "%s-\r\n" ],
	[ 'AUTH, tab', '', "AUTH\tPLAIN %s-\r\n" ],
	[ 'AUTH with a bare LF', '', "AUTH PLAIN %s\n\r\n" ],
	[ 'AUTH with a CR in it', '', "auth PLAIN x\r%s\r\n" ],
) {
	my ($name, $begin, $line) = @$case;
	my $secret = 'Canary' . 'abcdefgh' x 2 . $n++;
	$c = $d->client;
	$c->ehlo;
	if ($begin ne '') {
		$c->send($begin);
		like $c->reply, qr/^334 /, "$name: asked";
	}
	$c->send(sprintf $line, $secret);
	like $c->reply, qr/^5\d\d /, "$name: refused";
	# what the allocator and libevent write over a freed buffer's head does not hide the rest
	is found(substr $secret, 6), 0, "$name: it is nowhere";
}
$d->stop;
done_testing;
