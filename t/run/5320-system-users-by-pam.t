# auth without a table: the system's users, by table-pam, which runs as a user of its own that may read
# shadow.  The users are this test's, in a mount namespace with a passwd and a shadow of its own.
use strict;
use warnings;
use MIME::Base64 ();
use Tabmail;
use Tabmail::SystemUsers;
use Test::More;

plan skip_all => system_users_missing() if system_users_missing();
my $hash = crypt('Richtig1', '$6$saltsalt$');
my $days = int(time / 86400);
my $dir = system_users(
	passwd => "tmtoor:x:0:0::/nonexistent:/bin/sh\ntmgood:x:59001:59001::/nonexistent:/bin/sh\ntmlocked:x:59002:59002::/nonexistent:/bin/sh\ntmexpired:x:59003:59003::/nonexistent:/bin/sh\n",
	shadow => "tmtoor:$hash:$days:0:99999:7:::\ntmgood:$hash:$days:0:99999:7:::\ntmlocked:!$hash:$days:0:99999:7:::\ntmexpired:$hash:$days:0:99999:7::1:\n",
);

my $d = Tabmail->start(users => ['bob'], config => <<'C');
table users file:$D/users
limit smtp auth-failures 100
listen on 127.0.0.1 port $PORT auth received-auth
accept from any authenticated for domain example.org userbase <users> deliver to maildir
C
sub login {
	my ($user, $password) = @_;
	my $c = $d->client;
	$c->ehlo;
	return ($c->cmd('AUTH PLAIN ' . MIME::Base64::encode_base64("\0$user\0$password", '')), $c);
}
my ($pam) = $d->pids('table-pam');
my $status = slurp("/proc/$pam/status");
unlike $status, qr/^Uid:\t0\t/m, 'the helper is not root';
my $shadow = getgrnam 'shadow';
like $status, qr/^Gid:\t$shadow\t/m, 'but of the group that may read shadow';
like slurp("/proc/$pam/limits"), qr/^Max core file size\s+0\s+0\s/m, 'it leaves no core, which would hold passwords';
my ($reply, $c) = login('tmgood', 'Richtig1');
like $reply, qr/^235 /, 'a system user logs in' or diag $d->log_text;
like $c->mail('tmgood@example.org', ['bob@example.org'], "Subject: pam\n\nx\n"), qr/^250/, 'and sends';
like +($d->await_mails('bob', 1))[0], qr/\(authenticated as tmgood\)/, 'as himself';
for my $case ([ 'tmgood', 'richtig1' ], [ 'tmgood', 'falsch' ], [ 'tmgood', 'x' x 600 ], [ 'tmlocked', 'Richtig1' ], [ 'tmexpired', 'Richtig1' ], [ 'nobody', 'x' ], [ 'tmnobody', 'x' ], [ 'root', 'x' ], [ 'tmtoor', 'Richtig1' ]) {
	($reply) = login(@$case);
	like $reply, qr/^535 /, "$case->[0] with $case->[1]: 535";
}
# It cannot find out: never 535.
kill 'STOP', $pam;
($reply) = do { my $c = $d->client; $c->ehlo; $d->kill_role('table-pam'); $d->await_role('table-pam', $pam); login('tmgood', 'Richtig1') };
like $reply, qr/^235 /, 'one that was killed is there again';
unlike $d->log_text, qr/Richtig1|falsch/, 'no password is in the log';
chmod 0600, "$dir/shadow";	# as if the helper's user had not been set up
chown 0, 0, "$dir/shadow";
($reply) = login('tmgood', 'Richtig1');
like $reply, qr/^454 /, 'shadow cannot be read: 454, not 535' or diag $d->log_text;
$d->stop;
done_testing;
