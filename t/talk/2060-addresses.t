# Security row 1: addresses that a shell, a header or a helper would read otherwise are refused, or
# harmless; and those of everyday life are taken.
use strict;
use warnings;
use FindBin;
use Test::More;
require "$FindBin::Bin/2-talk.pl";

my $d = talk_daemon();
my $canary = $d->dir . '/canary';
my $c = talk_at(sub { $d->client }, 'ready');
my $refused = '501 5.1.7';
for my $t (
	[ '<>', 250 ], [ '<a@example.net>', 250 ], [ '<A.B+c-d_e=f@Example.NET>', 250 ], [ '<"a b"@example.net>', 250 ],
	[ '<"a\\"b"@example.net>', 250 ], [ '<a@[192.0.2.1]>', 250 ], [ '<a@[IPv6:2001:db8::1]>', 250 ], [ '<@x.test,@y.test:a@example.net>', 250 ],
	[ '<postmaster>', 250 ], [ '<a@xn--bcher-kva.example>', 250 ], [ "<a'b\@example.net>", 250 ],
	[ '<;touch x;>', $refused ], [ '<;touch x;@example.net>', $refused ], [ '<a@>', $refused ], [ '<@example.net>', $refused ],
	[ '<a>', $refused ], [ 'a@example.net', $refused ], [ '<a@example.net', $refused ], [ '<a@b@example.net>', $refused ],
	[ '<a@example..net>', $refused ], [ '<a@-example.net>', $refused ], [ '<a@example.net;x>', $refused ], [ '<a@[300.1.1.1]>', $refused ],
	[ '<a@[x]>', $refused ], [ '<.a@example.net>', $refused ], [ '<a.@example.net>', $refused ], [ '<a..b@example.net>', $refused ],
	[ "<b\xc3\xbc\@example.net>", '550 5.6.7' ], [ "<b\xc3\@example.net>", $refused ], [ "<a\x01\@example.net>", $refused ], [ "<\"a\tb\"\@example.net>", $refused ],
	[ '<' . 'x' x 129 . '@example.net>', $refused ], [ '<a@' . 'x' x 64 . '.net>', $refused ], [ '<a@' . 'x.' x 200 . 'net>', $refused ],
	[ '<"a@example.net>', $refused ], [ '<a@example.net> <b@example.net>', '501' ], [ '<<a@example.net>>', $refused ],
) {
	talk('MAIL', $c, "MAIL FROM:$t->[0]" => $t->[1], 'RSET' => 250);
}
# Every metacharacter in local part and domain, with and without a domain, plain and quoted.
for my $char (split //, ";|&\$`<>(){}'\"\\ \t\x01\x7f!*?[]#~%^=+/,:") {
	$c->close;
	$c = talk_at(sub { $d->client }, 'ready');
	my $shown = sprintf '0x%02x', ord $char;
	for my $address ("x${char}touch $canary${char}y\@example.org", "x${char}y\@example.org", "x${char}y",
		"x\@exa${char}mple.org", "\"x${char}touch $canary\"\@example.org", "\"x\\${char}y\"\@example.org") {
		my $code = substr $c->cmd("MAIL FROM:<$address>"), 0, 3;
		ok $code == 250 || $code == 501, "MAIL with $shown: $code";
		$c->cmd('RSET');
		$c->cmd('MAIL FROM:<a@example.net>');
		$code = substr $c->cmd("RCPT TO:<$address>"), 0, 3;
		ok $code == 550 || $code == 501, "RCPT with $shown: $code" or diag $address;
		$c->cmd('RSET');
	}
}
ok !-e $canary, 'nothing was executed';

# A sender of that kind is stored, and does no harm on its way.
$c = $d->client;
like $c->mail('"x;touch y|$(z)`w`"@example.net', 'bob@example.org', "Subject: odd sender\n\nx\n"), qr/^250/, 'an odd sender';
my ($mail) = $d->await_mails('bob', 1);
like $mail, qr/Subject: odd sender/, 'its mail arrives';
talk('RCPT', talk_at(sub { $d->client }, 'mail'), 'RCPT TO:<postmaster>' => '', 'RCPT TO:<>' => '501 5.1.3',
	'RCPT TO:<@a.test:bob@example.org>' => 250, 'RCPT TO: <bob@example.org>' => 250, 'RCPT TO:<"bob"@example.org>' => 250);
$d->stop;
done_testing;
