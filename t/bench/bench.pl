# `make bench`: tabmail and Postfix accept and deliver the same mail on the same machine in the same run.
#
# 50 sessions of Postfix's smtp-source send messages of 4 KiB, over kept connections and with a new
# connection for each; they go to a Maildir or on to Postfix's smtp-sink.  Both servers are durable:
# 250 comes after an fsync, a Maildir's file is synced.  The clock runs from the first connection until
# the last message has been delivered; CPU is that of all of the server's processes (/proc), per 1,000.
# Postfix runs from a configuration and a queue of its own on a port of its own; nothing of an installed
# one is touched.  COUNT=n messages a measurement; ends by itself.
use strict;
use warnings;
use File::Path ();
use File::Temp ();
use POSIX ();
use Tabmail;
use Tabmail::Postfix;
use Time::HiRes qw(time);

my $SESSIONS = $ENV{SESSIONS} || 50;
my $LENGTH = $ENV{LENGTH} || 4096;
my %count = (tabmail => $ENV{COUNT} || 6000, postfix => $ENV{COUNT} || 2000);
my @modes = (['kept', '-d'], ['new', '']);
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
printf "%-9s %-10s %-11s %10s %10s %12s\n", 'server', 'to', 'connections', 'accepted/s', 'delivered/s', 'CPU s/1,000';
start_sink();
if (root) {
	postfix_start();
	measure('postfix', $_) for qw(maildir sink);
	postfix_stop();
} else {
	print "Postfix needs root to run: no figures to compare with\n";
}
measure('tabmail', $_) for qw(maildir sink);
ratios();
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

# smtp-sink counts messages on its standard output with -c; it keeps nothing.
sub start_sink {
	$sink_port = free_port;
	$sink = fork;
	if ($sink == 0) {
		POSIX::setuid((getpwnam 'nobody')[2]) if root;
		open STDOUT, '>', '/dev/null';
		exec $sinkprog, "127.0.0.1:$sink_port", 256 or POSIX::_exit(127);
	}
	wait_for { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$sink_port") } 'smtp-sink';
}

sub measure {
	my ($server, $to) = @_;
	my $s = $server eq 'postfix' ? $postfix : tabmail_start($to);
	for (@modes) {
		my ($mode, $option) = @$_;
		my $n = $count{$server};
		my $domain = $to eq 'sink' ? 'sink.example' : 'example.org';
		my $before = $s->{done}->($to);
		my $cpu = $s->{cpu}->();
		my $began = time;
		my ($status, $out) = run([secs => 120], $source, '-s', $SESSIONS, '-m', $n, '-l', $LENGTH, $option || (),
		    '-f', 'a@example.net', '-t', "bob\@$domain", '127.0.0.1:' . $s->{port});
		my $accepted = time - $began;
		print "smtp-source: $out" if $status || $out;
		eval { wait_for { $s->{done}->($to) >= $before + $n } 'all to be delivered', 120 } or print "$server: $@";
		my $end = time - $began;
		my $got = $s->{done}->($to) - $before;
		$cpu = ($s->{cpu}->() - $cpu) * 1000 / $n;
		my $r = $result{"$to $mode"}{$server} = { accepted => $n / $accepted, end => $got / $end, cpu => $cpu };
		printf "%-9s %-10s %-11s %10.0f %10.0f %12.2f%s\n", $server, $to, $mode, $r->{accepted}, $r->{end}, $cpu,
		    $got == $n ? '' : "   $got of $n arrived";
	}
	$s->{stop}->() if $s->{stop};
}

sub files_in {
	my ($dir) = @_;
	opendir my $d, $dir or return 0;
	return scalar(grep { !/^\./ } readdir $d);
}

sub tabmail_start {
	my ($to) = @_;
	my $d = Tabmail->start(users => ['bob'], flags => [], vars => { SINK => $sink_port }, config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain "example.org" userbase <users> deliver to maildir
accept from any for any relay via "smtp://127.0.0.1:$SINK"
C
	my $sent = 0;
	my $last = 0;
	return {
		port => $d->port,
		cpu => sub { $d->cpu },
		# the log has a line per recipient
		done => $to eq 'maildir' ? sub { files_in($d->home('bob') . '/Maildir/new') } : log_counter($d->dir . '/log', qr{ event=(?:delivered|relayed) }),
		stop => sub {
			my $wrong = $d->halt;
			print "tabmaild: $wrong\n" if $wrong;
			$d->forget;
		},
	};
}

# How many lines of a growing file match.
sub log_counter {
	my ($path, $regex) = @_;
	my ($at, $n, $rest) = (0, 0, '');
	return sub {
		open my $f, '<', $path or return 0;
		seek $f, $at, 0;
		local $/;
		my $new = <$f>;
		$at = tell $f;
		$rest .= $new if defined $new;
		while ($rest =~ s/\A([^\n]*)\n//) { $n++ if $1 =~ $regex }
		return $n;
	};
}

sub postfix_start {
	my $p = Tabmail::Postfix->start("$scratch/postfix", transport_maps => "inline:{ sink.example=smtp:[127.0.0.1]:$sink_port }");
	my $log = log_counter($p->log_path, qr/status=sent/);
	$postfix = { postfix => $p, port => $p->port, cpu => sub { $p->cpu },
		done => sub { $_[0] eq 'maildir' ? files_in($p->mail_dir . '/new') : $log->() } };
	my $reply = Tabmail::Client->new(port => $p->port)->mail('a@example.net', 'bob@example.org', mail_text('first'));
	die "Postfix: $reply\n" unless $reply =~ /^250/;
	wait_for { $postfix->{done}->('maildir') } 'Postfix to deliver';
}

sub postfix_stop {
	my $p = $postfix or return;
	undef $postfix;
	$p->{postfix}->stop;
}

sub ratios {
	return unless grep { $_->{postfix} } values %result;
	print "\ntabmail to Postfix, delivered (aim: 5 to Maildirs, 10 to the sink) and CPU (aim: a tenth)\n";
	for my $case (sort keys %result) {
		my ($t, $p) = @{ $result{$case} }{qw(tabmail postfix)};
		next unless $t && $p && $p->{end} && $t->{cpu};
		printf "%-14s accepted %5.1f x   delivered %5.1f x   CPU 1/%.1f\n", $case, $t->{accepted} / $p->{accepted},
		    $t->{end} / $p->{end}, $p->{cpu} / $t->{cpu};
	}
}
