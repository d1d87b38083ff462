# A mail server that does what a test tells it, a process for each connection: TLS, and faults in it.
#
#	my $mx = Tabmail::FakeMx->start(cert => "$dir/mx.crt", key => "$dir/mx.key", fault => sub {
#		my ($stage, $n) = @_; … });
#	$mx->port; $mx->events;			# what happened, a line each: "1 tls TLSv1_3 sni=…", "2 mail …"
#
# `fault` is asked at connect, greeting, ehlo, starttls, handshake, ehlo2, data for connection number n and gives
# undef for the usual, 'reset' (RST), 'close', 'garbage', 'stall', or a reply to say instead.
# smtps => 1: TLS from the first byte.  offers => 0: no STARTTLS.  ca => FILE: clients must show a certificate.
package Tabmail::FakeMx;
use strict;
use warnings;
use Fcntl qw(:flock);
use File::Path ();
use File::Temp ();
use IO::Socket::INET;
use IO::Socket::SSL;
use POSIX ();
use Socket qw(SOL_SOCKET SO_LINGER);

my %live;
my $owner = $$;

sub start {
	my ($class, %o) = @_;
	my $dir = File::Temp::tempdir('tmmx.XXXXXX', TMPDIR => 1);
	my $listener = IO::Socket::INET->new(LocalAddr => $o{address} || '127.0.0.1', LocalPort => $o{port} || 0,
	    Listen => 128, ReuseAddr => 1) or die "fake mx: $!\n";
	my $k = bless { offers => 1, %o, dir => $dir, port => $listener->sockport }, $class;
	my $pid = fork;
	die "fork: $!\n" unless defined $pid;
	if ($pid == 0) {
		setpgrp;
		$SIG{$_} = 'DEFAULT' for qw(INT TERM HUP);
		$SIG{PIPE} = $SIG{CHLD} = 'IGNORE';
		for (my $n = 1;; $n++) {
			my $s = $listener->accept or redo;
			my $child = fork;
			if (!$child) {
				close $listener;
				alarm 60;
				eval { $k->serve($s, $n); 1 } or $k->note($n, "died $@");
				POSIX::_exit(0);
			}
			close $s;
		}
	}
	close $listener;
	$k->{pid} = $pid;
	$live{$pid} = 1;
	return $k;
}

sub port { return $_[0]{port} }

sub note {
	my ($k, $n, $what) = @_;
	open my $f, '>>', "$k->{dir}/events" or return;
	flock $f, LOCK_EX;
	(my $line = "$n $what") =~ s/\s+\z//;
	print $f "$line\n";
	close $f;
}

sub events {
	my ($k) = @_;
	open my $f, '<', "$k->{dir}/events" or return;
	chomp(my @lines = <$f>);
	return @lines;
}

# Those of a kind: grep, without the connection's number.
sub count { my ($k, $regex) = @_; return scalar grep { $_ =~ $regex } $k->events }

sub remove {
	my ($k) = @_;
	my $pid = delete $k->{pid} or return;
	delete $live{$pid};
	kill 'KILL', -$pid;
	waitpid $pid, 0;
	File::Path::remove_tree($k->{dir});
}

# The usual, or a fault, after which nothing follows; true: go on.
sub at {
	my ($k, $s, $n, $stage, $usual) = @_;
	my $fault = $k->{fault} ? $k->{fault}->($stage, $n) : undef;
	$k->note($n, "fault $stage $fault") if defined $fault;
	if (!defined $fault) {
		print $s "$usual\r\n" if defined $usual;
		return 1;
	} elsif ($fault eq 'reset') {
		setsockopt $s, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
		POSIX::close(fileno $s);
	} elsif ($fault eq 'garbage') {
		syswrite $s, join '', map { chr int rand 256 } 1 .. 3000;
		sysread $s, my $rest, 1000;
	} elsif ($fault eq 'stall') {
		sleep 60;
	} elsif ($fault ne 'close') {
		print $s $fault;
		return 1;
	}
	POSIX::_exit(0);
}

sub handshake {
	my ($k, $s, $n) = @_;
	$k->at($s, $n, 'handshake');
	my $name = '';
	my $done = IO::Socket::SSL->start_SSL($s, SSL_server => 1, SSL_cert_file => $k->{cert}, SSL_key_file => $k->{key},
	    $k->{ca} ? (SSL_verify_mode => SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, SSL_ca_file => $k->{ca})
	    : (SSL_verify_mode => 0), %{ $k->{ssl} || {} });
	if (!$done) {
		$k->note($n, "no-tls $IO::Socket::SSL::SSL_ERROR");
		POSIX::_exit(0);
	}
	$k->note($n, 'tls ' . $s->get_sslversion . ' sni=' . ($s->get_servername || ''));
}

sub serve {
	my ($k, $s, $n) = @_;
	my ($secure, $mails) = (0, 0);
	binmode $s;
	$s->autoflush(1);
	$k->note($n, 'connect');
	$k->at($s, $n, 'connect');
	if ($k->{smtps}) {
		$k->handshake($s, $n);
		$secure = 1;
	}
	$k->at($s, $n, 'greeting', '220 mx ESMTP');
	while (defined(my $line = <$s>)) {
		$line =~ s/\r\n\z//;
		if ($line =~ /^EHLO/i) {
			$k->at($s, $n, $secure && !$k->{smtps} ? 'ehlo2' : 'ehlo',
			    "250-mx\r\n250-PIPELINING\r\n" . ($k->{offers} && !$secure ? "250-STARTTLS\r\n" : '') . '250 DSN');
		} elsif ($line =~ /^STARTTLS$/i) {
			my $go = $k->at($s, $n, 'starttls', '220 go');
			next if $k->{fault} && ($k->{fault}->('starttls', $n) || '220') !~ /^220/;
			$k->handshake($s, $n);
			$secure = 1;
		} elsif ($line =~ /^(MAIL|RCPT)/i) {
			$k->note($n, lc($1) . ($secure ? ' secure ' : ' plain ') . $line);
			print $s "250 2.0.0 ok\r\n";
		} elsif ($line =~ /^DATA$/i) {
			$k->at($s, $n, 'data', '354 go');
			my $body = '';
			while (defined($line = <$s>)) {
				last if $line eq ".\r\n";
				$body .= $line;
			}
			$k->note($n, 'mail-done ' . ($secure ? 'secure' : 'plain') . ' ' . ($body =~ /^Subject: (.*?)\r?$/m)[0]);
			print $s "250 2.0.0 taken\r\n";
		} elsif ($line =~ /^QUIT$/i) {
			print $s "221 bye\r\n";
			last;
		} else {
			$k->note($n, 'other ' . substr $line =~ s/[^ -~]/?/gr, 0, 40);
			print $s $line =~ /^(RSET|NOOP)/i ? "250 ok\r\n" : "500 what\r\n";
		}
	}
}

END {
	if ($$ == $owner) {
		my $status = $?;
		kill 'KILL', -$_ for keys %live;
		$? = $status;
	}
}

1;
