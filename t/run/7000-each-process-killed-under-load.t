# kill -9 of each process in turn under load: the daemon goes on, and nothing that was answered 250 is missing.
use strict;
use warnings;
use POSIX ();
use Tabmail;
use Test::More;
use Time::HiRes qw(time);

my $CLIENTS = 6;
my $sink = Tabmail::Sink->start;
my $d = Tabmail->start(users => ['bob'], vars => { SINK => $sink->port }, files => { aliases => "info: bob\n" }, config => <<'C');
limit deliveries 16 relay-connections 4
table users file:$D/users
table aliases file:$D/aliases
listen on 127.0.0.1 port $PORT
accept from any for domain example.org alias <aliases> userbase <users> deliver to maildir
accept from any for any relay via smtp://127.0.0.1:$SINK
C

# What a kill -9 may repeat.  Of deliver and relay what they have in hand (one user, one route, a recipient a
# message); of queue that, and the results that it had not yet written: journal.c commits when 64 wait, and
# reads 16 of each channel before it does.  lookup's death ends queue in good order, but for what relay has.
my ($deliver, $relay) = (16, 4);
my $queue = $deliver + $relay + 64 + 2 * 16;
my %in_flight = (deliver => $deliver, relay => $relay, lookup => $deliver + $relay, queue => $queue, parent => $queue);
my $bound = 0;

# Each client sends until told to stop, connects again when it must, and writes down what was answered 250.
sub client {
	my ($number) = @_;
	my ($stop, $test) = (0, getppid);
	$SIG{TERM} = sub { $stop = 1 };
	open my $kept, '>>', $d->dir . "/kept.$number" or die;
	my ($n, $c) = (0);
	until ($stop || getppid != $test) {
		$c ||= eval { Tabmail::Client->new(port => $d->port, secs => 20) } or do { select undef, undef, undef, 0.02; next };
		my $id = "$number-" . ++$n;
		my $to = $n % 2 ? 'info@example.org' : 'x@example.com';
		my $reply = eval { $c->mail('a@example.net', $to, mail_text("load $id", 3000)) } || 'closed';
		syswrite $kept, "$id\n" if $reply =~ /^250 /;
		syswrite $kept, "refused $id $reply\n" if $reply =~ /^5/;
		undef $c if $reply =~ /closed|silent|^421/m;
	}
	POSIX::_exit(0);
}
my @clients = map { my $pid = fork; client($_) if $pid == 0; $pid } 1 .. $CLIENTS;
sub kept { return grep { !/ / } map { split /\n/, slurp($_) } glob $d->dir . '/kept.*' }

wait_for { kept() > 20 } 'mail to flow';
for my $role (('table-file', 'deliver', 'relay', 'smtp', 'lookup', 'queue') x 2, 'queue', 'queue') {
	my $n = kept();
	wait_for { $d->pids($role) } "a $role";
	my $began = time;
	my @old = $d->kill_role($role);
	$bound += $in_flight{$role} || 0;
	my $new = eval { $d->await_role($role, @old) };
	ok $new, sprintf '%s was killed and is back after %.0f ms', $role, 1000 * (time - $began) or diag $@;
	ok eval { wait_for { kept() > $n + 20 } 'mail to flow again', 20 }, '… and mail flows again' or do { diag $@; last };
}
# the parent: all others end by themselves, and a new one takes up the same spool
kill 'KILL', $d->pid;
$bound += $in_flight{parent};
waitpid $d->pid, 0;
ok eval { wait_for { !$d->leftovers } 'the others to end' }, 'parent was killed: the others end by themselves' or diag $@;
my $n = kept();
$d->boot;
ok eval { wait_for { kept() > $n + 20 } 'mail to flow again', 20 }, 'it is started again and mail flows' or diag $@;
kill 'TERM', @clients;
waitpid $_, 0 for @clients;
my @kept = kept();
my @refused = grep { /refused/ } map { split /\n/, slurp($_) } glob $d->dir . '/kept.*';
is scalar(@refused), 0, 'nothing was refused for good' or diag join "\n", @refused[0 .. ($#refused < 5 ? $#refused : 5)];
cmp_ok scalar(@kept), '>', 100, scalar(@kept) . ' messages were answered 250';
$d->ctl('schedule', 'all');
my (%got, @missing);
eval {
	wait_for {
		$d->ctl('schedule', 'all') if !$d->queue_empty;
		$d->queue_empty;
	} 'the queue to be empty', 60;
};
is $@, '', 'the queue drains';
for my $mail ($d->mails('bob'), map { $_->{mail} } $sink->mails) {
	$got{$1}++ if $mail =~ /^Subject: load (\S+?)\r?$/m;
}
@missing = grep { !$got{$_} } @kept;
is scalar(@missing), 0, 'none of them is missing' or diag "@missing";
my $again = 0;
$again += $_ - 1 for values %got;
cmp_ok $again, '<=', $bound, "$again of " . @kept . " messages arrived again, what was in flight being $bound at most";
$d->stop;
$sink->remove;
done_testing;
