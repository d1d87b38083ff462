# A DKIM proxy (aiosmtpd and dkimpy, dkim-proxy.py), and opendkim to verify what it signed.
#
#	my $proxy = Tabmail::Dkim->start(port => $in, next => $out, domain => 'example.org', dsn => 1);
#	$proxy->verdict($mail)	# 'signed and good', or what opendkim says
package Tabmail::Dkim;
use strict;
use warnings;
use parent 'Tabmail::PythonPeer';
use Tabmail ();

sub start {
	my ($class, %o) = @_;
	my $p = $class->new(domain => 'example.org', %o);
	my ($status, $out) = Tabmail::run('openssl', 'genrsa', '-out', "$p->{dir}/key", 2048);
	die "openssl: $out" if $status;
	my $public = `openssl rsa -in $p->{dir}/key -pubout -outform der 2>/dev/null | base64 -w0`;
	Tabmail::spew("$p->{dir}/keys", "s1._domainkey.$p->{domain} v=DKIM1; k=rsa; p=$public\n");
	Tabmail::spew("$p->{dir}/opendkim.conf", "TestPublicKeys $p->{dir}/keys\nMode v\nSyslog no\n");
	$p->boot;
	return $p;
}

# Also after stop().
sub boot {
	my ($p) = @_;
	$p->run_program('dkim-proxy.py', $p->{port}, $p->{next}, "$p->{dir}/key", 's1', $p->{domain}, ($p->{dsn} ? 'dsn' : ()), ($p->{plain} ? 'plain' : ()));
}

sub verdict {
	my ($p, $mail) = @_;
	Tabmail::spew("$p->{dir}/mail", $mail);
	my (undef, $out) = Tabmail::run('opendkim', '-x', "$p->{dir}/opendkim.conf", '-t', "$p->{dir}/mail");
	return $out =~ /verification \(s=s1, d=\Q$p->{domain}\E, \d+-bit key\) succeeded$/m ? 'signed and good' : $out;
}

1;
