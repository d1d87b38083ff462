# A process whose parent is gone before it has said START ends by itself and well: it has nothing in hand.
use strict;
use warnings;
use File::Temp ();
use POSIX ();
use Socket;
use Tabmail;
use Test::More;

my $program = ($ENV{BUILD} || 'build') . '/tabmaild';
$^F = 3;	# descriptors up to this one survive exec
my $log = File::Temp->new;
for my $role (qw(lookup queue smtp relay)) {
	socketpair my $ours, my $its, AF_UNIX, SOCK_SEQPACKET, 0 or die "socketpair: $!";
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		POSIX::dup2(fileno $its, 3);	# its channel to parent
		open STDERR, '>', "$log";
		exec { $program } 'tabmaild', '-x', $role, '-d' or POSIX::_exit(127);
	}
	close $its;
	close $ours;
	wait_for { waitpid($pid, POSIX::WNOHANG()) == $pid } "$role to end";
	is $?, 0, "$role ends" or diag slurp("$log");
}
done_testing;
