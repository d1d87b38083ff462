# bounce-warn: the sender is told after each of the times, once, that delivery goes on; NOTIFY is obeyed; a
# death of queue between the steps neither doubles a warning nor loses one. The clock is moved, so that days pass.
use strict;
use warnings;
use Tabmail;
use Tabmail::Report;
use Test::More;

$ENV{TABMAIL_TEST_CLOCK} = 1;
my $dead = free_port;
my $busy = Tabmail::Sink->start(answer => sub { $_[0] eq 'rcpt' ? '450 4.2.1 mailbox is busy' : undef });
my $open = Tabmail::Sink->start(ehlo => "250-sink.example.com\r\n250 8BITMIME");
my $knows = Tabmail::Sink->start;	# offers DSN
my $d = Tabmail->start(
	users => ['bob', 'ann', 'cleo'],
	vars => { DEAD => $dead, BUSY => $busy->port, OPEN => $open->port, KNOWS => $knows->port },
	files => { aliases => "both: ann, cleo\n" },
	config => <<'C');
bounce-warn 4h, 1d, 2d
expire 4d
table users file:$D/users
table aliases file:$D/aliases
listen on 127.0.0.1 port $PORT
accept from any for domain example.org alias <aliases> userbase <users> deliver to maildir
accept from any for domain busy.example relay via smtp://127.0.0.1:$BUSY
accept from any for domain open.example relay via smtp://127.0.0.1:$OPEN
accept from any for domain knows.example relay via smtp://127.0.0.1:$KNOWS
accept from any for domain quick.example relay via smtp://127.0.0.1:$DEAD expire 2h bounce-warn 1h
accept from any for domain silent.example relay via smtp://127.0.0.1:$DEAD expire 3h bounce-warn none
accept from any for any relay via smtp://127.0.0.1:$DEAD
C

my $H = 3600;
my $passed = 0;		# seconds that queue's clock is ahead

sub clock { $d->clock(@_) }

# Moves the clock in steps, so that tries happen on the way, as they do in life; each step's tries are awaited.
sub let_pass {
	my ($sec) = @_;
	while ($sec > 0) {
		my $step = $sec > 6 * $H ? 6 * $H : $sec;
		clock($step);
		$passed += $step;
		$sec -= $step;
		settled();
	}
}

# Nothing is under way: what was found out is written (remove does that first), and all that waits is deferred.
sub settled {
	wait_for {
		$d->ctl('remove', '000000000000');
		!grep { $_->{state} ne 'deferred' } $d->ctl_rows('show', 'queue');
	} 'the queue to be at rest', 30;
}

# kill -9; `sec` more have passed when it is back.
sub crash_queue {
	my ($sec) = @_;
	my @old = $d->kill_role('queue');
	$d->await_role('queue', @old);
	wait_for { $d->ready } 'the daemon to be ready';
	clock($passed += $sec);
	settled();
}

# The reports that `user` has got since the last call.  A kill -9 may deliver one twice, as any mail: it has
# the same Message-ID then, which a second report never has.
my (%seen, %known);
sub reports {
	my ($user) = @_;
	my @new = grep { !$seen{$_}++ } $d->mail_files($user);
	return grep { !$known{ $_->{id} }++ } map { Tabmail::Report::read($d, slurp($_)) } @new;
}
sub actions { return map { $_->{fields}[1]{action} } @_ }

sub is_report {
	my ($r, $user, $what) = @_;
	is "$r->{type} $r->{report}", 'multipart/report delivery-status', "$what: a report";
	is_deeply $r->{defects}, [], '… without a defect';
	is_deeply $r->{types}, [ 'text/plain', 'message/delivery-status', 'text/rfc822-headers' ], '… of three parts';
	is "$r->{auto} $r->{mime} $r->{return}", 'auto-replied 1.0 <>', '… automatic, from the null sender';
	is $r->{to}, "$user\@example.org", '… to the sender';
	like $r->{from}, qr/MAILER-DAEMON\@mail\.example\.org/, '… from the mail system';
	ok $r->{date} && $r->{id} =~ /^<.+\@mail\.example\.org>$/, '… with Date and Message-ID';
	is $r->{fields}[0]{'reporting-mta'}, 'dns; mail.example.org', '… Reporting-MTA';
	cmp_ok abs($r->{arrived}[0] - $^T), '<', 120, '… Arrival-Date';
}

# The fields about the message to the dead host, which all its reports have; a warning says until when it is tried.
sub is_about_dead_host {
	my ($r, $action, $status) = @_;
	my ($message, $rcpt) = @{ $r->{fields} };
	is_deeply [ sort keys %$message ], [ 'arrival-date', 'original-envelope-id', 'reporting-mta' ], '… the fields of the message';
	is $message->{'original-envelope-id'}, 'Q+1', '… Original-Envelope-Id';
	is_deeply [ sort keys %$rcpt ], [ 'action', 'diagnostic-code', 'final-recipient', 'original-recipient', 'remote-mta', 'status',
		$action eq 'delayed' ? 'will-retry-until' : () ], '… the fields of the recipient';
	is $rcpt->{'original-recipient'}, 'rfc822;R+x@dead.example', '… Original-Recipient';
	is $rcpt->{'final-recipient'}, 'rfc822; r@dead.example', '… Final-Recipient';
	is $rcpt->{action}, $action, '… Action';
	like $rcpt->{status}, $status, '… Status';
	like $rcpt->{'diagnostic-code'}, qr/^X-tabmail; .*refused/i, '… Diagnostic-Code';
	is $rcpt->{'remote-mta'}, 'dns; [127.0.0.1]', '… Remote-MTA';
	return if $action ne 'delayed';
	cmp_ok abs($r->{until}[0] - $r->{arrived}[0] - 96 * $H), '<', 2, '… Will-Retry-Until is the expiry';
}

sub send_mail { $d->mail_with(@_) }

# --- Who wants to know what
my @bob = ('bob@example.org', ' RET=FULL ENVID=Q+2B1');
send_mail('to a dead host', @bob, 'r@dead.example', ' ORCPT=rfc822;R+2Bx@dead.example');
send_mail('to a busy one', 'bob@example.org', '', 'one@busy.example', '', 'two@busy.example', '');
send_mail("notify $_", 'ann@example.org', '', 'r@dead.example', " NOTIFY=$_")
    for 'NEVER', 'FAILURE', 'DELAY', 'SUCCESS', 'DELAY,FAILURE';
send_mail('from nobody', '', '', 'r@dead.example', '');
send_mail($_, 'cleo@example.org', '', "r\@$_.example", '') for 'quick', 'silent';
settled();
let_pass($H + 60);
my @own = reports('cleo');
is_deeply [ map { "$_->{fields}[1]{action} $_->{fields}[1]{'final-recipient'}" } @own ], ['delayed rfc822; r@quick.example'],
    'a rule has times of its own';
cmp_ok abs($own[0]{until}[0] - $own[0]{arrived}[0] - 2 * $H), '<', 2, '… and an expiry';
let_pass(3 * $H - 120);
is_deeply [ sort map { "$_->{fields}[1]{action} $_->{fields}[1]{'final-recipient'}" } reports('cleo') ],
    [ 'failed rfc822; r@quick.example', 'failed rfc822; r@silent.example' ], 'a rule with none has none; both expire';
is scalar(my @r = (reports('bob'), reports('ann'))), 0, 'before the first time nobody is told anything';

let_pass(120);
@r = reports('bob');
is_deeply [ map { scalar @{ $_->{fields} } - 1 } @r ], [ 1, 2 ], 'after 4 h: one warning for each message, one for two recipients'
    or diag explain \@r;
my ($dead_one) = grep { @{ $_->{fields} } == 2 } @r;
my ($busy_one) = grep { @{ $_->{fields} } == 3 } @r;
is_report($dead_one, 'bob', 'the warning of a dead host');
is $dead_one->{subject}, 'Your message is delayed; delivery goes on', '… its subject';
like $dead_one->{text}, qr/has not been delivered yet/, '… its text';
like $dead_one->{text}, qr/delivery goes on.*need not send.*<r\@dead\.example>\s+is tried until \w{3}, \d/s, '… says that it goes on, until when';
like $dead_one->{original}, qr/^Subject: to a dead host$/m, '… the header of the message';
is_about_dead_host($dead_one, 'delayed', qr/^4\.4\.\d+$/);
is_report($busy_one, 'bob', 'the warning of a busy one');
is_deeply [ map { "$_->{'final-recipient'} $_->{action} $_->{status} $_->{'diagnostic-code'}" } @{ $busy_one->{fields} }[1, 2] ],
    [ map { "rfc822; $_\@busy.example delayed 4.2.1 smtp; 450 4.2.1 mailbox is busy" } 'one', 'two' ], '… what the server said';
@r = reports('ann');
is_deeply [ sort map { $_->{original} =~ /^Subject: notify (\S+)$/m } @r ], [ 'DELAY', 'DELAY,FAILURE' ],
    'warnings go to those who asked for them';
is_deeply [ actions(@r) ], [ ('delayed') x 2 ], '… and are warnings';
like $d->log_text, qr/ warning of=\w+ to="?bob\@example\.org"? recipients=2$/m, 'the log says it';

# --- kill -9
crash_queue(0);
let_pass(18 * $H);
is scalar(@r = (reports('bob'), reports('ann'))), 0, 'after kill -9 of queue, until the next time: no warning twice';
clock(3 * $H);
$passed += 3 * $H;
crash_queue(0);		# it may have told already, or not
@r = reports('bob');
is_deeply [ actions(@r) ], [ ('delayed') x 2 ], 'killed at the second time, 1 d: each warning once';
is_about_dead_host((grep { @{ $_->{fields} } == 2 } @r)[0], 'delayed', qr/^4\.4\.\d+$/);
is scalar(reports('ann')), 2, '… to those who asked';
crash_queue(0);
is scalar(@r = (reports('bob'), reports('ann'))), 0, '… and not again';
let_pass(22 * $H);
is scalar(@r = (reports('bob'), reports('ann'))), 0, 'until 2 d: nothing';
crash_queue(4 * $H);
is_deeply [ actions(@r = reports('bob')) ], [ ('delayed') x 2 ], '2 d passed while queue was down: told when it is back';
is_about_dead_host((grep { @{ $_->{fields} } == 2 } @r)[0], 'delayed', qr/^4\.4\.\d+$/);
is scalar(reports('ann')), 2, '… to those who asked';
send_mail('late', 'cleo@example.org', '', 'r@dead.example', '');
settled();
crash_queue(30 * $H);
is_deeply [ actions(reports('cleo')) ], [ 'delayed' ], 'two times passed while it was down: one warning';
let_pass(90 * $H - $passed);
is scalar(@r = (reports('bob'), reports('ann'))), 0, 'then nothing more';

# --- The end
let_pass(7 * $H);
@r = reports('bob');
is_deeply [ actions(@r) ], [ ('failed') x 2 ], 'at the expiry: a bounce of each' or diag explain \@r;
($dead_one) = grep { @{ $_->{fields} } == 2 } @r;
is $dead_one->{subject}, 'Your message could not be delivered', '… its subject';
is "$dead_one->{auto} $dead_one->{return} $dead_one->{to}", 'auto-replied <> bob@example.org', '… automatic, from the null sender, to the sender';
is_about_dead_host($dead_one, 'failed', qr/^4\.4\.7$/);
is_deeply $dead_one->{defects}, [], '… without a defect';
is_deeply $dead_one->{types}, [ 'text/plain', 'message/delivery-status', 'message/rfc822' ], '… RET=FULL: with the whole message';
like $dead_one->{text}, qr/not delivered in time; the last try said:/, '… its text';
is_deeply [ sort map { $_->{original} =~ /^Subject: notify (\S+)$/m } @r = reports('ann') ], [ 'DELAY,FAILURE', 'FAILURE' ],
    'a bounce goes to those who asked for it';
is_deeply [ actions(@r) ], [ ('failed') x 2 ], '… and says so';
let_pass(52 * $H);
is_deeply [ actions(reports('cleo')) ], [ 'delayed', 'failed' ], 'the later message: its last warning, its bounce';
ok $d->queue_empty, 'nothing is left';

# --- Success
send_mail('well', 'bob@example.org', ' ENVID=S1', 'ann@example.org', ' NOTIFY=SUCCESS ORCPT=rfc822;Ann@example.org',
    'x@open.example', ' NOTIFY=SUCCESS,DELAY', 'x@knows.example', ' NOTIFY=SUCCESS', 'cleo@example.org', ' NOTIFY=FAILURE');
send_mail('to several', 'bob@example.org', ' RET=FULL', 'both@example.org', ' NOTIFY=SUCCESS,FAILURE');
send_mail('quiet', 'bob@example.org', '', 'ann@example.org', '');
$d->await_mails('ann', 8);
settled();
my %by;
push @{ $by{ $_->{action} } }, $_ for map { @{ $_->{fields} }[1 .. $#{ $_->{fields} }] } @r = reports('bob');
is_deeply [ sort keys %by ], [ 'delivered', 'expanded', 'relayed' ], 'NOTIFY=SUCCESS: what became of each';
is_deeply [ map { scalar @$_ } values %by ], [ 1, 1, 1 ], '… each once' or diag explain \%by;
is "$by{delivered}[0]{'original-recipient'} $by{delivered}[0]{status}", 'rfc822;Ann@example.org 2.0.0', 'delivered: Ann';
is $by{relayed}[0]{'final-recipient'}, 'rfc822; x@open.example', 'relayed: to the server without DSN';
like $by{relayed}[0]{'diagnostic-code'}, qr/^smtp; 250 /, '… with its reply';
is $by{expanded}[0]{'final-recipient'}, 'rfc822; both@example.org', 'expanded: the alias';
is_deeply [ map { @{ $_->{defects} } } @r ], [], 'without a defect';
wait_for { $knows->count == 1 } 'the server with DSN to have it';
like +($knows->mails)[0]{rcpt_lines}[0], qr/NOTIFY=SUCCESS/, 'the server with DSN was asked to tell instead';

# --- The clock is for tests only
$d->halt;
delete $ENV{TABMAIL_TEST_CLOCK};
$d->boot;
ok !eval { clock(1); 1 }, 'without the variable the clock cannot be moved';
like $@, qr/not a request that is known/, '… there is no such request';
$d->stop;
$_->remove for $busy, $open, $knows;
done_testing;
