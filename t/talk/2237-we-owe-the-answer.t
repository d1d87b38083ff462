# `limit smtp timeout` is about the client: while it waits for us, for a verdict, a login or the end of its message, no
# session ends, however long a helper or the spool takes.
use strict;
use warnings;
use FindBin;
use MIME::Base64 ();
use Test::More;
use Tabmail;
require "$FindBin::Bin/2-talk.pl";

my $d = Tabmail->start(users => ['bob'], files => { slow => <<'H' }, config => <<'C');
#!/usr/bin/perl
$| = 1;
while (<STDIN>) { last if /^config\|ready/ }
print "register|alias\nregister|auth\nregister|ready\n";
while (<STDIN>) {
	chomp;
	my (undef, undef, undef, undef, $op, undef, $id, $key) = split /\|/, $_, 8;
	sleep 3;
	print $op eq 'check' ? "check-result|$id|found\n" : "lookup-result|$id|found|bob\n";
}
H
table users file:$D/users
table slow command "$D/slow"
limit smtp timeout 2s
listen on 127.0.0.1 port $PORT auth-optional <slow>
accept from any for domain slow.example virtual <slow> userbase <users> deliver to maildir
accept from any for domain example.org userbase <users> deliver to maildir
C
my $c = $d->client;
$c->ehlo;
$c->cmd('MAIL FROM:<a@example.net>');
like $c->cmd('RCPT TO:<info@slow.example>'), qr/^250 /, 'a recipient: the verdict comes after more than the timeout';
$c->quit;

$c = $d->client;
$c->ehlo;
like $c->cmd('AUTH PLAIN ' . MIME::Base64::encode_base64("\0bob\0Richtig1", '')), qr/^235 /, 'a login, too';

my ($queue) = $d->pids('queue');
like $c->cmd('MAIL FROM:<a@example.net>'), qr/^250 /, 'it goes on';
$c->cmd('RCPT TO:<bob@example.org>');
$c->cmd('DATA');
kill 'STOP', $queue;
$c->send("Subject: x\r\n\r\nx\r\n.\r\n");
select undef, undef, undef, 3;	# the time that is to pass: more than the timeout
kill 'CONT', $queue;
like $c->reply, qr/^250 /, 'the end of a message: the same';
$d->await_mails('bob', 1);

# Once it is the client's turn, its time runs.
my $began = time;
like $c->reply, qr/^421 /, 'who is asked for the next command has the timeout';
cmp_ok time - $began, '<', 60, 'and no more';
$d->stop;
done_testing;
