# Every process says what holds it, and /proc says the same.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $d = Tabmail->start(users => ['bob'], config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to mda "grep -c -E 'NoNewPrivs:.1|Seccomp:.2' /proc/self/status >$D/home/bob/held"
C
my $root = $> == 0;
my %rows = map { $_->{process} => $_ } $d->ctl_rows('show', 'status');
my $filtered = ($rows{smtp}{sandbox} || '') =~ /seccomp/;
for my $role (qw(lookup queue smtp relay)) {
	my $said = $rows{$role}{sandbox};
	my ($pid) = $d->pids($role);
	my $status = slurp("/proc/$pid/status");
	like $said, qr/\bno-new-privs\b/, "$role: no-new-privs is in force";
	like $status, qr/^NoNewPrivs:\s+1$/m, 'and the kernel says so';
	is $status =~ /^Seccomp:\s+2$/m ? 1 : 0, $said =~ /\bseccomp\b/ ? 1 : 0, 'a filter of calls is what it says';
	is $said =~ /\buser\b/ ? 1 : 0, $root ? 1 : 0, $root ? 'a user of its own' : 'no user of its own, for we are none but ourselves';
	next unless $root;
	unlike $status, qr/^Uid:\t0\t/m, 'not root';
	is $said =~ /\bchroot\b/ ? 1 : 0, $role eq 'lookup' ? 0 : 1, 'locked in' . ($role eq 'lookup' ? ', or not: it reads files' : '');
}
SKIP: {
	skip 'sanitizers make calls of their own', 1 unless $filtered;
	like $rows{smtp}{sandbox}, qr/seccomp/, 'smtp has a filter';
}
my ($status, $text) = $d->ctl('show', 'status');
like $text, qr/SANDBOX/, 'show status has a column for it';

like $d->mail('a@example.net', ['bob@example.org'], "Subject: held\n\nx\n"), qr/^250/, 'a mail for a command';
my $held = wait_for { my $text = eval { slurp($d->home('bob') . '/held') }; $text && $text =~ /\d/ ? $text : 0 } 'the command to run';
is $held + 0, $filtered ? 2 : 1, 'the command of a delivery is held as its worker: no new privileges, refused calls';
$d->stop;
done_testing;
