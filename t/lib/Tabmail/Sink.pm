# A small real SMTP or LMTP server in a process of its own, the far end of the relay's tests.
#
#	my $sink = Tabmail::Sink->start;				# SMTP on $sink->port
#	Tabmail::Sink->start(lmtp => 1, path => "$dir/lmtp");	# LMTP on a UNIX socket
#	Tabmail::Sink->start(at => ['10.25.0.2:25', '[fd25::2]:25']);	# see Tabmail::Net
#	Tabmail::Sink->start(answer => sub { my ($stage, $arg, $n) = @_; … });
#
# What comes after DATA is kept byte for byte as it stood on the wire, dots removed, in DIR/N.mail with
# the envelope in DIR/N.envelope ("helo …", "mail …", "rcpt …", "session N", "at ADDRESS",
# "peer ADDRESS" a line each).
# `answer` is asked at greeting, helo, mail, rcpt, data, end (in LMTP: once per recipient) and gives a
# reply such as "450 4.2.0 later", "close" to hang up, or undef for the usual; $n counts its calls for
# that stage; a fourth argument is the client's address.
package Tabmail::Sink;
use strict;
use warnings;
use File::Path ();
use File::Temp ();
use IO::Select;
use IO::Socket::INET;
use IO::Socket::IP;
use IO::Socket::UNIX;
use MIME::Base64;
use POSIX ();
use Socket qw(IPPROTO_TCP TCP_NODELAY);

my %live;
my $owner = $$;

sub start {
	my ($class, %o) = @_;
	my $dir = File::Temp::tempdir('tmsink.XXXXXX', TMPDIR => 1);
	my @listeners = map { listen_at($_) } @{ $o{at} || [] };
	my $listener = @listeners ? $listeners[0] : $o{path} ? IO::Socket::UNIX->new(Local => $o{path}, Listen => 128)
	    : IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $o{port} || 0, Listen => 128,
	    ReuseAddr => 1);
	die "sink: $!\n" unless $listener;
	chmod 0777, $o{path} if $o{path};
	my $k = bless { dir => $dir, %o, port => $o{path} ? 0 : $listener->sockport }, $class;
	my $pid = fork;
	die "fork: $!\n" unless defined $pid;
	if ($pid == 0) {
		$SIG{$_} = 'DEFAULT' for qw(INT TERM HUP);
		$SIG{PIPE} = 'IGNORE';
		eval { $k->serve(@listeners ? @listeners : $listener); 1 } or print STDERR "# sink: $@";
		POSIX::_exit(1);
	}
	$k->{pid} = $pid;
	$live{$pid} = $k;
	return $k;
}

sub listen_at {
	my ($at) = @_;
	my ($host, $port) = $at =~ /^\[?([^\]]*?)\]?:(\d+)$/ or die "sink: $at\n";
	return IO::Socket::IP->new(LocalHost => $host, LocalPort => $port, Listen => 1024, ReuseAddr => 1,
	    V6Only => 1, GetAddrInfoFlags => 0) || die "sink at $at: $!\n";
}

sub port { return $_[0]{port} }
sub dir { return $_[0]{dir} }

# What has come: { mail, helo, from, from_line, rcpts, rcpt_lines, session, at, peer }, in order.
sub count { my @all = glob "$_[0]{dir}/*.mail"; return scalar @all }
sub mails {
	my ($k) = @_;
	my @mails;
	for my $path (sort { ($a =~ /(\d+)\.mail$/)[0] <=> ($b =~ /(\d+)\.mail$/)[0] } glob "$k->{dir}/*.mail") {
		open my $f, '<:raw', $path or next;
		local $/;
		my %m = (mail => scalar <$f>, rcpts => [], rcpt_lines => []);
		$m{mail} = '' unless defined $m{mail};
		(my $envelope = $path) =~ s/mail$/envelope/;
		open my $e, '<:raw', $envelope or next;
		for my $line (split /\n/, scalar <$e>) {
			my ($word, $rest) = split / /, $line, 2;
			if ($word eq 'rcpt') {
				push @{ $m{rcpt_lines} }, $rest;
				push @{ $m{rcpts} }, $rest =~ /<([^>]*)>/;
			} else {
				$m{$word} = $rest;
			}
		}
		($m{from}) = $m{mail_line} =~ /<([^>]*)>/ if $m{mail_line};
		push @mails, \%m;
	}
	return @mails;
}

sub stop {
	my ($k) = @_;
	my $pid = delete $k->{pid} or return;
	delete $live{$pid};
	kill 'KILL', $pid;
	waitpid $pid, 0;
	unlink $k->{path} if $k->{path};
}

sub remove {
	my ($k) = @_;
	$k->stop;
	File::Path::remove_tree($k->{dir});
}

# --- The server: one select loop

sub serve {
	my ($k, @listeners) = @_;
	my $select = IO::Select->new(@listeners);
	my %is_listener = map { $_ => 1 } @listeners;
	my %sessions;
	my $count = 0;
	my ($sessions, $test) = (0, getppid);
	for (;;) {
		my @ready = $select->can_read(5);
		POSIX::_exit(0) if getppid != $test;
		for my $s (@ready) {
			if ($is_listener{$s}) {
				my $new = $s->accept or next;
				binmode $new;
				setsockopt $new, IPPROTO_TCP, TCP_NODELAY, 1 unless $k->{path};
				$select->add($new);
				$sessions{$new} = { s => $new, in => '', seen => 0, number => ++$sessions, rcpts => [],
				    at => $k->{path} ? '' : $new->sockhost, peer => $k->{path} ? '' : $new->peerhost };
				if ($k->{most} && keys %sessions > $k->{most}) {
					$k->note('away', 'x');
					put($sessions{$new}, "421 4.7.0 too many connections\r\n");
					next;
				}
				$k->say($sessions{$new}, 'greeting', '', '220 sink.example.com ' . ($k->{lmtp} ? 'LMTP' : 'ESMTP'));
			} else {
				my $c = $sessions{$s};
				my $n = sysread $s, $c->{in}, 1 << 20, length $c->{in};
				$c->{closed} = 1 unless $n;
				$k->step($c, \$count) if $n;
			}
			my $c = $sessions{$s} or next;
			next unless $c->{closed};
			$select->remove($s);
			delete $sessions{$s};
			close $s;
		}
	}
}

# The usual reply, or what `answer` wants; returns its first digit.
sub say {
	my ($k, $c, $stage, $arg, $usual) = @_;
	my $n = ++$k->{asked}{$stage};
	my $reply = $k->{answer} ? $k->{answer}->($stage, $arg, $n, $c->{peer}) : undef;
	$reply = $usual unless defined $reply;
	if ($reply eq 'close') {
		$c->{closed} = 1;
		return 0;
	}
	put($c, $reply =~ /\n\z/ ? $reply : "$reply\r\n");
	return substr $reply, 0, 1;
}

sub put {
	my ($c, $bytes) = @_;
	my $at = 0;
	while ($at < length $bytes) {
		my $n = syswrite $c->{s}, $bytes, length($bytes) - $at, $at;
		return $c->{closed} = 1 unless defined $n;
		$at += $n;
	}
}

sub step {
	my ($k, $c, $count) = @_;
	while (!$c->{closed}) {
		if ($c->{data}) {
			my $at = $c->{in} =~ /\A\.\r\n/ ? -2 : index $c->{in}, "\r\n.\r\n", $c->{seen};
			if ($at == -1) {
				$c->{seen} = length($c->{in}) > 4 ? length($c->{in}) - 4 : 0;
				return;
			}
			my $mail = substr $c->{in}, 0, $at + 2;
			$c->{in} = substr $c->{in}, $at + 5;
			$c->{data} = 0;
			$mail =~ s/^\.//mg;
			my $good = 0;
			for my $rcpt ($k->{lmtp} ? @{ $c->{rcpts} } : join ' ', @{ $c->{rcpts} }) {
				$good++ if $k->say($c, 'end', $rcpt, '250 2.0.0 kept') eq '2';
			}
			$k->keep($c, $mail, ++$$count) if $good;
			$c->{rcpts} = [];
			next;
		}
		$c->{in} =~ s/\A(.*?)\r\n//s or return;
		$k->command($c, $1);
	}
}

sub command {
	my ($k, $c, $line) = @_;
	if ($line =~ /^(?:EHLO|LHLO|HELO) (.*)/i) {
		$c->{helo} = $1;
		$k->say($c, 'helo', $1, $k->{ehlo} || "250-sink.example.com\r\n250-PIPELINING\r\n250-8BITMIME\r\n"
		    . "250-ENHANCEDSTATUSCODES\r\n250-DSN\r\n250 SIZE 104857600");
	} elsif ($k->{auth} && $line =~ /^AUTH (PLAIN|LOGIN) ?(.*)/i) {
		$k->log_auth($c, $line);
		return put($c, "334 VXNlcm5hbWU6\r\n") if uc $1 eq 'LOGIN' && ($c->{login} = []);
		$k->authenticate($c, (split /\0/, decode_base64($2))[1, 2]);
	} elsif ($c->{login}) {
		push @{ $c->{login} }, decode_base64($line);
		return put($c, "334 UGFzc3dvcmQ6\r\n") if @{ $c->{login} } == 1;
		$k->authenticate($c, @{ delete $c->{login} });
	} elsif ($line =~ /^MAIL FROM:(.*)/i) {
		$c->{mail} = $1;
		$c->{rcpts} = [];
		$k->say($c, 'mail', $1, '250 2.1.0 fine');
	} elsif ($line =~ /^RCPT TO:(.*)/i) {
		push @{ $c->{rcpts} }, $1 if $k->say($c, 'rcpt', $1, '250 2.1.5 fine') eq '2';
	} elsif ($line =~ /^DATA$/i) {
		return put($c, "503 5.5.1 no recipient\r\n") unless @{ $c->{rcpts} };
		if ($k->say($c, 'data', '', '354 go on') eq '3') {
			$c->{data} = 1;
			$c->{seen} = 0;
		}
	} elsif ($line =~ /^RSET$/i) {
		$c->{rcpts} = [];
		put($c, "250 2.0.0 fine\r\n");
	} elsif ($line =~ /^NOOP/i) {
		put($c, "250 2.0.0 fine\r\n");
	} elsif ($line =~ /^QUIT$/i) {
		put($c, "221 2.0.0 bye\r\n");
		$c->{closed} = 1;
	} else {
		put($c, "500 5.5.2 what?\r\n");
	}
}

# `auth => "user:password"`: takes these alone.  Every AUTH line is noted in DIR/auth.
sub authenticate {
	my ($k, $c, $user, $password) = @_;
	$c->{user} = $user if defined $user && defined $password && "$user:$password" eq $k->{auth};
	put($c, $c->{user} ? "235 2.7.0 welcome\r\n" : "535 5.7.8 who are you?\r\n");
}

# `most => N`: of more sessions at once the others are turned away by 421; how many were.
sub turned_away { my ($k) = @_; return -e "$k->{dir}/away" ? length Tabmail::slurp("$k->{dir}/away") : 0 }

sub note {
	my ($k, $file, $text) = @_;
	open my $f, '>>', "$k->{dir}/$file" or die "$file: $!\n";
	print $f $text;
}

sub log_auth {
	my ($k, $c, $line) = @_;
	$k->note('auth', "$c->{at} $line\n");
}

sub auths { return -e "$_[0]{dir}/auth" ? split /\n/, Tabmail::slurp("$_[0]{dir}/auth") : () }

# The envelope first: whoever sees the mail finds both.
sub keep {
	my ($k, $c, $mail, $n) = @_;
	my $base = "$k->{dir}/$n";
	open my $e, '>:raw', "$base.envelope" or die "$base: $!";
	print $e "session $c->{number}\nat $c->{at}\npeer $c->{peer}\nuser ", $c->{user} || '', "\nhelo $c->{helo}\nmail_line $c->{mail}\n", map { "rcpt $_\n" } @{ $c->{rcpts} };
	close $e;
	open my $f, '>:raw', "$base.new" or die "$base: $!";
	print $f $mail;
	close $f;
	rename "$base.new", "$base.mail";
}

END {
	if ($$ == $owner) {
		my $status = $?;
		$_->remove for values %live;
		$? = $status;
	}
}

1;
