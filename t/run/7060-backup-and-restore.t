# `tabmailctl queue backup`: the spool as it is, while mail flows; used on another machine, where users have other
# uids and the configuration other routes, it is delivered there by the rules of there.
use strict;
use warnings;
use POSIX ();
use Tabmail;
use Test::More;

my $N = 300;
my $d = Tabmail->start(users => ['bob'], config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to maildir
accept from any for any relay via smtp://127.0.0.1:1
C
my $c = $d->client;
sub text { my ($n) = @_; return mail_text("number $n", $n % 50 == 7 ? 300_000 : 3000) }
$c->mail('s@example.net', "r$_\@example.com", text($_)) for 1 .. $N;
chmod 0000, $d->home('bob');
chown 65534, 65534, $d->home('bob') if root;
$c->mail('s@example.net', 'bob@example.org', text(0));
wait_for { !grep { $_->{state} ne 'deferred' } $d->ctl_rows('show', 'queue') } 'all to be put off';

# mail flows while the copy is made
my $load = fork;
if ($load == 0) {
	my $to_stop = 0;
	local $SIG{TERM} = sub { $to_stop = 1 };
	my ($l, $n) = ($d->client, 0);
	until ($to_stop) { $l->mail('s@example.net', 'later@example.com', mail_text('load ' . $n++, 20_000)) }
	POSIX::_exit(0);
}
wait_for { grep { $_->{rcpt} eq 'later@example.com' } $d->ctl_rows('show', 'queue') } 'load';
my $file = $d->dir . '/backup.db';
my ($status, $out) = $d->ctl('queue', 'backup', $file);
kill 'TERM', $load;
waitpid $load, 0;
is $status, 0, 'a backup while mail flows' or diag $out;
like $out, qr/^\d+ bytes$/, "… of $out";
is sprintf('%o', (stat $file)[2] & 0777), '600', '… which only its owner may read';
ok !-e "$file.partial", '… and nothing beside it';
($status, $out) = run('sqlite3', $file, 'PRAGMA integrity_check');
is $out, "ok\n", '… is a sound file';
($status, $out) = $d->ctl('queue', 'backup', $d->dir . '/none/backup.db');
isnt $status, 0, 'where it cannot be written the command fails';
is scalar(grep { $_->{rcpt} =~ /^r\d/ } $d->ctl_rows('show', 'queue')), $N, 'the queue is as it was';

my $sink = Tabmail::Sink->start;
my $there = Tabmail->new(users => ['first', 'bob'], vars => { SINK => $sink->port }, config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to maildir
accept from any for any relay via smtp://127.0.0.1:$SINK
C
mkdir $there->dir . '/spool', 0700;
run('cp', $file, $there->dir . '/spool/spool.db');
chown((getpwnam '_tabmailq')[2, 3], $there->dir . '/spool', $there->dir . '/spool/spool.db') if root;
$there->start;
$there->ctl('schedule', 'all');
my ($mail) = $there->await_mails('bob', 1);
ok defined trace_and_rest($mail, text(0)), 'on another machine: the local user has his mail, though his uid is another there';
wait_for { grep({ $_ =~ /^r\d/ } map { @{ $_->{rcpts} } } $sink->mails) >= $N } 'all at the sink', 60;
my %got;
my $broken = 0;
for my $m ($sink->mails) {
	my ($n) = $m->{mail} =~ /^Subject: number (\d+)\r$/m or next;
	$got{$n}++;
	$m->{mail} =~ s/\r\n/\n/g;
	$broken++ unless defined trace_and_rest($m->{mail}, text($n));
}
is scalar(keys %got), $N, 'what waited goes by the routes of there';
is $broken, 0, '… whole';
is scalar(grep { $_ != 1 } values %got), 0, '… and once';
$there->await_queue_empty;
$there->stop;
$d->stop;
$sink->remove;
done_testing;
