# Users of the system that are the test's own: a mount namespace with a passwd and a shadow that have more lines.
#
#	use Tabmail::SystemUsers;
#	plan skip_all => system_users_missing() if system_users_missing();	# as root only
#	my $dir = system_users(passwd => "joe:x:59001:…\n", shadow => "joe:…\n");	# the test is started anew for it
package Tabmail::SystemUsers;
use strict;
use warnings;
use Exporter 'import';
use File::Temp ();
use Tabmail;

our @EXPORT = qw(system_users_missing system_users);

sub system_users_missing {
	return 'needs root, for a mount namespace with users of its own' if $> != 0;
	return $ENV{TABMAIL_TEST_NAMESPACE} || system('unshare -m true 2>/dev/null') == 0 ? '' : 'no mount namespace here';
}

# The folder of what /etc/passwd and /etc/shadow are now.  Comes back only in a process that has them, so it is to be the first to be called.
sub system_users {
	my (%lines) = @_;
	if (!$ENV{TABMAIL_TEST_NAMESPACE}) {
		$ENV{TABMAIL_TEST_NAMESPACE} = 1;
		exec 'unshare', '-m', $^X, (map { "-I$_" } grep { !ref } @INC), $0 or die "unshare: $!";
	}
	system('mount --make-rprivate /') == 0 or die;
	my $dir = File::Temp::tempdir(CLEANUP => 1);
	chmod 0755, $dir;
	for my $name (sort keys %lines) {
		my @st = stat "/etc/$name";
		spew("$dir/$name", slurp("/etc/$name") . $lines{$name});
		chmod $st[2] & 07777, "$dir/$name";
		chown $st[4], $st[5], "$dir/$name";
		system('mount', '--bind', "$dir/$name", "/etc/$name") == 0 or die;
	}
	return $dir;
}

1;
