# Servers that refuse, put off, take few recipients, hang up and dawdle at random: whatever happens, each recipient has one
# outcome, "relayed" is said of those alone whom a server has taken, and nobody is forgotten.  SEED=n: the same again.
use strict;
use warnings;
use Fcntl qw(:flock);
use File::Temp ();
use IO::Socket::INET;
use POSIX ();
use Socket;
use Tabmail;
use Test::More;

my ($SERVERS, $MAILS) = $ENV{TABMAIL_LONG} ? (12, 1500) : (6, 90);
my $seed = $ENV{SEED} || time;
diag "SEED=$seed";
my $dir = File::Temp::tempdir(CLEANUP => 1);
spew("$dir/moody", '');
spew("$dir/taken", '');

sub note_taken {
	my (@lines) = @_;
	open my $f, '>>', "$dir/taken" or POSIX::_exit(1);
	flock $f, LOCK_EX;
	syswrite $f, join '', map { "$_\n" } @lines;
	close $f;
}

sub dialogue {
	my ($s, $number) = @_;
	srand $seed + $number;
	my $moody = -e "$dir/moody";
	my $few = $moody && rand() < 0.3 ? 1 + int rand 3 : 100;
	my $chance = sub { return $moody && rand() < $_[0] };
	# What is said instead of the usual, at a step; hanging up and resetting never come back.
	my $say = sub {
		my ($usual, @bad) = @_;
		if ($chance->(0.04)) {
			setsockopt $s, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0 if $chance->(0.5);
			close $s;
			POSIX::_exit(0);
		}
		select undef, undef, undef, rand 0.03 if $chance->(0.1);
		my $reply = $chance->(0.15) ? $bad[rand @bad] : $usual;
		$reply = "$1-first\r\n$reply" if $reply =~ /^(\d{3}) / && $chance->(0.1);
		if ($chance->(0.1)) {
			syswrite $s, $_ for split //, "$reply\r\n";
		} else {
			syswrite $s, "$reply\r\n";
		}
		POSIX::_exit(0) if $reply =~ /^421/m;
		return substr $reply, 0, 1;
	};
	$say->('220 moody', '421 4.3.2 full', '554 5.7.1 no') eq '2' or POSIX::_exit(0);
	my $piped = !$moody || rand() < 0.6;
	my (@rcpts, $refused);
	while (defined(my $line = <$s>)) {
		if ($line =~ /^EHLO/) {
			$say->($piped ? "250-moody\r\n250-PIPELINING\r\n250 DSN" : '250 moody', '421 4.3.2 full', '502 what');
		} elsif ($line =~ /^HELO/) {
			$say->('250 moody', '421 4.3.2 full');
		} elsif ($line =~ /^MAIL/) {
			@rcpts = ();
			$refused = $say->('250 fine', '451 4.3.0 not now', '421 4.7.0 too fast', '452 4.3.1 no room') ne '2';
		} elsif ($line =~ /^RCPT TO:<([^>]*)>/) {
			my $rcpt = $1;
			my $reply = $refused && rand() < 0.9 ? '503 5.5.1 no MAIL' : @rcpts >= $few ? '452 4.5.3 too many' : '250 fine';
			push @rcpts, $rcpt if $say->($reply, '450 4.2.0 later', '550 5.1.1 nobody', '421 4.3.2 gone') eq '2';
		} elsif ($line =~ /^DATA/) {
			my $go = @rcpts ? $say->('354 go', '451 4.3.0 no', '421 4.3.2 gone') : $say->('554 5.5.1 no recipients', '503 5.5.1 no');
			next if $go ne '3';
			my $text = '';
			while (defined($line = <$s>) && $line ne ".\r\n") { $text .= $line }
			POSIX::_exit(0) unless defined $line;
			my ($subject) = $text =~ /^Subject: (\S+)\r$/m;
			# It is taken before that is said, as with any good server.
			my $good = !$chance->(0.2);
			note_taken(map { "$subject $_" } @rcpts) if $good;
			if ($good) { $say->('250 2.0.0 taken', '250 2.0.0 taken') } else { $say->('451 4.3.0 disk', '451 4.3.0 disk') }
			@rcpts = ();
		} elsif ($line =~ /^RSET/) {
			@rcpts = ();
			$say->('250 fine', '421 4.3.2 gone');
		} else {
			syswrite $s, "221 bye\r\n";
			last;
		}
	}
}

my @listeners = map { IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 64) || die "$!\n" } 1 .. $SERVERS;
my $parent = $$;
my $servers = fork;
die "fork: $!\n" unless defined $servers;
if ($servers == 0) {
	require IO::Select;
	setpgrp;
	$SIG{$_} = 'DEFAULT' for qw(INT TERM HUP);
	$SIG{CHLD} = $SIG{PIPE} = 'IGNORE';
	my $select = IO::Select->new(@listeners);
	my $number = 0;
	while (getppid == $parent) {
		for my $l ($select->can_read(1)) {
			my $s = $l->accept or next;
			$number++;
			next if fork;
			alarm 60;
			dialogue($s, $number);
			POSIX::_exit(0);
		}
	}
	POSIX::_exit(0);
}
END { kill 'KILL', -$servers if $servers && $$ == $parent }

my @rules = map { my $port = $listeners[$_]->sockport;
	"accept for domain m$_.example relay via smtp+notls://127.0.0.1:$port" . ($_ % 2 ? " source { 127.0.0.2, 127.0.0.3 }" : '') . "\n" } 0 .. $#listeners;
my $d = Tabmail->start(users => ['bob'], config => join '', <<'C', @rules);
table users file:$D/users
listen on 127.0.0.1 port $PORT
limit relay messages 4
accept from any for domain example.org userbase <users> deliver to maildir
C
srand $seed;
my %wanted;
my $c = $d->client;
for my $n (1 .. $MAILS) {
	my $domain = 'm' . int(rand $SERVERS) . '.example';
	my @rcpts = map { "r$_\@$domain" } 1 .. 1 + int rand 5;
	my $reply = $c->mail('bob@example.org', \@rcpts, mail_text("n$n", rand() < 0.1 ? 150_000 : 200));
	die $reply unless $reply =~ /^250 /;
	$wanted{"n$n $_"} = 1 for @rcpts;
	select undef, undef, undef, 0.01 if $n % 10 == 0;
}
$c->quit;
my ($relay) = $d->pids('relay');
for (1 .. 8) {
	$d->ctl('schedule', 'all');
	select undef, undef, undef, 0.4; # of moods, not of anything to come
}
unlink "$dir/moody";
# Whoever is set aside comes back within its back-off.
eval { wait_for { $d->ctl('schedule', 'all'); select undef, undef, undef, 0.2; $d->queue_empty } 'an empty queue', 120; 1 }
    or diag +($d->ctl('show', 'queue'))[1];
my $log = $d->log_text;
my %subject; # of an id
my (%relayed, %failed, %taken);
for my $line (split /\n/, $log) {
	$line =~ /queue: (\w{12}\.\d+) delivery event=(relayed|failed) .*?to="([^"]+)"/ or next;
	my ($id, $what, $to) = ($1, $2, $3);
	next if $to =~ /example\.org$/;
	($what eq 'relayed' ? \%relayed : \%failed)->{$id}++;
}
is scalar(grep { $_ > 1 } values %relayed), 0, 'nobody is relayed to twice by the log';
is scalar(grep { $relayed{$_} } keys %failed), 0, 'nor both relayed to and failed';
is keys(%relayed) + keys(%failed), keys %wanted, 'each of ' . keys(%wanted) . ' recipients has an outcome';
$taken{$_}++ for split /\n/, slurp("$dir/taken");
cmp_ok scalar(keys %taken), '>=', scalar(keys %relayed), 'servers have taken all that counts as relayed: ' . keys(%relayed);
is scalar(grep { !$wanted{$_} } keys %taken), 0, 'and nothing else';
# Who has failed was refused by name: no server has him, but where the end of one dialogue was not heard.
cmp_ok keys(%relayed) + keys(%failed) - keys(%taken), '>=', 0, 'failed: ' . keys(%failed);
my $twice = grep { $_ > 1 } values %taken;
diag sprintf '%d recipients: %d relayed, %d failed, %d taken twice where the reply was lost', scalar(keys %wanted), scalar(keys %relayed),
    scalar(keys %failed), $twice;
is +($d->pids('relay'))[0], $relay, 'relay is the same process';
$d->stop;
done_testing;
