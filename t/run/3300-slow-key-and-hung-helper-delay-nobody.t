# A helper that is slow on one key answers the others meanwhile; one that hangs costs its own questions
# their deadline, and is replaced; other tables notice neither.
use strict;
use warnings;
use Tabmail;
use Test::More;
use Time::HiRes qw(time);

my $d = Tabmail->start(users => ['bob'], files => { slow => <<'H', hung => <<'H2' }, config => <<'C');
#!/usr/bin/python3
# Answers "slow" after 10 s and all else at once.
import sys, threading
def answer(line):
    print(line, flush=True)
for line in sys.stdin:
    f = line.rstrip('\n').split('|')
    if f[0] == 'config':
        if f[1] == 'ready':
            answer('register|alias'); answer('register|ready')
    else:
        reply = 'lookup-result|%s|found|bob' % f[6]
        if f[7] == 'slow':
            t = threading.Timer(10, answer, [reply]); t.daemon = True; t.start()
        else:
            answer(reply)
H
#!/usr/bin/perl
# Hangs on "hang" for good; the next one that is started does so too.
$| = 1;
while (<STDIN>) {
	chomp;
	my @f = split /\|/;
	if ($f[0] eq 'config') { print "register|alias\nregister|ready\n" if $f[1] eq 'ready'; next }
	sleep 1000 if $f[7] eq 'hang';
	print "lookup-result|$f[6]|found|bob\n";
}
H2
table users file:$D/users
table slow command "$D/slow"
table hung command "$D/hung" timeout 2s
listen on 127.0.0.1 port $PORT
accept from any for domain slow.example alias <slow> userbase <users> deliver to maildir
accept from any for domain hung.example alias <hung> userbase <users> deliver to maildir
accept from any for domain example.org userbase <users> deliver to maildir
C

# One RCPT, its reply and how long it took.
sub rcpt {
	my ($c, $to) = @_;
	my $from = time;
	my $reply = $c->cmd("RCPT TO:<$to>");
	return ($reply, time - $from);
}
sub ready {
	my $c = $d->client;
	$c->greeting;
	$c->ehlo;
	$c->cmd('MAIL FROM:<a@example.net>');
	return $c;
}

my ($waits, $hangs, $other) = map { ready() } 1 .. 3;
rcpt($other, 'first@slow.example');
$waits->send("RCPT TO:<slow\@slow.example>\r\n");
my $waits_from = time;
my $worst = 0;
for my $n (1 .. 50) {
	for my $to ("k$n\@slow.example", 'bob@example.org') {
		my ($reply, $took) = rcpt($other, $to);
		BAIL_OUT("$to: $reply") unless $reply =~ /^250/;
		$worst = $took if $took > $worst;
	}
}
cmp_ok $worst, '<', 1, sprintf 'other keys of its table, and other tables, answer meanwhile, in %.1f ms at worst', $worst * 1000;

my ($reply) = rcpt($other, 'fine@hung.example');
like $reply, qr/^250/, 'the other helper works';
my ($before) = grep { $_->{table} eq 'hung' } $d->ctl_rows('show', 'tables');
my ($late, $took) = rcpt($hangs, 'hang@hung.example');
like $late, qr/^451 /, 'then hangs, and its question is answered 451';
cmp_ok $took, '<', 6, sprintf 'at its deadline of 2 s: after %.1f s', $took;
my $row;
wait_for {
	($row) = grep { $_->{table} eq 'hung' } $d->ctl_rows('show', 'tables');
	$row->{state} eq 'ready' && $row->{pid} != $before->{pid};
} 'it to be replaced', 20;
is $row->{restarts}, $before->{restarts} + 1, 'it was replaced once';
($reply) = rcpt($hangs, 'again@hung.example');
like $reply, qr/^250/, 'and the new one serves';
like $waits->reply, qr/^250/, 'the slow key was waited for';
cmp_ok time - $waits_from, '>', 9, 'its ten seconds';
$d->stop;
done_testing;
