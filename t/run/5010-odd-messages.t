# Messages of every odd shape arrive byte for byte, delivered and relayed.
use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use Tabmail;
use Test::More;

my $sink = Tabmail::Sink->start;
my $d = Tabmail->start(users => ['bob'], vars => { SINK => $sink->port }, config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to maildir
accept from any for any relay via smtp://127.0.0.1:$SINK
C
my $head = "From: a\@example.net\nSubject: odd\n\n";
my @mails = (
	['plain' => $head . "hello\n"],
	['8-bit text' => $head . join('', map { chr } 128 .. 255) . "\n\xc3\xa9t\xc3\xa9\n"],
	['8-bit header' => "Subject: \xe9t\xe9 \xff\n\nx\n"],
	['lines of 998 characters' => $head . (('x' x 998) . "\n") x 5],
	['no header' => "just a line\nand another\n"],
	['no header, an empty line first' => "\njust a line\n"],
	['header only' => "Subject: nothing follows\n"],
	['header and an empty line' => "Subject: nothing follows\n\n"],
	['empty' => ''],
	['one empty line' => "\n"],
	['dots at line starts' => $head . ".\n..\n...\n.x\n..x\n. \n.\n\n.\n"],
	['a dot as the last line' => $head . "x\n.\n"],
	['a dot as the first line' => ".\nx\n"],
	['a header of a dot' => ".Subject: x\n\ny\n"],
	['spaces at line ends' => $head . "a \nb\t\n   \n\t\n"],
	['From lines' => "From a\@b Mon Jan  1 00:00:00 2024\n$head" . "From x\n>From y\n"],
	['a folded header' => "Subject: one\n two\n\tthree\nX-Empty:\nX-Odd : x\n\nbody\n"],
	['its own trace headers' => "Return-Path: <x\@y>\nReceived: from me by you\nDelivered-To: z\n$head" . "x\n"],
	['controls' => $head . join('', map { chr } 1 .. 9, 11, 12, 14 .. 31, 127) . "\n"],
	['NUL' => $head . "a\0b\n"],
	['65536 bytes' => $head . ('y' x 71 . "\n") x 910],
	['a body of one long run of lines' => $head . "\n" x 200000],
	['20 MiB' => $head . ('0123456789abcdef' x 4 . "\n") x (20 * 1024 * 1024 / 65)],
);
my $c = $d->client;
$c->ehlo;
$c->{ehlo} = 1;
my ($delivered, $relayed) = (0, 0);
my %seen;
for (@mails) {
	my ($name, $text) = @$_;
	my $reply = $c->mail('a@example.net', ['bob@example.org', 'x@example.com'], $text);
	if ($name eq 'NUL' && $reply =~ /^5/) {
		pass "$name: refused";
		next;
	}
	like $reply, qr/^250 /, "$name: accepted" or next;
	$d->await_mails('bob', ++$delivered, 60);
	my ($path) = grep { !$seen{$_}++ } $d->mail_files('bob');
	my ($trace, $rest) = trace_and_rest(slurp($path), $text);
	ok defined $rest, "$name: delivered byte for byte" or diag 'got ', explain(substr slurp($path), 0, 2000);
	like $trace, qr/\A(?:(?:Return-Path|Received|Delivered-To|X-Original-To):.*\n(?:[ \t].*\n)*)+\z/, '… trace headers in front, nothing else'
	    if defined $rest;
	wait_for { $sink->count > $relayed } "$name at the sink", 60;
	$relayed++;
	my $wire = slurp($sink->dir . "/$relayed.mail");
	(my $want = $text) =~ s/\n/\r\n/g;
	($trace, $rest) = trace_and_rest($wire, $want);
	ok defined $rest, "$name: relayed byte for byte" or diag 'got ', explain(substr $wire, 0, 2000);
	unlike $wire, qr/(?<!\r)\n|\r(?!\n)/, '… no bare CR or LF goes out';
}
# lines longer than SMTP allows: refused, or passed on whole
my $long = $head . 'z' x 100000 . "\n";
my $reply = $c->mail('a@example.net', 'bob@example.org', $long);
if ($reply =~ /^250/) {
	my @all = $d->await_mails('bob', ++$delivered);
	ok +(grep { defined +(trace_and_rest($_, $long))[1] } @all), 'a line of 100000 characters: delivered whole';
} else {
	like $reply, qr/^5\d\d /, 'a line of 100000 characters: refused';
	$c = $d->client;
}
# larger than allowed
like $c->cmd('EHLO x.example'), qr/^250[- ]SIZE (\d+)/m, 'SIZE is announced';
like $c->cmd('MAIL FROM:<a@example.net> SIZE=999999999999'), qr/^552 5\.3\.4 /, 'too large is refused at MAIL';
$d->stop;
$sink->remove;
done_testing;
