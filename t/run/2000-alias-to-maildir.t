# Mail to an alias, looked up by table-file, lands in the Maildir of its user.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $d = Tabmail->start(users => [qw(bob alice)], files => { aliases => <<'A' }, config => <<'C');
postmaster: bob
info:	bob,
	alice
both: info, bob
A
table users file:$D/users
table aliases file:$D/aliases
listen on 127.0.0.1 port $PORT
accept from any for domain example.org alias <aliases> userbase <users> deliver to maildir
C

my $text = mail_text('to an alias');
like $d->mail('a@example.net', 'postmaster@example.org', $text), qr/^250 2\.0\.0 /, 'accepted for an alias';
my ($mail) = $d->await_mails('bob', 1);
my ($trace, $rest) = trace_and_rest($mail, $text);
is $rest, $text, 'the mail is what was sent';
like $trace, qr/^Received: from client\.example\.net .*\[127\.0\.0\.1\]/ms, 'Received names the client';
like $trace, qr/\bby mail\.example\.org\b/, 'and us';
like $trace, qr/^Return-Path: <a\@example\.net>$/m, 'Return-Path is the sender';

like $d->mail('', ['info@example.org'], $text), qr/^250 /, 'an alias of two, the null sender';
$d->await_mails($_, $_ eq 'bob' ? 2 : 1) for qw(bob alice);
like $d->mail('a@example.net', 'both@example.org', $text), qr/^250 /,
    'an alias that leads to bob twice';
$d->await_mails('bob', 3);
$d->await_mails('alice', 2);
$d->await_queue_empty;
is scalar(my @bob = $d->mails('bob')), 3, 'duplicates are merged';
is scalar(my @alice = $d->mails('alice')), 2, 'alice has hers';
my @stat = stat(($d->mail_files('bob'))[0]);
is $stat[4], $d->{users}{bob}{uid}, 'the file belongs to its user';
is $stat[2] & 077, 0, 'and nobody else may read it';
is_deeply [glob $d->home('bob') . '/Maildir/tmp/*'], [], 'nothing is left in tmp';

my ($status, $out) = $d->ctl('table', 'aliases', 'lookup', 'alias', 'info');
is $status, 0, 'tabmailctl asks a table';
like $out, qr/bob,\s*alice/, 'and shows its answer';
$d->file('aliases', "info: alice\n");
is +($d->ctl('table', 'aliases', 'update'))[0], 0, 'a table is updated';
$d->mail('a@example.net', 'info@example.org', $text);
$d->await_mails('alice', 3);
$d->await_queue_empty;
is scalar(@bob = $d->mails('bob')), 3, 'and the new content counts';
$d->file('aliases', "info: alice\n\xff: : :\n\ta b c: |\n=\n");
my $was = $d->log_text;
($status) = $d->ctl('table', 'aliases', 'update');
like $d->mail('a@example.net', 'info@example.org', $text), qr/^250 /, 'after a bad update the old content still serves';
$d->stop;
done_testing;
