# Many messages to one server: over a few connections that are used again, each message once.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $N = 300;
my $sink = Tabmail::Sink->start;
my $d = Tabmail->start(vars => { SINK => $sink->port }, config => <<'C');
listen on 127.0.0.1 port $PORT
accept from any for any relay via smtp://127.0.0.1:$SINK
C
my $c = $d->client;
my $good = grep { $c->mail('a@example.net', "r$_\@example.com", mail_text("number $_")) =~ /^250 / } 1 .. $N;
is $good, $N, 'all accepted';
wait_for { $sink->count >= $N } "$N mails at the sink", 60;
$d->await_queue_empty;
my (%seen, %sessions);
for my $m ($sink->mails) {
	$seen{$1}++ if $m->{mail} =~ /^Subject: number (\d+)\r$/m;
	$sessions{ $m->{session} }++;
}
is scalar(keys %seen), $N, 'all arrived';
is scalar(grep { $_ > 1 } values %seen), 0, 'each once';
cmp_ok scalar(keys %sessions), '<', $N / 2, 'over ' . keys(%sessions) . ' connections';
$d->stop;
$sink->remove;
done_testing;
