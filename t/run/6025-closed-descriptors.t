# Who starts a program may have closed 0, 1 or 2: no socket becomes one of them, and nothing is said into it.
use strict;
use warnings;
use POSIX ();
use Tabmail;
use Test::More;

my $d = Tabmail->start(users => ['bob'], config => <<'END');
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to maildir
END

# The exit status, and what came by those descriptors that stay open.
sub without {
	my ($closed, @command) = @_;
	my $out = $d->dir . '/out';
	my $pid = fork;
	if ($pid == 0) {
		setpgrp;
		$SIG{$_} = 'DEFAULT' for qw(PIPE INT TERM);
		open STDIN, '<', $d->dir . '/in';
		open STDOUT, '>', $out;
		open STDERR, '>&', \*STDOUT;
		POSIX::close($_) for @$closed;
		exec @command or POSIX::_exit(127);
	}
	return $pid;
}

sub status_of {
	my ($pid) = @_;
	eval { wait_for { waitpid($pid, POSIX::WNOHANG()) == $pid } 'it to end', 5; 1 } or kill KILL => $pid;
	return $? >> 8;
}

my @sendmail = ($d->dir . '/bin/tabmailctl', '-s', $d->dir . '/run/control.sock', 'sendmail', '-f', 'a@example.net');
spew($d->dir . '/in', "Subject: closed\n\nx\n");
is status_of(without([2], @sendmail, 'bob@example.org', 'nobody@nowhere.example')), 69,
    'a recipient is refused, which cannot be told';
is scalar($d->await_mails('bob', 1)), 1, 'the other gets the mail';
isnt status_of(without([0], @sendmail, 'bob@example.org')), 0, 'no message where no input is';
isnt status_of(without([0, 1, 2], @sendmail, 'bob@example.org')), 0, 'nor with all closed';
status_of(without([0], @sendmail, '-bs'));
is scalar($d->mails('bob')), 1, 'nothing was sent for them';

is $d->halt, '', 'the daemon ends';
for my $closed ([0, 1, 2], [1, 2]) {
	$d->{pid} = without($closed, $d->dir . '/bin/tabmaild', '-d', '-f', $d->dir . '/tabmail.conf');
	ok eval { wait_for { $d->ready } 'it to be ready', 10; 1 }, "tabmaild starts without @$closed";
	for my $role (qw(smtp lookup queue relay)) {
		my ($pid) = $d->pids($role);
		my @fds = map { readlink("/proc/" . ($pid || 0) . "/fd/$_") || '' } @$closed;
		is scalar(grep { $_ ne '/dev/null' } @fds), 0, "$role has nothing there" or diag "@fds";
	}
	$d->halt;
}
$d->forget;
done_testing;
