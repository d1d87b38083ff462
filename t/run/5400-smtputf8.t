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

# A sender in UTF-8 is told by a report that is itself SMTPUTF8.
submit('jürgen@utf8.example', 'zoë@plain.example', 'Grüße zurück', "\nx\n", @asks);
$m = $utf8->await('Your message could not be delivered');
is "$m->{from}|@{ $m->{to} }|$m->{utf8}", '<>|jürgen@utf8.example|1', 'the report goes with SMTPUTF8';
is read_report($m->{mail}), <<'R', 'Python reads it';
multipart/report global-delivery-status []
text/plain message/global-delivery-status message/global-headers
utf-8; zoë@plain.example | 5.6.7
True True
R
sub read_report {
	my ($status, $out) = run('python3', '-c', <<'P', $d->file('report', $_[0]));
import email, email.policy, sys
sys.stdout.reconfigure(encoding='utf-8')
m = email.message_from_binary_file(open(sys.argv[1], 'rb'), policy=email.policy.SMTPUTF8)
print(m.get_content_type(), m.get_param('report-type'), m.defects)
parts = list(m.iter_parts())
print(*(p.get_content_type() for p in parts))
fields = parts[1].get_payload(decode=True) or b''.join(bytes(b) for b in parts[1].get_payload())
fields = email.message_from_bytes(b'\n\n'.join(fields.replace(b'\r\n', b'\n').split(b'\n\n')[1:]), policy=email.policy.SMTPUTF8)
print(fields['final-recipient'], '|', fields['status'])
text = parts[0].get_content()
print('zoë@plain.example' in text, 'Grüße zurück' in parts[2].as_bytes().decode('utf-8'))
P
	return $out;
}

# Aliases lead from one kind of address to the other.
submit('jürgen@example.net', 'ascii-büro@example.org', 'to ASCII', "\nx\n", @asks);
$d->await_log(qr/event=failed from="jürgen\@example\.net" to="bob\@plain\.example" rcpt="ascii-büro\@example\.org" .*status=5\.6\.7/);
pass 'a sender in UTF-8 is not told to a server that knows none; the log has addresses as they are';
{
	my $c = $d->client;
	$c->ehlo;
	$c->cmd($_) for 'MAIL FROM:<ann@example.net> SMTPUTF8', 'RCPT TO:<ascii-büro@example.org> ORCPT=utf-8;büro@alt.example';
	$c->cmd('DATA');
	like $c->cmd("To: ann\@example.net\r\nSubject: alias to ASCII\r\n\r\nx\r\n."), qr/^250/, 'an alias of a name in UTF-8';
	$m = $plain->await('alias to ASCII');
	is "@{ $m->{to} } $m->{utf8} @{ $m->{dsn} }", 'bob@plain.example 0 ORCPT=utf-8;b\x{FC}ro@alt.example',
	    'goes to an ASCII address without SMTPUTF8, its first name in the form that is ASCII';
	unlike $m->{mail}, qr/[^\x00-\x7f]/, 'nothing in it is beyond ASCII';
	like $m->{mail}, qr/ with UTF8SMTP id /, 'though it came with SMTPUTF8';
	$c->cmd($_) for 'MAIL FROM:<ann@example.net>', 'RCPT TO:<buero@example.org>', 'DATA';
	like $c->cmd("Subject: alias to UTF-8\r\n\r\nx\r\n."), qr/^250/, 'an alias to an address in UTF-8';
	$m = $utf8->await('alias to UTF-8');
	is "@{ $m->{to} } $m->{utf8}", 'zoë@utf8.example 1', 'goes with SMTPUTF8, though it came without';
	$c->cmd($_) for 'MAIL FROM:<ann@example.net> SMTPUTF8', 'RCPT TO:<zoë@utf8.example> ORCPT=utf-8;b\x{FC}ro@alt.example',
	    'RCPT TO:<ann@utf8.example> ORCPT=utf-8;ä@alt.example', 'DATA';
	$c->cmd("Subject: first names\r\n\r\nx\r\n.");
	is "@{ $utf8->await('first names')->{dsn} }", 'ORCPT=utf-8;b\x{FC}ro@alt.example ORCPT=utf-8;ä@alt.example', 'with SMTPUTF8 they go as they came';
	# of several recipients those come back that need it
	$c->cmd($_) for 'MAIL FROM:<bob@example.org> SMTPUTF8', 'RCPT TO:<zoë@plain.example>', 'RCPT TO:<two@plain.example>', 'DATA';
	$c->cmd("Subject: one of two\r\n\r\nx\r\n.");
	is "@{ $plain->await('one of two')->{to} }", 'two@plain.example', 'who needs no SMTPUTF8 gets it';
	($mail) = grep { /Subject: one of two/ } $d->await_mails('bob', 4);
	like $mail, qr/Final-Recipient: utf-8; zo\\x\{EB\}/, 'who does is bounced';
	unlike $mail, qr/two\@plain/, 'he alone';
	# a header below is one, too
	for my $file ('ascii.txt', 'größe.txt') {
		$c->cmd($_) for 'MAIL FROM:<bob@example.org> SMTPUTF8 BODY=8BITMIME', 'RCPT TO:<ann@plain.example>', 'DATA';
		$c->cmd("Subject: $file\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain;\r\n"
		    . "\tname=\"$file\"\r\n\r\nGrüße\r\n--b--\r\n.");
	}
	$plain->await('ascii.txt');
	($mail) = grep { /größe/ || /Status: 5\.6\.9/ && !/Grüße/ } $d->await_mails('bob', 5);
	ok $mail, 'a part with a header in UTF-8 comes back';
}

# LMTP alike.
submit('jürgen@example.net', 'zoë@lmtp.example', 'by LMTP', "\nx\n", @asks);
$m = $lmtp->await('by LMTP');
is "$m->{from} @{ $m->{to} } $m->{utf8}", 'jürgen@example.net zoë@lmtp.example 1', 'LMTP with SMTPUTF8';
submit('bob@example.org', 'zoë@lmtp-plain.example', 'not by LMTP', "\nx\n", @asks);
($mail) = grep { /lmtp-plain/ } $d->await_mails('bob', 6);
like $mail, qr/^Status: 5\.6\.7$/m, 'LMTP without it';

# sendmail asks for it by itself.
$ENV{TABMAIL_SOCKET} = $d->dir . '/run/control.sock';
my ($status, $out) = run([input => "From: jürgen\@example.net\nTo: Zoë <zoë\@utf8.example>, ann\@bücher.example\nSubject: by sendmail\n\nx\n"],
    $d->dir . '/bin/sendmail', '-t', '-f', 'jürgen@bücher.example');
is $status, 67, 'sendmail' or diag $out;
like $out, qr/^sendmail: ann\@xn--bcher-kva\.example: 550 /m, 'names whom it cannot reach';
$m = $utf8->await('by sendmail');
is "$m->{from} @{ $m->{to} } $m->{utf8}", 'jürgen@xn--bcher-kva.example zoë@utf8.example 1', 'the other gets it';

# What people see of it.
is +($d->ctl('pause', 'local'))[0], 0, 'a pause';
submit('jürgen@example.net', 'büro@bücher.example', 'held', "\nx\n", @asks);
wait_for { grep { $_->{rcpt} eq 'büro@xn--bcher-kva.example' } $d->ctl_rows('show', 'queue') } 'it is queued';
my ($row) = $d->ctl_rows('show', 'queue');
is $row->{sender}, 'jürgen@example.net', 'the queue has it';
($status, $out) = $d->ctl('show', 'message', $row->{id} =~ /^(\w+)/);
like $out, qr/SMTPUTF8 +yes/, 'show message says that it is SMTPUTF8' or diag $out;
is +($d->ctl('remove', 'recipient', '*@bücher.example'))[0], 0, 'a pattern with the domain as people write it';
$d->await_queue_empty;
$d->ctl('resume', 'local');
$d->stop;
$_->remove for $utf8, $plain, $lmtp, $lmtp_plain;
done_testing;
