# A real tabmaild in a scratch folder, for the tests in t/run, the demo and the benchmarks.
#
#	use Tabmail;
#	my $d = Tabmail->start(users => ['bob'], files => { aliases => "info: bob\n" }, config => <<'END');
#	table users file:$D/users
#	table aliases file:$D/aliases
#	listen on 127.0.0.1 port $PORT
#	accept from any for domain example.org alias <aliases> userbase <users> deliver to maildir
#	END
#	my $c = $d->client;			# Tabmail::Client: a raw SMTP dialogue
#	like $c->mail('a@example.net', ['info@example.org'], "Subject: x\n\nhello\n"), qr/^250 /;
#	my ($mail) = $d->await_mails('bob', 1);
#	$d->stop;				# asserts: exit 0, and no process of it is left
#
# In the configuration and the files $D is the folder, $PORT, $PORT2, … are free ports on loopback,
# and every name of `vars` is its value (FIRST_UID: what first-uid is).  Paths, hostname and resolver are put in front.
#
# As root the users that a test names have uids from 2001 on, and the daemon's processes run as
# _tabmail and _tabmailq (`make users`); as an ordinary user everything has that user's uid.
# The programs are linked into the folder, so whatever runs from there is ours: see leftovers().
package Tabmail;
use strict;
use warnings;
use Cwd ();
use Exporter 'import';
use File::Copy ();
use File::Path ();
use File::Temp ();
use IO::Socket::INET;
use IO::Socket::UNIX;
use POSIX ();
use Tabmail::Client;
use Tabmail::Sink;
use Time::HiRes qw(time);

our @EXPORT = qw(wait_for free_port slurp spew trace_and_rest root mail_text run);

my $BUILD = $ENV{BUILD} || Cwd::abs_path('build');
my $SLOW = $BUILD =~ m{/san$} ? 4 : 1;
my $UID = 2001;			# of the first user, as root
my %live;			# daemons to end when the test dies
my $owner = $$;			# forked children do not clean up

sub root { return $> == 0 }

# --- Small things that tests share

# How much longer than on an idle machine anything may take here: a deadline only says when to give up.
sub patience {
	open my $f, '<', '/proc/loadavg' or return $SLOW;
	my ($load) = <$f> =~ /^([\d.]+)/;
	my $crowd = $load / (POSIX::sysconf(84) || 1); # _SC_NPROCESSORS_ONLN
	return $SLOW * ($crowd < 1 ? 1 : $crowd > 6 ? 6 : $crowd);
}

# Waits until the block returns true, and returns that; dies after `secs`, saying what was waited for.
sub wait_for (&;$$) {
	my ($condition, $what, $secs) = @_;
	my $deadline = time + ($secs || 15) * patience();
	for (;;) {
		my $value = $condition->();
		return $value if $value;
		die "waited in vain for " . ($what || 'a condition') . "\n" if time > $deadline;
		select undef, undef, undef, 0.01;
	}
}

# Below those that the system gives to connections, and nobody else's: tests run beside each other, and a port
# is bound some time after it was given.  A socket by the name of the port says whose it is, as long as we live.
my %ports_given;
sub free_port {
	my ($end) = -r '/proc/sys/net/ipv4/ip_local_port_range' ? slurp('/proc/sys/net/ipv4/ip_local_port_range') =~ /^(\d+)/ : ();
	$end = 32768 if !$end || $end < 12000;
	for (1 .. 1000) {
		my $port = 10000 + int rand $end - 10000;
		next if $ports_given{$port};
		my $claim = IO::Socket::UNIX->new(Local => "\0tabmail-test-port-$port", Listen => 1) or next;
		IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 1, ReuseAddr => 1) or next;
		$ports_given{$port} = $claim;
		return $port;
	}
	die "no free port\n";
}

sub slurp {
	my ($path) = @_;
	open my $f, '<:raw', $path or die "$path: $!\n";
	local $/;
	my $bytes = <$f>;
	return defined $bytes ? $bytes : '';
}

# Writes a file as a whole or not at all.
sub spew {
	my ($path, $bytes) = @_;
	open my $f, '>:raw', "$path.new" or die "$path: $!\n";
	print $f $bytes;
	close $f or die "$path: $!\n";
	rename "$path.new", $path or die "$path: $!\n";
}

# A message of that subject, body of about `len` bytes.
sub mail_text {
	my ($subject, $len) = @_;
	my $line = "All work and no play makes a mail server a dull machine, day in and out.\n";
	my $body = $line x (1 + int(($len || 1) / length $line));
	return "From: a\@example.net\nTo: b\@example.org\nSubject: $subject\n\n$body";
}

# Cuts a delivered mail into its trace headers and the rest; undef when it does not end with `original`.
sub trace_and_rest {
	my ($mail, $original) = @_;
	my $at = length($mail) - length($original);
	return if $at < 0 || substr($mail, $at) ne $original;
	return (substr($mail, 0, $at), $original);
}

# Runs a command with a deadline; returns (status, its output and errors).  Takes [input => bytes] first.
sub run {
	my %o = ref $_[0] ? @{ +shift } : ();
	my @command = @_;
	my $out = File::Temp->new;
	my $in = File::Temp->new;
	binmode $in;
	print $in $o{input} if defined $o{input};
	$in->flush;
	my $pid = fork;
	die "fork: $!\n" unless defined $pid;
	if ($pid == 0) {
		open STDIN, '<', $in->filename;
		open STDOUT, '>&', $out;
		open STDERR, '>&', $out;
		%ENV = (%ENV, %{ $o{env} || {} });
		exec { $command[0] } @command or do { print STDERR "$command[0]: $!\n"; POSIX::_exit(127) };
	}
	my $ended = eval {
		wait_for { waitpid($pid, POSIX::WNOHANG()) == $pid } "the end of @command", $o{secs} || 30;
	};
	my $status = $ended ? ($? & 127 ? 128 + ($? & 127) : $? >> 8) : 124;
	if (!$ended) {
		kill 'KILL', $pid;
		waitpid $pid, 0;
	}
	return ($status, slurp($out->filename));
}

# --- The daemon

sub new {
	my ($class, %o) = @_;
	my $keep = $ENV{KEEP};
	my $dir = File::Temp::tempdir('tm.XXXXXX', TMPDIR => 1, CLEANUP => 0);
	my $d = bless {
		dir => $dir, keep => $keep,
		vars => { RESOLVER => $o{resolver} || 'none', HOSTNAME => $o{hostname} || 'mail.example.org', %{ $o{vars} || {} }, D => $dir },
		config => $o{config}, users => {}, flags => $o{flags} || ['-v'], slow => $SLOW,
	}, $class;
	chmod 0755, $dir;
	$live{$dir} = $d;
	mkdir "$dir/$_" for qw(bin home run);
	for (1 .. 8) {
		my $name = 'PORT' . ($_ == 1 ? '' : $_);
		$d->{vars}{$name} ||= free_port();
	}
	for my $path (glob "$BUILD/tabmaild $BUILD/tabmailctl $BUILD/table-*") {
		next if $path =~ /\.\w+$/ || !-x $path;
		(my $name = $path) =~ s{.*/}{};
		link $path, "$dir/bin/$name" or File::Copy::copy($path, "$dir/bin/$name") or die "$path: $!\n";
		chmod 0755, "$dir/bin/$name";
	}
	symlink 'tabmailctl', "$dir/bin/$_" for qw(sendmail mailq newaliases);
	$d->add_user($_) for @{ $o{users} || [] };
	$d->file($_, $o{files}{$_}) for keys %{ $o{files} || {} };
	return $d;
}

# Makes it and starts it.
sub start {
	my $d = ref $_[0] ? $_[0] : new(@_);
	$d->write_config;
	$d->boot;
	return $d;
}

sub dir { return $_[0]{dir} }
sub port { return $_[0]{vars}{ 'PORT' . ($_[1] && $_[1] > 1 ? $_[1] : '') } }
sub log_text { return -e "$_[0]{dir}/log" ? slurp("$_[0]{dir}/log") : '' }
sub pid { return $_[0]{pid} }

# Puts $NAME into a text.
sub fill {
	my ($d, $text) = @_;
	$text =~ s/\$([A-Z][A-Z0-9_]*)/defined $d->{vars}{$1} ? $d->{vars}{$1} : "\$$1"/ge;
	return $text;
}

# A file in the folder, readable by the daemon's users.
sub file {
	my ($d, $name, $text, $mode) = @_;
	my $path = "$d->{dir}/$name";
	spew($path, $d->fill($text));
	chmod defined $mode ? $mode : $text =~ /^#!/ ? 0755 : 0644, $path;
	return $path;
}

# A user with a home of his own, in the table file $D/users.
sub add_user {
	my ($d, $name) = @_;
	my $uid = root() ? $UID + keys %{ $d->{users} } : $>;
	my $gid = root() ? $uid : (split ' ', $))[0];
	my $home = "$d->{dir}/home/$name";
	mkdir $home, 0700 or die "$home: $!\n";
	chown $uid, $gid, $home if root();
	$d->{users}{$name} = { uid => $uid, gid => $gid, home => $home };
	$d->file('users', join '', map { my $u = $d->{users}{$_}; "$_: $u->{uid}:$u->{gid}:$u->{home}\n" }
	    sort keys %{ $d->{users} });
}

sub home { return $_[0]{users}{ $_[1] }{home} }

sub write_config {
	my ($d, $config) = @_;
	$d->{config} = $config if defined $config;
	my $first = $d->{vars}{FIRST_UID} || (root() ? 1000 : $>);
	$d->file('tabmail.conf', <<"END" . $d->{config});
hostname \$HOSTNAME
spool "\$D/spool"
socket "\$D/run/control.sock"
helpers "\$D/bin"
resolver \$RESOLVER
first-uid $first
END
}

# Starts the daemon and waits until it listens.
sub boot {
	my ($d) = @_;
	my $log = "$d->{dir}/log";
	my $pid = fork;
	die "fork: $!\n" unless defined $pid;
	if ($pid == 0) {
		setpgrp;
		$SIG{$_} = 'DEFAULT' for qw(PIPE INT TERM HUP);
		open STDIN, '<', '/dev/null';
		open STDOUT, '>>', $log;
		open STDERR, '>>', $log;
		exec "$d->{dir}/bin/tabmaild", '-d', @{ $d->{flags} }, '-f', "$d->{dir}/tabmail.conf"
		    or POSIX::_exit(127);
	}
	$d->{pid} = $pid;
	my $up = eval {
		wait_for {
			die "tabmaild ended at once, status " . ($? >> 8) . "\n"
			    if waitpid($pid, POSIX::WNOHANG()) == $pid;
			$d->ready && !grep { !$d->pids($_) } qw(lookup queue relay smtp);
		} 'tabmaild to listen, with all its processes', 15;
	};
	return if $up;
	my $error = $@;
	$d->{pid} = 0 if $error =~ /ended at once/;
	die $error . $d->log_text;
}

# Whether every port of the configuration answers, and the control socket.
sub ready {
	my ($d) = @_;
	my $config = $d->fill($d->{config});
	while ($config =~ /^\s*listen\s+on\s+(\S+).*?\bport\s+(\d+)(.*)/mg) {
		my ($where, $port, $more) = ($1, $2, $3);
		$where = '127.0.0.1' unless $where =~ /^[\d.]+$/;
		my $s = IO::Socket::INET->new(PeerAddr => "$where:$port", Timeout => 5) or return 0;
		next if $more =~ /\b(?:proxy-v2|smtps)\b/;	# the client speaks first
		$s->sockopt(SO_RCVTIMEO, pack 'l!l!', 2 * $SLOW, 0);
		my $greeting = <$s>;
		return 0 unless defined $greeting && $greeting =~ /^220/;
	}
	my ($status) = run("$d->{dir}/bin/tabmailctl", '-s', "$d->{dir}/run/control.sock", 'show', 'status');
	return $status == 0;
}

# SIGTERM; checks that it ends well and leaves nothing behind.  Returns what is wrong, '' for nothing.
sub halt {
	my ($d) = @_;
	my $pid = delete $d->{pid} or return 'it does not run';
	my @tree = ($pid, map { $_->{pid} } $d->processes($pid));
	my %started = map { $_ => scalar start_time($_) } @tree;
	kill 'TERM', $pid;
	my $ended = eval { wait_for { waitpid($pid, POSIX::WNOHANG()) == $pid } 'tabmaild to end', 15 };
	my $status = $?;
	if (!$ended) {
		kill 'KILL', $pid;
		waitpid $pid, 0;
	}
	my @left;
	eval {
		wait_for {
			@left = grep { my $t = start_time($_); defined $t && $t eq ($started{$_} || '') } @tree;
			push @left, $d->leftovers;
			!@left;
		} 'its processes to end', 5;
	};
	my $names = join ', ', map { "$_ (" . title($_) . ')' } @left;
	kill 'KILL', $_ for @left;
	return 'it did not end on SIGTERM' unless $ended;
	return "it ended with status $status" if $status != 0;
	return @left ? "left behind: $names" : '';
}

# The same as a test, with the sanitizers' reports; then the folder goes.
sub stop {
	my ($d, $name) = @_;
	my $wrong = $d->halt;
	my $log = $d->log_text;
	$wrong ||= 'a sanitizer spoke' if $log =~ /ERROR: \w+Sanitizer|runtime error:/;
	$wrong ||= 'a bug was logged' if $log =~ /\bbug: /;
	Test::More::is($wrong, '', $name || 'the daemon ends with 0 and leaves no process behind');
	$d->show_log if $wrong;
	$d->forget;
}

# Kills it all at once, as a power cut would.
sub crash {
	my ($d) = @_;
	my @tree = ($d->{pid}, map { $_->{pid} } $d->processes);
	kill 'STOP', $d->{pid};	# so that it restarts nothing meanwhile
	kill 'KILL', $_ for $d->leftovers, @tree;
	waitpid delete $d->{pid}, 0;
	wait_for { !$d->leftovers } 'all processes to be gone';
}

sub forget {
	my ($d) = @_;
	delete $live{ $d->{dir} };
	if ($d->{keep}) {
		print STDERR "# kept: $d->{dir}\n";
	} else {
		File::Path::remove_tree($d->{dir}, { safe => 0 });
	}
}

sub show_log {
	my ($d) = @_;
	my @lines = split /\n/, $d->log_text;
	splice @lines, 0, @lines - 150, '…' if @lines > 150;
	print STDERR "# the daemon's log:\n", map { "#   $_\n" } @lines;
}

# --- Its processes

sub stat_fields {
	my ($pid) = @_;
	open my $f, '<', "/proc/$pid/stat" or return;
	my $line = <$f>;
	return unless defined $line && $line =~ s/^\d+ \((.*)\) //;
	my $comm = $1;
	return ($comm, split ' ', $line);
}

sub start_time {
	my @f = stat_fields($_[0]) or return;
	return if $f[1] eq 'Z';
	return $f[20];
}

sub title {
	my ($pid) = @_;
	open my $f, '<', "/proc/$pid/cmdline" or return '';
	local $/;
	my $line = <$f>;
	return '' unless defined $line;
	$line =~ tr/\0/ /;
	$line =~ s/\s+$//;
	return $line;
}

# All below the daemon (or `pid`): { pid, ppid, title, role }; role is smtp, lookup, queue, relay,
# deliver, a helper's program, or the command's name.
sub processes {
	my ($d, $top) = @_;
	$top ||= $d->{pid} or return;
	my (%children, %comm);
	for my $path (glob '/proc/[0-9]*') {
		my ($pid) = $path =~ /(\d+)$/;
		my @f = stat_fields($pid) or next;
		next if $f[1] eq 'Z';
		push @{ $children{ $f[2] } }, $pid;
		$comm{$pid} = $f[0];
	}
	my @found;
	my @todo = ($top);
	while (defined(my $parent = shift @todo)) {
		for my $pid (@{ $children{$parent} || [] }) {
			my $title = title($pid);
			my ($role) = $title =~ /^\S*tabmaild:? (?:.*-x )?(smtp|lookup|queue|relay|deliver)\b/;
			push @found, { pid => $pid, ppid => $parent, title => $title, role => $role || $comm{$pid} };
			push @todo, $pid;
		}
	}
	return @found;
}

# Pids of a role: "smtp", "queue", "table-file", …; or those whose title matches a regex.
sub pids {
	my ($d, $what) = @_;
	return map { $_->{pid} } grep { ref $what ? $_->{title} =~ $what : $_->{role} eq $what } $d->processes;
}

# Ends the processes of a role (SIGKILL unless told); returns their pids.
sub kill_role {
	my ($d, $what, $signal) = @_;
	my @pids = $d->pids($what) or die "no process $what to kill\n";
	kill $signal || 'KILL', @pids;
	return @pids;
}

# Waits until a role has a process again that is none of `old`.
sub await_role {
	my ($d, $what, @old) = @_;
	my %old = map { $_ => 1 } @old;
	return wait_for { (grep { !$old{$_} } $d->pids($what))[0] } "a new $what";
}

# A mail with parameters of RFC 3461: subject, sender, parameters of MAIL, (recipient, parameters) …
sub mail_with {
	my ($d, $subject, $from, $parameters, @rcpts) = @_;
	my $c = $d->client;
	$c->ehlo;
	$c->cmd("MAIL FROM:<$from>$parameters");
	while (my ($to, $more) = splice @rcpts, 0, 2) {
		my $reply = $c->cmd("RCPT TO:<$to>$more");
		die "RCPT $to: $reply" unless $reply =~ /^250/;
	}
	$c->cmd('DATA');
	$c->send(Tabmail::Client::wire(mail_text($subject)));
	my $reply = $c->reply;
	die "DATA: $reply" unless $reply =~ /^250/;
	$c->quit;
}

# Moves queue's clock ahead (TABMAIL_TEST_CLOCK=1).
sub clock {
	my ($d, $sec) = @_;
	my $s = IO::Socket::UNIX->new(Peer => "$d->{dir}/run/control.sock") or die "control socket: $!";
	print $s "clock\t+$sec\n";
	my $answer = <$s>;
	die "clock: $answer" unless $answer eq ".\n";
}

# Processes that run a program of our folder, whoever their parent is.
sub leftovers {
	my ($d) = @_;
	return grep { (readlink("/proc/$_/exe") || '') =~ m{^\Q$d->{dir}\E/} && defined start_time($_) }
	    map { m{(\d+)$} } glob '/proc/[0-9]*';
}

# CPU seconds of all its processes, those ended and waited for included.
sub cpu {
	my ($d) = @_;
	return cpu_tree($d->{pid}, map { $_->{pid} } $d->processes);
}

sub cpu_tree {
	my $ticks = 0;
	for my $pid (@_) {
		my @f = stat_fields($pid) or next;
		$ticks += $f[12] + $f[13] + $f[14] + $f[15];
	}
	return $ticks / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

# --- Talking to it

sub client {
	my ($d, $n) = @_;
	return Tabmail::Client->new(port => $d->port($n), secs => 30 * patience());
}

# One mail over a connection of its own; the last reply.
sub mail {
	my ($d, $from, $to, $text, $n) = @_;
	my $c = $d->client($n);
	my $reply = $c->mail($from, $to, $text);
	$c->quit;
	return $reply;
}

# tabmailctl; (status, output).
sub ctl {
	my ($d, @words) = @_;
	return run("$d->{dir}/bin/tabmailctl", '-s', "$d->{dir}/run/control.sock", @words);
}

# The rows of a `show` as hashes.
sub ctl_rows {
	my ($d, @words) = @_;
	my ($status, $out) = $d->ctl('-j', @words);
	die "tabmailctl @words: $out" if $status != 0;
	require JSON::PP;
	my $value = JSON::PP->new->decode($out);
	return ref $value eq 'ARRAY' ? @$value : $value;
}

# Whether nothing waits in the queue.
sub queue_empty {
	my ($d) = @_;
	my ($status, $out) = $d->ctl('-j', 'show', 'queue');
	return 0 if $status != 0;
	require JSON::PP;
	my $value = eval { JSON::PP->new->decode($out) };
	return ref $value eq 'ARRAY' ? !@$value : ref $value eq 'HASH' ? !grep { ref $_ && @$_ } values %$value : 0;
}

sub await_queue_empty {
	my ($d, $secs) = @_;
	wait_for { $d->queue_empty } 'an empty queue', $secs || 30;
}

# Files in a user's Maildir (new/ only), oldest first.
sub mail_files {
	my ($d, $user, $folder) = @_;
	my $new = $folder || $d->home($user) . '/Maildir';
	my %time = map { $_ => (Time::HiRes::stat($_))[9] } glob "$new/new/*";
	return sort { $time{$a} <=> $time{$b} || $a cmp $b } keys %time;
}

sub mails {
	my ($d, $user) = @_;
	return map { slurp($_) } $d->mail_files($user);
}

# Waits until at least n mails are there; returns all.
sub await_mails {
	my ($d, $user, $n, $secs) = @_;
	my $got = 0;
	eval { wait_for { ($got = () = $d->mail_files($user)) >= $n } "$n mails for $user", $secs; 1 }
	    or do { $d->show_log; die "$got of $n mails came for $user\n" };
	return $d->mails($user);
}

# Waits until the log has a line that matches; returns it.
sub await_log {
	my ($d, $regex, $secs) = @_;
	my $line;
	wait_for { ($line) = grep { $_ =~ $regex } split /\n/, $d->log_text; $line } "the log to say $regex", $secs;
	return $line;
}

# A test died: its daemons must not outlive it.
END {
	if ($$ == $owner) {
		my $status = $?;
		for my $d (values %live) {
			if ($d->{pid}) {
				my $wrong = $d->halt;
				print STDERR "# the test ended early; the daemon: ", $wrong || 'ended well', "\n";
				$d->show_log;
			}
			$d->forget;
		}
		$? = $status;
	}
}
# A client of ours may write to a server that has just ended it: its write says so.
$SIG{PIPE} = 'IGNORE';
$SIG{$_} ||= sub { $SIG{PIPE} = 'IGNORE'; exit 1 } for qw(INT TERM HUP);

1;
