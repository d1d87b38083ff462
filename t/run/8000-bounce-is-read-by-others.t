# A bounce is a delivery status notification that Python's and Perl's readers understand.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $sink = Tabmail::Sink->start(answer => sub { $_[0] eq 'rcpt' && $_[1] =~ /evil/ ?
    "550-5.1.1 first line\n550-\x01\x02\r\n550 5.7.1 last: <\"\@\0>" : $_[0] eq 'rcpt' ? "550 5.2.1 mailbox is closed" : undef });
my $d = Tabmail->start(users => ['bob'], vars => { SINK => $sink->port }, config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to maildir
accept from any for any relay via smtp://127.0.0.1:$SINK
C
my $text = mail_text('will bounce');
like $d->mail('bob@example.org', 'closed@example.com', $text), qr/^250 /, 'accepted';
my ($bounce) = $d->await_mails('bob', 1);
like $bounce, qr/^Return-Path: <>$/m, 'its sender is null';
my $file = $d->file('bounce', $bounce);
my ($status, $out) = run('python3', '-c', <<'P', $file);
import email, email.policy, sys
m = email.message_from_binary_file(open(sys.argv[1], 'rb'), policy=email.policy.default)
print(m['to'], '|', 'MAILER-DAEMON' in str(m['from']).upper() or 'postmaster' in str(m['from']).lower(), '|', m['auto-submitted'])
print(m.get_content_type(), m.get_param('report-type'), m.defects)
parts = list(m.iter_parts())
print([p.get_content_type() for p in parts])
status = parts[1].get_payload()
print(status[0]['Reporting-MTA'])
print(status[1]['Final-Recipient'], '|', status[1]['Action'], '|', status[1]['Status'], '|', status[1]['Diagnostic-Code'])
print('will bounce' in parts[2].as_string())
P
is $status, 0, 'Python reads it' or diag $out, $bounce;
my @lines = split /\n/, $out;
like $lines[0], qr/bob\@example\.org.*\| True \| auto-replied/, 'To, From, Auto-Submitted';
is $lines[1], 'multipart/report delivery-status []', 'a report without a defect';
like $lines[2], qr{^\['text/plain', 'message/delivery-status', '(?:message/rfc822|text/rfc822-headers|message/rfc822-headers)'\]$}, 'three parts';
is $lines[3], 'dns; mail.example.org', 'Reporting-MTA';
like $lines[4], qr/^rfc822; ?closed\@example\.com \| failed \| 5\.2\.1 \| smtp; ?550 5\.2\.1 mailbox is closed$/i, 'recipient, action, status, reply';
is $lines[5], 'True', 'the message it is about';

# security row 2: a hostile reply stays text
like $d->mail('bob@example.org', 'evil@example.com', mail_text('hostile')), qr/^250 /, 'to a hostile server';
my @all = $d->await_mails('bob', 2);
my ($evil) = grep { /^Subject: hostile/m || /evil\@/ } @all;
ok $evil, 'it bounced';
unlike $evil, qr/[\x00-\x08\x0b-\x1f]/, 'no control byte of the reply in the bounce';
unlike $d->log_text, qr/[\x00-\x08\x0b-\x1f]/, 'nor in the log';

# security row 23
like $d->mail('', 'closed@example.com', $text), qr/^250 /, 'the null sender';
$d->await_queue_empty;
is scalar(@all = $d->mails('bob')), 2, 'gets no bounce';
like $d->mail('nobody@nowhere.example', 'closed@example.com', $text), qr/^250 /, 'a sender who is not reachable';
$d->await_queue_empty;
is scalar(@all = $d->mails('bob')), 2, 'the bounce of a bounce does not exist';
$d->stop;
$sink->remove;
done_testing;
