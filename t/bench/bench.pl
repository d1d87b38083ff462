# `make bench`: tabmail and Postfix accept and deliver the same mail on the same machine in the same run.
#
# 50 sessions of Postfix's smtp-source send messages of 4 KiB, over kept connections and with a new
# connection for each; they are only accepted (the queue holds them), go to a Maildir or on to Postfix's
# smtp-sink.  Both servers are durable: 250 comes after an fsync, a Maildir's file is synced.  `accepted`
# runs from the first connection until smtp-source has its last 250, `delivered` until the last
# message has been delivered.
#
# All of that shares this machine's processors, so the sending and receiving programs bound what can be
# seen.  `none` is smtp-source straight into smtp-sink; and CPU is told of all processes (/proc), in
# microseconds a message: the server's, the sender's, the sink's, this script's.
#
# Postfix runs from a configuration and a queue of its own on a port of its own; nothing of an installed
# one is touched.  COUNT=n messages a measurement; ends by itself.
use strict;
use warnings;
use File::Path ();
use File::Temp ();
use POSIX ();
use Tabmail;
use Tabmail::Load;
use Tabmail::Postfix;
use Time::HiRes qw(time);

my $SESSIONS = $ENV{SESSIONS} || 50;
my $LENGTH = $ENV{LENGTH} || 4096;
my %count = (tabmail => $ENV{COUNT} || 6000, postfix => $ENV{COUNT} || 2000, none => $ENV{COUNT} || 6000);
my @modes = (['kept', '-d'], ['new', '']);
my %domain = (hold => 'hold.example', maildir => 'example.org', sink => 'sink.example');
my %result;
my $source = (grep { -x } '/usr/sbin/smtp-source', '/usr/bin/smtp-source')[0] or die "smtp-source is missing: install postfix\n";
my $sinkprog = $source =~ s/source$/sink/r;
my $scratch = File::Temp::tempdir('tmbench.XXXXXX', TMPDIR => 1);
chmod 0755, $scratch;
my ($sink, $sink_port, $postfix);
$| = 1;

$SIG{$_} = sub { exit 1 } for qw(INT TERM);
my $main = $$;
END {
	if ($$ == $main) {
		my $status = $?;
		postfix_stop() if $postfix;
		end_process($sink) if $sink;
		File::Path::remove_tree($scratch) if $scratch;
		$? = $status;
	}
}

print "$SESSIONS sessions, messages of $LENGTH bytes, ", scalar(`nproc`) + 0, " processors; fsync takes ", fsync_time(), "\n\n";
printf "%-9s %-8s %-11s %10s %11s   %s\n", 'server', 'to', 'connections', 'accepted/s', 'delivered/s', 'CPU, us a message';
$sink_port = free_port;
$sink = smtp_sink($sinkprog, $sink_port);
measure('none', 'sink');
if (root) {
	postfix_start();
	measure('postfix', $_) for qw(hold maildir sink);
	postfix_stop();
} else {
	print "Postfix needs root to run: no figures to compare with\n";
}
measure('tabmail', $_) for qw(hold maildir sink);
ratios();
fsyncs();
exit 0;

sub fsync_time {
	open my $f, '>', "$scratch/fsync" or die "$!";
	require IO::Handle;
	my $began = time;
	for (1 .. 50) { syswrite $f, 'x' x 4096; $f->sync }
	return sprintf '%.2f ms', (time - $began) * 1000 / 50;
}

sub end_process {
	my ($pid) = @_;
	kill 'TERM', $pid;
	eval { wait_for { waitpid($pid, POSIX::WNOHANG()) } 'it to end', 3 } or kill('KILL', $pid), waitpid $pid, 0;
}

# Seconds of CPU so far, by who takes it.
sub cpu_now {
	my ($s) = @_;
	my @t = times;
	return { server => $s->{cpu}->(), sender => $t[2] + $t[3], sink => Tabmail::cpu_tree($sink), bench => $t[0] + $t[1] };
}

sub send_mail {
	my ($s, $option, $n, $to) = @_;
	my ($status, $out) = run([secs => 120], $source, '-s', $SESSIONS, '-m', $n, '-l', $LENGTH, $option || (),
	    '-f', 'a@example.net', '-t', "bob\@$domain{$to}", '127.0.0.1:' . $s->{port});
	die "smtp-source: $out" if $status || $out;
}

sub measure {
	my ($server, $to) = @_;
	my $s = $server eq 'none' ? { port => $sink_port, cpu => sub { 0 } } : $server eq 'postfix' ? $postfix : tabmail_start($to);
	for (@modes) {
		my ($mode, $option) = @$_;
		my $n = $count{$server};
		my $counted = $to ne 'hold' && $s->{done};
		my $before = $counted ? $counted->() : 0;
		my $cpu = cpu_now($s);
		my $began = time;
		send_mail($s, $option, $n, $to);
		my $accepted = time - $began;
		eval { wait_for { $counted->() >= $before + $n } 'all to be delivered', 60 } or print "$server: $@" if $counted;
		my $end = time - $began;
		my $after = cpu_now($s);
		my $got = $counted ? $counted->() - $before : $n;
		my %us = map { $_ => ($after->{$_} - $cpu->{$_}) * 1e6 / $n } keys %$cpu;
		my $r = $result{"$to $mode"}{$server} =
		    { accepted => $n / $accepted, end => $counted ? $got / $end : 0, cpu => $us{server}, others => $us{sender} + $us{sink} };
		printf "%-9s %-8s %-11s %10.0f %11s   %s%s\n", $server, $to, $mode, $r->{accepted}, $counted ? sprintf('%.0f', $r->{end}) : '',
		    join(', ', map { sprintf '%s %.0f', $_, $us{$_} } grep { $us{$_} >= 1 } qw(server sender sink bench)),
		    $got == $n ? '' : "   $got of $n arrived";
		$s->{clear}->() if $to eq 'hold';
	}
	print '          by process: ', $s->{roles}->(), "\n" if $s->{roles};
	$s->{stop}->() if $s->{stop};
}

sub tabmail_start {
	my ($to) = @_;
	my $d = Tabmail->start(users => ['bob'], flags => [], vars => { SINK => $sink_port }, config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain "example.org" userbase <users> deliver to maildir
accept from any for any relay via "smtp://127.0.0.1:$SINK"
C
	$d->ctl('pause', 'relay') if $to eq 'hold';
	return {
		daemon => $d,
		port => $d->port,
		cpu => sub { $d->cpu },
		done => log_counter($d->dir . '/log', qr{ event=(?:delivered|relayed) }),
		clear => sub { $d->ctl('remove', 'all') },
		roles => sub { cpu_by_role($d, 2 * $count{tabmail}) },
		stop => sub {
			my $wrong = $d->halt;
			print "tabmaild: $wrong\n" if $wrong;
			$d->forget;
		},
	};
}

# Microseconds a message of each process, since it started.
sub cpu_by_role {
	my ($d, $n) = @_;
	my %of;
	$of{ $_->{role} } += Tabmail::cpu_tree($_->{pid}) * 1e6 / $n for $d->processes;
	return join ', ', map { sprintf '%s %.0f', $_, $of{$_} } grep { $of{$_} >= 1 } sort keys %of;
}

sub postfix_start {
	my $p = Tabmail::Postfix->start("$scratch/postfix", transport_maps => "inline:{ sink.example=smtp:[127.0.0.1]:$sink_port }",
	    smtpd_recipient_restrictions => 'check_recipient_access inline:{ hold.example=HOLD }');
	$postfix = { postfix => $p, port => $p->port, cpu => sub { $p->cpu }, done => log_counter($p->log_path, qr/status=sent/),
		clear => sub { $p->delete_held } };
	my $reply = Tabmail::Client->new(port => $p->port)->mail('a@example.net', 'bob@example.org', mail_text('first'));
	die "Postfix: $reply\n" unless $reply =~ /^250/;
	wait_for { $postfix->{done}->() } 'Postfix to deliver';
}

sub postfix_stop {
	my $p = $postfix or return;
	undef $postfix;
	$p->{postfix}->stop;
}

# By the clock, and by CPU: what the ratio would be if this had the processors for itself and they were the
# limit.  The other work of a machine takes turns with processes, of which Postfix has a hundred, so by the clock
# it gains from a busy one.  At most: by a server that needs no CPU.
sub ratios {
	print "\ntabmail beside Postfix (aim: 10 times its rates for a tenth of its CPU)\n";
	for my $case (sort keys %result) {
		my ($t, $p) = @{ $result{$case} }{qw(tabmail postfix)};
		next unless $t && $t->{others};
		my $key = $case =~ /^hold/ ? 'accepted' : 'end';
		my $all = $t->{cpu} + $t->{others};
		printf '%-13s ', $case;
		printf '%s %.1f x by the clock, %.1f x by CPU (at most %.0f x), server CPU 1/%.1f, ', $key eq 'end' ? 'delivered' : 'accepted',
		    $t->{$key} / $p->{$key}, ($p->{cpu} + $p->{others}) / $all, ($p->{cpu} + $p->{others}) / $t->{others}, $p->{cpu} / $t->{cpu}
		    if $p && $p->{$key} && $t->{cpu};
		printf "%.0f %% of the CPU is the sender's and the sink's\n", 100 * $t->{others} / $all;
	}
}

# fsync and fdatasync of the queue process, counted by strace -c.
sub fsyncs {
	my $s = tabmail_start('sink');
	my $n = $count{tabmail};
	my $calls = fsyncs_of(($s->{daemon}->pids('queue'))[0], sub { send_mail($s, '-d', $n, 'sink') });
	print "\n", defined $calls ? sprintf("fsyncs a message that is accepted and relayed: %.3f (strace -c; aim: under 0.2)\n", $calls / $n)
	    : "fsyncs a message: strace may not trace here\n";
	$s->{stop}->();
}
