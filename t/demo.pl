# `make demo`: real mail through a real tabmaild in a scratch folder, told step by step, with what was measured.
# `make run`: the same daemon left in the foreground for you to try.
# Ends with 0 only when everything that it promises happened.
use strict;
use warnings;
use POSIX ();
use Tabmail;
use Time::HiRes qw(time);

my $MESSAGES = 200;
my $SENDERS = 5;
my $step = 0;
my $missing = 0;

$| = 1;
my ($first, $second) = start_both();
if (($ARGV[0] || '') eq 'run') {
	stay();
} else {
	mail_to_an_alias();
	mail_to_the_other_server();
	a_helper_dies();
	finish();
}

sub title { printf "\n\e[1m%d. %s\e[0m\n", ++$step, shift }
sub show { print map { "   $_\n" } map { length ? split /\n/ : "" } @_ }
sub check {
	my ($good, $what) = @_;
	show(($good ? "ok: " : "MISSING: ") . $what);
	$missing++ unless $good;
}

sub start_both {
	title('Two servers start, each in a scratch folder, on loopback');
	my $other = Tabmail->start(users => ['carol'], flags => [], config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain "other.example" userbase <users> deliver to maildir
C
	my $d = Tabmail->start(users => [qw(bob alice)], flags => [], vars => { OTHER => $other->port },
	    files => { aliases => "info:        bob\npostmaster:  bob\nteam:        bob, alice\n"
	    . "# an address for each message of the last step, so that none is answered from memory\n"
	    . join('', map { my $s = $_; map { "m$s-$_: bob\n" } 1 .. $MESSAGES / $SENDERS } 1 .. $SENDERS) }, config => <<'C');
table users   file:$D/users
table aliases file:$D/aliases
listen on 127.0.0.1 port $PORT
accept from any for domain "example.org" alias <aliases> userbase <users> deliver to maildir
accept for domain "other.example" relay via "smtp://127.0.0.1:$OTHER"
C
	show('its configuration, ' . $d->dir . '/tabmail.conf:', '', map { "    $_" } split /\n/, slurp($d->dir . '/tabmail.conf'));
	show('', 'its processes:', map { sprintf '    %-12s pid %-7d runs as %s', $_->{role}, $_->{pid},
	    scalar getpwuid((stat "/proc/$_->{pid}")[4]) } $d->processes);
	return ($d, $other);
}

sub mail_to_an_alias {
	title('Mail for team@example.org: table-file is asked for the alias, and it lands in two Maildirs');
	my $text = "From: Ann <ann\@example.net>\nTo: team\@example.org\nSubject: hello\n\nGood morning, Bob and Alice.\n";
	my $began = time;
	my $c = $first->client;
	show('    S: ' . $c->greeting);
	for my $line ('EHLO client.example.net', 'MAIL FROM:<ann@example.net>', 'RCPT TO:<nobody@example.org>',
	    'RCPT TO:<team@example.org>', 'DATA') {
		show("    C: $line", map { "    S: $_" } (split /\n/, $c->cmd($line))[-1]);
	}
	$c->send(Tabmail::Client::wire($text));
	show('    C: (the message) .', '    S: ' . $c->reply);
	$c->quit;
	for my $user (qw(bob alice)) {
		my ($mail) = $first->await_mails($user, 1);
		check(defined +(trace_and_rest($mail, $text))[1], "$user has it, unchanged, after " . ms(time - $began)
		    . ': ' . ($first->mail_files($user))[0]);
	}
	show('', map { "    $_" } split /\n/, ($first->mails('bob'))[0]);
}

sub mail_to_the_other_server {
	title('Mail for carol@other.example is relayed to the second server');
	my $text = mail_text('to the other server', 4096);
	my $began = time;
	my $reply = $first->mail('bob@example.org', 'carol@other.example', $text);
	check($reply =~ /^250 /, "accepted: $reply");
	my ($mail) = $second->await_mails('carol', 1);
	check(defined +(trace_and_rest($mail, $text))[1], 'carol has it, unchanged, after ' . ms(time - $began) . ':');
	my ($trace) = trace_and_rest($mail, $text);
	show('', map { "    $_" } split /\n/, $trace);
}

# The senders write each reply and how long it took into a pipe; the helper is killed midway.
sub a_helper_dies {
	title("table-file is killed with SIGKILL while $MESSAGES messages flow over $SENDERS connections");
	my $before = () = $first->mail_files('bob');
	pipe my $in, my $out or die "pipe: $!\n";
	my $began = time;
	my @senders = map { my $n = $_; my $pid = fork; send_many($n, $out) if $pid == 0; $pid } 1 .. $SENDERS;
	close $out;
	my ($accepted, $refused, $slowest, $killed_at, $back, @old) = (0, 0, 0);
	while (my $line = <$in>) {
		my ($took, $reply) = split / /, $line, 2;
		$reply =~ /^250 / ? $accepted++ : do { $refused++; show("not accepted: $reply") };
		$slowest = $took if $took > $slowest;
		if (!$killed_at && $accepted >= $MESSAGES / 2) {
			$killed_at = time;
			@old = $first->kill_role('table-file');
			show("after $accepted messages: SIGKILL to table-file, pid @old (the helpers of both tables)");
			my %old = map { $_ => 1 } @old;
			wait_for { @old == grep { !$old{$_} } $first->pids('table-file') } 'new helpers';
			$back = time;
		}
	}
	waitpid $_, 0 for @senders;
	my $took = time - $began;
	check($killed_at && $back, 'the helpers were running again ' . ms($back - $killed_at) . ' later, pid '
	    . join ' ', $first->pids('table-file'));
	check($accepted == $MESSAGES && !$refused, "$accepted of $MESSAGES messages accepted, $refused refused, in " . ms($took)
	    . '; the slowest, which waited for the new helper, took ' . ms($slowest));
	my @mails = eval { $first->await_mails('bob', $before + $MESSAGES, 30) };
	my %seen;
	/^Subject: message (\d+-\d+)$/m and $seen{$1}++ for @mails ? @mails : $first->mails('bob');
	check(keys %seen == $MESSAGES, keys(%seen) . " of $MESSAGES are in Bob's Maildir after " . ms(time - $began));
	my ($status, $table) = $first->ctl('show', 'tables');
	show('', 'tabmailctl show tables:', map { "    $_" } split /\n/, $table) if $status == 0;
}

sub send_many {
	my ($sender, $out) = @_;
	my $c = $first->client;
	for my $n (1 .. $MESSAGES / $SENDERS) {
		my $began = time;
		my $reply = $c->mail('ann@example.net', "m$sender-$n\@example.org", mail_text("message $sender-$n", 4096));
		syswrite $out, sprintf "%.6f %s\n", time - $began, (split /\n/, $reply)[0];
	}
	$c->quit;
	POSIX::_exit(0);
}

sub finish {
	title('Stop');
	for ($first, $second) {
		my $wrong = $_->halt;
		check($wrong eq '', $wrong || 'ended with 0, no process is left');
		$_->show_log if $missing;
		$_->forget;
	}
	print $missing ? "\n$missing things are MISSING.\n" : "\nAll as promised.\n";
	exit($missing ? 1 : 0);
}

sub ms {
	my ($sec) = @_;
	return $sec < 1 ? sprintf '%.0f ms', 1000 * $sec : sprintf '%.1f s', $sec;
}

sub stay {
	my ($dir, $port) = ($first->dir, $first->port);
	title('It is yours: Ctrl-C ends it');
	show(<<"END");
SMTP at 127.0.0.1:$port for example.org: bob, alice, info, team, postmaster.
Mail for carol\@other.example goes on to the second server, 127.0.0.1:@{[$second->port]}.

In another terminal:
    perl -MNet::SMTP -e '\$s = Net::SMTP->new("127.0.0.1:$port"); \$s->mail("me\\\@example.net");
        \$s->to("info\\\@example.org"); \$s->data("Subject: hi\\n\\nhello\\n"); print \$s->message'
    ls $dir/home/bob/Maildir/new
    export PATH=$dir/bin:\$PATH TABMAIL_SOCKET=$dir/run/control.sock
    tabmailctl show status                   (or tables, queue, stats)
    tabmailctl explain team\@example.org      (which rule, what was asked, where it goes)
    \$EDITOR $dir/aliases; tabmailctl table aliases update
    pkill -9 -x table-file                   (and watch it come back)

The log:
END
	open my $log, '<', "$dir/log" or die "$dir/log: $!\n";
	my $stop = 0;
	$SIG{$_} = sub { $stop = 1 } for qw(INT TERM);
	until ($stop) {
		print "   $_" while <$log>;
		seek $log, 0, 1;
		if (waitpid($first->pid, POSIX::WNOHANG()) == $first->pid) {
			delete $first->{pid};
			show('tabmaild ended');
			last;
		}
		select undef, undef, undef, 0.2;
	}
	for ($first, $second) {
		show($_->halt || 'ended with 0') if $_->{pid};
		$_->forget;
	}
	exit 0;
}
