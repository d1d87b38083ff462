# Sessions of TLS are resumed by tickets, TLS 1.2 and 1.3, of each listener's own keys: with several processes a ticket of another is
# harmless, as is one from before a renewal of the certificates.  No tickets where clients show certificates.
use strict;
use warnings;
use FindBin;
use Tabmail::Certs;
use Test::More;
BEGIN { require "$FindBin::Bin/2-talk.pl" }

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
			ok -s $kept, "$name: a ticket" or next;
			my $again = $s_client->('-sess_in', $kept);
			like $again, qr/^(?:New|Reused), TLSv1\.[23], /m, "$name: a ticket is harmless";
			like $again, qr/^Reused, /m, "$name: and resumes" if $processes == 1;
		}
	}
	my $reconnect = (run([ secs => 60 ], 'openssl', 's_client', '-connect', '127.0.0.1:' . $d->port(2), '-tls1_2', '-reconnect'))[1];
	is +(() = $reconnect =~ /^(?:New|Reused), TLSv1\.2/mg), 6, 'openssl s_client -reconnect: all its handshakes';
	like $d->log_text, qr/event=tls .* resumed=$_ /, "the log tells: $_" for $processes == 1 ? qw(no yes) : 'no';
	$d->ctl('update', 'pki');
	my $renewed = (run([ input => "QUIT\r\n", secs => 30 ], 'openssl', 's_client', '-connect', '127.0.0.1:' . $d->port(2), '-tls1_3', '-ign_eof',
		'-sess_in', $d->dir . '/session.tls1_3.2'))[1];
	like $renewed, qr/^New, TLSv1\.3, /m, 'after a renewal of the certificates a ticket of before is harmless';
	$d->stop;
}
my $d = Tabmail::new('Tabmail', config => <<'C');
pki mail.example.org certificate "$D/mail.example.org.crt" key "$D/mail.example.org.key" ca "$D/ca.crt"
listen on 127.0.0.1 port $PORT smtps verify
C
my $certs = Tabmail::Certs->new($d->dir);
$certs->issue($_) for qw(mail.example.org client.example.net);
$d->start;
my $dir = $d->dir;
my $out = (run([ input => "QUIT\r\n", secs => 30 ], 'openssl', 's_client', '-connect', '127.0.0.1:' . $d->port, '-ign_eof', '-sess_out', "$dir/session",
	'-cert', "$dir/client.example.net.crt", '-key', "$dir/client.example.net.key"))[1];
like $out, qr/^220 /m, 'who shows a certificate is let in';
ok !-s "$dir/session", 'and gets no ticket: he shows it each time';
$d->stop;
done_testing;
