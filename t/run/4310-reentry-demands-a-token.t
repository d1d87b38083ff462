# `listen … reentry`: an address and a port are not enough to be taken for signed; what the daemon sent to the proxy is,
# also after a restart; the token leaves with nobody.
use strict;
use warnings;
use Tabmail;
use Tabmail::Dkim;
use Test::More;

my $sink = Tabmail::Sink->start;
my $holder = Tabmail::Sink->start;	# a proxy that keeps mail for a while
my ($in, $back) = (free_port, free_port);
my $proxy = Tabmail::Dkim->start(port => $in, next => $back);
my $d = Tabmail->start(users => ['bob'], vars => { SINK => $sink->port, PROXY => $in, HOLDER => $holder->port, PORT2 => $back },
    config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT
listen on 127.0.0.1 port $PORT2 tag DKIM reentry
accept for domain example.org userbase <users> deliver to maildir
accept tagged DKIM for any relay via smtp://127.0.0.1:$SINK hostname out.example.org
accept for domain held.example relay via smtp://localhost:$HOLDER
accept for any relay via smtp://127.0.0.1:$PROXY
C
sub at_sink { my ($subject) = @_; return grep { $_->{mail} =~ /^Subject: \Q$subject\E\r$/m } $sink->mails }
sub back_in { my ($text, @to) = @_; return $d->mail('bob@example.org', @to ? \@to : 'x@held.example', $text, 2) }

# --- Through the proxy
like $d->mail('bob@example.org', 'x@one.example', mail_text('through')), qr/^250 /, 'handed in';
wait_for { at_sink('through') } 'it at the sink';
my ($m) = at_sink('through');
is $proxy->verdict($m->{mail}), 'signed and good', 'signed: taking the token out broke nothing';
unlike $m->{mail}, qr/reentry/i, 'no token leaves';
is scalar(() = $m->{mail} =~ /^Received:/mg), 2, 'two trace fields' or diag $m->{mail};
like $d->log_text, qr/event=message id=\w+ .* was=[0-9a-f]{12}$/m, 'the log says which message it was';

# --- Without a token, with a wrong one
like back_in(mail_text('none')), qr/^550 5\.7\.1 /, 'no token: refused';
like back_in("Received: by mail.example.org (tabmail) with reentry id $_; now\n" . mail_text('forged')), qr/^550 5\.7\.1 /,
    "forged: $_" for '', 'x', '0123456789ab.65.00112233445566778899aabbccddeeff', '0123456789ab', '..', 'a' x 79,
    '0123456789ab.7fffffffffffffff.00112233445566778899aabbccddeeff', '-';
like back_in("DKIM-Signature: v=1; d=example.org\n" . mail_text('looks signed')), qr/^550 5\.7\.1 /, 'a signature is no token';

# --- What a proxy keeps comes back after a crash.
like $d->mail('bob@example.org', 'x@held.example', mail_text('held')), qr/^250 /, 'to a proxy that keeps it';
wait_for { $holder->count == 1 } 'it there';
(my $held = ($holder->mails)[0]{mail}) =~ s/\r\n/\n/g;
my ($token) = $held =~ /\AReceived: by mail\.example\.org \(tabmail\) with reentry id ([0-9a-f]{12}\.[0-9a-f]+\.[0-9a-f]{32});\n\t/
    or diag $held;
ok $token, 'with a token in front';
$d->await_queue_empty;
$d->crash;
$d->boot;
like back_in("DKIM-Signature: v=1\n" . $held, 'a@two.example', 'b@two.example'), qr/^250 /, 'the daemon was killed meanwhile: it is taken';
wait_for { at_sink('held') } 'it at the sink';
unlike +(at_sink('held'))[0]{mail}, qr/reentry/, 'without its token';
(my $folded = $held) =~ s/ with reentry id /\n with\n\treentry id  /;
like back_in($folded, 'folded@two.example'), qr/^250 /, 'a proxy may fold the field otherwise';
(my $bent = $held) =~ s/reentry id (.)/'reentry id ' . ($1 eq '0' ? '1' : '0')/e;
like back_in($bent), qr/^550 5\.7\.1 /, 'one digit changed: refused';
(my $other = $held) =~ s/by mail\.example\.org \(tabmail\) with reentry/by mail.example.net (tabmail) with reentry/;
like back_in($other), qr/^550 5\.7\.1 /, "another host's: refused";
like back_in(mail_text('x') . "\n$held"), qr/^550 5\.7\.1 /, 'in the body: refused';
my $long = ('Y: ' . ('z' x 900) . "\n") x 80;
like back_in($long . $held, 'long@two.example'), qr/^250 /, 'behind 70 KiB of header: it is found';
like back_in($long x 4 . $held), qr/^552 5\.3\.4 /, 'behind 280 KiB: no header is that long';
like $d->mail('bob@example.org', 'bob@example.org', $held), qr/^250 /, 'on another listener it is mail as any other';
my ($mail) = $d->await_mails('bob', 1);
unlike $mail, qr/reentry/, '… of which the token is taken';

my ($mode) = map { sprintf '%o', (stat $_)[2] & 07777 } $d->dir . '/spool/reentry.key';
is $mode, '600', "the key is the queue's alone";
unlike $d->log_text, qr/\Q$token\E/, 'and no token is in the log';
$d->await_queue_empty;
$d->stop;
$_->remove for $sink, $holder, $proxy;
done_testing;
