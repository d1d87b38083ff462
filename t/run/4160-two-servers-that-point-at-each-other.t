# Two servers each of which takes the other for the way to a domain: the mail ends, comes back to its
# sender once, and nothing is left that goes round.
use strict;
use warnings;
use Tabmail::Net;
use Tabmail;
use Tabmail::Dns;
use Test::More;

my $dns = Tabmail::Dns->nsd(zone => "loop.test. MX 10 b.test.\nb.test. A 10.25.5.2\n");
my $a = Tabmail->start(users => ['bob'], hostname => 'a.test', resolver => $dns->resolver, config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT
listen on 10.25.5.1 port 25
max-hops 30
accept from any for domain a.test userbase <users> deliver to maildir
accept from any for any relay
C
my $b = Tabmail->start(hostname => 'b.test', resolver => $dns->resolver, config => <<'C');
listen on 10.25.5.2 port 25
max-hops 30
accept from any for domain a.test relay via smtp://10.25.5.1
accept from any for any relay via smtp://10.25.5.1
C
like $a->mail('bob@a.test', 'x@loop.test', mail_text('round')), qr/^250 /, 'a mail into the loop';
my @bounces = $a->await_mails('bob', 1, 60);
$_->await_queue_empty for $a, $b;
@bounces = $a->mails('bob');
is scalar(@bounces), 1, 'comes back once';
like $bounces[0], qr/^Status: 5\.4\.6\r?$/m, 'as a loop';
is +(() = "@{[ map { $_->log_text } $a, $b ]}" =~ /event=failed/g), 1, 'one failure in all';
like $a->mail('', 'x@loop.test', mail_text('round')), qr/^250 /, 'a report into the loop';
wait_for { "@{[ map { $_->log_text } $a, $b ]}" =~ /dropped rcpt=.*null sender/ } 'its end';
$_->await_queue_empty for $a, $b;
is scalar(() = $a->mails('bob')), 1, 'ends, and nobody is told';
$_->stop for $a, $b;
$dns->stop;
done_testing;
