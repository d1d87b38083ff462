# Security row 5: a client that resets its connection while a helper has its question.  In every state of a
# session that asks, hundreds of times: the late answer finds nobody, and nothing happens.  Most useful
# under SAN=1.
use strict;
use warnings;
use Socket qw(SOL_SOCKET SO_LINGER);
use Tabmail;
use Test::More;
use Time::HiRes qw(sleep time);

my $times = $ENV{TABMAIL_LONG} ? 1000 : 100;	# of each state
# Answers after half a second, many at a time; and says how many questions it had.
my $d = Tabmail->start(users => ['bob'], files => { late => <<'H', never => <<'N' }, config => <<'C');
#!/usr/bin/perl
use IO::Select;
use Time::HiRes 'time';
$| = 1;
while (<STDIN>) { last if /^config\|ready/ }
print "register|$_\n" for qw(alias userinfo domain netaddr mailaddr ready);
my $stdin = IO::Select->new(\*STDIN);
my ($in, $n, @due) = ('', 0);
for (;;) {
	if ($stdin->can_read(@due ? 0.01 : undef)) {
		sysread STDIN, $in, 65536, length $in or exit;
		while ($in =~ s/^(.*)\n//) {
			my @f = split /\|/, $1, 8;
			$n++;
			my $said = $f[7] eq 'count' ? $n : $f[5] eq 'userinfo' ? '1:1:/' : 'bob';
			push @due, [ $f[7] eq 'count' ? 0 : time + 0.5, "$f[4]-result|$f[6]|"
			    . ($f[7] =~ /not/ ? 'not-found' : $f[4] eq 'check' ? 'found' : "found|$said") . "\n" ];
		}
	}
	@due = sort { $a->[0] <=> $b->[0] } @due;
	print +(shift @due)->[1] while @due && $due[0][0] <= time;
}
H
#!/bin/sh
printf 'register|alias\nregister|userinfo\nregister|mailaddr\nregister|ready\n'
exec cat >/dev/null
N
table users file:$D/users
table late command "$D/late"
table late-cached command "$D/late" cache 1s
table never command "$D/never"
table few command "$D/late" max-pending 32
listen on 127.0.0.1 port $PORT
accept from any for domain alias.example alias <late> userbase <users> deliver to maildir
accept from any for domain virtual.example virtual <late> userbase <users> deliver to maildir
accept from any for domain cached.example alias <late-cached> userbase <users> deliver to maildir
accept from any for domain never.example alias <never> userbase <users> deliver to maildir
accept from any for domain nevertoo.example virtual <never> userbase <users> deliver to maildir
accept from any for domain neverhost.example userbase <never> deliver to maildir
accept from any sender <never> for domain neversender.example userbase <users> deliver to maildir
accept from any for domain few.example alias <few> userbase <users> deliver to maildir
accept from any for domain user.example userbase <late> deliver to maildir
accept from any for domain example.org userbase <users> deliver to maildir
accept from any sender <late> for domain sender.example userbase <users> deliver to maildir
accept from any for domain <late> userbase <users> deliver to maildir
C

# What a client has sent when it goes: without an answer, with one before, with more behind, half a command.
my $n = 0;
sub who { return 'a' . ++$n . $_[0] }
my %states = (
	'the first RCPT' => sub { 'RCPT TO:<' . who('@alias.example') . ">\r\n" },
	'one that is virtual' => sub { 'RCPT TO:<' . who('@virtual.example') . ">\r\n" },
	'one that another session has asked, too' => sub { "RCPT TO:<same\@cached.example>\r\n" },
	'one that waits for its turn' => sub { 'RCPT TO:<' . who('@few.example') . ">\r\n" },
	'one whose user is asked for' => sub { 'RCPT TO:<' . who('@user.example') . ">\r\n" },
	'one whose domain is asked for' => sub { 'RCPT TO:<' . who('@not.example') . ">\r\n" },
	'one whose sender is asked for' => sub { 'RCPT TO:<' . who('@sender.example') . ">\r\n" },
	'one behind a good one' => sub { "RCPT TO:<bob\@example.org>\r\nRCPT TO:<" . who('@alias.example') . ">\r\n" },
	'many in one pipeline' => sub { join '', map { 'RCPT TO:<' . who('@alias.example') . ">\r\n" } 1 .. 10 },
	'DATA in the pipeline' => sub { 'RCPT TO:<' . who('@alias.example') . ">\r\nDATA\r\n" },
	'a whole mail in the pipeline' => sub { "RCPT TO:<bob\@example.org>\r\nRCPT TO:<" . who('@alias.example') . ">\r\nDATA\r\nx\r\n.\r\n" },
	'RSET in the pipeline' => sub { 'RCPT TO:<' . who('@alias.example') . ">\r\nRSET\r\nMAIL FROM:<b\@example.net>\r\n" },
	'QUIT in the pipeline' => sub { 'RCPT TO:<' . who('@alias.example') . ">\r\nQUIT\r\n" },
	'half a command' => sub { 'RCPT TO:<' . who('@alias.example') . ">\r\nRCPT TO:<x" },
);
my @roles = qw(smtp lookup queue relay);
my %before = map { $_ => join ' ', $d->pids($_) } @roles;
my ($helper) = map { $_->{pid} } grep { $_->{table} eq 'late' } $d->ctl_rows('show', 'tables');
my @open;

# A client that is gone by a reset, or in order.
sub leave {
	my ($c, $how) = @_;
	setsockopt $c->socket, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0 if $how eq 'reset';
	$c->close;
}
sub take_leave {
	while (@open && $open[0][0] <= time) {
		my (undef, $c, $how) = @{ shift @open };
		leave($c, $how);
	}
}
my $sent = 0;
my $began = time;
for my $round (1 .. $times) {
	for my $state (sort keys %states) {
		my $c = $d->client;
		$c->send("EHLO client.example.net\r\nMAIL FROM:<a\@example.net>\r\n" . $states{$state}->());
		$sent++;
		# at once (it may not be read yet), while it is asked, and as the answer comes
		push @open, [ time + (0.05, 0.25, 0.5)[ $sent % 3 ], $c, $sent % 5 ? 'reset' : 'close' ];
		@open = sort { $a->[0] <=> $b->[0] } @open if @open > 1;
		take_leave();
	}
}
while (@open) {
	take_leave();
	sleep 0.01;
}
my $took = time - $began;
wait_for {
	my @busy = grep { $_->{'in-flight'} || $_->{waiting} } $d->ctl_rows('show', 'tables');
	!@busy;
} 'all questions to be over', 60;
pass 'no question is left';
my ($status, $out) = $d->ctl('table', 'late', 'lookup', 'alias', 'count');
my ($asked) = $out =~ /^found +(\d+)$/m;
cmp_ok $asked, '>', 5 * $times, sprintf '%d clients left in %.1f s, their helper had %d questions', $sent, $took, $asked;
my $c = $d->client;
$c->ehlo;
$c->cmd('MAIL FROM:<a@example.net>');
like $c->cmd("RCPT TO:<bob\@$_.example>"), qr/^250 /, "$_: who stays has his answer" for qw(alias virtual cached few sender);
$c->quit;
$d->await_queue_empty(60);
# What nobody waits for any more is not asked on.  Its own deadline would be 30 s.
my $asked_now = sub { my ($row) = grep { $_->{table} eq 'never' } $d->ctl_rows('show', 'tables'); return $row->{'in-flight'} };
for my $what (qw(never nevertoo neverhost neversender)) {
	$c = $d->client;
	$c->ehlo;
	$c->cmd('MAIL FROM:<a@example.net>');
	$c->send("RCPT TO:<who\@$what.example>\r\n");
	wait_for { $asked_now->() } "$what: to be asked";
	leave($c, 'reset');
	wait_for { !$asked_now->() } "$what: the question to end with its client", 10;
	pass "$what: the question ended with its client";
}
my ($row) = grep { $_->{table} eq 'late' } $d->ctl_rows('show', 'tables');
is $row->{pid}, $helper, 'the helper is the same';
is join(' ', $d->pids($_)), $before{$_}, "$_ is the same process" for @roles;
is kill(0, $d->pid), 1, 'and so is parent';
$d->stop;
done_testing;
