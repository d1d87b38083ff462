# RFC 1870, 6152, 3461: parameters of MAIL and RCPT, checked before they are believed.
use strict;
use warnings;
use FindBin;
use Test::More;
require "$FindBin::Bin/2-talk.pl";

my $d = talk_daemon();
my $c = talk_at(sub { $d->client }, 'ready');
for my $t (
	[ 'SIZE=100', 250 ], [ 'size=0', 250 ], [ 'SIZE=', '501 5.5.4' ], [ 'SIZE=x', '501 5.5.4' ], [ 'SIZE=-1', '501 5.5.4' ],
	[ 'SIZE=1 SIZE=1', '501 5.5.4' ], [ 'BODY=7BIT', 250 ], [ 'BODY=8BITMIME', 250 ], [ 'body=8bitmime', 250 ],
	[ 'BODY=BINARYMIME', '501 5.5.4' ], [ 'BODY', '501 5.5.4' ], [ 'RET=FULL', 250 ], [ 'RET=HDRS', 250 ], [ 'RET=NO', '501 5.5.4' ],
	[ 'RET=FULL RET=FULL', '501 5.5.4' ], [ 'ENVID=QQ314159', 250 ], [ 'ENVID=a+2Bb', 250 ], [ 'ENVID=a+', '501 5.5.4' ],
	[ 'ENVID=a+0D', '501 5.5.4' ], [ 'ENVID=' . 'x' x 100, 250 ], [ 'ENVID=' . 'x' x 101, '501 5.5.4' ], [ 'ENVID=', '501 5.5.4' ],
	[ 'SIZE=5 BODY=8BITMIME RET=HDRS ENVID=all', 250 ], [ 'SMTPUTF8', 250 ], [ 'SMTPUTF8=1', '501 5.5.4' ], [ 'AUTH=<>', '555 5.5.4' ],
	[ 'X-FOO=bar', '555 5.5.4' ], [ '=', '501 5.5.4' ], [ 'REQUIRETLS', '555 5.5.4' ], [ '-', '501 5.5.4' ],
) {
	talk('MAIL', $c, "MAIL FROM:<a\@example.net> $t->[0]" => $t->[1], RSET => 250);
}
talk('a transaction', $c, 'MAIL FROM:<a@example.net>' => 250);
for my $t (
	[ 'NOTIFY=NEVER', 250 ], [ 'NOTIFY=SUCCESS,FAILURE,DELAY', 250 ], [ 'notify=success', 250 ], [ 'NOTIFY=', '501 5.5.4' ],
	[ 'NOTIFY=NEVER,SUCCESS', '501 5.5.4' ], [ 'NOTIFY=SUCCESS,SUCCESS', '501 5.5.4' ], [ 'NOTIFY=SOON', '501 5.5.4' ],
	[ 'ORCPT=rfc822;bob@example.org', 250 ], [ 'ORCPT=rfc822;Bob+2Bx@example.org', 250 ], [ 'ORCPT=bob', '501 5.5.4' ],
	[ 'ORCPT=rfc822;a+0Ab', '501 5.5.4' ], [ 'ORCPT=rfc822;', '501 5.5.4' ], [ 'ORCPT=a/b;c', '501 5.5.4' ],
	[ 'ORCPT=rfc822;' . 'x' x 500, '501 5.5.4' ], [ 'NOTIFY=DELAY ORCPT=rfc822;x', 250 ], [ 'FOO=1', '555 5.5.4' ], [ 'SIZE=1', '555 5.5.4' ],
) {
	talk('RCPT', $c, "RCPT TO:<bob\@example.org> $t->[0]" => $t->[1]);
}
$c->quit;
$c = talk_at(sub { $d->client(3) }, 'ready');
talk('no-dsn', $c, 'MAIL FROM:<a@example.net> RET=FULL' => '555 5.5.4', 'MAIL FROM:<a@example.net> ENVID=x' => '555 5.5.4',
	'MAIL FROM:<a@example.net> SIZE=1 BODY=8BITMIME' => 250, 'RCPT TO:<bob@example.org> NOTIFY=NEVER' => '555 5.5.4',
	'RCPT TO:<bob@example.org> ORCPT=rfc822;x' => '555 5.5.4', 'RCPT TO:<bob@example.org>' => 250);
$d->stop;
done_testing;
