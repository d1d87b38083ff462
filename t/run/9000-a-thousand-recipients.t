# One message to a thousand recipients: each gets it once, with one transfer of the body.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $N = 1000;
my $sink = Tabmail::Sink->start;
my $d = Tabmail->start(users => ['bob'], vars => { SINK => $sink->port }, config => <<'C');
listen on 127.0.0.1 port $PORT
accept from any for any relay via smtp://127.0.0.1:$SINK
C
my $c = $d->client;
$c->ehlo;
like $c->cmd('MAIL FROM:<a@example.net>'), qr/^250 /, 'MAIL';
$c->send(join '', map { "RCPT TO:<r$_\@example.com>\r\n" } 1 .. $N);	# pipelined
my $good = grep { $c->reply =~ /^250 / } 1 .. $N;
is $good, $N, "$N recipients are accepted";
like $c->cmd('RCPT TO:<one@too.many.example>'), qr/^452 4\.5\.3 /, 'one more is refused for now';
like $c->cmd('DATA'), qr/^354 /, 'DATA';
$c->send(Tabmail::Client::wire(mail_text('to many', 100_000)));
like $c->reply, qr/^250 /, 'accepted';
my %got;
wait_for {
	%got = ();
	for my $m ($sink->mails) { $got{$_}++ for @{ $m->{rcpts} } }
	keys %got >= $N;
} 'all recipients', 60;
$d->await_queue_empty;
is scalar(keys %got), $N, 'all reached';
is scalar(grep { $_ != 1 } values %got), 0, 'once each';
cmp_ok $sink->count, '<=', 50, 'in ' . $sink->count . ' transfers';
$d->stop;
$sink->remove;
done_testing;
