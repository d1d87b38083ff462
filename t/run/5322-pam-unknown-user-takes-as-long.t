# table-pam: who is not there, is locked or is root takes as long as who is there, though PAM says no to them at once: a guesser with
# a watch learns no name.  The users are this test's, in a mount namespace with a passwd and a shadow of its own.
use strict;
use warnings;
use TabHelper;
use Tabmail::SystemUsers;
use Test::More;

plan skip_all => system_users_missing() if system_users_missing();
my $hash = crypt('Richtig1', '$2b$10$abcdefghijklmnopqrstuu');	# some 50 ms
my $days = int(time / 86400);
system_users(
	passwd => "tmgood:x:59001:59001::/nonexistent:/bin/sh\ntmlocked:x:59002:59002::/nonexistent:/bin/sh\n",
	shadow => "tmgood:$hash:$days:0:99999:7:::\ntmlocked:!$hash:$days:0:99999:7:::\n",
);
my $h = TabHelper->start(($ENV{BUILD} // 'build') . '/table-pam');
$h->handshake or die $h->stderr;

my %took = $h->time_wrong_logins('tmgood', 'tmnobody', 'tmlocked', 'root');
cmp_ok $took{$_}, '>', $took{tmgood} / 3, "$_ takes as long" for 'tmnobody', 'tmlocked', 'root';
cmp_ok $took{$_}, '<', $took{tmgood} * 3, "$_ takes no longer" for 'tmnobody', 'tmlocked', 'root';
is $h->ask('check', 'auth', 'tmgood:Richtig1'), 'found', 'who is there comes in';
is $h->end, 0, 'it ends well';
done_testing;
