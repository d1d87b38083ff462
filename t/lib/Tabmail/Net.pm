# A network of a test's own: it runs again in a network namespace whose loopback has 10.25.0.0/16 and
# fd25::/64 besides, where every port may be bound and nothing else can be reached.
#
#	use Tabmail::Net;		# first of all: before anything is started
#
# As root by unshare(1); as an ordinary user in a user namespace, in which he stays who he is.
# Where that is not allowed the test is skipped.
package Tabmail::Net;
use strict;
use warnings;

my $SETUP = <<'S';
ip link set lo up && ip addr add 10.25.0.1/16 dev lo && ip -6 route add local fd25::/64 dev lo &&
echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start &&
echo 1 >/proc/sys/net/ipv6/ip_nonlocal_bind && exec "$@"
S

sub import {
	return if $ENV{TABMAIL_NET};
	$ENV{TABMAIL_NET} = 1;
	my @again = ($^X, (map { "-I$_" } grep { !ref } @INC), $0, @ARGV);
	my @alone = $> == 0 ? qw(unshare -n) : qw(unshare -U -r -n);
	my @self = $> == 0 ? () : ('unshare', '-U', "--map-user=$>", '--map-group=' . (split ' ', $))[0]);
	if (system("@alone true 2>/dev/null") != 0) {
		print "1..0 # SKIP no network namespace is allowed here\n";
		exit 0;
	}
	exec @alone, 'sh', '-c', $SETUP, 'sh', @self, @again or die "unshare: $!\n";
}

1;
