# relay via smtp://: to one server, several recipients a transaction, replies understood, retried, bounced.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $sink = Tabmail::Sink->start(answer => sub {
	my ($stage, $arg, $n) = @_;
	return '550 5.1.1 nobody of that name' if $stage eq 'rcpt' && $arg =~ /nobody/;
	return '450 4.2.0 come back' if $stage eq 'rcpt' && $arg =~ /busy/;
	return '554 5.6.0 bad taste' if $stage eq 'end' && $arg =~ /taste/;
	return 'close' if $stage eq 'end' && $arg =~ /hangup/;
	return;
});
my $d = Tabmail->start(users => ['bob'], vars => { SINK => $sink->port, DEAD => free_port }, config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to maildir
accept from any for domain dead.example relay via smtp://127.0.0.1:$DEAD
accept from any for any relay via smtp://127.0.0.1:$SINK
C
my $text = mail_text('relayed');
like $d->mail('bob@example.org', ['x@one.example', 'y@two.example', 'X@one.example'], $text), qr/^250 /, 'accepted';
wait_for { $sink->count >= 1 } 'the mail at the sink';
$d->await_queue_empty;
my ($m) = $sink->mails;
(my $wire = $text) =~ s/\n/\r\n/g;
my ($trace) = trace_and_rest($m->{mail}, $wire);
ok defined $trace, 'the mail is what was sent';
like $trace, qr/\AReceived: /, 'one trace header in front';
is $m->{from}, 'bob@example.org', 'sender';
is $m->{helo}, 'mail.example.org', 'our name';
my %rcpts = map { $_ => 1 } map { @{ $_->{rcpts} } } $sink->mails;
ok $rcpts{'x@one.example'} && $rcpts{'y@two.example'}, 'both recipients' or diag join ' ', keys %rcpts;

like $d->mail('bob@example.org', ['x@one.example', 'nobody@one.example'], mail_text('half')), qr/^250 /, 'one of two is unknown there';
my ($bounce) = $d->await_mails('bob', 1);
like $bounce, qr/nobody\@one\.example/, 'a bounce names him';
like $bounce, qr/nobody of that name/, 'and quotes the reply';
wait_for { grep { $_->{mail} =~ /^Subject: half/m } $sink->mails } 'the mail for the other';
like $d->mail('bob@example.org', 'taste@one.example', mail_text('refused')), qr/^250 /, 'refused after the data';
like +($d->await_mails('bob', 2))[1], qr/bad taste/, 'bounced';
$d->await_queue_empty;

my $before = $sink->count;
like $d->mail('bob@example.org', 'busy@one.example', mail_text('later')), qr/^250 /, 'refused for now';
$d->await_log(qr/come back/);
my ($status, $out) = $d->ctl('show', 'queue');
like $out, qr/busy\@one\.example/, 'it waits in the queue';
my @bounced = $d->mails('bob');
is scalar(@bounced), 2, 'and is not bounced';
like $d->mail('bob@example.org', 'x@dead.example', mail_text('dead')), qr/^250 /, 'a server that is not there';
$d->await_log(qr/dead\.example|$d->{vars}{DEAD}/);
($status, $out) = $d->ctl('show', 'queue');
like $out, qr/x\@dead\.example/, 'it waits too';
like $d->mail('bob@example.org', 'x@one.example', mail_text('beside')), qr/^250 /, 'meanwhile other mail';
wait_for { grep { $_->{mail} =~ /^Subject: beside/m } $sink->mails } 'goes on';
my $late = Tabmail::Sink->start(port => $d->{vars}{DEAD});
is +($d->ctl('schedule', 'all'))[0], 0, 'schedule all';
# a server that was just seen dead is set aside for a moment
wait_for { $late->count or $d->ctl('schedule', 'all') && 0 } 'the mail for the server that came back';
pass 'the mail for the server that came back';
is +($d->ctl('remove', 'all'))[0], 0, 'remove all';
$d->await_queue_empty;
$d->stop;
$_->remove for $sink, $late;
done_testing;
