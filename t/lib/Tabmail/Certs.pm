# Certificates for tests, made by openssl(1): an authority of our own, and what it signs.
#
#	my $ca = Tabmail::Certs->new($dir);		# $dir/ca.crt, $dir/ca.key
#	$ca->issue('mx.example.org');			# $dir/mx.example.org.crt and .key, signed by it
#	$ca->issue('old', names => ['mx.example.org'], days => -1);
#	$ca->self_signed('lonely');
#	$ca->tlsa('lonely', 3, 1, 1);			# "3 1 1 e3b0…": what a TLSA record says of it
package Tabmail::Certs;
use strict;
use warnings;
use Digest::SHA ();
use Tabmail ();

sub openssl {
	my ($status, $out) = Tabmail::run([secs => 60], 'openssl', @_);
	die "openssl @_: $out" if $status != 0;
	return $out;
}

sub new {
	my ($class, $dir) = @_;
	my $c = bless { dir => $dir, serial => 1 }, $class;
	$c->self_signed('ca', 'basicConstraints=critical,CA:TRUE', 'keyUsage=keyCertSign,cRLSign');
	return $c;
}

sub crt { return "$_[0]{dir}/$_[1].crt" }
sub key { return "$_[0]{dir}/$_[1].key" }

sub self_signed {
	my ($c, $file, @extensions) = @_;
	openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', 30,
	    '-subj', "/CN=$file", (map { ('-addext', $_) } @extensions ? @extensions : "subjectAltName=DNS:$file"),
	    '-keyout', $c->key($file), '-out', $c->crt($file));
	chmod 0600, $c->key($file);
}

# names: DNS names of the certificate, the file's name when none are given; days: how long it is good.
sub issue {
	my ($c, $file, %o) = @_;
	my @names = $o{names} ? @{ $o{names} } : $file;
	my $dir = $c->{dir};
	openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', "/CN=$names[0]",
	    '-keyout', "$dir/$file.key.new", '-out', "$dir/$file.csr");
	Tabmail::spew("$dir/$file.ext", 'subjectAltName=' . join(',', map { "DNS:$_" } @names) . "\n");
	openssl('x509', '-req', '-in', "$dir/$file.csr", '-CA', $c->crt('ca'), '-CAkey', $c->key('ca'),
	    '-set_serial', $c->{serial}++ + time, '-days', $o{days} || 30, '-extfile', "$dir/$file.ext",
	    '-out', "$dir/$file.crt.new");
	rename "$dir/$file.$_.new", "$dir/$file.$_" for 'key', 'crt';
	chmod 0600, $c->key($file);
	unlink "$dir/$file.csr", "$dir/$file.ext";
}

# A record's text: usage, selector (0 certificate, 1 key), matching (0 whole, 1 SHA-256, 2 SHA-512).
sub tlsa {
	my ($c, $file, $usage, $selector, $matching) = @_;
	my $dir = $c->{dir};
	openssl('x509', '-in', $c->crt($file), '-outform', 'DER', '-out', "$dir/0.der");
	openssl('x509', '-in', $c->crt($file), '-pubkey', '-noout', '-out', "$dir/key.pem");
	openssl('pkey', '-pubin', '-in', "$dir/key.pem", '-outform', 'DER', '-out', "$dir/1.der");
	my $der = Tabmail::slurp("$dir/$selector.der");
	unlink "$dir/0.der", "$dir/1.der", "$dir/key.pem";
	my $data = $matching == 0 ? unpack 'H*', $der
	    : $matching == 1 ? Digest::SHA::sha256_hex($der) : Digest::SHA::sha512_hex($der);
	return "$usage $selector $matching $data";
}

# The SHA-256 of a certificate, as IO::Socket::SSL tells it of the peer's.
sub fingerprint {
	my ($c, $file) = @_;
	my ($hex) = openssl('x509', '-in', $c->crt($file), '-noout', '-fingerprint', '-sha256') =~ /=([0-9A-F:]+)/;
	(my $plain = lc $hex) =~ tr/://d;
	return "sha256\$$plain";
}

1;
