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

# --- A kept connection that the server ends, by 421 or without a word, delays no mail.
my $moody = Tabmail::Sink->start(answer => sub {
	my ($stage, undef, $n) = @_;
	return unless $stage eq 'mail' && ($n == 2 || $n == 4);
	return $n == 2 ? '421 4.3.2 enough for now' : 'close';
});
$d->write_config("listen on 127.0.0.1 port \$PORT\naccept from any for any relay via smtp://127.0.0.1:" . $moody->port . "\n");
is $d->halt, '', 'another configuration';
$d->boot;
for my $n (1 .. 4) {
	$d->mail('a@example.net', "r\@example.com", mail_text("moody $n"));
	wait_for { $moody->count >= $n } "mail $n";
	wait_for { (map { $_->{idle} } $d->ctl_rows('show', 'routes'))[0] } 'its connection to be idle';
}
is scalar(() = $d->log_text =~ /event=deferred/g), 0, 'none is put off';
is scalar(keys %{ { map { $_->{session} => 1 } $moody->mails } }), 3, 'over three connections';
$d->stop;
$_->remove for $sink, $moody;
done_testing;
