# Lines, sizes, recipients, patience: each has a limit, and the session (or the next) goes on behind it.
use strict;
use warnings;
use FindBin;
use Test::More;
require "$FindBin::Bin/2-talk.pl";

my $d = talk_daemon(config => "max-hops 10\n");

# Sizes: declared, and as they come.
my $c = talk_at(sub { $d->client }, 'ready');
talk('size', $c,
	'MAIL FROM:<a@example.net> SIZE=65537' => '552 5.3.4',
	'MAIL FROM:<a@example.net> SIZE=99999999999999999999' => '552 5.3.4',
	'MAIL FROM:<a@example.net> SIZE=65536' => '250',
	'RCPT TO:<bob@example.org>' => '250',
	'DATA' => '354');
$c->send(("x" x 62 . "\r\n") x 1024 . ".\r\n");
like $c->reply, qr/^250/, 'exactly the limit';
talk('size', $c, 'MAIL FROM:<a@example.net>' => '250', 'RCPT TO:<bob@example.org>' => '250', 'DATA' => '354');
$c->send(("x" x 62 . "\r\n") x 1024 . "\r\n.\r\n");
like $c->reply, qr/^552 5\.3\.4 /, 'two bytes more';
talk('size', $c, 'RCPT TO:<bob@example.org>' => '503', 'MAIL FROM:<a@example.net>' => '250',
	'RCPT TO:<bob@example.org>' => '250', 'DATA' => '354');
$c->send(("x" x 62 . "\r\n") x 100_000 . ".\r\nNOOP\r\n");
like $c->reply, qr/^552 5\.3\.4 /, '6 MB are read to their end';
like $c->reply, qr/^250 /, 'and what follows is a command';
$c->quit;

# Lines.
$c = talk_at(sub { $d->client }, 'ready');
my $long = 'NOOP ' . 'x' x (2048 - 7);
talk('lines', $c, $long => 250, $long . 'x' => '500 5.5.2', 'NOOP' => 250, $long x 50 => '500 5.5.2', 'NOOP' => 250,
	"NOOP\rx" => '500 5.5.2', "NOOP\0x" => '500 5.5.2', 'NOOP' => 250);
for my $bytewise (0, 1) {
	my $bytes = "NOOP\nMAIL FROM:<evil\@example.net>\r\nNOOP\r\n";
	$bytewise ? talk_bytewise($c, $bytes) : $c->send($bytes);
	like $c->reply, qr/^500 5\.5\.2 /, 'a bare LF in a command: the whole line is refused';
	like $c->reply, qr/^250 2\.0\.0 /, 'and the next is taken';
}
like $c->cmd('RCPT TO:<bob@example.org>'), qr/^503/, 'no command hid behind the LF';
talk_bytewise($c, 'x' x 5000 . "\r\nNOOP\r\n");
like $c->reply, qr/^500/, 'a long line byte by byte';
like $c->reply, qr/^250/, 'and the next';
$c->quit;

# Recipients.
$c = talk_at(sub { $d->client }, 'mail');
my @codes;
$c->send(join '', map { "RCPT TO:<x$_\@example.com>\r\n" } 1 .. 1003);
push @codes, substr $c->reply, 0, 9 for 1 .. 1003;
is scalar(grep { /^250 2\.1\.5/ } @codes), 1000, '1,000 recipients';
is "@codes[1000 .. 1002]", '452 4.5.3 452 4.5.3 452 4.5.3', 'no more';
like $c->cmd('DATA'), qr/^354/, 'DATA for those that were taken';
$c->close;
like $d->client->cmd('NOOP'), qr/^250/, 'its client has left, others go on';

# Hops.
for my $hops (10, 11) {
	my $reply = $d->mail('a@example.net', 'bob@example.org', "Received: x\n" x $hops . "Subject: hops\n\nReceived: y\n");
	like $reply, $hops == 10 ? qr/^250/ : qr/^554 5\.4\.6 /, "$hops Received fields";
}

# Patience.
$c = talk_at(sub { $d->client }, 'ready');
$c->send("FOO\r\n" x 19 . "NOOP\r\n" . "FOO\r\n" x 40);
my @got = map { substr $_, 0, 3 } talk_rest($c);
is "@got", join(' ', (500) x 19, 250, (500) x 20, 421), '20 refused commands in a row end the session';

# A client that leaves in the middle.
for my $phase (qw(start ready mail rcpt)) {
	talk_at(sub { $d->client }, $phase)->close;
}
$c = talk_at(sub { $d->client }, 'rcpt');
$c->cmd('DATA');
$c->send("Subject: half\r\n\r\nhalf a mess");
$c->close;
my @mails = $d->await_mails('bob', 2);
unlike join('', @mails), qr/half a mess/, 'half a message is none';
$d->stop;
done_testing;
