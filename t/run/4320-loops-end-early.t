# Security row 23: a circle of this host and a proxy, of two servers, of the host with itself ends after a few turns, in
# one bounce that names it; mail without a sender ends without one.
use strict;
use warnings;
use Tabmail;
use Tabmail::Dkim;
use Test::More;

# --- A proxy that hands mail back where nothing tells it from new mail: the tag was forgotten.
my ($in, $back) = (free_port, free_port);
my $proxy = Tabmail::Dkim->start(port => $in, next => $back, plain => 1);
my $d = Tabmail->start(users => ['bob'], vars => { PROXY => $in, PORT2 => $back }, config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT
listen on 127.0.0.1 port $PORT2
accept for domain example.org userbase <users> deliver to maildir
accept for any relay via smtp://127.0.0.1:$PROXY
C
like $d->mail('bob@example.org', 'x@one.example', mail_text('round and round')), qr/^250 /, 'handed in';
my ($bounce) = $d->await_mails('bob', 1);
$d->await_queue_empty;
is scalar(() = $d->mails('bob')), 1, 'one bounce';
like $bounce, qr/^Subject: (?!round)/m, 'it is one';
(my $flat = $bounce) =~ s/\s+/ /g;
like $flat, qr/554 5\.4\.6 mail loop: this message was here 9 times before; now it came from 127\.0\.0\.1 to 127\.0\.0\.1 port $back \(tag none\)/,
    'it names the loop, and where it closes' or diag $bounce;
is scalar(() = $d->log_text =~ /event=message /g), 9, 'after nine turns, not a hundred';

like $d->mail('', 'x@one.example', mail_text('without a sender')), qr/^250 /, 'a message without a sender';
$d->await_log(qr/event=failed from="" to="x\@one\.example"/);
$d->await_queue_empty;
is scalar(() = $d->mails('bob')), 1, 'ends without a bounce';

# Mail that was here, and elsewhere, a few times is none of that.
my $trace = "Received: from a (unknown [192.0.2.1])\n\tby mail.example.org (tabmail) with ESMTP id 1;\n\tx\n"
    . "Received: from mail.example.org by list.example.net with ESMTP; y\n";
like $d->mail('a@example.org', 'bob@example.org', $trace x 4 . mail_text('by lists')), qr/^250 /, 'four times here, over lists: taken';
like $d->mail('a@example.org', 'bob@example.org', $trace x 9 . mail_text('by lists')), qr/^554 5\.4\.6 mail loop/, 'nine times: not';
$d->stop;
$proxy->remove;

# --- Two servers that point at each other.
my ($pa, $pb) = (free_port, free_port);
my ($a, $b) = map { my $me = $_; Tabmail->start(users => ['bob'],
	vars => { PORT => $me ? $pb : $pa, OTHER => $me ? $pa : $pb, NAME => $me ? 'b' : 'a' }, config => <<'C') } 0, 1;
table users file:$D/users
listen on 127.0.0.1 port $PORT hostname $NAME.example.org
accept for domain example.org userbase <users> deliver to maildir
accept for any relay via smtp://127.0.0.1:$OTHER
C
like $a->mail('bob@example.org', 'x@one.example', mail_text('to and fro')), qr/^250 /, 'handed in at one of two';
wait_for { (() = $a->mails('bob')) + (() = $b->mails('bob')) } 'the bounce';
$_->await_queue_empty for $a, $b;
my @bounces = ($a->mails('bob'), $b->mails('bob'));
is scalar(@bounces), 1, 'one bounce';
like $bounces[0] =~ s/\s+/ /gr, qr/5\.4\.6 mail loop: this message was here 9 times/, 'that names the loop';
like $a->mail('', 'x@one.example', mail_text('nobody')), qr/^250 /, 'without a sender';
wait_for { ($a->log_text . $b->log_text) =~ /event=failed from=""/ } 'its end';
$_->await_queue_empty for $a, $b;
is scalar(() = ($a->mails('bob'), $b->mails('bob'))), 1, 'no bounce';
$_->stop for $a, $b;

# --- The host itself, by its own listener.
$d = Tabmail->start(users => ['bob'], config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT tag HERE
accept for domain example.org userbase <users> deliver to maildir
accept tagged HERE for any relay via smtp://127.0.0.1:$PORT
C
like $d->mail('bob@example.org', 'x@one.example', mail_text('myself')), qr/^250 /, 'a rule that leads to our own listener';
($bounce) = $d->await_mails('bob', 1);
like $bounce =~ s/\s+/ /gr, qr/mail loop: .* port \d+ \(tag HERE\)/, 'the bounce names listener and tag';
$d->await_queue_empty;
$d->stop;
done_testing;
