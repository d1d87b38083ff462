# Right after a start of the machine the kernel is still looking for duplicates of an interface's IPv6 addresses, and
# gives them to nobody.  `listen on egress` takes them all the same; an address that is written out must be there.
use strict;
use warnings;
use Tabmail::Veth;
use Tabmail;
use Test::More;

Tabmail::Veth->cable(here => ['10.77.0.1/24'], there => ['10.77.0.2/24']);
# long enough to be in the middle of it
system('sh', '-c', 'echo 60 >/proc/sys/net/ipv6/conf/here/dad_transmits && ip addr add fd77::1/64 dev here') == 0 or die;
like `ip -6 addr show dev here`, qr/fd77::1.*tentative/, 'an address that is being looked at';
my $d = Tabmail->start(users => ['bob'], config => <<'C');
table users file:$D/users
listen on egress
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to maildir
C
like `ip -6 addr show dev here`, qr/fd77::1.*tentative/, 'the daemon is up before it is done';
like $d->log_text, qr/listen on="fd77::1 port 25"/, 'and listens on it';
like $d->mail('a@example.net', 'bob@example.org', mail_text('x')), qr/^250 /, 'and serves';
my ($status, $out) = run($d->dir . '/bin/tabmaild', '-d', '-f', $d->file('other.conf', <<'C'));
spool "$D/other"
socket "$D/other.sock"
listen on fd77::2 port 2526
accept from any for any relay
C
isnt $status, 0, 'an address that is not here';
like $out, qr/other\.conf:3: listen on fd77::2 port 2526: Cannot assign/, 'is told';
$d->await_queue_empty;
$d->stop;
done_testing;
