# sendmail: its exit codes, its complaints, and what becomes of the other recipients.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $d = Tabmail->start(users => [qw(bob alice)], files => { aliases => "info: bob\n" }, config => <<'C');
table users file:$D/users
table aliases file:$D/aliases
table broken command "/bin/false" timeout 1s
listen on 127.0.0.1 port $PORT
accept from any for domain example.org alias <aliases> userbase <users> deliver to maildir
accept from any for domain later.example alias <broken> userbase <users> deliver to maildir
C
my $dir = $d->dir;
$ENV{TABMAIL_SOCKET} = "$dir/run/control.sock";

sub sendmail {
	my ($input, @args) = @_;
	return run([input => $input], "$dir/bin/sendmail", @args);
}
my $text = "Subject: x\n\nx\n";

my ($status, $out) = sendmail($text, 'bob@example.org');
is "$status|$out", '0|', 'sent: nothing is said';
my ($mail) = $d->await_mails('bob', 1);
my $login = getpwuid $>;
like $mail, qr/^Return-Path: <\Q$login\E\@mail\.example\.org>$/m, 'the sender is the user';
like $mail, qr/^From: .*\Q$login\E\@mail\.example\.org>?$/m, 'From is added';

($status, $out) = sendmail($text, '-f', '<>', '-F', 'Mr. "X"', 'bob@example.org');
is $status, 0, 'the null sender' or diag $out;
($mail) = grep { /^Return-Path: <>/m } $d->await_mails('bob', 2);
like $mail, qr/^From: "Mr\. \\"X\\"" <\Q$login\E\@mail\.example\.org>$/m, 'From keeps the user, with the name of -F';

($status, $out) = sendmail("To: Bob (the one) <bob\@example.org>,\n\t\"A, B\" <alice\@example.org>;\n\nx\n", '-t');
is $status, 65, 'a header that is wrong';
like $out, qr/To: a ; outside a group/, 'names the field and the fault';
($status, $out) = sendmail("To: Bob (the one) <bob\@example.org>,\n\t\"A, B\" <alice\@example.org>\nCc: g: bob\@example.org;\nBcc: <info\@example.org>\n\nx\n", '-t');
is $status, 0, 'names, comments, groups' or diag $out;
$d->await_mails('alice', 1);
$d->await_mails('bob', 3);
$d->await_queue_empty;
is scalar(my @three = $d->mails('bob')), 3, 'each once';

($status, $out) = sendmail($text, 'nobody@example.org');
is $status, 67, 'no such user';
like $out, qr/nobody\@example\.org: 550 /, 'named, with the reply';
($status, $out) = sendmail($text, 'nobody@example.org', 'bob@example.org', 'x@relay.example');
isnt $status, 0, 'some are refused';
like $out, qr/nobody\@example\.org: 5.*x\@relay\.example: 5/s, 'each is named';
$d->await_mails('bob', 4);
pass 'the others have it';
($status, $out) = sendmail($text, 'bob@example.org', 'x@later.example');
is $status, 75, 'one is put off';
like $out, qr/x\@later\.example: 4.*nothing was sent/s, 'so nothing is sent';
is +(sendmail($text))[0], 64, 'no recipients';
is +(sendmail($text, '-t'))[0], 64, 'none in the header';
is +(sendmail($text, '-Z', 'bob@example.org'))[0], 64, 'an option that is none';
is +(sendmail($text, '-N', 'sometimes', 'bob@example.org'))[0], 64, 'a bad -N';
is +(sendmail($text, '-bd'))[0], 64, '-bd';
is +(sendmail($text, 'bob@'))[0], 64, 'a bad address';
is +(sendmail($text, '--', '-bob@example.org'))[0], 67, 'an address with a hyphen after --';
($status, $out) = sendmail($text, split(" ", "-oi -odb -oem -om -G -B 8BITMIME -N success,delay -R hdrs -V x+y"), '-r', 'a@example.net',
    'bob@example.org');
is $status, 0, 'options of other servers' or diag $out;
($status, $out) = sendmail("Subject: crlf\r\n\r\nx\r\n.\r\nnever\r\n", '-v', 'bob@example.org');
like $out, qr/>>> MAIL FROM:.*<<< 250 /s, '-v shows the dialogue';
($mail) = grep { /^Subject: crlf$/m } $d->await_mails('bob', 6);
like $mail, qr/\n\nx\n\z/, 'a dot ends it, CRLF is as good as LF';
($status, $out) = sendmail("\xc3\xa4 no header\n", 'bob@example.org');
is $status, 0, 'a message without header, 8-bit';
($mail) = grep { /no header/ } $d->await_mails('bob', 7);
like $mail, qr/\n\n\xc3\xa4 no header\n\z/, 'becomes a body';
is +(sendmail('', 'bob@example.org'))[0], 0, 'an empty message';
$d->await_mails('bob', 8);
$d->await_queue_empty;
is scalar(my @eight = $d->mails('bob')), 8, 'nothing came twice';

$ENV{TABMAIL_SOCKET} = "$dir/run/nothing/control.sock";
($status, $out) = sendmail($text, 'bob@example.org');
is $status, 75, 'the daemon is not there';
like $out, qr/tabmaild is not running\? .*submit\.sock: No such file/, 'and it says so';
$d->stop;
done_testing;
