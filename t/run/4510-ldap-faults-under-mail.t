# Mail flows to LDAP aliases while slapd is restarted, killed, frozen, black-holed, drops idle connections, talks
# nonsense: nothing is lost, nothing is refused for good, recipients in other tables are not delayed.
# TABMAIL_LONG=1: 2,040 messages, slapd frozen for 10 s; else 240 and shorter.
use strict;
use warnings;
use POSIX ();
use Slapd;
use Tabmail;
use Test::More;
use Time::HiRes qw(time sleep);

plan skip_all => slapd_missing if slapd_missing;
my $LONG = $ENV{TABMAIL_LONG};
my $SENDERS = 4;
my $EACH = $LONG ? 85 : 10;	# messages of a sender in one fault
my $HOLD = $LONG ? 10 : 1;	# seconds that the longer faults last

my $s = Slapd->start(entries => sub { print $_[0]->alias("a$_", 'bob') for 1 .. 3000 });
my $p = $s->proxy;
my $d = Tabmail->start(users => ['bob'], vars => { LDAP => $p->port },
    files => { 'ldap.conf' => <<'F', others => "x: bob\n" }, config => <<'C');
url ldap://127.0.0.1:$LDAP
username cn=mail,dc=opensmtpd,dc=org
password mailpw
basedn dc=opensmtpd,dc=org
alias_filter (&(objectClass=courierMailAlias)(uid=%s))
alias_attributes maildrop
F
table people ldap:$D/ldap.conf
table others file:$D/others
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org alias <people> userbase <users> deliver to maildir
accept from any for domain other.example alias <others> userbase <users> deliver to maildir
C
my $out = $d->dir . '/run';

# Sends its messages, each until it is taken; writes down each reply: time, number, code.
sub sender {
	my ($i, $first) = @_;
	open my $f, '>', "$out/sender.$i" or die;
	$f->autoflush(1);
	my $c = $d->client;
	for my $n ($first .. $first + $EACH - 1) {
		my $give_up = time + 60;
		my $reply = '';
		while ($reply !~ /^[25]/ && time < $give_up) {
			$reply = $c->mail('a@example.net', "a$n\@example.org", mail_text("number $n"));
			printf $f "%.3f %d %s\n", time, $n, $reply =~ s/\n.*//sr;
			if ($reply =~ /^(?:421|closed|silent)/) {
				$c->close;
				$c = $d->client;
			}
			sleep 0.05 if $reply !~ /^2/;
		}
		sleep 0.5 / $EACH;
	}
	$c->quit;
}

# To a recipient whose alias is in a file: how long the verdict takes, without end; a hundred a session.
sub watcher {
	open my $f, '>', "$out/watcher" or die;
	$f->autoflush(1);
	my $c;
	for (my $n = 0;; $n++) {
		if ($n % 100 == 0) {
			$c->quit if $c;
			$c = $d->client;
			$c->ehlo;
		}
		$c->cmd('MAIL FROM:<a@example.net>');
		my $began = time;
		my $reply = $c->cmd("RCPT TO:<x\@other.example>");
		printf $f "%.3f %s\n", time - $began, $reply;
		$c->cmd('RSET');
		sleep 0.01;
	}
}

sub child {
	my ($code) = @_;
	my $pid = fork // die;
	return $pid if $pid;
	eval { $code->() };
	print STDERR "child: $@" if $@;
	POSIX::_exit($@ ? 1 : 0);
}

my $watcher = child(\&watcher);
my $next = 1;
my %faults = (
	'1 restarted' => sub { $s->restart },
	'2 killed' => sub { $s->kill; sleep $HOLD; $s->boot },
	'3 frozen' => sub { $s->freeze; sleep $HOLD; $s->thaw },
	'4 black-holed' => sub { $p->set(mode => 'blackhole'); sleep $HOLD; $p->set(mode => 'pass') },
	'5 dropping what is idle' => sub { $p->set(idle => 0.05); sleep 0.5; $p->set(idle => 0) },
	'6 talking nonsense' => sub { $p->set(mode => 'garbage'); sleep 0.5; $p->set(mode => 'pass') },
);
for my $fault (sort keys %faults) {
	my ($name) = $fault =~ /^\d (.*)/;
	my @senders;
	for my $i (1 .. $SENDERS) {
		my $first = $next;
		push @senders, child(sub { sender($i, $first) });
		$next += $EACH;
	}
	sleep 0.2;
	$faults{$fault}->();
	my $back = time;
	waitpid $_, 0 for @senders;
	my %n = (taken => 0, later => 0, never => 0);
	my $after;
	for my $line (map { split /\n/, slurp("$out/sender.$_") } 1 .. $SENDERS) {
		my ($time, $n, $reply) = split / /, $line, 3;
		$n{ $reply =~ /^2/ ? 'taken' : $reply =~ /^5/ ? 'never' : 'later' }++;
		$after = $time if $reply =~ /^2/ && $time >= $back && (!defined $after || $time < $after);
	}
	is "$n{taken} $n{never}", $SENDERS * $EACH . ' 0', "slapd is $name: all are taken, none is refused ($n{later} were put off)";
	note sprintf 'the first is taken %.2f s after it is back', $after - $back if $after;
}
my $sent = $next - 1;
my $took = 0;
kill 'TERM', $watcher;
waitpid $watcher, 0;
my @seen = split /\n/, slurp("$out/watcher");
/^(\S+)/ && $1 > $took and $took = $1 for @seen;
is scalar(grep { !/^\S+ 250/ } @seen), 0, 'a recipient of another table is taken each time (' . @seen . ' times)';
cmp_ok $took, '<', 2, sprintf 'and waits for nobody: at most %.3f s', $took;

wait_for { $d->ctl('schedule', 'all'); (() = $d->mail_files('bob')) >= $sent } "$sent mails", 60;
my %got;
$got{$_}++ for map { /^Subject: number (\d+)$/m ? $1 : 0 } $d->mails('bob');
is scalar(keys %got), $sent, "$sent were taken, and all arrived";
is scalar(grep { $_ != 1 } values %got), 0, 'each once';
$d->await_queue_empty;
unlike $d->log_text, qr/mailpw/, 'no password in the log';
$d->stop;
$s->forget;
done_testing;
