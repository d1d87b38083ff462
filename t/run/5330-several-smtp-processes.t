# smtp processes N: all of them serve, one that is killed takes only its own sessions with it.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $d = Tabmail->start(users => ['bob'], config => <<'C');
table users file:$D/users
smtp processes 3
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to maildir
C
my @pids = $d->pids('smtp');
is scalar @pids, 3, 'three processes serve';
my @clients = map { $d->client } 1 .. 60;
like $_->ehlo, qr/^250/, 'a session' for @clients;
kill 'KILL', $pids[0];
my $gone = grep { $_->cmd('NOOP') !~ /^250/ } @clients;
cmp_ok $gone, '<', 60, "one is killed: $gone of 60 sessions end, the others go on";
$d->await_role('smtp', @pids);
wait_for { (grep { $_->{state} eq 'running' } grep { $_->{process} eq 'smtp' } $d->ctl_rows('show', 'status')) == 3 } 'three again';
like $d->mail('a@example.net', ['bob@example.org'], "Subject: $_\n\nx\n"), qr/^250/, "mail $_" for 1 .. 5;
is scalar(my @mails = $d->await_mails('bob', 5)), 5, 'all of it comes';
$d->stop;
done_testing;
