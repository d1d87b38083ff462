# An SMTP dialogue over a raw socket: what is sent is exactly what the test says.
#
# Replies are texts, lines joined by LF, so that a test says: like $c->cmd('NOOP'), qr/^250 /.
# A reply that does not come in time, or the end of the connection, is the text "closed" or "silent".
package Tabmail::Client;
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use Socket ();
use Time::HiRes qw(time);

# tls => {}: TLS from the first byte, with these options of IO::Socket::SSL.
# port => N on loopback, or path => a UNIX socket; secs: deadline of one reply.  Reads the greeting.
sub new {
	my ($class, %o) = @_;
	local $SIG{PIPE} = 'IGNORE';
	my $s = $o{path} ? IO::Socket::UNIX->new(Peer => $o{path})
	    : IO::Socket::INET->new(PeerAddr => $o{host} || '127.0.0.1', PeerPort => $o{port}, Timeout => 10);
	my $tls = $o{tls} ? { %{ $o{tls} } } : undef;
	die 'connect to ' . ($o{path} || "port $o{port}") . ": $!\n" unless $s;
	binmode $s;
	$s->blocking(0);
	my $c = bless { s => $s, in => '', secs => $o{secs} || 30 }, $class;
	if ($tls) {
		my $why = $c->starttls(%$tls);
		die "TLS: $why\n" if $why;
	}
	$c->{greeting} = $o{quiet} ? '' : $c->reply;
	return $c;
}

sub greeting { return $_[0]{greeting} }
sub socket { return $_[0]{s} }

# Bytes as they are; false when the peer is gone or takes none in time.
sub send {
	my ($c, $bytes) = @_;
	local $SIG{PIPE} = 'IGNORE';
	my $at = 0;
	my $deadline = time + $c->{secs};
	while ($at < length $bytes) {
		return 0 if time > $deadline;
		my $n = syswrite $c->{s}, $bytes, 65536, $at;
		if (defined $n) {
			$at += $n;
			next;
		}
		return 0 unless $!{EAGAIN} || $!{EINTR};
		IO::Select->new($c->{s})->can_write(0.5);
	}
	return 1;
}

# A line up to LF; undef at the end or after the deadline.
sub line {
	my ($c) = @_;
	my $deadline = time + $c->{secs};
	for (;;) {
		return $1 if $c->{in} =~ s/\A([^\n]*)\n//;
		$c->{end} = 'silent', return if time > $deadline;
		$c->pending or IO::Select->new($c->{s})->can_read(0.5) or next;
		my $n = sysread $c->{s}, $c->{in}, 65536, length $c->{in};
		next if !defined $n && ($!{EAGAIN} || $!{EINTR});
		$c->{end} = 'closed', return unless $n;
	}
}

# What TLS has decrypted, and nobody read.
sub pending { return $_[0]{s}->can('pending') && $_[0]{s}->pending }

# One reply, all its lines.
sub reply {
	my ($c) = @_;
	my @lines;
	for (;;) {
		my $line = $c->line;
		return join "\n", @lines, $c->{end} unless defined $line;
		$line =~ s/\r$// or $line .= '<bare LF>';
		push @lines, $line;
		return join "\n", @lines unless $line =~ /^\d{3}-/;
	}
}

# The handshake of TLS on the connection; options of IO::Socket::SSL.  '' when it is done, else why not.
sub starttls {
	my ($c, %o) = @_;
	require IO::Socket::SSL;
	$SIG{PIPE} = 'IGNORE';	# from here on: closing says a last word, to whoever is still there
	$c->{s}->blocking(1);
	setsockopt $c->{s}, Socket::IPPROTO_TCP(), Socket::TCP_NODELAY(), 1;
	$c->{in} = '';
	my $done = IO::Socket::SSL->start_SSL($c->{s}, SSL_verify_mode => 0, Timeout => $c->{secs}, %o);
	my $why = $done ? '' : "$IO::Socket::SSL::SSL_ERROR";
	$c->{s}->blocking(0);
	return $why;
}

# A command and its reply.
sub cmd {
	my ($c, $line) = @_;
	return $c->send("$line\r\n") ? $c->reply : $c->reply || 'closed';
}

sub ehlo { return $_[0]->cmd('EHLO client.example.net') }

# Lines with CRLF and stuffed dots, with the end of data.
sub wire {
	my ($text) = @_;
	$text =~ s/(?<!\r)\n/\r\n/g;
	$text =~ s/^\./../mg;
	$text .= "\r\n" if length $text && $text !~ /\n\z/;
	return "$text.\r\n";
}

# A whole transaction; the first reply that refuses the sender, all recipients or the data, or the last.
# Refused recipients stand in $c->{refused}: address => reply.
sub mail {
	my ($c, $from, $to, $text) = @_;
	my $reply;
	unless ($c->{ehlo}) {
		$reply = $c->ehlo;
		return $reply unless $reply =~ /^250/;
		$c->{ehlo} = 1;
	}
	$reply = $c->cmd("MAIL FROM:<$from>");
	return $reply unless $reply =~ /^250/;
	$c->{refused} = {};
	my $good = 0;
	my $bad = '';
	for my $rcpt (ref $to ? @$to : $to) {
		$reply = $c->cmd("RCPT TO:<$rcpt>");
		if ($reply =~ /^25/) {
			$good++;
		} else {
			$c->{refused}{$rcpt} = $bad = $reply;
			return $reply if $reply =~ /closed|silent/;
		}
	}
	if (!$good) {
		$c->cmd('RSET');
		return $bad;
	}
	$reply = $c->cmd('DATA');
	return $reply unless $reply =~ /^354/;
	$c->send(wire($text));
	return $c->reply;
}

# Whether the other side has closed, within the deadline.
sub at_end {
	my ($c) = @_;
	1 while defined $c->line;
	return $c->{end} eq 'closed';
}

sub quit {
	my ($c) = @_;
	my $reply = $c->cmd('QUIT');
	close $c->{s};
	return $reply;
}

sub close { CORE::close($_[0]{s}) }

1;
