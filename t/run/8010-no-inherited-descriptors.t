# Security row 24: a helper and an mda command hold descriptors 0, 1, 2 and no other.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $d = Tabmail->start(users => ['bob'], files => { mda => <<'M', helper => <<'H' }, config => <<'C');
#!/usr/bin/perl
# (a shell would open descriptors of its own)
my @fds = grep { defined readlink "/proc/$$/fd/$_" } 0 .. 255;
open my $status, '<', "/proc/$$/status";
open my $ids, '>', "$ENV{HOME}/ids";
print $ids grep { /^(Uid|Gid|Groups):/ } <$status>;
1 while <STDIN>;
close $ids;
open my $out, '>', "$ENV{HOME}/fds.new";
print $out "@fds\n";
close $out;
rename "$ENV{HOME}/fds.new", "$ENV{HOME}/fds";
M
#!/usr/bin/perl
$| = 1;
my $fds = join ' ', sort grep { /^\d/ && -e "/proc/$$/fd/$_" } map { m{(\d+)$} } glob "/proc/$$/fd/*";
while (<STDIN>) { last if /^config\|ready/ }
print "register|string\nregister|ready\n";
while (<STDIN>) {
	chomp;
	my @f = split /\|/;
	print $f[4] eq 'update' ? "update-result|$f[5]|ok\n" : "$f[4]-result|$f[6]|found|fds $fds uid $<,$> gid $( env " . join(',', sort keys %ENV) . "\n";
}
H
table users file:$D/users
table odd command "$D/helper"
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to mda "$D/mda"
C
local $ENV{SECRET_OF_STARTER} = 1;
like $d->mail('a@example.net', 'bob@example.org', mail_text('x')), qr/^250 /, 'accepted';
my $fds = wait_for { -e $d->home('bob') . '/fds' && slurp($d->home('bob') . '/fds') } 'the command to run';
is $fds, "0 1 2\n", 'an mda command holds 0, 1, 2';
my $ids = slurp($d->home('bob') . '/ids');
my $u = $d->{users}{bob};
like $ids, qr/^Uid:\t$u->{uid}\t$u->{uid}\t$u->{uid}\t$u->{uid}$/m, 'and the uid of its user only';
like $ids, qr/^Groups:\t(?:$u->{gid})? ?$/m, 'and no group of root' if root;
my ($status, $out) = $d->ctl('table', 'odd', 'lookup', 'string', 'x');
is $status, 0, 'a helper is asked' or diag $out;
like $out, qr/fds 0 1 2 /, 'it holds 0, 1, 2';
if (root) {
	my ($uid) = (getpwnam '_tabmail')[2];
	like $out, qr/uid $uid,$uid /, 'and runs as _tabmail';
}
$d->await_queue_empty;
# the processes of the daemon among themselves: nothing of the listening sockets, the spool or the key beyond their own
my ($relay) = $d->pids('relay');
my @relay = grep { defined } map { readlink } glob "/proc/$relay/fd/*";
is scalar(grep { /spool|\.conf|\.db/ } @relay), 0, 'relay has no file of the spool open';
my ($helper) = $d->pids('table-file');
my @fds = glob "/proc/$helper/fd/*";
is scalar(grep { (readlink($_) || '') =~ /^socket/ && $_ !~ m{/[012]$} } @fds), 0, 'table-file has no socket but its own two';
$d->stop;
done_testing;
