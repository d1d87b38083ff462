# A message's history: each try that did not deliver, with its time, server, our address and the server's words; kept while
# the message is queued, shown by "show message", gone with it; at most fifty of a recipient.
use strict;
use warnings;
use JSON::PP ();
use Tabmail;
use Test::More;

$ENV{TABMAIL_TEST_CLOCK} = 1;
my $tries = 0;
my $sink = Tabmail::Sink->start(answer => sub {
	return if $_[0] ne 'rcpt';
	return "550 5.1.1 no \x{1b}[31msuch user" if $_[1] =~ /gone/;
	return "451 4.7.1 greylisted, try $_[2]" if $_[1] =~ /grey/;
	return;
});
my $d = Tabmail->start(users => ['bob'], vars => { SINK => $sink->port, DEAD => free_port }, config => <<'C');
retry 5m, 10m
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to maildir
accept from any for domain dead.example relay via smtp://127.0.0.1:$DEAD
accept from any for any relay via smtp://127.0.0.1:$SINK
C

sub clock { $d->clock(@_) }
sub envelope { my ($rcpt) = @_; return (grep { $_->{rcpt} eq $rcpt } $d->ctl_rows('show', 'queue'))[0] }
sub tried { my ($rcpt, $n) = @_; wait_for { my $e = envelope($rcpt); $e && $e->{state} eq 'deferred' && $e->{attempts} >= $n } "try $n of $rcpt" }
sub section { my ($name, $id) = @_; return grep { ($_->{section} || '') eq $name } $d->ctl_rows('show', 'message', $id) }

my $start = time;
$d->mail('bob@example.org', [ 'grey@x.example', 'gone@x.example', 'r@dead.example', 'fine@x.example' ], mail_text('history'));
tried('grey@x.example', 1);
tried('r@dead.example', 1);
my ($grey, $dead) = map { envelope($_) } 'grey@x.example', 'r@dead.example';
(my $id = $grey->{id}) =~ s/\..*//;
my $now = time;
ok $grey->{next} > $now + 200 && $grey->{next} < $now + 360, 'retry 5m, 10m: the next try after about five minutes' or diag "$grey->{next} $now";
for my $n (2, 3) {
	$d->ctl('schedule', $grey->{id});
	tried('grey@x.example', $n);
}
$grey = envelope('grey@x.example');
ok $grey->{next} > time + 500 && $grey->{next} < time + 700, '… then ten, again and again';

my @history = section('history', $id);
my @grey = grep { $_->{id} eq $grey->{id} } @history;
is_deeply [ map { "$_->{attempt} $_->{event} $_->{status} $_->{source}" } @grey ], [ map { "$_ deferred 4.7.1 127.0.0.1" } 1 .. 3 ],
    'each try of a recipient, with status and our address' or diag explain \@history;
is_deeply [ map { $_->{reply} =~ /^451 4\.7\.1 greylisted, try \d+$/ ? 1 : $_->{reply} } @grey ], [ 1, 1, 1 ], "… the server's words";
my ($port) = $sink->port;
is_deeply [ map { $_->{host} =~ /^127\.0\.0\.1(?::$port)?$/ ? 1 : $_->{host} } @grey ], [ 1, 1, 1 ], '… the server';
is scalar(grep { $_->{time} >= $start - 1 && $_->{time} <= time + 1 } @grey), 3, '… and the time';
my ($failed) = grep { $_->{event} eq 'failed' } @history;
is "$failed->{status} $failed->{attempt}", '5.1.1 1', 'of one that failed, too, while the message is queued';
unlike $failed->{reply}, qr/[\x00-\x1f]/, '… with nothing of a terminal in it';
my ($unreached) = grep { $_->{id} eq $dead->{id} } @history;
is $unreached->{source}, '', 'who was not reached has no address of ours';
like $unreached->{reply}, qr/refused/i, '… and a reason';
is_deeply [ section('history', $grey->{id}) ], \@grey, 'of one recipient alone';
is scalar(grep { $_->{text} =~ /^Subject: history$/ } section('header', $id)), 1, 'the header';
is scalar(section('envelopes', $id)), 2, 'the recipients that wait';
is +(section('message', $id))[0]{sender}, 'bob@example.org', 'the message';
my ($status, $out) = $d->ctl('show', 'message', $id);
like $out, qr/^history:$/m, 'for people';
like $out, qr/greylisted, try/, '… with the words';
unlike $out, qr/[^\n\t -~]/, '… and nothing else';

my @old = $d->kill_role('queue');
$d->await_role('queue', @old);
wait_for { $d->ready } 'the daemon to be ready';
is_deeply [ grep { $_->{id} eq $grey->{id} } section('history', $id) ], \@grey, 'the history outlives a death of queue';

# --- Bounded, and gone with the message
for my $n (4 .. 53) {
	clock(15 * 60);
	tried('grey@x.example', $n);
}
@grey = section('history', $grey->{id});
is join(' ', map { $_->{attempt} } @grey), join(' ', 4 .. 53), 'the newest fifty tries are kept';
$d->ctl('remove', $id);
$d->await_queue_empty;
is $d->halt, '', 'the daemon ends';
($status, $out) = run('sqlite3', $d->dir . '/spool/spool.db', 'SELECT count(*) FROM attempt');
is $out, "0\n", 'gone with the message' or diag $out;
$d->forget;
$sink->remove;
done_testing;
