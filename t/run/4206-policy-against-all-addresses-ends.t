# A server that has something against each of our addresses, and takes its time to say so: the mail is tried from
# each of them and put off, and does not go round between them for ever.  What is accepted later is used again.
use strict;
use warnings;
use File::Temp ();
use Tabmail;
use Test::More;

my $flags = File::Temp::tempdir(CLEANUP => 1);
spew("$flags/refuse", '');
my $sink = Tabmail::Sink->start(answer => sub {
	my ($stage, $arg, $n, $peer) = @_;
	return unless $stage eq 'mail' && -e "$flags/refuse";
	select undef, undef, undef, 2.2; # longer than an address is set aside the first time
	return "421 4.7.0 too much from $peer";
});
my $d = Tabmail->start(vars => { SINK => $sink->port }, config => <<'C');
table ours { 127.0.0.2, 127.0.0.3 }
limit relay connections 1
listen on 127.0.0.1 port $PORT
accept for any relay via smtp://127.0.0.1:$SINK source <ours>
C
like $d->mail('a@example.org', 'b@example.net', mail_text('refused')), qr/^250 /, 'accepted';
my $line = eval { $d->await_log(qr/event=deferred .*b\@example\.net/, 20) } || '';
like $line, qr/421 4\.7\.0 too much from 127\.0\.0\.[23]/, 'put off, with what the server says' or $d->show_log;
my $tries = () = $d->log_text =~ /source=127\.0\.0\.[23] set-aside/g;
cmp_ok $tries, '<=', 4, "after few tries ($tries)";
unlike $d->log_text, qr/source=127\.0\.0\.[23] back/, 'a greeting alone does not bring an address back';
unlink "$flags/refuse";
wait_for { $d->ctl('schedule', 'all'); $sink->count } 'the mail', 40;
$d->await_log(qr/source=127\.0\.0\.[23] back/);
pass 'an address from which a mail was taken is back';
$d->await_queue_empty;
$d->stop;
$sink->remove;
done_testing;
