# BDAT (RFC 3030): chunks of every size, refused ones eaten (security row 13), and what a chunk holds
# is never taken for commands.
use strict;
use warnings;
use FindBin;
use Test::More;
use Tabmail;
require "$FindBin::Bin/2-talk.pl";

my $d = talk_daemon();
my $n = 0;
like $d->client->ehlo, qr/^250-CHUNKING$/m, 'CHUNKING is offered';

my $text = join '', map { "$_\r\n" } 'Subject: chunks', '', 'one', '.', '..two', 'MAIL FROM:<x@example.net>', 'end';
my $plain = $text =~ s/\r//gr;
sub begun {
	my $c = $d->client;
	talk('begin', $c, 'EHLO x' => 250, 'MAIL FROM:<a@example.net>' => 250, 'RCPT TO:<bob@example.org>' => 250);
	return $c;
}
sub came {
	my ($name) = @_;
	my @mails = $d->await_mails('bob', ++$n);
	my ($body) = $mails[-1] =~ /(Subject: chunks\n.*)/s;
	is $body, $plain, "$name: octet for octet";
}
for my $size (1, 7, 64, 1000) {
	my $c = begun();
	my @chunks = unpack "(a$size)*", $text;
	for my $i (0 .. $#chunks) {
		$c->send('BDAT ' . length($chunks[$i]) . ($i == $#chunks ? ' LAST' : '') . "\r\n$chunks[$i]");
	}
	my @replies = map { $c->reply } @chunks;
	is scalar(grep { /^250 2\.0\.0 / } @replies), scalar @chunks, "chunks of $size, pipelined: each has its 250";
	like $replies[-1], qr/ accepted$/, 'the last one the id';
	came("chunks of $size");
}
{
	my $c = begun();
	talk_bytewise($c, 'BDAT ' . length($text) . "\r\n${text}BDAT 0 LAST\r\n");
	like $c->reply, qr/^250 2\.0\.0 \d+ octets/, 'byte by byte';
	like $c->reply, qr/accepted$/, 'BDAT 0 LAST';
	came('byte by byte');
	(my $cut = $text) =~ s/\r\n\z//;
	$c = begun();
	talk('no line end at its end', $c, 'BDAT ' . length($cut) . " LAST\r\n$cut" . 'NOOP' => 250, 'HELP' => 250);
	came('no line end at its end');
}

# The line end that is put behind the last line, where a piece to queue (64 KiB, our trace in front) is full.
{
	my $c = $d->client;
	talk('EHLO', $c, 'EHLO x' => 250);
	my @wrong;
	for my $len (65_100 .. 65_534) {
		$c->send("MAIL FROM:<a\@example.net>\r\nRCPT TO:<bob\@example.org>\r\n");
		$c->reply for 1, 2;
		my $octets = "S: x\r\n\r\n" . 'y' x ($len - 8);
		$c->send("BDAT $len LAST\r\n$octets");
		my $reply = $c->reply;
		push @wrong, "$len: $reply" if $reply !~ /^250 2\.0\.0 \w+ accepted/;
	}
	is "@wrong", '', 'messages of every length around a piece are taken';
	$n += 435 - @wrong;
}

# Refused, and eaten.
my $evil = "MAIL FROM:<evil\@example.net>\r\nRCPT TO:<bob\@example.org>\r\nDATA\r\n.\r\nQUIT\r\n";
my $len = length $evil;
{
	my $c = $d->client;
	my $eaten = sub {
		my ($name, $last) = @_;
		$c->send("BDAT $len$last\r\n${evil}NOOP\r\n");
		like $c->reply, qr/^503 /, "$name: refused";
		like $c->reply, qr/^250 2\.0\.0 ok/, "$name: eaten, and the next command is the one behind it";
	};
	$eaten->('before EHLO', ' LAST');
	talk('EHLO', $c, 'EHLO x' => 250);
	$eaten->('before MAIL', '');
	talk('MAIL', $c, 'MAIL FROM:<a@example.net>' => 250);
	$eaten->('without a recipient', ' LAST');
	talk('RCPT', $c, 'RCPT TO:<nobody@example.org>' => 550);
	$eaten->('with none that is good', '');
	my $big = 70 * 1024;
	$c = begun();
	$c->send("BDAT $big\r\n" . 'x' x $big);
	like $c->reply, qr/^552 5\.3\.4 /, 'too big: refused';
	$c->send("BDAT $len\r\n$evil");
	like $c->reply, qr/^552 5\.3\.4 /, 'and so is what follows';
	talk('then', $c, 'DATA' => 503, 'MAIL FROM:<a@example.net>' => 503, 'NOOP' => 250, 'RSET' => 250, 'MAIL FROM:<a@example.net>' => 250);
	for my $bare ("a\nb\r\n", "a\rb\r\n", "a\0b\r\n", "a\r") {
		$c = begun();
		(my $shown = $bare) =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ge;
		$c->send('BDAT ' . length($bare) . " LAST\r\n$bare");
		like $c->reply, qr/^550 5\.6\.0 /, "$shown is refused";
		talk('after it', $c, 'MAIL FROM:<a@example.net>' => 250);
	}
	for my $before ([], [ 'EHLO x', 'MAIL FROM:<a@example.net>' ]) {
		$c = $d->client;
		$c->cmd($_) for @$before;
		$c->send("BDAT 1000000000 LAST\r\n" . 'x' x 1000);
		like $c->reply, qr/^552 5\.3\.4 /, 'a chunk longer than any message, that nothing takes: refused before it comes';
		ok $c->at_end, 'and the session ends';
	}
	$c = begun();
	$c->send("BDAT 1\r\n\rBDAT 1 LAST\r\n\n");
	like $c->reply, qr/^250 /, 'CR and LF in two chunks';
	like $c->reply, qr/^250 /, 'are a line end';
	$n++;
	for my $odd ('BDAT x', 'BDAT', 'BDAT -1', 'BDAT 5 FIRST', 'BDAT 99999999999999999999', 'BDAT 5LAST') {
		$c = begun();
		like $c->cmd($odd), qr/^501 /, "$odd: refused";
		ok $c->at_end, 'and the session ends, for where the next command begins is not known';
	}
	$c = begun();
	$c->send("BDAT 100\r\nhalf");
	$c->close;
}
my @mails = $d->await_mails('bob', $n);
is scalar @mails, $n, "$n messages came";
is scalar(grep { /^Return-Path: <evil/m } @mails), 0, 'none that stood in a chunk';
$d->stop;
done_testing;
