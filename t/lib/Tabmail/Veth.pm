# Two hosts of a test's own, as network namespaces with a cable between them: this one, where the test runs
# again, and another, for servers.
#
#	use Tabmail::Veth;		# first of all: before anything is started
#	Tabmail::Veth->cable(here => ['10.77.0.1/24', 'fd77::1/64'], there => ['10.77.0.100/24']);
#	my $sink = Tabmail::Veth->there(sub { Tabmail::Sink->start(at => ['10.77.0.100:25']) });
#
# Sockets that are made in there() belong to the other host.  As root; else the test is skipped.
package Tabmail::Veth;
use strict;
use warnings;
use IO::Handle;
use POSIX ();

my %setns = (x86_64 => 308, aarch64 => 268, riscv64 => 268, ppc64le => 350, s390x => 339);
our $pid;	# of a process of the other host
my $pipe;

sub import {
	return if $ENV{TABMAIL_VETH};
	$ENV{TABMAIL_VETH} = 1;
	if ($> != 0 || !$setns{ (POSIX::uname())[4] } || system('unshare -n true 2>/dev/null') != 0) {
		print "1..0 # SKIP only root has network namespaces with a cable between them\n";
		exit 0;
	}
	exec 'unshare', '-n', $^X, (map { "-I$_" } grep { !ref } @INC), $0, @ARGV or die "unshare: $!\n";
}

sub ip { system('ip', @_) == 0 or die "ip @_\n" }
sub ip_there { system('nsenter', '-t', $pid, '-n', 'ip', @_) == 0 or die "there: ip @_\n" }

sub cable {
	my ($class, %o) = @_;
	# cat ends with us, and with it its namespace.
	$pid = open $pipe, '|-', 'unshare', '-n', 'cat' or die "unshare: $!\n";
	my $ours = readlink '/proc/self/ns/net';
	for (1 .. 1000) {
		last if (readlink("/proc/$pid/ns/net") || $ours) ne $ours;
		select undef, undef, undef, 0.01;
	}
	ip(qw(link add here type veth peer name there netns), $pid);
	ip(qw(link set lo up));
	ip_there(qw(link set lo up));
	ip(qw(link set here addrgenmode none));	# no address but those that the test gives
	ip_there(qw(link set there addrgenmode none));
	ip(qw(link set here up));
	ip_there(qw(link set there up));
	$class->add($_) for @{ $o{here} };
	ip_there('addr', 'add', $_, 'dev', 'there', /:/ ? 'nodad' : ()) for @{ $o{there} };
}

# An address of this host comes, or goes.
sub add { my (undef, $address) = @_; ip('addr', 'add', $address, 'dev', 'here', $address =~ /:/ ? 'nodad' : ()) }
sub del { my (undef, $address) = @_; ip('addr', 'del', $address, 'dev', 'here') }

# A command on the other host, such as a rule of its packet filter.
sub run_there { my ($class, @command) = @_; system('nsenter', '-t', $pid, '-n', @command) == 0 or die "there: @command\n" }

sub there {
	my ($class, $what) = @_;
	open my $home, '<', '/proc/self/ns/net' or die "ns: $!\n";
	open my $away, '<', "/proc/$pid/ns/net" or die "ns: $!\n";
	my $call = $setns{ (POSIX::uname())[4] };
	syscall($call, fileno $away, 0x40000000) == 0 or die "setns: $!\n";
	my $value = eval { $what->() };
	my $error = $@;
	syscall($call, fileno $home, 0x40000000) == 0 or die "setns: $!\n";
	die $error if $error;
	return $value;
}

1;
