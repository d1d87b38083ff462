# A wire between a client and a server on loopback, that can be bad.  A process of its own.
#
#	my $p = Slapd::Proxy->start(to => 3890);
#	$p->port; $p->url;
#	$p->set(delay => 0.02);		# seconds, each way; whatever is set holds for bytes from now on
#	$p->set(mode => 'blackhole');	# nothing goes through; connections stay
#
# mode:	pass		what comes goes on
#	blackhole	no byte goes either way any more; new connections are taken, and silent
#	deaf		the same, and new connections are not even taken: their SYN is dropped
#	forget		connections that are open are silent; new ones pass
#	refuse		open ones are reset, new ones closed at once
#	garbage		what the server says is replaced by nonsense
#	cut		connections end in the middle of what the server says
#	strip		a request for StartTLS is answered with protocolError and does not go on
#	inject		the server's answer to StartTLS is followed by what was set as `inject`, in one segment
# slow => n	a search for maildrop takes n seconds more, and on its connection nothing overtakes it, as with a
#		server that works at one after the other
# idle => n	connections that were silent for that long are closed
# record => path	every byte of clients is written there
#
# `accepted` says how many connections were taken so far.
package Slapd::Proxy;
use strict;
use warnings;
use Fcntl;
use IO::Socket::INET;
use IO::Select;
use POSIX ();
use Socket qw(:DEFAULT IPPROTO_TCP TCP_NODELAY AF_UNIX SOCK_STREAM PF_UNSPEC SOL_SOCKET SO_LINGER);
use Time::HiRes qw(time);

my $STARTTLS = '1.3.6.1.4.1.1466.20037';

sub start {
	my ($class, %o) = @_;
	my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $o{port} || 0, Listen => 4, ReuseAddr => 1)
	    or die "proxy: $!\n";
	socketpair my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die "socketpair: $!\n";
	my $pid = fork // die "fork: $!\n";
	if ($pid == 0) {
		close $ours;
		$SIG{PIPE} = 'IGNORE';
		$SIG{$_} = 'DEFAULT' for qw(INT TERM HUP);
		$ours = undef;
		eval { run({ mode => 'pass', delay => 0, inject => '', %o, listen => $listen, control => $theirs, accepted => 0 }) };
		print STDERR "proxy: $@" if $@;
		POSIX::_exit(0);
	}
	close $theirs;
	$ours->autoflush(1);
	return bless { pid => $pid, owner => $$, port => $listen->sockport, control => $ours }, $class;
}

sub port { return $_[0]{port} }
sub url { return "ldap://127.0.0.1:$_[0]{port}" }

# Returns when it holds.
sub set {
	my ($p, %o) = @_;
	my $c = $p->{control};
	print $c join("\t", map { $_ . '=' . unpack 'H*', $o{$_} } keys %o), "\n";
	return readline $c;
}

sub accepted { return $_[0]->set() =~ /(\d+)/ ? $1 : 0 }

sub stop {
	my ($p) = @_;
	my $pid = delete $p->{pid} or return;
	close $p->{control};
	kill 'KILL', $pid;
	waitpid $pid, 0;
}

sub DESTROY {
	my ($p) = @_;
	local ($?, $!);
	$p->stop if $p->{owner} == $$;
}

# --- The process.  A connection has two sides; what was read from one waits in `out` of the other, as
# [time at which it may go, bytes].

sub run {
	my ($w) = @_;
	$w->{listen}->blocking(0);
	$w->{conns} = {};
	while (1) {
		my ($r, $wr, $wait) = interest($w);
		my $n = select $r, $wr, undef, $wait;
		next if $n == -1;
		obey($w) or return if vec $r, fileno $w->{control}, 1;
		take($w) if $w->{mode} ne 'deaf' && vec $r, fileno $w->{listen}, 1;
		for my $c (values %{ $w->{conns} }) {
			for my $side (0, 1) {
				next if !$c->{fd}[$side];
				from($w, $c, $side) if vec $r, fileno $c->{fd}[$side], 1;
			}
			put($w, $c, $_) for 0, 1;
			finish($w, $c) if $c->{over} || ($w->{idle} && time - $c->{last} > $w->{idle});
		}
	}
}

sub silent {
	my ($w, $c) = @_;
	return $c->{silent} || $w->{mode} =~ /^(?:blackhole|deaf)$/;
}

sub interest {
	my ($w) = @_;
	my ($r, $wr, $wait) = ('', '', $w->{idle} ? 0.02 : undef);
	my $now = time;
	vec($r, fileno $w->{control}, 1) = 1;
	vec($r, fileno $w->{listen}, 1) = 1 if $w->{mode} ne 'deaf';
	for my $c (values %{ $w->{conns} }) {
		next if silent($w, $c);
		for my $side (0, 1) {
			vec($r, fileno $c->{fd}[$side], 1) = 1 if !$c->{eof}[$side] && $c->{waiting}[!$side] < 4 << 20;
			my $first = $c->{out}[$side][0] or next;
			if ($first->[0] <= $now) {
				vec($wr, fileno $c->{fd}[$side], 1) = 1;
			} else {
				my $left = $first->[0] - $now;
				$wait = $left if !defined $wait || $left < $wait;
			}
		}
	}
	return ($r, $wr, $wait);
}

sub obey {
	my ($w) = @_;
	sysread $w->{control}, my $bytes, 65536 or return 0;
	for my $line (split /\n/, $bytes, -1) {
		next if $line eq '' && $bytes ne "\n";
		my $before = $w->{mode};
		for (split /\t/, $line) {
			my ($k, $v) = split /=/, $_, 2;
			$w->{$k} = pack 'H*', $v;
		}
		if ($w->{mode} eq 'forget') {
			$_->{silent} = 1 for values %{ $w->{conns} };
		} elsif ($w->{mode} eq 'refuse') {
			reset_conn($w, $_) for values %{ $w->{conns} };
		}
		fill_backlog($w) if $w->{mode} eq 'deaf' && $before ne 'deaf';
		$w->{filling} = [] if $w->{mode} ne 'deaf';
		last;
	}
	syswrite $w->{control}, "$w->{accepted}\n";
	return 1;
}

# Connections that nobody takes: when the backlog is full, the kernel drops every further SYN.
sub fill_backlog {
	my ($w) = @_;
	for (1 .. 20) {
		socket my $s, AF_INET, SOCK_STREAM, 0 or return;
		fcntl $s, F_SETFL, O_NONBLOCK;
		connect $s, pack_sockaddr_in($w->{listen}->sockport, INADDR_LOOPBACK);
		my $bits = '';
		vec($bits, fileno $s, 1) = 1;
		push @{ $w->{filling} }, $s;
		last if !select undef, $bits, undef, 0.2;
	}
}

sub take {
	my ($w) = @_;
	while (my $client = $w->{listen}->accept) {
		$w->{accepted}++;
		if ($w->{mode} eq 'refuse') {
			close $client;
			next;
		}
		my $server = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$w->{to}", Timeout => 2);
		if (!$server) {
			close $client;
			next;
		}
		for ($client, $server) {
			$_->blocking(0);
			setsockopt $_, IPPROTO_TCP, TCP_NODELAY, 1;
		}
		$w->{conns}{ fileno $client } = { id => fileno $client, fd => [$client, $server], out => [[], []], waiting => [0, 0],
			eof => [0, 0], last => time, seen => '' };
	}
}

# Bytes came from a side (0: the client).
sub from {
	my ($w, $c, $side) = @_;
	my $n = sysread $c->{fd}[$side], my $bytes, 1 << 18;
	return if !defined $n && $!{EAGAIN};
	$c->{last} = time;
	if (!$n) {
		$c->{eof}[$side] = 1;
		$c->{over} = 1 if !@{ $c->{out}[!$side] };
		$c->{closing} = 1;
		return;
	}
	if ($side == 0 && $w->{record}) {
		open my $f, '>>:raw', $w->{record};
		print $f $bytes;
	}
	my $to = $side ? 0 : 1;
	($to, $bytes) = spoil($w, $c, $side, $to, $bytes);
	return if $bytes eq '';
	my $slow = $side == 0 && $w->{slow} && $bytes =~ /maildrop/ ? $w->{slow} : 0;
	push @{ $c->{out}[$to] }, [time + $w->{delay} + $slow, $bytes];
	$c->{waiting}[$to] += length $bytes;
}

# What the mode makes of it.
sub spoil {
	my ($w, $c, $side, $to, $bytes) = @_;
	my $mode = $w->{mode};
	if ($side == 0 && index($bytes, $STARTTLS) >= 0 && $mode =~ /^(?:strip|inject)$/) {
		my ($id) = $bytes =~ /\A\x30.\x02\x01(.)/s;
		if ($mode eq 'strip') {
			my $answer = "\x78\x07\x0a\x01\x02\x04\x00\x04\x00";
			$answer = "\x02\x01$id$answer";
			return (0, "\x30" . chr(length $answer) . $answer);
		}
		$c->{injecting} = 1;
	} elsif ($side == 1 && $c->{injecting}) {
		$c->{injecting} = 0;
		$bytes .= $w->{inject};
	} elsif ($side == 1 && $mode eq 'garbage') {
		$bytes = join '', map { chr int rand 256 } 1 .. length $bytes;
	} elsif ($side == 1 && $mode eq 'cut') {
		$bytes = substr $bytes, 0, 1 + int(length($bytes) / 2);
		$c->{closing} = 1;
		$c->{eof}[1] = 1;
	}
	return ($to, $bytes);
}

# What may go to a side now.
sub put {
	my ($w, $c, $side) = @_;
	return if silent($w, $c);
	my $q = $c->{out}[$side];
	my $now = time;
	while (@$q && $q->[0][0] <= $now) {
		my $n = syswrite $c->{fd}[$side], $q->[0][1];
		if (!defined $n) {
			$c->{over} = 1 if !$!{EAGAIN};
			return;
		}
		$c->{last} = $now;
		$c->{waiting}[$side] -= $n;
		if ($n < length $q->[0][1]) {
			substr $q->[0][1], 0, $n, '';
			return;
		}
		shift @$q;
	}
	$c->{over} = 1 if $c->{closing} && !@$q && $c->{eof}[!$side];
}

sub finish {
	my ($w, $c) = @_;
	close $_ for @{ $c->{fd} };
	delete $w->{conns}{ $c->{id} };
}

sub reset_conn {
	my ($w, $c) = @_;
	setsockopt $_, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0 for @{ $c->{fd} };
	finish($w, $c);
}

1;
