# parent is killed: no process of the daemon stays, not even a helper that reads nothing any more.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $d = Tabmail->start(users => ['bob'], files => { hang => <<'H' }, config => <<'END');
#!/usr/bin/perl
$| = 1;
$SIG{$_} = 'IGNORE' for qw(TERM HUP INT);
while (<STDIN>) { last if /^config\|ready/ }
print "register|string\nregister|ready\n";
sleep 1 for 1 .. 60;
H
table users file:$D/users
table odd command "$D/hang"
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to maildir
END
wait_for { scalar $d->pids('hang') } 'the helper';
my ($helper) = $d->pids('hang');
like slurp("/proc/$helper/cmdline"), qr/hang/, 'a helper that hangs';
kill KILL => $d->pid;
waitpid $d->pid, 0;
ok eval { wait_for { !is_alive($helper) } 'it to end', 5; 1 }, 'it ends when parent was killed';
ok eval { wait_for { !$d->leftovers } 'all of them to end', 10; 1 }, 'so do all the others';
kill KILL => grep { is_alive($_) } $helper, $d->leftovers;	# a test that fails leaves nothing either
delete $d->{pid};
$d->forget;
done_testing;

sub is_alive {
	my ($pid) = @_;
	return -e "/proc/$pid/status" && slurp("/proc/$pid/status") !~ /^State:\s+Z/m;
}
