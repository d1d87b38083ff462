# Mail for a crowd of domains, each with a mail host and an address of its own, of which some are dead or
# stall; and how fast those that live get theirs, with the dead and without.  Needs Tabmail::Net.
#
#	my $r = Tabmail::Crowd::run_crowd(live => 700, dead => 300, each => 4);
#	# { alone => mails a second, beside => the same with mail for the dead in the queue, ratio, lost, … }
#
# Dead ones are of five kinds: nobody listens; the network swallows what is sent to them; one that
# accepts and says nothing; one that stops in the middle of its greeting; one that stops after MAIL.
package Tabmail::Crowd;
use strict;
use warnings;
use Errno ();
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Tabmail;
use Tabmail::Dns;
use Time::HiRes qw(time);

my @KINDS = qw(refuses swallows silent half stops);
my $SENDERS = 8;
my $server;
my $owner = $$;
END { kill 'KILL', $server if $server && $$ == $owner }

# 10.26.0.0/16 is a network where nobody is.
sub swallow {
	my ($status, $out) = run('sh', '-c', 'ip link add void0 type dummy && ip link set void0 up && '
	    . 'ip addr add 10.26.255.254/16 dev void0 && ip neigh replace 10.26.0.1 lladdr 02:00:00:00:00:01 dev void0');
	return $status == 0;
}

sub address {
	my ($net, $i) = @_;
	return "10.$net." . (10 + int($i / 200)) . '.' . (1 + $i % 200);
}

sub zone {
	my ($live, $dead, $swallows) = @_;
	my $zone = '';
	$zone .= "l$_.test. MX 10 mx.l$_.test.\nmx.l$_.test. A " . address(25, $_) . "\n" for 1 .. $live;
	for my $i (1 .. $dead) {
		my $kind = $KINDS[$i % @KINDS];
		my $at = $kind eq 'swallows' && $swallows ? address(26, $i) : address(25, 4000 + $i);
		$zone .= "d$i.test. MX 10 mx.d$i.test.\nmx.d$i.test. A $at\n";
	}
	return $zone;
}

# One process with all the ports 25: of those that live, and of those that only seem to.
sub serve {
	my ($live, $dead, $count) = @_;
	my (%kind, %c);
	my $select = IO::Select->new;
	my $listen = sub {
		my ($at, $kind) = @_;
		my $s = IO::Socket::INET->new(LocalAddr => $at, LocalPort => 25, Listen => 64, ReuseAddr => 1)
		    or die "crowd: $at: $!\n";
		$kind{$s} = $kind;
		$select->add($s);
	};
	$listen->(address(25, $_), 'live') for 1 .. $live;
	for my $i (1 .. $dead) {
		my $kind = $KINDS[$i % @KINDS];
		$listen->(address(25, 4000 + $i), $kind) if $kind =~ /silent|half|stops/;
	}
	open my $log, '>>', $count or die "$count: $!\n";
	$log->autoflush(1);
	my $pid = fork;
	die "fork: $!\n" unless defined $pid;
	return $pid if $pid;
	$SIG{$_} = 'DEFAULT' for qw(INT TERM);
	my $test = getppid;
	for (;;) {
		my @ready = $select->can_read(5);
		POSIX::_exit(0) if getppid != $test;
		for my $s (@ready) {
			if (my $kind = $kind{$s}) {
				my $new = $s->accept or next;
				$select->add($new);
				$c{$new} = { s => $new, kind => $kind, in => '' };
				syswrite $new, $kind eq 'half' ? '220-half a gree' : "220 crowd\r\n" unless $kind eq 'silent';
				next;
			}
			my $c = $c{$s};
			if (!sysread $s, $c->{in}, 1 << 16, length $c->{in}) {
				$select->remove($s);
				delete $c{$s};
				close $s;
				next;
			}
			talk($c, $log) unless $c->{kind} =~ /silent|half/;
		}
	}
}

sub talk {
	my ($c, $log) = @_;
	my $out = '';
	for (;;) {
		if ($c->{data}) {
			last unless $c->{in} =~ s/\A(.*?\r\n)\.\r\n//s;
			my ($n) = $1 =~ /^Subject: (\S+)\r$/m;
			print $log time, " $n\n";
			$c->{data} = 0;
			$out .= "250 2.0.0 kept\r\n";
			next;
		}
		last unless $c->{in} =~ s/\A(.*?)\r\n//;
		my $line = $1;
		next if $c->{mute};
		if ($line =~ /^EHLO/) {
			$out .= "250-crowd\r\n250-PIPELINING\r\n250 8BITMIME\r\n";
		} elsif ($line =~ /^MAIL/ && $c->{kind} eq 'stops') {
			$c->{mute} = 1;
		} elsif ($line eq 'DATA') {
			$c->{data} = 1;
			$out .= "354 go on\r\n";
		} else {
			$out .= "250 2.0.0 fine\r\n";
		}
	}
	syswrite $c->{s}, $out if $out ne '';
}

# Hands in one mail for each of the recipients, over a few sessions.
sub submit {
	my ($d, $tag, @rcpts) = @_;
	my @pids;
	for my $part (0 .. $SENDERS - 1) {
		my $pid = fork;
		die "fork: $!\n" unless defined $pid;
		push @pids, $pid;
		next if $pid;
		my ($c, $n) = ($d->client, 0);
		for (my $i = $part; $i < @rcpts; $i += $SENDERS) {
			$c = $d->client if ++$n % 100 == 0; # a session takes only so many
			my $reply = $c->mail('a@example.net', $rcpts[$i], mail_text("$tag-$i", 2000));
			next if $reply =~ /^250 /;
			print STDERR "# $rcpts[$i]: $reply\n";
			POSIX::_exit(1);
		}
		POSIX::_exit(0);
	}
	my $bad = grep { waitpid($_, 0); $? != 0 } @pids;
	return !$bad;
}

sub arrivals {
	my ($count, $tag) = @_;
	return map { /^([\d.]+) \Q$tag\E-/ ? $1 : () } split /\n/, slurp($count);
}

# Mails a second of the live ones, from the first one handed in to the last one's arrival.
sub measure {
	my ($d, $count, $tag, $live, $each) = @_;
	my @live = map { my $k = $_; map { "x$k\@l$_.test" } 1 .. $live } 1 .. $each;
	my $began = time;
	submit($d, $tag, @live) or die "not all mail was accepted\n";
	eval { wait_for { (() = arrivals($count, $tag)) >= @live } 'the mails', $ENV{CROWD_SECS} || 120; 1 };
	my @at = sort { $a <=> $b } arrivals($count, $tag);
	return (@live - @at, @at ? @at / ($at[-1] - $began) : 0);
}

sub run_crowd {
	my (%o) = @_;
	my ($live, $dead, $each) = @o{qw(live dead each)};
	my $swallows = swallow();
	my $dns = Tabmail::Dns->nsd(zone => zone($live, $dead, $swallows));
	my $d = Tabmail->start(resolver => $dns->resolver, flags => [], config => <<'C');
listen on 127.0.0.1 port $PORT
accept for any relay
C
	my $count = $d->dir . '/count';
	$server = serve($live, $dead, $count);
	my @dead = map { my $k = $_; map { "x$k\@d$_.test" } 1 .. $dead } 1 .. $o{dead_each} || $each;
	measure($d, $count, 'warm', $live, $each); # names resolved, hosts known, connections proven
	my ($lost, $alone) = measure($d, $count, 'alone', $live, $each);
	submit($d, 'dead', @dead) or die "not all mail for the dead was accepted\n";
	my ($lost2, $beside) = measure($d, $count, 'beside', $live, $each);
	my @waiting = $d->ctl_rows('show', 'queue');
	my $rss = 0;
	for my $pid ($d->pids('relay'), $d->pids('queue')) {
		$rss += $1 if slurp("/proc/$pid/status") =~ /^VmRSS:\s+(\d+)/m;
	}
	kill 'KILL', $server;
	waitpid $server, 0;
	$server = 0;
	$dns->stop;
	return { d => $d, alone => $alone, beside => $beside, lost => $lost + $lost2, waiting => scalar(@waiting),
		dead => scalar(@dead), ratio => $alone ? $beside / $alone : 0, rss_kb => $rss,
		swallows => $swallows };
}

1;
