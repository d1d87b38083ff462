# SMTPUTF8 (RFC 6531): addresses and headers in UTF-8 are taken, kept, delivered as they are, relayed to servers that offer it,
# and come back from those that do not unless nothing in them needs it.
use strict;
use warnings;
use Tabmail;
use Tabmail::Aio;
use Test::More;

my ($utf8, $plain, $lmtp, $lmtp_plain) =
    map { Tabmail::Aio->start(@$_) } ['utf8', 'dsn'], ['dsn'], ['utf8', 'lmtp'], ['lmtp'];
my $d = Tabmail->start(users => ['bob'], files => { aliases => <<'A' },
büro: bob
ascii-büro: bob@plain.example
buero: zoë@utf8.example
A
	vars => { UTF8 => $utf8->port, PLAIN => $plain->port, LMTP => $lmtp->port, LMTP_PLAIN => $lmtp_plain->port }, config => <<'C');
table users file:$D/users
table aliases file:$D/aliases
listen on 127.0.0.1 port $PORT
accept from any for domain { example.org, "bücher.example" } alias <aliases> userbase <users> deliver to maildir
accept from any for domain utf8.example relay via smtp://127.0.0.1:$UTF8
accept from any for domain lmtp.example deliver to lmtp 127.0.0.1:$LMTP
accept from any for domain lmtp-plain.example deliver to lmtp 127.0.0.1:$LMTP_PLAIN
accept from any for any relay via smtp://127.0.0.1:$PLAIN
C

# Python's smtplib with SMTPUTF8, as Thunderbird does it.
sub submit {
	my ($from, $to, $subject, $body, @options) = @_;
	my $file = $d->file('mail', "From: $from\nTo: $to\nSubject: $subject\n$body");
	my ($status, $out) = run('python3', '-c', <<'P', $d->port, $from, $to, $file, @options);
import smtplib, sys
with smtplib.SMTP('127.0.0.1', int(sys.argv[1])) as s:
    s.ehlo('client.example.net')
    assert s.has_extn('smtputf8') and s.has_extn('8bitmime'), s.esmtp_features
    print(s.sendmail(sys.argv[2], [sys.argv[3]], open(sys.argv[4], 'rb').read().replace(b'\n', b'\r\n'), mail_options=sys.argv[5:]))
P
	is $out, "{}\n", "$subject: taken" or diag $status;
}
my @asks = ('SMTPUTF8', 'BODY=8BITMIME');

submit('jürgen@example.net', 'büro@bücher.example', 'local', "\nGrüße\n", @asks);
my ($mail) = $d->await_mails('bob', 1);
like $mail, qr/^Return-Path: <jürgen\@example\.net>$/m, 'delivered, its sender as he is';
like $mail, qr/^To: büro\@bücher\.example\nSubject: local\n\nGrüße$/m, 'unchanged';
like $mail, qr/ with UTF8SMTP id /, 'Received says how it came';

submit('jürgen@example.net', 'zoë@utf8.example', 'relayed', "\nx\n", @asks);
my $m = $utf8->await('relayed');
is "$m->{from} @{ $m->{to} }", 'jürgen@example.net zoë@utf8.example', 'relayed with both addresses';
ok $m->{utf8}, 'with SMTPUTF8';
like $m->{mail}, qr/^From: jürgen\@example\.net\r$/m, 'and its header';

submit('bob@example.org', 'zoë@plain.example', 'address', "\nx\n", @asks);
($mail) = grep { /zoë/ } $d->await_mails('bob', 2);
like $mail, qr/^Status: 5\.6\.7$/m, 'a recipient in UTF-8, a server that knows none: it comes back';
like $mail, qr/^Final-Recipient: utf-8; zo\\x\{EB\}\@plain\.example$/m, 'and names him in ASCII, for its sender may know no other';
submit('bob@example.org', 'ann@plain.example', 'Grüße', "\nx\n", @asks);
($mail) = grep { /ann\@plain/ } $d->await_mails('bob', 3);
like $mail, qr/^Status: 5\.6\.9$/m, 'a header in UTF-8 comes back, too';
like $mail, qr{^Content-Type: message/global-headers$}m, 'and is returned as what it is';
submit('bob@example.org', 'ann@plain.example', 'nothing needs it', "\nGrüße\n", @asks);
$m = $plain->await('nothing needs it');
ok !$m->{utf8}, 'what needs no SMTPUTF8 goes without';
like "@{ $m->{options} }", qr{BODY=8BITMIME}, 'as mail of 8 bits';
submit('bob@example.org', 'ann@utf8.example', 'nothing needs it here', "\nx\n", @asks);
is +$utf8->await('nothing needs it here')->{utf8}, JSON::PP::false, 'also where it is offered';
$d->await_queue_empty;
$d->stop;
$_->remove for $utf8, $plain, $lmtp, $lmtp_plain;
done_testing;
