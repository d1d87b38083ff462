# table-pam: who is not there, is locked or is root takes as long as who is there, though PAM says no to them at once: a guesser with
# a watch learns no name.  The users are this test's, in a mount namespace with a passwd and a shadow of its own.
use strict;
use warnings;
use File::Temp qw(tempdir);
use TabHelper;
use Tabmail;
use Test::More;
use Time::HiRes qw(time);

plan skip_all => 'needs root, for a mount namespace with users of its own' if $> != 0;
if (!$ENV{TABMAIL_TEST_NAMESPACE}) {
	plan skip_all => 'no mount namespace here' if system('unshare -m true 2>/dev/null') != 0;
	$ENV{TABMAIL_TEST_NAMESPACE} = 1;
	exec 'unshare', '-m', $^X, (map { "-I$_" } @INC), $0 or die;
}
system('mount --make-rprivate /') == 0 or die;
my $dir = tempdir(CLEANUP => 1);
chmod 0755, $dir;
my $hash = crypt('Richtig1', '$2b$10$abcdefghijklmnopqrstuu');	# some 50 ms
my $days = int(time / 86400);
my %add = (
	passwd => "tmgood:x:59001:59001::/nonexistent:/bin/sh\ntmlocked:x:59002:59002::/nonexistent:/bin/sh\n",
	shadow => "tmgood:$hash:$days:0:99999:7:::\ntmlocked:!$hash:$days:0:99999:7:::\n",
);
for my $name (sort keys %add) {
	spew("$dir/$name", slurp("/etc/$name") . $add{$name});
	my @st = stat "/etc/$name";
	chmod $st[2] & 07777, "$dir/$name";
	chown $st[4], $st[5], "$dir/$name";
	system('mount', '--bind', "$dir/$name", "/etc/$name") == 0 or die;
}
my $h = TabHelper->start(($ENV{BUILD} // 'build') . '/table-pam');
$h->handshake or die $h->stderr;

# The shortest of some, taken in turns: others use this machine, too.
my %took;
sub ask_in_turns {
	for my $user ((@_) x 6) {
		my $began = time;
		is $h->ask('check', 'auth', "$user:falsch"), 'not-found', "$user: not found";
		my $took = time - $began;
		$took{$user} = $took if $took < ($took{$user} // 1e9);
	}
}
ask_in_turns('tmgood', 'tmnobody', 'tmlocked', 'root');
cmp_ok $took{$_}, '>', $took{tmgood} / 3, "$_ takes as long" for 'tmnobody', 'tmlocked', 'root';
cmp_ok $took{$_}, '<', $took{tmgood} * 3, "$_ takes no longer" for 'tmnobody', 'tmlocked', 'root';
is $h->ask('check', 'auth', 'tmgood:Richtig1'), 'found', 'who is there comes in';
is $h->end, 0, 'it ends well';
done_testing;
