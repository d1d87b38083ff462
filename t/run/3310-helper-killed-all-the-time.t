# A helper is killed with SIGKILL every 100 ms while 20 sessions ask for it: no session sees an error, no
# process but the helper is started again.  5 s, or 30 with TABMAIL_LONG=1.  Every recipient is another, so
# that none is remembered.
use strict;
use warnings;
use IO::Select;
use Tabmail;
use Test::More;
use Time::HiRes qw(time);

my $secs = $ENV{TABMAIL_LONG} ? 30 : 5;
my $d = Tabmail->start(users => ['bob'], files => { virtual => "\@example.org: bob\n" }, config => <<'C');
table users file:$D/users
table virtual file:$D/virtual
limit recipients 100000
listen on 127.0.0.1 port $PORT
accept from any for domain example.org virtual <virtual> userbase <users> deliver to maildir
C
my %before = map { $_ => join ' ', $d->pids($_) } qw(parent smtp lookup queue relay);

my (%client, %sent);
my ($asked, $good, @bad) = (0, 0);
my $select = IO::Select->new;
sub ask {
	my ($c) = @_;
	$sent{ $c->socket } = time;
	$c->send(sprintf "RCPT TO:<a%d\@example.org>\r\n", ++$asked);
}
for (1 .. 20) {
	my $c = $d->client;
	$c->greeting;
	$c->ehlo;
	$c->cmd('MAIL FROM:<a@example.net>');
	$client{ $c->socket } = $c;
	$select->add($c->socket);
	ask($c);
}
my ($kills, $next_kill, $end, $killed_at, @gaps) = (0, time + 0.1, time + $secs);
while (time < $end) {
	if (time >= $next_kill) {
		my ($row) = grep { $_->{table} eq 'virtual' } $d->ctl_rows('show', 'tables');
		if ($row->{pid} && kill 'KILL', $row->{pid}) {
			$kills++;
			$killed_at = time;
		}
		$next_kill = time + 0.1;
	}
	for my $s ($select->can_read(0.01)) {
		my $c = $client{$s};
		my $reply = $c->reply;
		if ($reply =~ /^250/) { $good++ } else { push @bad, $reply }
		if ($killed_at && $sent{$s} > $killed_at) {
			push @gaps, time - $killed_at;
			$killed_at = undef;
		}
		ask($c);
	}
}
is scalar(@bad), 0, "no error in $good answers" or diag join "\n", @bad[0 .. ($#bad < 5 ? $#bad : 5)];
cmp_ok $kills, '>', $secs * 3 / $d->{slow}, "the helper was killed $kills times";
cmp_ok $good, '>', $kills, 'and answers went on';
is join(' ', $d->pids($_)), $before{$_}, "$_ is the same process" for sort keys %before;
@gaps = sort { $a <=> $b } @gaps;
diag sprintf 'from a kill to the next answer: median %.0f ms, worst %.0f ms', $gaps[@gaps / 2] * 1000, $gaps[-1] * 1000;
cmp_ok $gaps[@gaps / 2], '<', 0.5, 'it is soon there again';
$_->close for values %client;
$d->stop;
done_testing;
