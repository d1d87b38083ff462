# A part of `make bench`: sessions with STARTTLS, beside Postfix in the same run: connect, EHLO, STARTTLS, a whole handshake
# (TLS 1.3, P-256, nothing resumed), EHLO, QUIT.  The clients need processor time of their own, the same for both, so the
# servers' CPU for each session tells more than the rate.  COUNT=n sessions; ends by itself.
use strict;
use warnings;
use File::Path ();
use File::Temp ();
use IO::Socket::SSL;
use POSIX ();
use Tabmail;
use Tabmail::Certs;
use Tabmail::Postfix;
use Time::HiRes qw(time);

my $CLIENTS = 8;
my $n = int(($ENV{COUNT} || 3200) / $CLIENTS) * $CLIENTS;
my $scratch = File::Temp::tempdir('tmbench.XXXXXX', TMPDIR => 1);
my $main = $$;
my $postfix;
END {
	if ($$ == $main) {
		my $status = $?;
		$postfix->stop if $postfix;
		File::Path::remove_tree($scratch) if $scratch;
		$? = $status;
	}
}
$SIG{$_} = sub { exit 1 } for qw(INT TERM);
chmod 0755, $scratch;
my $ca = Tabmail::Certs->new($scratch);
$ca->issue('mail.example.org');

sub sessions {
	my ($port, $each) = @_;
	my $context = IO::Socket::SSL::SSL_Context->new(SSL_verify_mode => 0);
	for (1 .. $each) {
		my $c = Tabmail::Client->new(port => $port);
		$c->ehlo;
		$c->cmd('STARTTLS') =~ /^220/ or die "no STARTTLS\n";
		my $why = $c->starttls(SSL_reuse_ctx => $context);
		die "$why\n" if $why;
		$c->ehlo =~ /^250/ or die "no EHLO\n";
		$c->quit;
	}
}

sub measure {
	my ($name, $port, $cpu) = @_;
	sessions($port, 20);
	my ($cpu_before, $began, $failed) = ($cpu->(), time, 0);
	my @pids = map {
		my $pid = fork;
		if (!$pid) {
			POSIX::_exit(eval { sessions($port, $n / $CLIENTS); 1 } ? 0 : 1);
		}
		$pid;
	} 1 .. $CLIENTS;
	for my $pid (@pids) {
		waitpid $pid, 0;
		$failed++ if $?;
	}
	my $secs = time - $began;
	my %r = (rate => $n / $secs, cpu => ($cpu->() - $cpu_before) * 1000 / $n);
	printf "%-9s %8.0f sessions/s %8.2f ms of CPU each%s\n", $name, @r{qw(rate cpu)}, $failed ? "   $failed of $CLIENTS clients failed" : '';
	return \%r;
}

printf "Sessions with STARTTLS, %d from %d clients\n", $n, $CLIENTS;
my %r;
if (root) {
	$postfix = Tabmail::Postfix->start("$scratch/postfix", smtpd_tls_security_level => 'may',
	    smtpd_tls_cert_file => $ca->crt('mail.example.org'), smtpd_tls_key_file => $ca->key('mail.example.org'),
	    smtpd_client_connection_rate_limit => 0, smtpd_tls_loglevel => 1);
	my $p = $postfix;
	$r{postfix} = measure('postfix', $p->port, sub { $p->cpu });
	undef $postfix;
	$p->stop;
} else {
	print "Postfix needs root to run: no figures to compare with\n";
}
my $d = Tabmail->start(users => ['bob'], flags => [], vars => { CERT => $ca->crt('mail.example.org'), KEY => $ca->key('mail.example.org') },
    config => <<'C');
table users file:$D/users
pki mail.example.org certificate "$CERT" key "$KEY"
listen on 127.0.0.1 port $PORT tls
accept from any for domain "example.org" userbase <users> deliver to maildir
C
$r{tabmail} = measure('tabmail', $d->port, sub { $d->cpu });
my $wrong = $d->halt;
print "tabmaild: $wrong\n" if $wrong;
$d->forget;
printf "tabmail to Postfix: sessions %.1f x   CPU 1/%.1f\n", $r{tabmail}{rate} / $r{postfix}{rate}, $r{postfix}{cpu} / $r{tabmail}{cpu}
    if $r{postfix} && $r{tabmail}{cpu};
exit 0;
