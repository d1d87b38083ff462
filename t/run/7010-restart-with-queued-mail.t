# What waits in the queue outlives a stop, a power cut and a changed configuration.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $port = free_port;
my $config = <<'C';
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to maildir
accept from any for any relay via smtp://127.0.0.1:$SINK
C
my $d = Tabmail->start(users => ['bob'], vars => { SINK => $port }, config => $config);
my %want;
for my $n (1 .. 20) {
	my $text = mail_text("waits $n");
	like $d->mail('bob@example.org', "r$n\@example.com", $text), qr/^250 /, "message $n is accepted" if $n == 1;
	$d->mail('bob@example.org', "r$n\@example.com", $text) if $n > 1;
	$want{$n} = 1;
}
my ($status, $out) = $d->ctl('show', 'queue');
is scalar(my @rows = $out =~ /r\d+\@example\.com/g), 20, 'show queue has them all';
is $d->halt, '', 'the daemon stops';
$d->boot;
($status, $out) = $d->ctl('show', 'queue');
is scalar(@rows = $out =~ /r\d+\@example\.com/g), 20, 'after a restart they are there';
$d->crash;
$d->boot;
($status, $out) = $d->ctl('show', 'queue');
is scalar(@rows = $out =~ /r\d+\@example\.com/g), 20, 'after kill -9 of everything they are there';
is $d->halt, '', 'the daemon stops';
$d->write_config($config =~ s/relay via \S+/relay via smtp:\/\/127.0.0.1:1/r);
$d->boot;
($status, $out) = $d->ctl('show', 'queue');
is scalar(@rows = $out =~ /r\d+\@example\.com/g), 20, 'their action is gone from the configuration: they wait';
is $d->halt, '', 'the daemon stops';
$d->write_config($config);
my $sink = Tabmail::Sink->start(port => $port);
$d->boot;
$d->ctl('schedule', 'all');
wait_for { $sink->count >= 20 } 'all at the sink', 30;
$d->await_queue_empty;
for my $m ($sink->mails) {
	delete $want{$1} if $m->{mail} =~ /^Subject: waits (\d+)\r$/m;
}
is_deeply \%want, {}, 'all arrive when the server comes back';
$d->stop;
$sink->remove;
done_testing;
