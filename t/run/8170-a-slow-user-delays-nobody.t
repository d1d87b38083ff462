# A user whose command hangs has 400 messages (10,000 with TABMAIL_LONG=1) in the queue; another user's and another route's
# mail, queued behind them, goes at the rate of an empty queue.
use strict;
use warnings;
use File::Spec;
use POSIX ();
use Tabmail;
use Test::More;
use Time::HiRes qw(time);

my $many = $ENV{TABMAIL_LONG} ? 10_000 : 400;
my $few = 40;
my $go = File::Spec->tmpdir . "/tm-go.$$";
my $sink = Tabmail::Sink->start;
my $d = Tabmail->start(users => [ 'bob', 'ann' ], flags => [], vars => { SINK => $sink->port, GO => $go }, config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org recipient "bob@example.org" userbase <users> deliver to mda "until test -e $GO; do sleep 0.2; done"
accept from any for domain example.org userbase <users> deliver to maildir
accept from any for any relay via smtp://127.0.0.1:$SINK
C

sub send_many {
	my ($n, $to, $what) = @_;
	my @pids;
	for my $part (1 .. 4) {
		my $pid = fork;
		push @pids, $pid;
		next if $pid;
		my $c;
		for (1 .. $n / 4) {
			$c = $d->client if $_ % 50 == 1;
			$c->mail('', $to, mail_text("$what $part $_")) =~ /^250 / or POSIX::_exit(1);
		}
		POSIX::_exit(0);
	}
	my $bad = 0;
	for (@pids) { waitpid $_, 0; $bad++ if $? }
	return !$bad;
}

# Without root all users have one uid, and are one user to the queue: then the route alone is looked at.
my @others = root() ? ('ann@example.org', 'x@example.com') : ('x@example.com');
sub arrived { my ($n) = @_; return $sink->count >= $n && (!root() || (() = $d->mail_files('ann')) >= $n) }
sub secs_of_others {
	my ($n) = @_;
	my $began = time;
	send_many($few, [@others], 'other') or return;
	wait_for { arrived($n) } 'the others', 60;
	return time - $began;
}

ok secs_of_others($few), 'all is started';
my $empty = secs_of_others(2 * $few);
ok send_many($many, ['bob@example.org'], 'slow'), "$many messages for a user whose command hangs";
wait_for { $d->ctl_rows('show', 'queue', 'state', 'delivering') } 'his command to run';
my $behind = secs_of_others(3 * $few);
ok $behind, 'the mail of others, behind them, is delivered';
cmp_ok $behind, '<', 3 * $empty + 1, sprintf 'at the rate of an empty queue: %.2f s, and %.2f s with an empty one: ratio %.2f', $behind, $empty, $empty / $behind;
is scalar(grep { $_->{rcpt} eq 'bob@example.org' } $d->ctl_rows('show', 'queue')), $many, 'his wait';
my ($status, $out) = $d->ctl('remove', 'recipient', 'bob@example.org');
like $out, qr/^$many removed$/, 'and can be removed all at once';
spew($go, '');
$d->await_queue_empty;
$d->stop;
unlink $go;
$sink->remove;
done_testing;
