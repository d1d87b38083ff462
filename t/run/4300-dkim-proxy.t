# Tags and a real DKIM proxy: mail of swaks and of sendmail goes through it once, and arrives signed and verified.
use strict;
use warnings;
use Tabmail;
use Tabmail::Dkim;
use Test::More;

my $sink = Tabmail::Sink->start;
my ($in, $back) = (free_port, free_port);
my $proxy = Tabmail::Dkim->start(port => $in, next => $back, domain => 'example.org', dsn => 1);
my $d = Tabmail->start(users => ['bob'], vars => { SINK => $sink->port, PROXY => $in, PORT2 => $back }, config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT
listen on 127.0.0.1 port $PORT2 tag DKIM
accept for domain example.org userbase <users> deliver to maildir
accept tagged DKIM for any relay via smtp://127.0.0.1:$SINK
accept for any relay via smtp://127.0.0.1:$PROXY
C

sub arrived {
	my ($subject) = @_;
	my @found;
	wait_for { @found = grep { $_->{mail} =~ /^Subject: \Q$subject\E\r$/m } $sink->mails; @found } "$subject at the sink";
	$d->await_queue_empty;
	@found = grep { $_->{mail} =~ /^Subject: \Q$subject\E\r$/m } $sink->mails;
	is scalar(@found), 1, "$subject: arrives once";
	my $mail = $found[0]{mail};
	is $proxy->verdict($mail), 'signed and good', "$subject: opendkim verifies it" or diag $mail;
	is scalar(() = $mail =~ /^DKIM-Signature:/mg), 1, "$subject: signed once";
	is scalar(() = $mail =~ /^Received: [^\r]*\r\n(?:\t[^\r]*\r\n)*?\tby mail\.example\.org|^Received:.*by mail\.example\.org/mg), 2,
	    "$subject: was here twice" or diag $mail;
	return $found[0];
}

my ($status, $out) = run('swaks', '--server', '127.0.0.1', '--port', $d->port, '--from', 'bob@example.org', '--to',
    'x@one.example', '--helo', 'client.example.org', '--header', 'Subject: from swaks', '--body', ".dot\nund Gr\xc3\xbc\xc3\x9fe");
is $status, 0, 'swaks hands in' or diag $out;
my $m = arrived('from swaks');
like $m->{mail}, qr/\r\n\r\n\.dot\r\nund Gr\xc3\xbc\xc3\x9fe\r\n/, 'its text is as it was';
is $m->{from}, 'bob@example.org', 'its sender, too';

($status, $out) = run([ input => "From: bob\@example.org\nTo: y\@two.example\nSubject: from sendmail\n\nhello\n" ],
    $d->dir . '/bin/sendmail', '-S', $d->dir . '/run/submit.sock', '-f', 'bob@example.org', 'y@two.example', 'z@three.example');
is $status, 0, 'sendmail hands in' or diag $out;
$m = arrived('from sendmail');
is_deeply [ sort @{ $m->{rcpts} } ], [qw(y@two.example z@three.example)], 'both recipients in one';
like $m->{mail}, qr/^Message-ID: /mi, 'what was missing in its header was there when it was signed';

# explain shows the trip.
my @rows = $d->ctl_rows('explain', 'x@one.example', 'from', 'bob@example.org');
my ($delivery) = grep { $_->{section} eq 'delivery' } @rows;
my @trips = grep { $_->{section} eq 'trip' } @rows;
is $delivery->{route}, "smtp://127.0.0.1:$in", 'explain: to the proxy first';
is_deeply [ map { "$_->{listener} $_->{port} $_->{tag} $_->{route}" } @trips ],
    [ "127.0.0.1 $back DKIM smtp://127.0.0.1:" . $sink->port ], 'explain: and when it comes back';
($status, $out) = $d->ctl('explain', 'x@one.example');
like $out, qr/^back by   127\.0\.0\.1 port $back, tag DKIM\n  then    relay via "smtp:\S+"$/m, 'explain: for people' or diag $out;
is scalar(grep { $_->{section} eq 'trip' } $d->ctl_rows('explain', $_->[0], @{ $_->[1] })), 0, "explain: no trip: $_->[0] @{ $_->[1] }"
    for [ 'bob@example.org', [] ], [ 'x@one.example', [ 'tag', 'DKIM', 'client', '127.0.0.1' ] ];

# What is delivered here goes through no proxy.
like $d->mail('a@example.org', 'bob@example.org', mail_text('local')), qr/^250 /, 'mail for here';
my ($local) = $d->await_mails('bob', 1);
unlike $local, qr/^DKIM-Signature/m, '… is not sent round';

# DSN parameters survive the trip, for the proxy passes them.
my $c = $d->client;
$c->cmd('EHLO client.example.org');
like $c->cmd('MAIL FROM:<bob@example.org> RET=HDRS ENVID=QQ314159'), qr/^250/, 'MAIL with ENVID and RET';
like $c->cmd('RCPT TO:<dsn@one.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Dsn@one.example'), qr/^250/, 'RCPT with NOTIFY';
like $c->cmd('DATA'), qr/^354/, 'DATA';
$c->send("From: bob\@example.org\r\nSubject: with dsn\r\n\r\nx\r\n.\r\n");
like $c->reply, qr/^250/, 'accepted';
$m = arrived('with dsn');
like $m->{mail_line}, qr/ RET=HDRS ENVID=QQ314159$/, 'RET and ENVID arrive';
is_deeply $m->{rcpt_lines}, ['<dsn@one.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Dsn@one.example'], 'NOTIFY and ORCPT, too';
is scalar(() = $d->mails('bob')), 1, 'nobody has told of success yet: the last server will';

# The proxy is down: mail waits, and goes when it is back.
$proxy->stop;
like $d->mail('bob@example.org', 'w@one.example', mail_text('while it is down')), qr/^250 /, 'the proxy is down: accepted';
$d->await_log(qr/event=deferred .*w\@one\.example/);
ok !(grep { $_->{mail} =~ /while it is down/ } $sink->mails), '… and not sent unsigned';
$proxy->boot;
wait_for { $d->ctl('schedule', 'all'); grep { $_->{mail} =~ /while it is down/ } $sink->mails } 'the mail';
arrived('while it is down');
$d->stop;
$proxy->remove;
$sink->remove;
done_testing;
