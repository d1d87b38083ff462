# Whether sessions of TLS are resumed.  Over LibreSSL they are; over libretls they are not (ARCHITECTURE, "TLS"): then no ticket is
# given that would come to nothing, and who tries to resume gets a full handshake.  One and several processes, TLS 1.2 and 1.3.
use strict;
use warnings;
use FindBin;
use Tabmail::Certs;
use Test::More;
BEGIN { require "$FindBin::Bin/2-talk.pl" }

my ($status, $libraries) = run('ldd', ($ENV{BUILD} || 'build') . '/tabmaild');
my $libretls = $libraries =~ /libtls\.so/ && $libraries =~ /libcrypto\.so\.[13]\b/ && $libraries !~ /libressl/i;
for my $processes (1, 2) {
	my $d = Tabmail::new('Tabmail', config => <<"C");
smtp processes $processes
pki mail.example.org certificate "\$D/mail.example.org.crt" key "\$D/mail.example.org.key"
listen on 127.0.0.1 port \$PORT tls
listen on 127.0.0.1 port \$PORT2 smtps
C
	Tabmail::Certs->new($d->dir)->issue('mail.example.org');
	$d->start;
	for my $version (qw(tls1_2 tls1_3)) {
		for my $n (1, 2) {
			my $kept = $d->dir . "/session.$version.$n";
			my $s_client = sub {
				return (run([ input => "QUIT\r\n", secs => 30 ], 'openssl', 's_client', '-connect', '127.0.0.1:' . $d->port($n), "-$version", '-ign_eof',
					$n == 1 ? ('-starttls', 'smtp') : (), @_))[1];
			};
			my $name = ($n == 1 ? 'STARTTLS' : 'smtps') . ", $version, $processes process(es)";
			like $s_client->('-sess_out', $kept), qr/^New, TLSv1\.[23], /m, "$name: a full handshake";
			is -s $kept ? 1 : 0, $libretls ? 0 : 1, "$name: " . ($libretls ? 'libretls gives no ticket' : 'a ticket');
			next unless -s $kept;
			my $again = $s_client->('-sess_in', $kept);
			like $again, qr/^(?:New|Reused), TLSv1\.[23], /m, "$name: a ticket is harmless";
			like $again, qr/^Reused, /m, "$name: and resumes" if $processes == 1;
		}
	}
	my $reconnect = (run([ secs => 60 ], 'openssl', 's_client', '-connect', '127.0.0.1:' . $d->port(2), '-tls1_2', '-reconnect'))[1];
	is +(() = $reconnect =~ /^(?:New|Reused), TLSv1\.2/mg), 6, 'openssl s_client -reconnect: all its handshakes';
	like $d->log_text, qr/event=tls .* resumed=no /, 'the log tells whether';
	$d->stop;
}
done_testing;
