# Security row 19: aliases that point at themselves, deep ones and huge ones are bounded, and others are served.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $deep = join '', map { "d$_: d" . ($_ + 1) . "\n" } 1 .. 1000;
my $wide = 'wide: ' . join(', ', map { "part$_" } 1 .. 10) . "\n";
for my $part (1 .. 10) {
	my @members = map { "w$part-$_" } 1 .. 2000;
	$wide .= "part$part: " . join(',', @members) . "\n" . join '', map { "$_: bob\n" } @members;
}
my $d = Tabmail->start(users => ['bob'], files => { aliases => <<A, v => "\@loop.example: x\@loop2.example\n\@loop2.example: y\@loop.example\n" }, config => <<'C');
a: b
b: a
self: self
bomb0: bomb1,bomb1,b1,b2,b3
bomb1: bomb0,bomb2
bomb2: bomb1,bomb0,bomb2
bobself: bob
bob: bob
both: a, bob
$deep
d1001: bob
$wide
A
table users file:$D/users
table aliases file:$D/aliases
table v file:$D/v
listen on 127.0.0.1 port $PORT
accept from any for domain { loop.example, loop2.example } virtual <v> userbase <users> deliver to maildir
accept from any for domain example.org alias <aliases> userbase <users> deliver to maildir
C
for my $rcpt (qw(a@example.org self@example.org bomb0@example.org d1@example.org wide@example.org x@loop.example)) {
	my $reply = $d->mail('', $rcpt, mail_text($rcpt));
	ok $reply =~ /^(?:250|4\d\d|5\d\d) /, "$rcpt is answered: " . substr $reply, 0, 60;
	like $d->mail('a@example.net', 'bobself@example.org', mail_text("after $rcpt")), qr/^250 /, '… and others are served';
}
wait_for { 6 == grep { /^Subject: after /m } $d->mails('bob') } 'the mails of others';
pass 'and get their mail';
like $d->mail('a@example.net', 'bob@example.org', mail_text('an alias of his own name')), qr/^250 /, 'bob: bob is bob';
wait_for { grep { /^Subject: an alias of/m } $d->mails('bob') } 'it';
for my $role (qw(lookup queue smtp)) {
	my ($pid) = $d->pids($role);
	my ($kb) = slurp("/proc/$pid/status") =~ /^VmRSS:\s+(\d+)/m;
	cmp_ok $kb, '<', 200_000 * $d->{slow}, "$role is not swollen: $kb KiB";
}
unlike $d->log_text, qr/(?:killed|died|signal)/i, 'no process ended';
$d->ctl('remove', 'all');
$d->stop;
done_testing;
