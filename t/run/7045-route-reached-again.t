# A route whose server did not answer works again: the first delivery there takes along what waited for that.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $port = free_port;
my $d = Tabmail->start(users => ['bob'], vars => { SINK => $port }, config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT
retry 1h
accept from any for domain example.org userbase <users> deliver to maildir
accept from any for any relay via smtp://127.0.0.1:$SINK
C
sub put_off { my ($n) = @_; wait_for { $n == grep { $_->{state} eq 'deferred' } $d->ctl_rows('show', 'queue') } "$n to be put off" }
$d->mail('s@example.net', "r$_\@example.com", mail_text("number $_")) for 1 .. 5;
put_off(5);
my $sink = Tabmail::Sink->start(port => $port);
my $first = ($d->ctl_rows('show', 'queue'))[0]{id};
wait_for { $d->ctl('schedule', $first); $sink->count } 'the first one to go (its host is set aside for a moment)';
ok eval { wait_for { $sink->count >= 5 } 'all five at the sink'; 1 }, 'one that is delivered takes the others along' or diag $@;
ok eval { $d->await_queue_empty; 1 }, '… and nothing is left';
like $d->log_text, qr/reached-again due=4/, '… the log tells';
$d->stop;
$sink->remove;
done_testing;
