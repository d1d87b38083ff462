# The front door under load: password guessers, idle sessions, a burst, slow and half-open sessions.
#
#	BUILD=$PWD/build perl -It/lib t/bench/door.pl [guess] [idle] [burst] [slow]
#
# Clients come from 127.0.0.0/8: 127.0.0.1 is the honest one (trusted, so no limit of an address counts
# for it), all others are strangers.  GUESSES=200 a second, IDLE=10000, BURST=500, SLOW=5000.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::SSL;
use MIME::Base64 ();
use POSIX ();
use Socket qw(SOL_SOCKET SO_LINGER);
use Tabmail;
use Tabmail::Certs;
use Time::HiRes qw(time sleep);

my %N = (guess => $ENV{GUESSES} || 200, idle => $ENV{IDLE} || 10000, burst => $ENV{BURST} || 500, slow => $ENV{SLOW} || 5000);
my %parts = (guess => \&guess, idle => \&idle, burst => \&burst, slow => \&slow);
if (!$ENV{TABMAIL_BENCH_FILES}) {	# a descriptor for each
	$ENV{TABMAIL_BENCH_FILES} = 1;
	exec 'sh', '-c', 'ulimit -n 30000 2>/dev/null || ulimit -n $(ulimit -Hn); exec "$@"', 'sh', $^X, (map { "-I$_" } @INC), $0, @ARGV;
}
$| = 1;
$SIG{PIPE} = 'IGNORE';
my $main = $$;
my @children;
END { kill 'KILL', @children if $$ == $main }

sub server {
	my ($limits, %o) = @_;
	my $hash = crypt('Richtig1', '$2b$10$abcdefghijklmnopqrstuu');
	my $users = join ', ', map { "u$_ = \"$hash\"" } 1 .. 500;
	my ($pki, $listen) = ('', '');
	if ($o{tls}) {
		$pki = 'pki mail.example.org certificate "$D/mail.example.org.crt" key "$D/mail.example.org.key"';
		$listen = 'listen on 127.0.0.1 port $PORT2 smtps pki mail.example.org';
	}
	my $d = Tabmail::new('Tabmail', flags => [], users => ['bob'], config => <<"C");
$pki
table users file:\$D/users
table creds { honest = "$hash", $users }
limit smtp $limits
listen on 127.0.0.1 port \$PORT auth-optional <creds>
$listen
accept from any for domain example.org userbase <users> deliver to maildir
C
	Tabmail::Certs->new($d->dir)->issue('mail.example.org') if $o{tls};
	return $d->start;
}

sub stranger { my ($i) = @_; return sprintf '127.%d.%d.%d', 1 + $i / 62500, ($i / 250) % 250, 1 + $i % 250 }

sub dial {
	my ($d, $from) = @_;
	return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $d->port, Timeout => 20, $from ? (LocalAddr => $from) : ());
}

sub percent { my ($p, @t) = @_; @t = sort { $a <=> $b } @t; return $t[ int($p / 100 * $#t + 0.5) ] }
sub rss { my ($pid) = @_; return slurp("/proc/$pid/smaps_rollup") =~ /^Rss:\s+(\d+)/m ? $1 * 1024 : 0 }
sub reply { my ($s) = @_; my $line; do { $line = <$s> // return '' } while $line =~ /^\d{3}-/; return $line }

# Whole sessions with a mail, one after the other, for some seconds; their times in ms.
sub honest {
	my ($d, $sec, $login) = @_;
	my @took;
	my $end = time + $sec;
	my $lost = 0;
	while (time < $end) {
		my $began = time;
		my ($good, $in) = (0, !$login);
		if (my $s = dial($d)) {
			reply($s);
			my @lines = ('EHLO honest.example.net', 'MAIL FROM:<a@example.net>', 'RCPT TO:<bob@example.org>', 'DATA', "Subject: x\r\n\r\nx\r\n.");
			splice @lines, 1, 0, 'AUTH PLAIN ' . MIME::Base64::encode_base64("\0honest\0Richtig1", '') if $login;
			my $last = '';
			for (@lines) { print $s "$_\r\n"; $last = reply($s); $in ||= $last =~ /^235/ }
			$good = $in && $last =~ /^250/;
		}
		$good ? push @took, 1000 * (time - $began) : $lost++;
		sleep 0.02;
	}
	return ($lost, @took);
}
sub show { my ($what, $lost, @t) = @_; printf "  %-52s %5d sessions, %d lost, p50 %6.1f ms, p99 %6.1f ms\n", $what, scalar @t, $lost, percent(50, @t), percent(99, @t) }

sub child {
	my ($code) = @_;
	my $pid = fork // die;
	if (!$pid) { $code->(); POSIX::_exit(0) }
	push @children, $pid;
	return $pid;
}
sub end_children { kill 'TERM', @children; waitpid $_, 0 for @children; @children = () }

# Guesses at a steady rate, each on a connection of its own, answered or not; counts what comes of them.
sub guesser {
	my ($d, $from, $out) = @_;
	my (%n, %open);
	my $sent = 0;
	my $began = time;
	my $stop = 0;
	local $SIG{TERM} = sub { $stop = 1 };
	my $select = IO::Select->new;
	while (!$stop) {
		while ($sent < (time - $began) * $N{guess} && $select->count < 4000) {
			my $s = dial($d, $from->($sent)) or last;
			$s->blocking(0);
			syswrite $s, "EHLO x\r\nAUTH PLAIN " . MIME::Base64::encode_base64("\0u" . (1 + $sent % 500) . "\0guess$sent", '') . "\r\n";
			$open{$s} = '';
			$select->add($s);
			$sent++;
		}
		for my $s ($select->can_read(0.01)) {
			my $n = sysread $s, $open{$s}, 4096, length $open{$s};
			next if !defined $n;
			next unless !$n || $open{$s} =~ /^(235|421|454|535)/m;
			my ($code) = $open{$s} =~ /^(235|421|454|535)/m;
			$n{ $code // 'closed' }++;
			delete $open{$s};
			$select->remove($s);
			close $s;
		}
	}
	my $sec = time - $began;
	spew($out, sprintf '%.0f put a second; answered a second: %s', $sent / $sec, join(', ', map { sprintf '%.1f with %s', $n{$_} / $sec, $_ } sort keys %n) || 'none');
}

sub guess {
	print "Password guesses, $N{guess} a second against bcrypt (cost 10)\n";
	my $d = server('rate-per-address 0 sessions-per-address 0 sessions-per-network 0');
	show('before', honest($d, 4));
	show('before, with a login', honest($d, 4, 1));
	my $out = $d->dir . '/guesser';
	for my $case ([ 'one address guesses', sub { '127.9.9.9' } ], [ 'every guess from another address', sub { stranger($_[0]) } ]) {
		child(sub { guesser($d, $case->[1], $out) });
		sleep 1;
		show($case->[0], honest($d, 6));
		show("$case->[0], honest with a login", honest($d, 6, 1));
		end_children();
		print "  the guesser: ", slurp($out), "\n";
	}
	$d->halt;
	$d->forget;
}

# Opened by a process of its own, so that what the clients cost counts for nobody.
sub idle {
	for my $kind (qw(plain TLS)) {
		print "$N{idle} idle sessions, $kind, greeted and EHLO said\n";
		my $d = server('sessions 20000 rate 0', tls => $kind eq 'TLS');
		honest($d, 1);
		my ($pid) = $d->pids('smtp');
		my $before = rss($pid);
		my $began = time;
		pipe my $from, my $to or die "pipe: $!";
		child(sub { open_idle($d, $kind eq 'TLS'); syswrite $to, "open\n"; sleep 1 while 1 });
		close $to;
		die "the clients have ended\n" if (<$from> // '') ne "open\n";
		printf "  opened in %.1f s; smtp holds %.2f KiB for each (%.1f MiB before, %.1f after)\n", time - $began,
		    (rss($pid) - $before) / 1024 / $N{idle}, $before / 1048576, rss($pid) / 1048576;
		show('new sessions meanwhile', honest($d, 4));
		end_children();
		$d->halt;
		$d->forget;
	}
}

my @idle;

sub open_idle {
	my ($d, $tls) = @_;
	my $context = $tls && IO::Socket::SSL::SSL_Context->new(SSL_verify_mode => 0);
	for my $i (1 .. $N{idle}) {
		my $s = $tls ? IO::Socket::SSL->new(PeerAddr => '127.0.0.1', PeerPort => $d->port(2), SSL_reuse_ctx => $context) : dial($d);
		push @idle, $s || die "connection $i: $! $IO::Socket::SSL::SSL_ERROR\n";
		next if $i % 200;
		for (@idle[ -200 .. -1 ]) { reply($_); print $_ "EHLO idle.example.net\r\n"; $_->flush; reply($_) }
	}
}

sub overflows { return slurp('/proc/net/netstat') =~ /^TcpExt: (.*ListenOverflows.*)\nTcpExt: (.*)$/m ? do { my %h; @h{ split ' ', $1 } = split ' ', $2; ($h{ListenOverflows}, $h{ListenDrops}) } : (0, 0) }

sub burst {
	print "A burst of $N{burst} connections at once, while the server is stopped for a moment\n";
	my $d = server('sessions-per-network 0');
	my ($pid) = $d->pids('smtp');
	my @before = overflows();
	kill 'STOP', $pid;
	my @open;
	for (1 .. $N{burst}) {
		push @open, IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $d->port, Blocking => 0) || die "$!";
	}
	sleep 0.5;
	my $connected = grep { $_->connected } @open;
	kill 'CONT', $pid;
	my $began = time;
	$_->blocking(1) for @open;
	my $greeted = grep { reply($_) =~ /^220/ } @open;
	my @after = overflows();
	printf "  %d of %d connected before anything was accepted, %d greeted within %.2f s; lost SYNs: %d overflows, %d drops\n", $connected,
	    $N{burst}, $greeted, time - $began, $after[0] - $before[0], $after[1] - $before[1];
	@open = ();
	$d->halt;
	$d->forget;
}

sub slow {
	print "$N{slow} strangers' sessions: half say nothing, a quarter sends a byte a second, a quarter trickles data\n";
	for my $case ([ 'room for all of them', 'sessions 10000' ], [ 'as many sessions as there may be', 'sessions 3000' ]) {
		my $d = server("$case->[1] rate 0 rate-per-address 0 sessions-per-network 0");
		show("before ($case->[0])", honest($d, 2));
		child(sub { crowd($d) });
		wait_for { $d->ctl_rows('show', 'stats'); (grep { /event=stress/ } $d->log_text) || $d->log_text =~ /(?:event=connected.*?){100}/s } 'the crowd to come', 60;
		sleep 6;
		show("meanwhile ($case->[0])", honest($d, 8));
		my ($pid) = $d->pids('smtp');
		my $n = () = glob "/proc/$pid/fd/*";
		printf "  smtp has %d descriptors and %.1f MiB\n", $n, rss($pid) / 1048576;
		end_children();
		$d->halt;
		$d->forget;
	}
}

# Opens as many as it can and keeps them, opening again what the server ends.
sub crowd {
	my ($d) = @_;
	my $stop = 0;
	local $SIG{TERM} = sub { $stop = 1 };
	my @all = map { undef } 1 .. $N{slow};
	my $at = 0;
	while (!$stop) {
		for (1 .. 1000) {
			my $i = $at++ % $N{slow};
			my $s = $all[$i];
			if (!$s) {
				$s = $all[$i] = dial($d, stranger($i)) or next;
				$s->blocking(0);
				syswrite $s, $i % 4 == 2 ? 'EH' : "EHLO x\r\nMAIL FROM:<a\@example.net>\r\nRCPT TO:<bob\@example.org>\r\nDATA\r\n" if $i % 2 == 0;
				next;
			}
			my $n = sysread $s, my $drop, 4096;
			if (defined $n && $n == 0 || !defined $n && !$!{EAGAIN}) { $all[$i] = undef; next }
			syswrite $s, 'x' if $i % 2 == 0;
		}
		sleep 0.05;
	}
}

my @wanted = @ARGV ? @ARGV : qw(guess idle burst slow);
for my $part (@wanted) {
	($parts{$part} || die "no part $part\n")->();
	print "\n";
}
