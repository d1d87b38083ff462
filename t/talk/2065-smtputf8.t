# SMTPUTF8 (RFC 6531) command by command: where UTF-8 may stand, with the parameter and without, and that nothing malformed gets in,
# whole and byte by byte.
use strict;
use warnings;
use FindBin;
use Test::More;
require "$FindBin::Bin/2-talk.pl";

my $d = talk_daemon(config => "limit smtp errors 1000\n");
my ($u, $long) = ('jürgen@example.net', 'ü' x 64);	# 128 octets
my @bad = ("\x80", "\xc0\xaf", "\xc1\x81", "\xc3", "\xe0\x80\xaf", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\xaf", "\xf4\x90\x80\x80",
    "\xf8\x88\x80\x80\x80", "\xff", "\xfe", "\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xae", "\xef\xbb\xbf", "\xef\xbf\xbe");

for my $l (talk_listeners($d)) {
	my ($name, $connect) = @$l;
	my $c = $connect->();
	like $c->ehlo, qr/^250.SMTPUTF8\r?$/m, "$name: offered";
	like $c->ehlo, qr/^250.8BITMIME\r?$/m, "$name: with 8BITMIME";
	talk($name, $c,
	    "MAIL FROM:<$u>" => '550 5.6.7', "MAIL FROM:<a\@bücher.example> SIZE=5" => '550 5.6.7',
	    "MAIL FROM:<$u> SMTPUTF8=1" => '501 5.5.4', "MAIL FROM:<$u> SMTPUTF8 SMTPUTF8" => '501 5.5.4',
	    "MAIL FROM:<$u> SMTPÜTF8" => '501 5.5.4',
	    'MAIL FROM:<a@example.net>' => 250, "RCPT TO:<$u>" => '553 5.6.7', "RCPT TO:<bob\@exämple.org>" => '553 5.6.7',
	    'RCPT TO:<bob@example.org>' => 250, 'RSET' => 250,
	    "MAIL FROM:<$u> BODY=8BITMIME smtputf8" => 250, 'RCPT TO:<jürgen@example.org>' => '550 5.1.1',
	    "RCPT TO:<\"jür gen\"\@example.org>" => '550 5.1.1', 'RCPT TO:<bob@example.org>' => 250, 'RSET' => 250,
	    'MAIL FROM:<> SMTPUTF8' => 250, 'RSET' => 250,
	    "MAIL FROM:<$long\@example.net> SMTPUTF8" => 250, 'RSET' => 250,
	    "MAIL FROM:<a$long\@example.net> SMTPUTF8" => '501 5.1.7', "MAIL FROM:<$long\xc3> SMTPUTF8" => '501 5.1.7',
	    "MAIL FROM:<a\@" . 'ü' x 128 . ".net> SMTPUTF8" => '501 5.1.7',
	    "VRFY jürgen SMTPUTF8" => 252, "VRFY jürgen" => 252, "EXPN liste SMTPUTF8" => 502, "NOOP ü" => 250, "EHLO bücher.example" => 501,
	    'NOOP' => 250);
}

# Malformed, invisible, or turning text around: in no part of any address, with the parameter or without.
my $c = $d->client;
$c->ehlo;
for my $bad (@bad) {
	my $shown = join '', map { sprintf '%02x', ord } split //, $bad;
	for my $address ("a$bad\@example.net", "$bad\@example.net", "\"a $bad\"\@example.net", "\"a\\$bad\"\@example.net", "a\@ex${bad}ample.net",
		"a\@example.net$bad", "$bad", "\@x$bad:a\@") {
		for my $utf8 ('', ' SMTPUTF8') {
			my $reply = $c->cmd("MAIL FROM:<$address>$utf8");
			like $reply, qr/^501 5\.1\.7/, "MAIL with $shown$utf8" or diag $address;
		}
	}
	talk("RCPT with $shown", $c, 'MAIL FROM:<a@example.net> SMTPUTF8' => 250, "RCPT TO:<a$bad\@example.org>" => '501 5.1.3',
	    "RCPT TO:<bob\@example.org> ORCPT=utf-8;a$bad" => '501 5.5.4', 'RSET' => 250, "MAIL FROM:<a\@example.net>$bad" => '501',
	    "MAIL FROM:<a\@example.net> SMTPUTF8$bad" => '501 5.5.4', "MAIL FROM:<a\@example.net> SMTPUTF8 ENVID=$bad" => '501 5.5.4',
	    "MAIL FROM:<a\@example.net> $bad" => '501 5.5.4');
}
talk('ORCPT', $c, 'MAIL FROM:<a@example.net>' => 250, 'RCPT TO:<bob@example.org> ORCPT=utf-8;j\x{FC}rgen' => 250,
    'RCPT TO:<bob@example.org> ORCPT=utf-8;jürgen' => '501 5.5.4', 'RCPT TO:<bob@example.org> ORCPT=utf-8;j+C3+BC' => '501 5.5.4', 'RSET' => 250,
    'MAIL FROM:<a@example.net> SMTPUTF8' => 250, 'RCPT TO:<bob@example.org> ORCPT=utf-8;jürgen@x' => 250,
    'RCPT TO:<bob@example.org> ORCPT=rfc822;jürgen@x' => '501 5.5.4', 'RSET' => 250);

# The parameter belongs to one transaction.
talk('after RSET', $c, 'MAIL FROM:<a@example.net> SMTPUTF8' => 250, 'RSET' => 250, 'MAIL FROM:<a@example.net>' => 250,
    'RCPT TO:<ü@example.org>' => '553 5.6.7', 'EHLO x' => 250);
talk('after a message', $c, 'MAIL FROM:<a@example.net> SMTPUTF8' => 250, 'RCPT TO:<bob@example.org>' => 250, 'DATA' => 354,
    "Subject: ü1\r\n\r\nx\r\n." => 250, 'MAIL FROM:<a@example.net>' => 250, 'RCPT TO:<ü@example.org>' => '553 5.6.7', 'RSET' => 250);
my ($mail) = $d->await_mails('bob', 1);
like $mail, qr/ with UTF8SMTP id .*\n\tfor <bob\@example\.org>/, 'Received';

# Byte by byte, and in one piece, pipelined.
my $dialogue = "EHLO x\r\nMAIL FROM:<jürgen\@bücher.example> SMTPUTF8\r\nRCPT TO:<jürgen\@example.org>\r\nRCPT TO:<bob\@example.org>\r\n"
    . "DATA\r\nSubject: Grüße\r\n\r\nGrüße\r\n.\r\nMAIL FROM:<jürgen\@bücher.example>\r\nQUIT\r\n";
for my $how ('whole', 'byte by byte') {
	my $s = $d->client;
	ok $how eq 'whole' ? $s->send($dialogue) : talk_bytewise($s, $dialogue), "$how: sent";
	is join(' ', map { substr $_, 0, 3 } talk_rest($s)), '250 250 550 250 354 250 550 221', "$how: the replies";
}
for ($d->await_mails('bob', 3)) {
	next unless /^Subject: Grüße$/m;
	like $_, qr/^Return-Path: <jürgen\@xn--bcher-kva\.example>$/m, 'the sender, his domain as the DNS has it';
	like $_, qr/\nSubject: Grüße\n\nGrüße\n\z/, 'unchanged';
}
# By BDAT, and by HELO, which has no extensions but is not refused them.
$c = $d->client;
talk('BDAT', $c, 'EHLO x' => 250, "MAIL FROM:<$u> SMTPUTF8" => 250, 'RCPT TO:<bob@example.org>' => 250);
like $c->cmd("BDAT 20 LAST\r\nSubject: by BDATü"), qr/^250/, 'by BDAT';
talk('HELO', $c, 'HELO x' => 250, "MAIL FROM:<$u> SMTPUTF8" => 250, 'RSET' => 250);
my $log = $d->log_text;
like $log, qr/from="jürgen\@xn--bcher-kva\.example"/, 'the log shows addresses as they are';
ok utf8::decode($log), 'and holds nothing but UTF-8';
$d->stop;
done_testing;
