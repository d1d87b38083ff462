# A load of mail from many sessions while processes are killed, a disk fills or fails; and the reckoning after.
#
#	my $storm = Tabmail::Storm->new(clients => 12);		# starts a daemon and a sink, too
#	$storm->begin;
#	$storm->strike for 1 .. 12;				# SIGKILL: queue, parent or all, at a random moment
#	my $r = $storm->reckon;				# ends the load, drains the queue, counts
#
# Every client writes down what was answered 250, recipient by recipient.  Of its messages one in four has
# four recipients, one in forty 5 MiB; each line of a body tells its message, so a copy that is not
# whole, or mixed with another, is seen.
package Tabmail::Storm;
use strict;
use warnings;
use Errno ();
use POSIX ();
use Tabmail;
use Time::HiRes qw(time);

my @USERS = qw(ann bob cat);
my ($DELIVERIES, $RELAYS) = (8, 4);
my $LARGE = 5 << 20;

# What a kill -9 of queue may repeat: what workers and relay have in hand (a recipient a job), and the results
# that it had not yet written: journal.c commits when 64 wait, and reads 16 of each channel before it does.
my $IN_FLIGHT = @USERS * $DELIVERIES + $RELAYS + 64 + 16 * (@USERS + 1);

sub new {
	my ($class, %o) = @_;
	my $sink = Tabmail::Sink->start;
	my $d = Tabmail::new('Tabmail', users => \@USERS, vars => { SINK => $o{sink_port} || $sink->port },
	    config => <<"C" . ($o{config} || ''));
limit deliveries $DELIVERIES relay-connections $RELAYS
table users file:\$D/users
listen on 127.0.0.1 port \$PORT
accept from any for domain example.org userbase <users> deliver to maildir
accept from any for any relay via smtp://127.0.0.1:\$SINK
C
	my $storm = bless { d => $d, sink => $sink, n => $o{clients} || 12, strikes => {}, bound => 0, record => $o{record} }, $class;
	if ($o{spool_size}) { # a small file system of its own, in the test's mount namespace
		my $spool = $d->dir . '/spool';
		mkdir $spool, 0700;
		my ($uid, $gid) = (getpwnam '_tabmailq')[2, 3];
		my ($status, $out) = run('mount', '-t', 'tmpfs', '-o', "size=$o{spool_size},mode=0700,uid=$uid,gid=$gid", 'tmpfs', $spool);
		die "mount: $out" if $status != 0;
		$storm->{mounted} = $spool;
	}
	if ($o{faults}) {
		$storm->{faults} = $d->dir . '/faults';
		$storm->fault;
		chmod 0666, $storm->{faults};
	}
	return $storm;
}

# Faults of the spool's disk from now on, of a million calls so many; without arguments: none.
# Needs new(faults => 1), which has t/fault/iofault.so loaded into the daemon.
sub fault {
	my ($storm, %ppm) = @_;
	open my $f, -e $storm->{faults} ? '+<' : '+>', $storm->{faults} or die "$storm->{faults}: $!\n";
	syswrite $f, pack 'L4', (map { $ppm{$_} || 0 } qw(write sync read)), $ppm{error} || Errno::EIO();
	syswrite $f, pack 'L2', 0, 0 if -s $f < 24;
}

# How many calls there were, and how many failed.
sub faults {
	my ($storm) = @_;
	return (unpack 'L6', slurp($storm->{faults}))[4, 5];
}

# The small file system is full to the last byte; without `now` there is room again.
sub ballast {
	my ($storm, $now) = @_;
	my $path = "$storm->{mounted}/ballast";
	return unlink $path unless $now;
	open my $f, '>', $path or return;
	1 while syswrite $f, "\0" x 65536;
	1 while syswrite $f, "\0" x 512;
}

sub boot {
	my ($storm) = @_;
	my $build = $ENV{BUILD} || 'build';
	local @ENV{qw(IOFAULT LD_PRELOAD ASAN_OPTIONS)} =
	    ($storm->{faults}, "$build/t/fault/iofault.so", 'verify_asan_link_order=0') if $storm->{faults};
	local @ENV{qw(RECORD LD_PRELOAD ASAN_OPTIONS)} =
	    ($storm->{record}->path, "$build/t/fault/record.so", 'verify_asan_link_order=0') if $storm->{record};
	$storm->{d}->boot;
}

sub daemon { return $_[0]{d} }

sub text {
	my ($id, $len) = @_;
	my $text = "From: a\@example.net\nTo: b\@example.org\nSubject: storm $id\n\n";
	for (my $i = 0; length $text < $len; $i++) { $text .= "$id line $i of a message that must come whole or not at all\n" }
	return $text;
}

# The recipients and the length of a client's n-th message.
sub plan {
	my ($n) = @_;
	my $user = $USERS[$n % @USERS];
	my @to = $n % 4 == 0 ? ((map { "$_\@example.org" } @USERS), 'x@example.com')
	    : $n % 2 ? ("$user\@example.org") : ('x@example.com');
	return ($n % 40 == 17 ? $LARGE : 500 + $n * 97 % 6000, @to);
}

sub client {
	my ($storm, $number) = @_;
	my $d = $storm->{d};
	my ($stop, $n, $c, $test) = (0, 0, undef, getppid);
	$SIG{TERM} = sub { $stop = 1 };
	open my $kept, '>>', $d->dir . "/kept.$number" or POSIX::_exit(1);
	until ($stop || getppid != $test) {
		# A greeting that comes after the deadline would be taken for the next reply, and a RCPT's 250 for that of the data.
		$c ||= eval { my $new = Tabmail::Client->new(port => $d->port, secs => 30); $new->greeting =~ /^220/ ? $new : undef }
		    or do { select undef, undef, undef, 0.02; next };
		my $id = "$number-" . ++$n;
		my ($len, @to) = plan($n);
		my $reply = eval { $c->mail('', \@to, text($id, $len)) } || 'closed';
		my $at = $storm->{record} ? ' at=' . $storm->{record}->len : '';
		my @refused = keys %{ $c->{refused} || {} };
		my %refused = map { $_ => 1 } @refused;
		@to = grep { !$refused{$_} } @to;
		syswrite $kept, "$id $len @to$at\n" if $reply =~ /^250 / && @to;
		(my $line = $reply) =~ s/\n/ /g;
		syswrite $kept, "busy $line\n" if $reply =~ /^4/;
		syswrite $kept, "refused $id $line\n" if $reply =~ /^5/;
		undef $c if $reply =~ /closed|silent|^421/m;
	}
	POSIX::_exit(0);
}

sub begin {
	my ($storm) = @_;
	$storm->{d}->write_config;
	$storm->boot;
	for my $number (1 .. $storm->{n}) {
		my $pid = fork;
		die "fork: $!\n" unless defined $pid;
		client($storm, $number) if $pid == 0;
		push @{ $storm->{clients} }, $pid;
	}
	$storm->flow;
}

# Lines of the clients' notes.
sub notes {
	my ($storm) = @_;
	return map { split /\n/, slurp($_) } glob $storm->{d}->dir . '/kept.*';
}
sub accepted { return scalar(grep { /^\d/ } $_[0]->notes) }
sub busy { return scalar(grep { /^busy/ } $_[0]->notes) }

# Waits until mail is accepted again.
sub flow {
	my ($storm, $some) = @_;
	my $before = $storm->accepted;
	wait_for { $storm->accepted >= $before + ($some || 5) } 'mail to be accepted', 60;
}

# Kills after a random while; the daemon is up again, or on its way, when this returns.  A queue that is not
# back yet is not killed.
sub strike {
	my ($storm, $kind) = @_;
	my $d = $storm->{d};
	select undef, undef, undef, 0.02 + rand 0.4;
	$kind ||= (qw(queue queue parent all))[int rand 4];
	if ($kind eq 'queue') {
		kill 'KILL', $d->pids('queue') or return; # it is not back yet
	} elsif ($kind eq 'parent') {
		kill 'KILL', $d->pid;
		waitpid $d->pid, 0;
		wait_for { !$d->leftovers } 'the others to end with parent', 30;
		$storm->boot;
	} else {
		$d->crash;
		$storm->boot;
	}
	$storm->{strikes}{$kind}++;
	$storm->{bound} += $IN_FLIGHT;
}

sub users { return @USERS }

# The load ends.
sub calm {
	my ($storm) = @_;
	my @clients = @{ delete $storm->{clients} || [] };
	kill 'TERM', @clients;
	waitpid $_, 0 for @clients;
}

# Ends the load, lets the queue run dry, and counts: accepted, recipients, missing, broken, again, refused.
sub reckon {
	my ($storm) = @_;
	my $d = $storm->{d};
	$storm->calm;
	my $dry = eval {
		wait_for {
			return 1 if $d->queue_empty;
			$d->ctl('schedule', 'all');
			select undef, undef, undef, 0.2;
			return 0;
		} 'the queue to be empty', 120;
	};
	my %r = (accepted => 0, recipients => 0, refused => [], busy => 0, strikes => $storm->{strikes},
	    bound => $storm->{bound}, dry => $dry || 0, missing => [], broken => [], again => 0);
	my (%want, %len, %got);
	for ($storm->notes) {
		if (/^refused/) { push @{ $r{refused} }, $_; next }
		if (/^busy/) { $r{busy}++; next }
		my ($id, $len, @to) = split / /;
		$r{accepted}++;
		$len{$id} = $len;
		$want{"$id $_"} = 1 for @to;
	}
	$r{recipients} = keys %want;
	my $look = sub {
		my ($mail, @to) = @_;
		my ($id) = $mail =~ /^Subject: storm (\S+?)\r?$/m or return;
		$mail =~ s/\r\n/\n/g;
		my ($len) = plan(($id =~ /-(\d+)/)[0]);
		push @{ $r{broken} }, "$id @to" unless defined trace_and_rest($mail, text($id, $len));
		$got{"$id $_"}++ for @to;
	};
	for my $user (@USERS) {
		$look->(slurp($_), "$user\@example.org") for $d->mail_files($user);
	}
	for my $path (glob $storm->{sink}->dir . '/*.mail') {
		my $envelope = slurp($path =~ s/mail$/envelope/r);
		$look->(slurp($path), $envelope =~ /^rcpt .*?<([^>]*)>/mg);
	}
	$r{missing} = [grep { !$got{$_} } sort keys %want];
	$r{again} += $_ - 1 for values %got;
	return \%r;
}

# One line for a person.
sub tell {
	my ($storm, $r) = @_;
	my $kills = join ', ', map { "$r->{strikes}{$_} of $_" } sort keys %{ $r->{strikes} };
	return ($kills ? "kills: $kills; " : '') . "answered 250: $r->{accepted} messages to $r->{recipients} recipients, "
	    . "4xx: $r->{busy}; missing: " . @{ $r->{missing} } . ', not whole: ' . @{ $r->{broken} }
	    . ", again: $r->{again}" . ($r->{bound} ? " (in flight at the kills: $r->{bound} at most)" : '');
}

sub end {
	my ($storm) = @_;
	my $wrong = $storm->{d}->halt;
	Test::More::is($wrong, '', 'the daemon ends with 0 and leaves no process behind') or $storm->{d}->show_log;
	Test::More::unlike($storm->{d}->log_text, qr/ERROR: \w+Sanitizer|runtime error:|\bbug: /, 'no sanitizer spoke, no bug was logged');
	run('umount', $storm->{mounted}) if $storm->{mounted};
	$storm->{d}->forget;
	$storm->{sink}->remove;
}

1;
