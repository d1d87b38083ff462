# A DKIM proxy (aiosmtpd and dkimpy, dkim-proxy.py), and opendkim to verify what it signed.
#
#	my $proxy = Tabmail::Dkim->start(port => $in, next => $out, domain => 'example.org', dsn => 1);
#	$proxy->verdict($mail)	# 'signed and good', or what opendkim says
package Tabmail::Dkim;
use strict;
use warnings;
use Cwd ();
use File::Basename ();
use File::Path ();
use File::Temp ();
use Tabmail ();

my %live;
my $owner = $$;

sub start {
	my ($class, %o) = @_;
	my $dir = File::Temp::tempdir('tmdkim.XXXXXX', TMPDIR => 1);
	my $p = bless { dir => $dir, domain => 'example.org', %o }, $class;
	my ($status, $out) = Tabmail::run('openssl', 'genrsa', '-out', "$dir/key", 2048);
	die "openssl: $out" if $status;
	my $public = `openssl rsa -in $dir/key -pubout -outform der 2>/dev/null | base64 -w0`;
	Tabmail::spew("$dir/keys", "s1._domainkey.$p->{domain} v=DKIM1; k=rsa; p=$public\n");
	Tabmail::spew("$dir/opendkim.conf", "TestPublicKeys $dir/keys\nMode v\nSyslog no\n");
	$live{$dir} = $p;
	$p->boot;
	return $p;
}

# Also after stop().
sub boot {
	my ($p) = @_;
	pipe my $from, my $to or die "pipe: $!";
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		$SIG{$_} = 'DEFAULT' for qw(INT TERM HUP);
		open STDIN, '<', '/dev/null';
		open STDOUT, '>&', $to;
		exec '/usr/bin/python3', File::Basename::dirname(Cwd::abs_path(__FILE__)) . '/../dkim-proxy.py',
		    $p->{port}, $p->{next}, "$p->{dir}/key", 's1', $p->{domain}, ($p->{dsn} ? 'dsn' : ()),
		    ($p->{plain} ? 'plain' : ()) or POSIX::_exit(127);
	}
	close $to;
	my $line = <$from> // '';
	die "the DKIM proxy does not start\n" if $line ne "ready\n";
	$p->{pid} = $pid;
}

sub verdict {
	my ($p, $mail) = @_;
	Tabmail::spew("$p->{dir}/mail", $mail);
	my (undef, $out) = Tabmail::run('opendkim', '-x', "$p->{dir}/opendkim.conf", '-t', "$p->{dir}/mail");
	return $out =~ /verification \(s=s1, d=\Q$p->{domain}\E, \d+-bit key\) succeeded$/m ? 'signed and good' : $out;
}

sub stop {
	my ($p) = @_;
	my $pid = delete $p->{pid} or return;
	kill 'TERM', $pid;
	waitpid $pid, 0;
}

sub remove {
	my ($p) = @_;
	$p->stop;
	delete $live{ $p->{dir} };
	File::Path::remove_tree($p->{dir});
}

END {
	if ($$ == $owner) {
		my $status = $?;
		$_->remove for values %live;
		$? = $status;
	}
}

1;
