# A process that makes a call which it may not make ends by SIGSYS; the log names the call, the process is started anew, and mail goes on.
use strict;
use warnings;
use POSIX ();
use Tabmail;
use Test::More;

my $violation = ($ENV{BUILD} || 'build') . '/t/fault/violation.so';
plan skip_all => "$violation is missing: make units" unless -e $violation;
my $d = Tabmail::new('Tabmail', users => ['bob'], config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to maildir
C
if ($d->{slow} > 1) {
	$d->forget;
	plan skip_all => 'under a sanitizer there is no filter of calls';
}
$ENV{LD_PRELOAD} = $violation;
$d->start;
delete $ENV{LD_PRELOAD};
my %rows = map { $_->{process} => $_ } $d->ctl_rows('show', 'status');
if (($rows{smtp}{sandbox} || '') !~ /seccomp/) {
	$d->halt;
	$d->forget;
	plan skip_all => 'no filter of calls is in force';
}
my $n = 0;
for my $role (qw(smtp relay lookup queue)) {
	my @was = $d->pids($role);
	kill 'USR2', @was;
	like $d->await_log(qr/\b$role: bug: system call /), qr/\b$role: bug: system call \d+ is not allowed here/, "$role: the log names the call";
	if ($role =~ /smtp|relay/) {	# of the others parent may first see one that ends with it
		my $sys = POSIX::SIGSYS();
		$d->await_log(qr/ parent: $role event=died pid=$was[0] signal=$sys\b/);
		pass 'and parent says by what it ended';
	}
	$d->await_role($role, @was);
	wait_for { (eval { $d->mail('a@example.net', 'bob@example.org', mail_text("after $role")) } || '') =~ /^250/ } 'mail to be taken again';
	$d->await_mails('bob', ++$n);
	pass 'it is there again, and mail goes on';
}
is $d->halt, '', 'the daemon ends well';
$d->forget;
done_testing;
