# Date and Message-ID are added to mail submitted here that lacks them; sendmail's other options.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $d = Tabmail->start(users => [qw(bob alice)], config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to maildir
C
my $dir = $d->dir;
$ENV{TABMAIL_SOCKET} = "$dir/run/control.sock";
my @sendmail = ("$dir/bin/sendmail");
my $bare = "To: bob\@example.org\nSubject: bare\n\nhello\n";
my ($status, $out) = run([input => $bare], @sendmail, '-f', 'a@example.net', 'bob@example.org');
is $status, 0, 'sendmail with a recipient' or diag $out;
my ($mail) = $d->await_mails('bob', 1);
like $mail, qr/^Date: /m, 'Date was added';
like $mail, qr/^Message-ID: <[^>]+\@mail\.example\.org>$/mi, 'Message-ID was added';
like $mail, qr/\nTo: bob\@example\.org\nSubject: bare\n(?:[A-Z].*\n)*\nhello\n\z/, 'the rest is as it was';
like $d->mail('a@example.net', 'bob@example.org', $bare), qr/^250 /, 'the same over SMTP';
($mail) = grep { !/^Date: /m } $d->await_mails('bob', 2);
ok $mail, 'nothing was added';

($status, $out) = run([input => "To: bob\@example.org\nCc: Alice <alice\@example.org>\nBcc: alice\@example.org\nSubject: hidden\n\n.\nafter the dot\n"],
    @sendmail, '-t', '-i', '-F', 'Ann Other', '-f', 'a@example.net');
is $status, 0, 'sendmail -t -i -F' or diag $out;
($mail) = $d->await_mails('alice', 1);
unlike $mail, qr/^Bcc:/mi, 'Bcc is taken out';
like $mail, qr/^\.\nafter the dot\n/m, '-i: a dot does not end it';
($status, $out) = run([input => "EHLO x\r\nMAIL FROM:<a\@example.net>\r\nRCPT TO:<alice\@example.org>\r\nDATA\r\nSubject: bs\r\n\r\nx\r\n.\r\nQUIT\r\n"],
    @sendmail, '-bs');
is $status, 0, 'sendmail -bs speaks SMTP' or diag $out;
like $out, qr/^250 .*\n.*^221 /ms, 'on its standard output';
ok +(grep { /^Subject: bs$/m } $d->await_mails('alice', 2)), 'and delivers';
($status, $out) = run([input => "Subject: x\n\nx\n"], @sendmail, '-f', 'a@example.net', 'nobody@example.org');
isnt $status, 0, 'an unknown recipient is an error';
$d->stop;
done_testing;
