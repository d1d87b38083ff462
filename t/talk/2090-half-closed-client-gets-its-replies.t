# A client that sends all it has and ends its side (nc -N): everything is done, every reply comes.
use strict;
use warnings;
use FindBin;
use Socket qw(SHUT_WR);
use Tabmail;
use Test::More;
require "$FindBin::Bin/2-talk.pl";

my $d = talk_daemon();
my $c = $d->client;
$c->greeting;
$c->send("EHLO x\r\nMAIL FROM:<a\@example.net>\r\nRCPT TO:<bob\@example.org>\r\nDATA\r\n" .
    "Subject: all at once\r\n\r\nx\r\n.\r\nNOOP\r\n");
shutdown $c->socket, SHUT_WR;
like $c->reply, qr/^250/, 'EHLO';
like $c->reply, qr/^250 2\.1\.0/, 'MAIL';
like $c->reply, qr/^250 2\.1\.5/, 'RCPT, though lookup was asked after the end';
like $c->reply, qr/^354/, 'DATA';
like $c->reply, qr/^250 2\.0\.0/, 'the message is stored';
like $c->reply, qr/^250/, 'NOOP behind it';
ok $c->at_end, 'then the connection ends';
$d->await_mails('bob', 1);

$c = $d->client;
$c->greeting;
$c->send("EHLO x\r\nMAIL FROM:<a\@example.net>\r\nRCPT TO:<bob\@example.org>\r\nDATA\r\nhalf a mess");
shutdown $c->socket, SHUT_WR;
$c->reply for 1 .. 4;
ok $c->at_end, 'half a message ends the connection';
is scalar($d->mails('bob')), 1, 'and is none';
$d->stop;
done_testing;
