# pause and resume: local deliveries, all that goes by relay, one route, SMTP. What is paused waits, takes no part in what
# goes on, and is still paused after a death of queue and after a restart.
use strict;
use warnings;
use JSON::PP ();
use Tabmail;
use Test::More;

my ($one, $two) = map { Tabmail::Sink->start } 1, 2;
my $d = Tabmail->start(users => ['bob'], vars => { ONE => $one->port, TWO => $two->port }, config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to maildir
accept from any for domain one.example relay via smtp://127.0.0.1:$ONE
accept from any for any relay via smtp://127.0.0.1:$TWO
C
my $route = 'smtp://127.0.0.1:' . $one->port;

sub says { my ($what, @words) = @_; my ($status, $out) = $d->ctl(@words); is "$status $out", $what, "@words" }
sub states { return join ' ', sort map { "$_->{rcpt}=$_->{state}" } $d->ctl_rows('show', 'queue') }
sub paused { return join ' ', sort map { $_->{what} } $d->ctl_rows('show', 'paused') }
my $n = 0;
sub send_all {
	my $name = 'm' . ++$n;
	like $d->mail('a@example.net', [ 'bob@example.org', "$name\@one.example", "$name\@two.example" ], mail_text($name)), qr/^250 /, "$name is accepted";
}

says("0 Nothing is paused.\n", 'show', 'paused');

# --- A route
says('0 ', 'pause', $route);
is paused(), $route, 'show paused';
send_all();
$d->await_mails('bob', 1);
wait_for { $two->count == 1 } 'the other route to have it';
wait_for { states() eq 'm1@one.example=paused' } 'the paused one to wait';
is $one->count, 0, 'a route is paused, the others go on';
is join(' ', map { $_->{rcpt} } $d->ctl_rows('show', 'queue', 'state', 'paused')), 'm1@one.example', 'chosen by that state';
my @old = $d->kill_role('queue');
$d->await_role('queue', @old);
wait_for { $d->ready } 'the daemon to be ready';
is states(), 'm1@one.example=paused', 'paused after a death of queue';
is $d->halt, '', 'the daemon ends';
$d->boot;
is states(), 'm1@one.example=paused', 'and after a restart';
is paused(), $route, 'which show paused says';
like $d->log_text, qr/ paused what="?\Q$route\E"?$/m, 'and the log';
says('0 ', 'resume', $route);
$d->await_queue_empty;
is $one->count, 1, 'resumed, it goes';

# --- All that goes by relay; deliveries
says('0 ', 'pause', 'relay');
send_all();
$d->await_mails('bob', 2);
wait_for { states() eq 'm2@one.example=paused m2@two.example=paused' } 'both to wait';
says('0 ', 'pause', 'local');
send_all();
wait_for { states() eq 'bob@example.org=paused ' . join ' ', map { "$_\@one.example=paused $_\@two.example=paused" } 'm2', 'm3' } 'all to wait'
    or diag states();
says("0 0 scheduled\n", 'schedule', 'all');
is paused(), 'local relay', 'two are paused';
says('0 ', 'resume', 'local');
$d->await_mails('bob', 3);
is $one->count + $two->count, 2, 'local goes, relay waits';
says('0 ', 'resume', 'relay');
$d->await_queue_empty;
is $one->count . $two->count, '33', 'all is there, once';

# --- SMTP
my $c = $d->client;
$c->ehlo;
like $c->cmd('MAIL FROM:<a@example.net>'), qr/^250/, 'a transaction is under way';
like $c->cmd('RCPT TO:<bob@example.org>'), qr/^250/, '…';
my $idle = $d->client;
$idle->ehlo;
says('0 ', 'pause', 'smtp');
wait_for { greeting() =~ /^421/ } 'new clients to be sent away';
like greeting(), qr/^421 4\.3\.2 /, 'paused: a new client gets 421';
like $idle->cmd('MAIL FROM:<a@example.net>'), qr/^421 4\.3\.2 /, 'so does MAIL';
$c->cmd('DATA');
$c->send(Tabmail::Client::wire(mail_text('under way')));
like $c->reply, qr/^250 /, 'the transaction that was under way ends well';
$d->await_mails('bob', 4);
my ($status, $out) = run([ input => "Subject: x\n\nx\n" ], $d->dir . '/bin/sendmail', '-S', $d->dir . '/run/control.sock', 'bob@example.org');
is $status, 75, 'sendmail is told to try later' or diag $out;
@old = $d->kill_role('smtp');
$d->await_role('smtp', @old);
wait_for { greeting() =~ /^421/ } 'a new smtp process to know of it';
pass 'a new smtp process is paused, too';
is $d->halt, '', 'the daemon ends';
{
	no warnings 'redefine';
	local *Tabmail::ready = sub { -S $_[0]->dir . '/run/control.sock' && ($_[0]->ctl('show', 'status'))[0] == 0 };
	$d->boot;
}
wait_for { greeting() =~ /^421/ } 'SMTP to be paused after a restart';
says('0 ', 'resume', 'smtp');
wait_for { greeting() =~ /^220/ } 'it to be resumed';
like $d->mail('a@example.net', 'bob@example.org', mail_text('again')), qr/^250 /, 'resumed: mail is taken';
$d->await_mails('bob', 5);

# --- What is wrong is said
for ([ 1, 'resume', 'local' ], [ 64, 'pause' ], [ 64, 'pause', 'loca' ], [ 64, 'resume', 'bob@example.org' ], [ 64, 'pause', 'smtp', 'now' ]) {
	my ($want, @words) = @$_;
	my ($status, $out) = $d->ctl(@words);
	is $status, $want, "@words: $want";
	like $out, qr/^tabmailctl: \S/, '… with a message';
}
says('0 ', 'pause', 'local');
is +($d->ctl('pause', 'local'))[0], 1, 'paused twice: an error';
is_deeply [ map { ref $_ } $d->ctl_rows('show', 'paused') ], ['HASH'], 'JSON';
ok abs(($d->ctl_rows('show', 'paused'))[0]{since} - time) < 120, '… with the time';
$d->stop;
$_->remove for $one, $two;
done_testing;

sub greeting {
	my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1:' . $d->port, Timeout => 10) or return '';
	my $line = <$s>;
	return defined $line ? $line : '';
}
