# Two recipients of one message that lead to the same mailbox: it gets one copy.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $d = Tabmail->start(users => ['bob'], files => { aliases => "both: bob\n" }, config => <<'C');
table users file:$D/users
table aliases file:$D/aliases
listen on 127.0.0.1 port $PORT
accept from any for domain example.org alias <aliases> userbase <users> deliver to maildir
C
my $c = $d->client;
$c->greeting;
$c->ehlo;
$c->cmd('MAIL FROM:<a@example.net>');
like $c->cmd("RCPT TO:<$_\@example.org>"), qr/^250/, "$_ is accepted" for qw(both bob);
like $c->cmd('DATA'), qr/^354/, 'DATA';
like $c->cmd("Subject: x\r\n\r\nx\r\n."), qr/^250/, 'the message is taken';
$d->await_queue_empty;
is scalar(my @mails = $d->mails('bob')), 1, 'one copy';
like $d->log_text, qr/event=expanded .* duplicates=1/, 'and the log says why';
$d->stop;
done_testing;
