# What the benchmarks of mail share: Postfix's smtp-sink, the growing log, the fsyncs of a process.
package Tabmail::Load;
use strict;
use warnings;
use Exporter 'import';
use File::Temp ();
use IO::Socket::INET;
use POSIX ();
use Tabmail;

our @EXPORT = qw(smtp_sink log_counter fsyncs_of);

# Its pid; it listens on that port of 127.0.0.1 and keeps nothing.
sub smtp_sink {
	my ($program, $port) = @_;
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		POSIX::setuid((getpwnam 'nobody')[2]) if $> == 0;
		open STDOUT, '>', '/dev/null';
		exec $program, "127.0.0.1:$port", 256 or POSIX::_exit(127);
	}
	wait_for { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port") } 'smtp-sink';
	return $pid;
}

# A function that says how many lines of the log match so far, and reads on from where it was.
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
		$rest =~ s/([^\n]*)\z//;	# a line that is not whole yet
		my $part = $1;
		$n++ while $rest =~ /$regex/g;
		$rest = $part;
		return $n;
	};
}

# How many calls of fsync and fdatasync the process makes while that is done, by strace -c; undef: it may not trace here.
sub fsyncs_of {
	my ($pid, $do) = @_;
	my $out = File::Temp->new;
	my $strace = fork // die "fork: $!";
	if ($strace == 0) { exec 'strace', '-qq', '-c', '-e', 'trace=fsync,fdatasync', '-o', "$out", '-p', $pid or POSIX::_exit(127) }
	eval { wait_for { slurp("/proc/$pid/status") =~ /^TracerPid:\s+[1-9]/m } 'strace', 5 } or return;
	$do->();
	kill 'INT', $strace;
	waitpid $strace, 0;
	my $calls = 0;
	my $table = slurp("$out");
	$calls += $1 while $table =~ /^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s.*f(?:data)?sync$/mg;
	return $calls;
}

1;
