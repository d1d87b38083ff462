# Servers that fall silent: each step is waited for as long as RFC 5321 4.5.3.2 asks, and no longer; then the mail is put off, and
# says at what.  TABMAIL_LONG=1: ten minutes.
use strict;
use warnings;
use IO::Socket::INET;
use POSIX ();
use Tabmail;
use Test::More;
use Time::HiRes qw(time);

plan skip_all => 'takes ten minutes: TABMAIL_LONG=1' unless $ENV{TABMAIL_LONG};
# step => [seconds, what the reason names]
my %steps = (greeting => [300, 'greeting'], ehlo => [300, 'EHLO'], mail => [300, 'MAIL'], rcpt => [300, 'RCPT'], data => [120, 'DATA'],
	body => [180, 'end of data'], dot => [600, 'end of data']);

sub dialogue {
	my ($s, $mute) = @_;
	my $say = sub { my ($step, $text) = @_; sleep 3600 if $step eq $mute; syswrite $s, "$text\r\n" };
	$say->('greeting', '220 fake');
	while (defined(my $line = <$s>)) {
		if ($line =~ /^EHLO/) { $say->('ehlo', '250 fake') }
		elsif ($line =~ /^MAIL/) { $say->('mail', '250 fine') }
		elsif ($line =~ /^RCPT/) { $say->('rcpt', '250 fine') }
		elsif ($line =~ /^DATA/) {
			$say->('data', '354 go on');
			sleep 3600 if $mute eq 'body'; # it reads no more
			while (defined($line = <$s>)) { last if $line eq ".\r\n" }
			$say->('dot', '250 kept');
		} else { syswrite $s, "221 bye\r\n"; last if $line =~ /^QUIT/ }
	}
}
my %listener = map { $_ => IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 16) } keys %steps;
my $parent = $$;
my $servers = fork;
die "fork: $!\n" unless defined $servers;
if ($servers == 0) {
	require IO::Select;
	setpgrp;
	$SIG{$_} = 'DEFAULT' for qw(INT TERM HUP);
	$SIG{CHLD} = 'IGNORE';
	my %name = map { $listener{$_} => $_ } keys %listener;
	my $select = IO::Select->new(values %listener);
	while (getppid == $parent) {
		for my $l ($select->can_read(1)) {
			my $s = $l->accept or next;
			next if fork;
			alarm 1000;
			dialogue($s, $name{$l});
			POSIX::_exit(0);
		}
	}
	POSIX::_exit(0);
}
END { kill 'KILL', -$servers if $servers && $$ == $parent }

my $d = Tabmail->start(config => join '', <<'C', map { "accept for domain $_.test relay via smtp+notls://127.0.0.1:" . $listener{$_}->sockport . "\n" } sort keys %steps);
listen on 127.0.0.1 port $PORT
C
my $c = $d->client;
my %began;
for my $step (sort keys %steps) {
	like $c->mail('a@example.org', "x\@$step.test", mail_text($step, 20_000_000)), qr/^250 /, "$step: taken";
	$began{$step} = time;
}
$c->quit;
for my $step (sort { $steps{$a}[0] <=> $steps{$b}[0] } keys %steps) {
	my ($sec, $name) = @{ $steps{$step} };
	my $line = $d->await_log(qr/event=deferred .*x\@$step\.test/, $sec + 60);
	my $took = time - $began{$step};
	like $line, qr/no answer in time at \Q$name\E/, "$step: says so" or diag $line;
	ok $took > $sec - 5 && $took < $sec + 50, sprintf '%s: after %d s (%.0f)', $step, $sec, $took;
}
is scalar($d->pids('relay')), 1, 'relay lives';
$d->ctl('remove', 'all');
$d->stop;
done_testing;
