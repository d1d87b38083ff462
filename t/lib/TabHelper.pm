# A helper under test: started over a socket pair, as the daemon does, or over two pipes.  Every wait
# has a deadline.
package TabHelper;

use strict;
use warnings;
use Fcntl;
use File::Temp qw(tempdir);
use IO::Handle;
use Socket;
use Tabmail ();
use Test::More ();
use Time::HiRes qw(time sleep);

our $DEADLINE = 20 * Tabmail::patience(); # seconds; more than enough

# start(command, arg, …); with { pipes => 1 } as the first argument over pipes.
sub start {
	my $class = shift;
	my $opt = ref $_[0] ? shift : {};
	my @command = @_;
	my ($in, $out, $child_in, $child_out);

	if ($opt->{pipes}) {
		pipe $child_in, $out or die "pipe: $!";
		pipe $in, $child_out or die "pipe: $!";
	} else {
		socketpair $in, $child_in, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die "socketpair: $!";
		($out, $child_out) = ($in, $child_in);
	}
	my $err = tempdir(CLEANUP => 1) . '/stderr';
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		open STDIN, '<&', $child_in or die;
		open STDOUT, '>&', $child_out or die;
		open STDERR, '>', $err or die;
		exec { $command[0] } @command or exit 127;
	}
	close $child_in;
	close $child_out;
	$out->autoflush(1);
	fcntl $in, F_SETFL, fcntl($in, F_GETFL, 0) | O_NONBLOCK;
	return bless {
		pid => $pid, in => $in, out => $out, err => $err, buf => '', id => 0, table => 't',
		pipes => $opt->{pipes},
	}, $class;
}

sub raw {
	my ($self, $bytes) = @_;
	my $end = time + $DEADLINE;

	local $SIG{PIPE} = 'IGNORE';
	while (length $bytes && time < $end) {
		my $w = '';
		vec($w, fileno $self->{out}, 1) = 1;
		select undef, $w, undef, $end - time or last;
		my $n = syswrite $self->{out}, $bytes;
		next if !defined $n && ($!{EAGAIN} || $!{EINTR});
		last if !defined $n;
		substr $bytes, 0, $n, '';
	}
	return $bytes eq '';
}

sub put { my $self = shift; return $self->raw(join '', map { "$_\n" } @_) }

# The next line without its LF; undef at the end of file or past the deadline.
sub get {
	my ($self, $wait) = @_;
	my $end = time + ($wait // $DEADLINE);

	while (1) {
		return $1 if $self->{buf} =~ s/\A([^\n]*)\n//;
		my $left = $end - time;
		return undef if $left <= 0;
		my $r = '';
		vec($r, fileno $self->{in}, 1) = 1;
		select $r, undef, undef, $left or next;
		my $n = sysread $self->{in}, $self->{buf}, 65536, length $self->{buf};
		next if !defined $n && ($!{EAGAIN} || $!{EINTR});
		return undef if !$n;
	}
}

# Whether it says nothing for that long.
sub silent { my ($self, $sec) = @_; return !defined $self->get($sec) && $self->{buf} eq '' }

# The services that it registers.
sub handshake {
	my $self = shift;
	my @services;

	$self->put('config|smtpd-version|7.8.0', 'config|protocol|0.1',
	    "config|tablename|$self->{table}", 'config|ready');
	while (defined(my $line = $self->get)) {
		return @services if $line eq 'register|ready';
		push @services, $line =~ /^register\|(.+)$/ ? $1 : die "no register line: $line";
	}
	return ();
}

# question('lookup', 'alias', 'root') → (id, line)
sub question {
	my ($self, $op, $service, $key) = @_;
	my $id = sprintf '%08x', ++$self->{id};
	my $line = "table|0.1|1713795082.354255|$self->{table}|$op"
	    . (defined $service ? "|$service" : '') . "|$id" . (defined $key ? "|$key" : '');

	return ($id, $line);
}

# Asks one thing; the outcome: 'found|value', 'not-found', 'ok', 'error|reason'.
sub ask {
	my $self = shift;
	my ($id, $line) = $self->question(@_);

	$self->put($line);
	my $reply = $self->get // return '(nothing)';
	return $reply =~ /^\Q$_[0]\E-result\|$id\|(.*)$/s ? $1 : "(wrong: $reply)";
}

sub shut { my $self = shift; $self->{pipes} ? close $self->{out} : shutdown $self->{out}, 1 }

# The exit status, 'signal N', or undef when it does not end: then it is killed.
sub wait {
	my $self = shift;
	my $end = time + $DEADLINE;

	while (time < $end) {
		if (waitpid($self->{pid}, 1) == $self->{pid}) {
			delete $self->{pid};
			return $? & 127 ? 'signal ' . ($? & 127) : $? >> 8;
		}
		sleep 0.01;
	}
	return undef;
}

sub end { my $self = shift; $self->shut; return $self->wait }

sub pid { return $_[0]{pid} }

sub stderr {
	my $self = shift;
	open my $f, '<', $self->{err} or return '';
	local $/;
	return <$f> // '';
}

sub DESTROY {
	my $self = shift;
	local ($?, $!);
	if ($self->{pid}) {
		kill 'KILL', $self->{pid};
		waitpid $self->{pid}, 0;
	}
}

# How many seconds a wrong password takes, by user, each of whom is a test: the shortest of some, taken in turns, for others use
# this machine, too.
sub time_wrong_logins {
	my ($h, @users) = @_;
	my %took;
	for my $user ((@users) x 6) {
		my $began = time;
		Test::More::is($h->ask('check', 'auth', "$user:falsch"), 'not-found', "$user: not found");
		my $took = time - $began;
		$took{$user} = $took if $took < ($took{$user} // 1e9);
	}
	return %took;
}

1;
