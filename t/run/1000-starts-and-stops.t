# The daemon starts its processes, answers on its port, and ends on SIGTERM with nothing left behind.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $d = Tabmail->start(users => ['bob'], config => <<'END');
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to maildir
END

for my $role (qw(smtp lookup queue relay table-file)) {
	is scalar(my @pids = $d->pids($role)), 1, "one process is $role";
}
SKIP: {
	skip 'every process runs as this user', 5 unless root;
	my %want = (smtp => '_tabmail', lookup => '_tabmail', relay => '_tabmail', queue => '_tabmailq',
	    'table-file' => '_tabmail');
	for my $role (sort keys %want) {
		my ($pid) = $d->pids($role);
		is getpwuid((stat "/proc/$pid")[4]), $want{$role}, "$role runs as $want{$role}";
	}
}
SKIP: {
	skip 'no chroot without root', 3 unless root;
	for my $role (qw(smtp queue relay)) {
		my ($pid) = $d->pids($role);
		isnt readlink("/proc/$pid/root"), '/', "$role sees no file system";
	}
}

my $c = $d->client;
like $c->greeting, qr/^220 mail\.example\.org\b/, 'greeting';
like $c->ehlo, qr/^250-mail\.example\.org/, 'EHLO';
like $c->cmd('NOOP'), qr/^250 /, 'NOOP';
like $c->quit, qr/^221 /, 'QUIT';

my ($status, $out) = $d->ctl('show', 'status');
is $status, 0, 'tabmailctl show status';
like $out, qr/\bqueue\b/, 'it names a process';
($status, $out) = $d->ctl('show', 'queu');
isnt $status, 0, 'a wrong word is an error';
($status, $out) = $d->ctl('table', 'nosuch', 'update');
isnt $status, 0, 'a table that does not exist is an error';

is $d->halt, '', 'it ends with 0 and leaves no process behind';
$d->boot;
like $d->client->greeting, qr/^220 /, 'it starts again in the same folder';
$d->stop;

my $bad = Tabmail->new(config => "accept for any deliver to nowhere\nlisten onn lo\n");
$bad->write_config;
($status, $out) = run($bad->dir . '/bin/tabmaild', '-n', '-f', $bad->dir . '/tabmail.conf');
is $status, 1, 'tabmaild -n refuses a bad configuration';
like $out, qr/tabmail\.conf:7:\d+:.*nowhere/, 'it names file, line, column and token';
like $out, qr/tabmail\.conf:8:\d+:/, 'and all errors at once';
$bad->forget;
done_testing;
