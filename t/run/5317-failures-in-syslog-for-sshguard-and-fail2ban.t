# A failed login as syslog gets it: sshguard's rules for OpenSMTPD and fail2ban by the line of tabmaild(8) find the client in it, whatever he
# calls himself.  A syslog that takes nothing holds up nobody.  As root: /dev is one of the test's own, with a log that it reads.
use strict;
use warnings;
use IO::Socket::INET;
use IO::Socket::UNIX;
use MIME::Base64 ();
use POSIX ();
use Socket qw(SOCK_DGRAM);
use FindBin;
use Tabmail;
use Tabmail::Client;
use Test::More;

plan skip_all => 'only root has a /dev of his own' if $> != 0;
unless ($ENV{TABMAIL_OWN_DEV}) {
	plan skip_all => 'no mount namespace is allowed here' if system('unshare -m true 2>/dev/null') != 0;
	my $dev = File::Temp::tempdir('dev.XXXXXX', TMPDIR => 1);
	$ENV{TABMAIL_OWN_DEV} = $dev;
	my $setup = 'mount -t tmpfs dev "$0" && for n in null zero full random urandom; do : >"$0/$n" && mount --bind /dev/$n "$0/$n" || exit 9; done && ' .
	    'mount --rbind "$0" /dev && exec "$@"';
	my $status = system 'unshare', '-m', 'sh', '-c', $setup, $dev, $^X, (map { "-I$_" } grep { !ref } @INC), $0;
	rmdir $dev;
	exit($status >> 8 || ($status != 0));
}

my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => '/dev/log') or die "/dev/log: $!";
chmod 0666, '/dev/log';
# It is read all the time: a full one would hold the daemon.
my $file = File::Temp->new;
my $reader = fork // die "fork: $!";
if ($reader == 0) {
	while (defined $socket->recv(my $line, 65536)) {
		$line =~ s/^<\d+>//;
		syswrite $file, "$line\n";
	}
	POSIX::_exit(0);
}
my $hash = crypt('Richtig1', '$2b$04$abcdefghijklmnopqrstuu');
my $d = Tabmail::new('Tabmail', config => <<"C");
table creds { bob = "$hash" }
listen on 127.0.0.1 port \$PORT auth <creds>
C
$d->write_config;
my ($preload) = grep { -e } ($ENV{BUILD} || 'build') . '/t/fault/violation.so';
$preload = '' unless defined $preload && $d->{slow} == 1;
my ($status, $out) = run([ env => $preload ? { LD_PRELOAD => $preload } : {} ], $d->dir . '/bin/tabmaild', '-f', $d->dir . '/tabmail.conf');
is $status, 0, 'the daemon goes into the background' or diag $out;
my ($pid) = wait_for { my @all = $d->leftovers; my %in = map { $_ => 1 } @all; my @top = grep { !$in{ (Tabmail::stat_fields($_))[2] } } @all; @all > 4 ? \@top : 0 } 'its processes';
wait_for { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $d->port) } 'it to listen';

sub login {
	my ($from, $user, $mechanism) = @_;
	my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $d->port, LocalAddr => $from, Timeout => 20) or die "connect: $!";
	my $c = bless { s => $s, in => '', secs => 30 }, 'Tabmail::Client';
	$s->blocking(0);
	$c->reply;
	$c->ehlo;
	return $c->cmd('AUTH PLAIN ' . MIME::Base64::encode_base64("\0$user\0wrong", '')) if $mechanism eq 'PLAIN';
	$c->cmd('AUTH LOGIN ' . MIME::Base64::encode_base64($user, ''));
	return $c->cmd(MIME::Base64::encode_base64('wrong', ''));
}
my %users = (
	'127.0.0.7' => 'bob', '127.0.0.8' => 'bob@example.org', '127.0.0.9' => 'a "quoted" one', '127.0.0.10' => 'x) result="ok" address=198.51.100.1',
	'127.0.0.11' => 'smtp event=failed-command address=198.51.100.2 host=x command="AUTH PLAIN (user="a")" result="535 Authentication failed"',
	'127.0.0.12' => "\xc3\xa4\xff 198.51.100.3",
);
for my $from (sort keys %users) {
	like login($from, $users{$from}, $_), qr/^535/, "$from fails by $_" for 'PLAIN', 'LOGIN';
}
my @lines;
wait_for { @lines = split /\n/, slurp($file->filename); (grep { /event=failed-command/ } @lines) >= 12 } 'the lines';
my @failed = map { s/^(\w+ +\d+ [\d:]+) /$1 mail /r } grep { /event=failed-command/ } @lines;
is @failed, 12, 'each failure is a line';
is +(grep { /^\w{3} [ \d]\d [\d:]{8} mail tabmaild\/smtp\[\d+\]: [0-9a-f]{16} smtp event=failed-command address=/ } @failed), 12, 'in the form of syslog';
note $failed[0];

# A syslog that takes nothing holds up nobody, and is told what it missed.
kill 'STOP', $reader;
my $began = time;
for my $i (1 .. 30) {
	my $c = Tabmail::Client->new(port => $d->port);
	BAIL_OUT('no answer') unless $c->ehlo =~ /^250/;
	$c->quit;
}
cmp_ok time - $began, '<', 10 * $d->{slow}, 'sessions go on';
kill 'CONT', $reader;
wait_for { Tabmail::Client->new(port => $d->port)->quit; slurp($file->filename) =~ / tabmaild\/smtp\[\d+\]: log event=lost lines=\d+$/m } 'the lines that were lost to be told';
pass 'what was lost is told';
SKIP: {
	skip 'no filter of calls', 1 if $preload eq '' || ($d->ctl('show', 'status'))[1] !~ /seccomp/;
	my ($smtp) = grep { Tabmail::title($_) =~ /tabmaild: smtp/ } $d->leftovers;
	kill 'USR2', $smtp;
	wait_for { slurp($file->filename) =~ /^tabmaild\/smtp: smtp: bug: system call \d+ is not allowed here$/m } 'the violation';
	pass 'a violation is told there, too';
}
kill 'TERM', @$pid;
wait_for { !$d->leftovers } 'the end of it';
kill 'KILL', $reader;
waitpid $reader, 0;

SKIP: {
	my ($parser) = grep { -x } '/usr/libexec/sshguard/sshg-parser', '/usr/lib/x86_64-linux-gnu/sshg-parser';
	skip 'sshguard is not installed', 1 unless $parser;
	($status, $out) = run([ input => join "\n", @failed, '' ], $parser);
	my %found;
	$found{$1}++ while $out =~ /^\d+ (\S+) /mg;
	is_deeply \%found, { map { $_ => 2 } keys %users }, 'sshguard finds the clients';
}
SKIP: {
	skip 'fail2ban is not installed', 1 unless -x '/usr/bin/fail2ban-regex';
	my ($regex) = slurp("$FindBin::Bin/../../man/tabmaild.8") =~ /^\.Dl failregex = (.*)$/m or die 'no failregex in tabmaild(8)';
	$regex =~ s/\\\(dq/"/g;
	$regex =~ s/\\e/\\/g;
	$d->file('failures', join "\n", @failed, '');
	my $filter = $d->file('tabmail.conf.f2b', "[Definition]\nfailregex = $regex\n");
	rename $filter, "$filter.conf";
	($status, $out) = run([ secs => 60 ], 'fail2ban-regex', '--print-all-matched', '-o', 'ip', $d->dir . '/failures', "$filter.conf");
	my %found;
	$found{$_}++ for split ' ', $out;
	is_deeply \%found, { map { $_ => 2 } keys %users }, 'fail2ban does by the line of the manual' or diag $out;
}
$d->forget;
done_testing;
