# show queue of a very long queue: its first lines come at once, memory stays flat, mail goes on meanwhile, and patterns that
# leave all of it out hold up nobody. A million messages with TABMAIL_LONG=1.
use strict;
use warnings;
use Tabmail;
use Test::More;
use Time::HiRes qw(time);

my $n = $ENV{TABMAIL_LONG} ? 1_000_000 : 50_000;
my $d = Tabmail->start(users => ['bob'], config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to maildir
accept from any for any relay via smtp://127.0.0.1:$PORT2
C
is $d->halt, '', 'the daemon ends';
my $later = int(time) + 86400;
my ($status, $out) = run([ input => <<"S", secs => 300 ], 'sqlite3', $d->dir . '/spool/spool.db');
BEGIN;
WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < $n)
INSERT INTO message (id, created, size, pieces, sender, client, helo, tag, auth, envid, local, ret, eightbit)
SELECT 1000000 + n, $later - 86400, 4096, 1, 'sender' || n || '\@example.net', '192.0.2.1', 'client.example.net', '', '', '', 0, 0, 0 FROM i;
INSERT INTO envelope (id, state, next_try, created, expire, attempts, notify, uid, gid, rcpt, orcpt, dest, action, route, user, home,
    reason, status, host, next_warn, warned, warn, held, part)
SELECT id << 17 | 1, 1, $later + id % 3600, created, created + 345600, 1, 0, 0, 0, 'r' || id || '\@x.example', '', 'r' || id || '\@x.example',
    'relay via "smtp://127.0.0.1:${\$d->port(2)}"', 'smtp://127.0.0.1:${\$d->port(2)}', '', '', 'connection refused', '4.4.1', '', NULL, 0, '', 0, 0
FROM message;
UPDATE counter SET messages = $n, envelopes = $n;
COMMIT;
S
is $status, 0, "$n messages are put into the spool" or diag $out;
if (root()) {
	my ($uid, $gid) = (getpwnam '_tabmailq')[ 2, 3 ];
	chown $uid, $gid, glob $d->dir . '/spool/*';
}
my $began = time;
$d->boot;
diag sprintf 'the daemon is ready after %.2f s, the spool has %.0f MiB', time - $began, (-s $d->dir . '/spool/spool.db') / 1048576;

# Seconds until the first row and until the end, and how many rows.
sub show {
	my ($format, @words) = @_;
	my $began = time;
	my ($first, $rows) = (undef, 0);
	my @j = $format eq 'json' ? '-j' : ();
	open my $f, '-|', $d->dir . '/bin/tabmailctl', '-s', $d->dir . '/run/control.sock', @j, 'show', 'queue', @words or die $!;
	while (<$f>) {
		next unless /\@x\.example/;
		$first = time - $began unless defined $first;
		$rows++;
	}
	close $f;
	return ($first, time - $began, $rows, $?);
}

for my $format ('columns', 'json') {
	my ($first, $all, $rows, $status) = show($format);
	is "$rows $status", "$n 0", "$format: all are shown";
	cmp_ok $first * 5, '<', $all, '… and the first long before the last';
	diag sprintf '%s: the first line after %.3f s, all after %.2f s', $format, $first, $all;
}

# One who has left in the middle, one who does not read
open my $idle, '-|', $d->dir . '/bin/tabmailctl', '-s', $d->dir . '/run/control.sock', 'show', 'queue' or die $!;
open my $gone, '-|', $d->dir . '/bin/tabmailctl', '-s', $d->dir . '/run/control.sock', 'show', 'queue' or die $!;
my $line = <$gone>;
close $gone;

my $pid = fork;
die "fork: $!" unless defined $pid;
if ($pid == 0) {
	my (undef, undef, $rows) = show('columns', 'sender', 'nobody*');
	POSIX::_exit($rows == 0 ? 0 : 1);
}
my $sent = time;
like $d->mail('a@example.net', 'bob@example.org', mail_text('meanwhile')), qr/^250 /, 'mail comes in while the queue is searched';
$d->await_mails('bob', 1);
diag sprintf 'a message is delivered in %.3f s meanwhile', time - $sent;
waitpid $pid, 0;
is $?, 0, 'nothing fits, and nothing is shown';

my ($of_many) = grep { $_->{rcpt} eq "r${\(1000000 + $n)}\@x.example" } $d->ctl_rows('show', 'queue', 'recipient', "r${\(1000000 + $n)}\@*");
is $of_many->{sender}, "sender$n\@example.net", 'the last one is found by its recipient';
is +($d->ctl('hold', $of_many->{id}))[1], "1 held\n", '… and held';
my ($kib) = slurp('/proc/' . ($d->pids('queue'))[0] . '/status') =~ /^VmHWM:\s+(\d+) kB/m;
diag sprintf 'queue has used at most %.0f MiB', $kib / 1024;
cmp_ok $kib, '<', 100 * 1024, 'the memory of queue stays flat' if $d->{slow} == 1;
close $idle;
$d->stop;
done_testing;
