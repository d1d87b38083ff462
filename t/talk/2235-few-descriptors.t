# Where the system gives fewer descriptors than sessions may be, there are fewer sessions: idle ones make room for others,
# as at the limit of the configuration, and renewed certificates still come in.
use strict;
use warnings;
use IO::Socket::INET;
use POSIX ();
use Tabmail;
use Tabmail::Certs;
use Test::More;

my $limit = 128;
if (!$ENV{TABMAIL_TEST_LIMITED}) {
	$ENV{TABMAIL_TEST_LIMITED} = 1;
	exec 'sh', '-c', "ulimit -n $limit && exec \"\$@\"", 'sh', $^X, (map { "-I$_" } @INC), $0 or die;
}
my $d = Tabmail::new('Tabmail', users => ['bob'], config => <<'C');
table users file:$D/users
pki mail.example.org certificate "$D/mail.example.org.crt" key "$D/mail.example.org.key"
limit smtp rate-per-address 0
listen on 127.0.0.1 port $PORT tls
accept from any for domain example.org userbase <users> deliver to maildir
C
my $certs = Tabmail::Certs->new($d->dir);
$certs->issue('mail.example.org');
$d->start;
like $d->log_text, qr/smtp: limit sessions=\d+ descriptors=$limit wanted=10000$/m, 'it is told how many there are';
my @pids = $d->pids('smtp');

# Descriptors are few here, too.
my @crowd;
for my $i (1 .. 3) {
	pipe my $ready, my $tell or die;
	my $pid = fork // die;
	if ($pid == 0) {
		my @s = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $d->port, LocalAddr => "127.0.$i.1", Timeout => 5) } 1 .. 60;
		syswrite $tell, scalar grep { $_ } @s;
		sleep 120;
		POSIX::_exit(0);
	}
	push @crowd, $pid;
	close $tell;
	sysread $ready, my $n, 10;
	is $n, 60, "a crowd of 60 connects, and does nothing";
}
# Who came a moment ago keeps his place, so the first may have to come again.
wait_for { (eval { $d->client->mail('a@example.net', ['bob@example.org'], "Subject: first\n\nx\n") } // '') =~ /^250/ } 'room';
like $d->client->mail('a@example.net', ['bob@example.org'], "Subject: $_\n\nx\n"), qr/^250/, 'somebody else is served' for 1 .. 3;
$certs->issue('mail.example.org');
like +($d->ctl('update', 'pki'))[0], qr/^0?$/, 'certificates are renewed';
my $c = $d->client;
like $c->ehlo, qr/^250-STARTTLS/m, 'STARTTLS is offered';
like $c->cmd('STARTTLS'), qr/^220/, 'STARTTLS';
is $c->starttls(SSL_fingerprint => $certs->fingerprint('mail.example.org')), '', 'with the new one';
unlike $d->log_text, qr/accept error/, 'no connection had to be left';
is "@{[ $d->pids('smtp') ]}", "@pids", 'by the same process';
kill 'KILL', @crowd;
waitpid $_, 0 for @crowd;
$d->stop;
done_testing;
