# The defaults of a listener hold nothing weak: old protocols, weak ciphers, renegotiation, compression; good clients get in.
use strict;
use warnings;
use FindBin;
use Tabmail::Certs;
use Test::More;
BEGIN { require "$FindBin::Bin/2-talk.pl" }

my $d = Tabmail::new('Tabmail', users => ['bob'], config => <<'C');
table users file:$D/users
pki mail.example.org certificate "$D/mail.example.org.crt" key "$D/mail.example.org.key"
pki rsa certificate "$D/rsa.crt" key "$D/rsa.key"
listen on 127.0.0.1 port $PORT tls pki mail.example.org pki rsa
accept from any for domain example.org userbase <users> deliver to maildir
C
my $ca = Tabmail::Certs->new($d->dir);
$ca->issue('mail.example.org');
Tabmail::Certs::openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', 30, '-subj', '/CN=rsa.example.org',
    '-addext', 'subjectAltName=DNS:rsa.example.org', '-keyout', $ca->key('rsa'), '-out', $ca->crt('rsa'));
chmod 0600, $ca->key('rsa');
$d->start;

# A handshake by s_client that would itself take anything; what came of it.
sub handshake {
	my (@o) = @_;
	my ($status, $out) = run([input => "QUIT\r\n", secs => 60], 'openssl', 's_client', '-connect', '127.0.0.1:' . $d->port,
	    '-starttls', 'smtp', '-ign_eof', @o);
	return ($out =~ /^New, (TLSv[\d.]+|SSLv3), Cipher is (\S+)/m ? "$1 $2" : 'none', $out);
}
my @any = ('-cipher', 'ALL:COMPLEMENTOFALL:@SECLEVEL=0');
my %name = ('mail.example.org' => 'ECDSA', 'rsa.example.org' => 'RSA');
for my $name (sort keys %name) {
	my @to = (@any, '-servername', $name);
	like +(handshake(@to, '-tls1_3'))[0], qr/^TLSv1\.3 TLS_/, "$name{$name}: TLS 1.3";
	like +(handshake(@to, '-tls1_2'))[0], qr/^TLSv1\.2 ECDHE-$name{$name}-\S+(GCM|POLY1305)/, "$name{$name}: TLS 1.2 with forward secrecy and AEAD";
	is +(handshake(@to, "-$_"))[0], 'none', "$name{$name}: not $_" for qw(tls1_1 tls1);
	for my $cipher (qw(aNULL eNULL LOW EXPORT RC4 3DES MD5 kRSA CBC SHA1 PSK SRP CAMELLIA ARIA SEED IDEA)) {
		my ($got, $out) = handshake('-tls1_2', '-servername', $name, '-cipher', "$cipher:\@SECLEVEL=0");
		next if $out =~ /no cipher match|no ciphers available/;	# this openssl itself has none
		is $got, 'none', "$name{$name}: no cipher of $cipher";
	}
}
my ($status, $out) = handshake('-tls1_2', '-comp');
like $out, qr/^Compression: NONE/m, 'no compression';
# "R" asks for renegotiation, which a server must not do for everybody who asks.
($status, $out) = run([input => "R\nQUIT\r\n", secs => 5], 'openssl', 's_client', '-connect', '127.0.0.1:' . $d->port, '-starttls', 'smtp',
    '-tls1_2');
like $out, qr/RENEGOTIATING/, 'renegotiation is asked for';
unlike $out, qr/RENEGOTIATING.*^verify return:1/ms, 'and refused';
like $d->client->ehlo, qr/^250-STARTTLS/m, 'and the server goes on';

$d->stop;
done_testing;
