# Who is not known is refused at RCPT; who is known beside him still gets the mail.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $d = Tabmail->start(users => ['bob'], files => { aliases => "info: bob\ndead: gone\n" }, config => <<'C');
table users file:$D/users
table aliases file:$D/aliases
listen on 127.0.0.1 port $PORT
reject from any for domain "refused.example"
accept from any for domain example.org alias <aliases> userbase <users> deliver to maildir
C
my $c = $d->client;
like $c->ehlo, qr/^250/, 'EHLO';
like $c->cmd('RCPT TO:<bob@example.org>'), qr/^503 /, 'RCPT before MAIL';
like $c->cmd('MAIL FROM:<a@example.net>'), qr/^250 /, 'MAIL';
like $c->cmd('RCPT TO:<nobody@example.org>'), qr/^550 5\.1\.1 /, 'unknown user';
like $c->cmd('RCPT TO:<nobody+bob@example.org>'), qr/^550 5\.1\.1 /, 'unknown user with a tag';
like $c->cmd('RCPT TO:<bob@elsewhere.example>'), qr/^550 5\.7\.1 /, 'no relaying';
like $c->cmd('RCPT TO:<bob@refused.example>'), qr/^550 /, 'a reject rule';
like $c->cmd('RCPT TO:<bob@@example.org>'), qr/^501 /, 'an address that is none';
like $c->cmd('DATA'), qr/^(?:503|554) /, 'no DATA without a recipient';
like $c->cmd('RCPT TO:<bob@example.org>'), qr/^250 /, 'one who is known';
like $c->cmd('DATA'), qr/^354 /, 'DATA';
$c->send(Tabmail::Client::wire(mail_text('one of many')));
like $c->reply, qr/^250 /, 'accepted';
$c->quit;
$d->await_mails('bob', 1);
$d->await_queue_empty;
$d->stop;
done_testing;
