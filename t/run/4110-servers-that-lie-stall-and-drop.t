# Servers that hang up or reset at every step, lie, talk garbage, or send replies of 64 KiB: each mail has
# the right outcome, one line in the log, and nothing of what the server said does harm (security row 2).
use strict;
use warnings;
use IO::Socket::INET;
use POSIX ();
use Socket;
use Tabmail;
use Test::More;

my %case;	# name: [what becomes of the mail, what the server does]
my @steps = qw(greeting ehlo mail rcpt data body dot);
my $wide = "x" x 900;

# The usual replies, but what `%other` has at a step: a text, or code that gets the socket.
sub dialogue {
	my ($s, %other) = @_;
	my %usual = (greeting => "220 fake\r\n", ehlo => "250-fake\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 1000000\r\n",
		mail => "250 fine\r\n", rcpt => "250 fine\r\n", data => "354 go on\r\n", dot => "250 kept\r\n");
	my $say = sub {
		my ($step) = @_;
		my $what = exists $other{$step} ? $other{$step} : $usual{$step};
		return if !defined $what;
		return $what->($s) if ref $what;
		syswrite $s, $what;
	};
	$say->('greeting');
	my $in_data = 0;
	while (defined(my $line = <$s>)) {
		if ($in_data) {
			if ($other{body}) { $other{body}->($s); }
			next unless $line eq ".\r\n";
			$in_data = 0;
			$say->('dot');
		} elsif ($line =~ /^(?:EHLO|HELO)/) {
			$say->('ehlo');
		} elsif ($line =~ /^MAIL/) {
			$say->('mail');
		} elsif ($line =~ /^RCPT/) {
			$say->('rcpt');
		} elsif ($line =~ /^DATA/) {
			$in_data = 1 unless ($other{data} || '') =~ /^[45]/;
			$say->('data');
		} else {
			syswrite $s, "221 bye\r\n";
			POSIX::_exit(0) if $line =~ /^QUIT/;
		}
	}
}

sub hang_up { close $_[0]; POSIX::_exit(0) }
sub reset_it { setsockopt $_[0], SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0; hang_up($_[0]) }
sub in_bytes { my ($text) = @_; return sub { for my $c (split //, $text) { syswrite $_[0], $c; select undef, undef, undef, 0.001 } } }

for my $step (@steps) {
	$case{"close-$step"} = ['deferred', $step => \&hang_up];
	$case{"reset-$step"} = ['deferred', $step => \&reset_it];
	$case{"garbage-$step"} = ['deferred', $step => "\x00\xff\x1b[2J garbage\r\n"] unless $step eq 'body';
	$case{"code-$step"} = ['deferred', $step => "999 no such code\r\n"] unless $step eq 'body';
	$case{"long-$step"} = ['deferred', $step => "250-$wide\r\n" x 80] unless $step eq 'body';
	$case{"line-$step"} = ['deferred', $step => '250 ' . 'x' x 70000] unless $step eq 'body';
	$case{"421-$step"} = ['deferred', $step => "421 4.3.2 not now\r\n"] unless $step eq 'body';
}
%case = (%case,
	'close-connect' => ['deferred', connect => 1],
	'greeting-64k' => ['relayed', greeting => ("220-$wide\r\n" x 70) . "220 at last\r\n"],
	'dot-64k' => ['relayed', dot => ("250-$wide\r\n" x 70) . "250 kept\r\n"],
	'bytes' => ['relayed', greeting => in_bytes("220-a\r\n220 b\r\n"), dot => in_bytes("250-a\r\n250 b\r\n")],
	'size-huge' => ['relayed', ehlo => "250-x\r\n250 SIZE 999999999999999999999999999\r\n"],
	'size-small' => ['failed', ehlo => "250-x\r\n250 SIZE 10\r\n"],
	'greets-and-goes' => ['deferred', ehlo => sub { syswrite $_[0], "250 fake\r\n"; hang_up($_[0]) }],
	'greets-and-421' => ['deferred', ehlo => "250 fake\r\n421 4.3.2 gone\r\n"],
	'no-ehlo' => ['deferred', ehlo => "502 what?\r\n"],
	'data-250' => ['deferred', data => "250 no need for data\r\n"],
	'data-early' => ['deferred', data => "354 go on\r\n250 kept already\r\n"],
	'data-554' => ['failed', data => "554 no\r\n"],
	'mail-550' => ['failed', mail => "550 5.7.1 not you\r\n"],
	'rcpt-450' => ['deferred', rcpt => "450 4.2.0 later\r\n"],
	'rcpt-552' => ['deferred', rcpt => "552 too many\r\n"],
	'dot-evil' => ['failed', dot => "553-5.1.1 first\x07\x1b[31m\r\n553-\r\n553-5.1.1 \x00nul and\ttab\r\n"
	    . "553-5.1.1 bare\n553-X-Injected: yes\r\n553 end\r\n"],
	'dot-injects' => ['deferred', dot => "553-5.1.1 bare\nX-Injected: yes\r\n553 end\r\n"],
	'rcpt-evil' => ['failed', rcpt => "553-5.1.1 <b\@x>\"quote\r\n553-\x80\xffbytes\r\n553 5.1.1 type = yes|x\r\n"],
	'dot-lf' => ['failed', dot => "554-5.0.0 bare LF\n554 5.0.0 ends\n"],
	'status-lies' => ['failed', rcpt => "550 2.0.0 all is well\r\n"],
	'extra' => ['relayed', dot => "250 kept\r\n250 and again\r\n354 more?\r\n550 no\r\n"],
	'thrice' => ['deferred', rcpt => "250 a\r\n250 b\r\n250 c\r\n"],
);

my $servers;
my %port;
{
	my %listener;
	for my $name (sort keys %case) {
		$listener{$name} = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 16) or die "$!\n";
		$port{$name} = $listener{$name}->sockport;
	}
	my $parent = $$;
	$servers = fork;
	die "fork: $!\n" unless defined $servers;
	if ($servers == 0) {
		require IO::Select;
		setpgrp;
		$SIG{CHLD} = 'IGNORE';
		my %name = map { $listener{$_} => $_ } keys %listener;
		my $select = IO::Select->new(values %listener);
		while (getppid == $parent) {
			for my $l ($select->can_read(1)) {
				my $s = $l->accept or next;
				my ($outcome, %other) = @{ $case{ $name{$l} } };
				next if $other{connect} || fork;
				$s->autoflush(1);
				$SIG{PIPE} = 'DEFAULT';
				alarm 60;
				dialogue($s, %other);
				POSIX::_exit(0);
			}
		}
		POSIX::_exit(0);
	}
}

my $d = Tabmail->start(users => ['bob'], config => join '', <<'C', map { "accept for domain $_.test relay via smtp+notls://127.0.0.1:$port{$_}\n" } sort keys %port);
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to maildir
C
my $c = $d->client;
for my $name (sort keys %case) {
	my $reply = $c->mail('bob@example.org', "$name\@$name.test", mail_text($name, 300));
	is substr($reply, 0, 4), '250 ', "$name is taken" if $reply !~ /^250 /;
}
$c->quit;
my %lines;
for my $name (sort keys %case) {
	my $line = $d->await_log(qr/delivery event=(?:relayed|deferred|failed) .*to="\Q$name\E\@/, 30);
	my ($outcome) = $line =~ /event=(\w+)/;
	is $outcome, $case{$name}[0], "$name: $case{$name}[0]" or diag $line;
	like $line, qr/^[\x20-\x7e]+$/, "$name: its line is clean" if $line !~ /^[\x20-\x7e]+$/;
}
my $failed = grep { $_->[0] eq 'failed' } values %case;
my @bounces = $d->await_mails('bob', $failed);
is scalar(@bounces), $failed, 'one bounce for each that failed';
my ($evil) = grep { /dot-evil/ } @bounces;
unlike $evil, qr/^X-Injected/m, 'a reply makes no line of its own in a bounce';
unlike $evil, qr/[^\x20-\x7e\r\n\t]/, 'nor a control character';
my ($lies) = grep { /status-lies/ } @bounces;
like $lies, qr/^Status: 5\./m, 'a status of another class than its reply is not believed';
is scalar(grep { $d->log_text =~ /event=relayed .*to="\Q$_\E\@/ } grep { $case{$_}[0] ne 'relayed' } keys %case), 0,
    'nothing counts as delivered that was not';
unlike +($d->ctl('show', 'queue'))[1], qr/[^\x20-\x7e\n]/, 'and none is shown';
is scalar($d->pids('relay')), 1, 'relay lives';
unlike $d->log_text, qr/parent: relay .*state=down/, 'and did all the time';
$d->stop;
kill 'KILL', -$servers;
waitpid $servers, 0;
done_testing;
