# A spool that schema version 3 left is taken up: what waited in it is shown, and delivered.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $sink = Tabmail::Sink->start;
my $d = Tabmail->new(users => ['bob'], vars => { SINK => $sink->port }, config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to maildir
accept from any for any relay via smtp://127.0.0.1:$SINK
C
mkdir $d->dir . '/spool', 0700;
my $db = $d->dir . '/spool/spool.db';
# It was left an hour ago, whenever this runs: no part of it has expired.
my $later = "UPDATE envelope SET expire = expire - created + strftime('%s', 'now') - 3600, next_try = strftime('%s', 'now') + 3600, created = strftime('%s', 'now') - 3600;\n";
my ($status, $out) = run([input => $d->fill(slurp('t/lib/spool-v3.sql')) . $later], 'sqlite3', $db);
is $status, 0, 'a spool of version 3' or diag $out;
chown((getpwnam '_tabmailq')[2, 3], $d->dir . '/spool', $db) if root;
$d->start;
my @rows = $d->ctl_rows('show', 'queue');
is join(' ', sort map { $_->{rcpt} } @rows), 'r1@example.com r2@example.com r3@example.com two@example.org two@example.org',
    'its recipients wait';
my ($three) = grep { $_->{rcpt} eq 'r3@example.com' } @rows;
is $three->{sender}, "o'neil\@example.net", 'with their senders';
like $d->mail('a@example.net', 'bob@example.org', mail_text('new')), qr/^250 /, 'new mail comes in beside them';
$d->await_mails('bob', 1);
$d->ctl('schedule', 'all');
wait_for { $sink->count >= 3 } 'the three at the sink';
my %got = map { my $m = $_; map { ($_ => $m) } @{ $m->{rcpts} } } $sink->mails;
is join(' ', sort keys %got), 'gone@example.com r1@example.com r2@example.com r3@example.com', 'what waited for the route is delivered';
is $got{'r2@example.com'}{from}, '', 'the null sender stays null';
like $got{'r1@example.com'}{mail}, qr/^Subject: one\r$/m, 'with its body';
is $d->halt, '', 'the daemon ends';
($status, $out) = run('sqlite3', $db, 'PRAGMA user_version; PRAGMA integrity_check; SELECT count(*) FROM envelope');
is $out, "7\nok\n1\n", 'the file has the new version and is sound; the local one still waits';
$d->boot;
$d->stop;
$sink->remove;
done_testing;
