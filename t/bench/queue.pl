# `make bench BENCH=queue`: a queue of a million; 100,000 for a dead route with live mail behind; fsyncs a message.
#
# Each part says what it does, has a deadline, and ends by itself.  PART=million, dead, silent or
# fsync: that alone; MILLION=n, DEAD=n, LIVE=n for other sizes.
use strict;
use warnings;
use POSIX ();
use Tabmail;
use Tabmail::Load;
use Time::HiRes qw(time);

my $build = $ENV{BUILD} || 'build';
my $million = $ENV{MILLION} || 1_000_000;
my $dead = $ENV{DEAD} || 100_000;
my $live = $ENV{LIVE} || 1000;
my $source = (grep { -x } '/usr/sbin/smtp-source', '/usr/bin/smtp-source')[0] or die "smtp-source is missing: install postfix\n";
my $sinkprog = $source =~ s/source$/sink/r;
my ($sink, $sink_port);
my $main = $$;
$| = 1;
$SIG{$_} = sub { exit 1 } for qw(INT TERM);
END {
	my $status = $?;
	kill 'KILL', $sink if $sink && $$ == $main;
	$? = $status;
}

my $config = <<'C';
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain "silent.example" relay via "smtp://127.0.0.1:$SILENT"
accept from any for domain "dead.example" relay via "smtp://127.0.0.1:1"
accept from any for any relay via "smtp://127.0.0.1:$SINK"
C
my $silent = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 128) or die "$!";	# takes connections, says nothing
$sink_port = free_port;
$sink = smtp_sink($sinkprog, $sink_port);
my %part = (million => \&a_million, dead => sub { behind('dead', 'refuses connections') },
    silent => sub { behind('silent', 'takes connections and says nothing') }, fsync => \&fsyncs);
for my $name ($ENV{PART} ? split ' ', $ENV{PART} : qw(million dead silent fsync)) { $part{$name}->() }
exit 0;

sub daemon {
	return Tabmail->new(users => ['bob'], flags => [], vars => { SINK => $sink_port, SILENT => $silent->sockport }, config => $config);
}

sub number { my $n = shift; 1 while $n =~ s/^(\d+)(\d{3})/$1,$2/; return $n }
sub stats { my ($d) = @_; return { map { $_->{name} => $_->{value} } $d->ctl_rows('show', 'stats') } }

# MiB of a process that are its own: what is mapped from files (its program) does not count.
sub memory {
	my ($d) = @_;
	my %of;
	for my $p ({ pid => $d->pid, role => 'parent' }, $d->processes) {
		my ($anon) = (eval { slurp("/proc/$p->{pid}/status") } || '') =~ /^RssAnon:\s+(\d+) kB/m or next;
		$of{ $p->{role} } = $anon / 1024 if !$of{ $p->{role} } || $of{ $p->{role} } < $anon / 1024;
	}
	return join ', ', map { sprintf '%s %.0f', $_, $of{$_} } sort keys %of;
}

# In portions: a session may send so many messages and no more.
sub send_mail {
	my ($d, $n, $domain, $secs) = @_;
	my $deadline = time + $secs;
	for (my $left = $n; $left > 0 && time < $deadline; $left -= 5000) {
		my ($status, $out) = run([secs => $secs], $source, '-s', 50, '-m', $left < 5000 ? $left : 5000, '-l', 4096, '-d',
		    '-f', 'a@example.net', '-t', "somebody\@$domain", '127.0.0.1:' . $d->port);
		die "smtp-source: $out" if $status || $out;
	}
}

sub a_million {
	my $d = daemon();
	my $due = $million < 10_000 ? $million : 10_000;
	print 'A queue of ', number($million), " messages of 4 KiB, ", number($due), " of them due: it is written … ";
	$d->write_config;
	my $spool = $d->dir . '/spool';
	mkdir $spool, 0700;
	my $began = time;
	my ($status, $out) = run([secs => 1200], "$build/t/bench/fill", "$spool/spool.db", $million, $due, "smtp://127.0.0.1:$sink_port");
	die "fill: $out" if $status != 0;
	printf "%.0f s\n", time - $began;
	chown((getpwnam '_tabmailq')[2, 3], $spool, glob "$spool/*") if root;
	my $size = -s "$spool/spool.db";
	printf "  on disk         %.1f GB, %.1f KB a message\n", $size / 1e9, $size / 1e3 / $million;
	my $log = log_counter($d->dir . '/log', qr/ event=relayed /);
	$began = time;
	$d->boot;
	wait_for { $log->() > 0 } 'the first delivery', 120;
	my ($first) = grep { / event=relayed / } split /\n/, $d->log_text;
	my ($started) = grep { /parent: start / } split /\n/, $d->log_text;
	my ($at, $from) = map { my ($h, $m, $s) = /^(\d\d):(\d\d):([\d.]+)/ or die "no time: $_\n"; $h * 3600 + $m * 60 + $s } $first, $started;
	printf "  first delivery  %.2f s after the start (aim: under 1)\n", $at - $from;
	my $asked = time;
	local $SIG{PIPE} = 'DEFAULT';	# it may end when we have seen enough
	open my $show, '-|', $d->dir . '/bin/tabmailctl', '-s', $d->dir . '/run/control.sock', 'show', 'queue' or die "$!";
	<$show> for 1 .. 10;
	printf "  show queue      the first lines after %.2f s\n", time - $asked;
	close $show;
	wait_for { $log->() >= $due } 'all that is due', 300;
	printf "  delivered       %s a second\n", number(int($due / (time - $began)));
	print '  memory, MiB     ', memory($d), "\n";
	my $wrong = $d->halt;
	print "tabmaild: $wrong\n" if $wrong;
	$d->forget;
	print "\n";
}

# Seconds from the first of `live` messages until the last is delivered.
sub live {
	my ($d, $log) = @_;
	my $before = $log->();
	my $began = time;
	send_mail($d, $live, 'sink.example', 300);
	wait_for { $log->() >= $before + $live } 'the live ones', 300;
	return time - $began;
}

# The live ones through a daemon with an empty queue, while that with the full one stands still: the machine is the
# same for both, whatever else runs on it.
sub live_elsewhere {
	my ($d, $empty, $log) = @_;
	my @pids = ($d->pid, map { $_->{pid} } $d->processes);
	kill 'STOP', @pids;
	my $secs = live($empty, $log);
	kill 'CONT', @pids;
	return $secs;
}

sub behind {
	my ($which, $what) = @_;
	my ($d, $e) = (daemon(), daemon());
	$_->start for $d, $e;
	my ($log, $elog) = map { log_counter($_->dir . '/log', qr/ event=relayed /) } $d, $e;
	live($d, $log), live($e, $elog);	# all is started
	print number($dead), " messages for a route that $what … ";
	my $began = time;
	send_mail($d, $dead, "$which.example", 900);
	printf "accepted in %.0f s\n", time - $began;
	print '  ', number($live), ' live ones queued right after them, and again, each time beside an empty queue: ratios';
	my @ratios;
	for (1 .. 5) {
		my $behind = live($d, $log);
		push @ratios, live_elsewhere($d, $e, $elog) / $behind;
		printf ' %.2f', $ratios[-1];
	}
	printf "; median %.2f\n", (sort { $a <=> $b } @ratios)[2];
	if ($which eq 'dead') {
		wait_for { stats($d)->{'queue.deferred'} >= $dead } 'all to be tried once', 300;
		my $later = live($d, $log);
		my $empty = live_elsewhere($d, $e, $elog);
		printf "  once each of those was tried: %s a second, ratio %.2f\n", number(int($live / $later)), $empty / $later;
	}
	print '  memory, MiB     ', memory($d), "\n";
	for ($d, $e) {
		my $wrong = $_->halt;
		print "tabmaild: $wrong\n" if $wrong;
		$_->forget;
	}
	print "\n";
}

sub fsyncs {
	my $d = daemon();
	my $n = 5000;
	$d->start;
	print 'fsyncs of the queue process for ', number($n), " messages from 50 sessions\n";
	send_mail($d, 500, 'sink.example', 60);
	wait_for { $d->queue_empty } 'an empty queue', 60;
	my $before = stats($d);
	send_mail($d, $n, 'sink.example', 120);
	my $after = stats($d);
	printf "  commits         %.3f a message that was accepted (show stats; aim: under 0.2)\n",
	    ($after->{'queue.commits'} - $before->{'queue.commits'}) / $n;
	wait_for { $d->queue_empty } 'an empty queue', 60;
	my $calls = fsyncs_of(($d->pids('queue'))[0], sub { send_mail($d, $n, 'sink.example', 300) });
	if (defined $calls) {
		printf "  strace -c       %d fsync and fdatasync calls, %.3f a message\n", $calls, $calls / $n;
	} else {
		print "  strace may not trace here\n";
	}
	$d->halt;
	$d->forget;
}
