# NOTIFY in every combination (RFC 3461), for each thing that can become of a recipient: who asked is told, who did not is not,
# and a server that knows DSN gets what was asked.  RET=FULL brings the message back where it failed, and only there.
# The reports are read by Perl's Email::MIME.
use strict;
use warnings;
use Email::MIME;
use Tabmail;
use Test::More;

my $open = Tabmail::Sink->start(ehlo => "250-sink.example.com\r\n250 8BITMIME");
my $knows = Tabmail::Sink->start;	# offers DSN
my $bad = Tabmail::Sink->start(answer => sub { $_[0] eq 'rcpt' ? '550 5.1.1 no such user' : undef });
my $d = Tabmail->start(users => [qw(bob ann cleo)], vars => { OPEN => $open->port, KNOWS => $knows->port, BAD => $bad->port },
    files => { aliases => "both: ann, cleo\nmix: ann, x\@bad.example\n" }, config => <<'C');
table users file:$D/users
table aliases file:$D/aliases
listen on 127.0.0.1 port $PORT
accept from any for domain example.org alias <aliases> userbase <users> deliver to maildir
accept from any for domain open.example relay via smtp://127.0.0.1:$OPEN
accept from any for domain knows.example relay via smtp://127.0.0.1:$KNOWS
accept from any for any relay via smtp://127.0.0.1:$BAD
C

# What success and what failure of each recipient is called; '': nothing is said, or it cannot be.
my %told = (
	'ann@example.org' => [ 'delivered', '' ], 'both@example.org' => [ 'expanded', '' ], 'x@open.example' => [ 'relayed', '' ],
	'x@knows.example' => [ '', '' ], 'x@bad.example' => [ '', 'failed' ], 'mix@example.org' => [ 'expanded', 'failed' ],
);
my @notify = ('', 'NEVER', 'SUCCESS', 'FAILURE', 'DELAY', 'SUCCESS,FAILURE', 'SUCCESS,DELAY', 'FAILURE,DELAY', 'SUCCESS,FAILURE,DELAY');
my (%want, %got);
my $n = 0;
my $c = $d->client;
$c->ehlo;
for my $notify (@notify) {
	for my $rcpt (sort keys %told) {
		my $ret = $n++ % 2 ? 'FULL' : 'HDRS';
		my $case = "$rcpt NOTIFY=$notify RET=$ret";
		my ($success, $failure) = @{ $told{$rcpt} };
		$want{$case} = join ' ', sort grep { $_ }
		    ($notify =~ /SUCCESS/ && $success ? "$success:headers" : ''),
		    (($notify =~ /FAILURE/ || $notify eq '') && $failure ? "$failure:" . ($ret eq 'FULL' ? 'full' : 'headers') : '');
		$got{$case} = '';
		$c->cmd("MAIL FROM:<bob\@example.org> ENVID=E$n RET=$ret");
		$c->cmd("RCPT TO:<$rcpt>" . ($notify ? " NOTIFY=$notify" : '') . " ORCPT=rfc822;o+2B$n\@example.org");
		$c->cmd('DATA');
		$c->send(Tabmail::Client::wire(mail_text($case)));
		$c->reply =~ /^250/ or die "$case is refused";
	}
}
$d->await_queue_empty;
my $defects = 0;
for my $path ($d->mail_files('bob')) {
	my $report = Email::MIME->new(slurp($path));
	my (undef, $status, $original) = $report->subparts;
	my ($case) = $original && $original->body_raw =~ /^Subject: (\S+ NOTIFY.*?)\r?$/m or $defects++, next;
	my ($message, @rcpts) = map { { /^([\w-]+): *(.*?)\r?$/mg } } split /\n\r?\n+/, $status->body_raw =~ s/\r?\n[ \t]+/ /gr;
	$defects++ if @rcpts != 1 || $report->header('Return-Path') ne '<>' || $message->{'Original-Envelope-Id'} !~ /^E\d+$/
	    || $rcpts[0]{'Original-Recipient'} !~ /^rfc822; ?o\+\d+\@example\.org$/;
	my $full = $original->content_type =~ m{^message/rfc822} ? 'full' : 'headers';
	$got{$case} = join ' ', sort grep { $_ } split(/ /, $got{$case}), "$rcpts[0]{Action}:$full";
}
is $got{$_}, $want{$_}, "$_: " . ($want{$_} || 'nothing') for sort keys %want;
is $defects, 0, 'each report is for one recipient, from the null sender, with the ids and recipients that were given';

my %passed;
for my $path (glob $knows->dir . '/*.envelope') {
	my $envelope = slurp($path);
	my ($notify) = $envelope =~ /NOTIFY=(\S+)/;
	my ($id) = $envelope =~ /ENVID=E(\d+)/;
	$passed{ $notify || '' } = 1 if $id && ($envelope =~ /ORCPT=rfc822;o\+2B$id\@example\.org/ || !$notify);
}
is_deeply [ sort keys %passed ], [ sort @notify ], 'a server that knows DSN is told NOTIFY, ENVID and ORCPT as they came';
$d->stop;
$_->remove for $open, $knows, $bad;
done_testing;
