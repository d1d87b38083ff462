# A mail server of aiosmtpd (aio-sink.py), which checks what others only take.
#
#	my $sink = Tabmail::Aio->start('utf8', 'dsn');	# what it offers; lmtp: it speaks that
#	$sink->port; $sink->mails;	# { from, to => [], options => [], utf8, dsn => [], mail }, texts in UTF-8
package Tabmail::Aio;
use strict;
use warnings;
use Cwd ();
use File::Basename ();
use File::Path ();
use File::Temp ();
use JSON::PP ();
use POSIX ();
use Tabmail ();

my %live;
my $owner = $$;

sub start {
	my ($class, @offers) = @_;
	my $dir = File::Temp::tempdir('tmaio.XXXXXX', TMPDIR => 1);
	my $port = Tabmail::free_port();
	pipe my $from, my $to or die "pipe: $!";
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		$SIG{$_} = 'DEFAULT' for qw(INT TERM HUP);
		open STDIN, '<', '/dev/null';
		open STDOUT, '>&', $to;
		exec '/usr/bin/python3', File::Basename::dirname(Cwd::abs_path(__FILE__)) . '/../aio-sink.py', $port,
		    "$dir/mails", @offers or POSIX::_exit(127);
	}
	close $to;
	my $line = <$from> // '';
	my $s = $live{$dir} = bless { dir => $dir, port => $port, pid => $pid }, $class;
	die "aiosmtpd does not start\n" if $line ne "ready\n";
	return $s;
}

sub port { return $_[0]{port} }

# Values as bytes, as everything else in the tests.
sub mails {
	my ($s) = @_;
	return () unless -e "$s->{dir}/mails";
	return map { bytes(JSON::PP->new->decode($_)) } grep { /\}\z/ } split /\n/, Tabmail::slurp("$s->{dir}/mails");
}

sub bytes {
	my ($v) = @_;
	return { map { $_ => bytes($v->{$_}) } keys %$v } if ref $v eq 'HASH';
	return [ map { bytes($_) } @$v ] if ref $v eq 'ARRAY';
	utf8::encode($v) if defined $v && !ref $v;
	return $v;
}

# The first one with this subject.
sub await {
	my ($s, $subject) = @_;
	my $mail;
	Tabmail::wait_for(sub { ($mail) = grep { $_->{mail} =~ /^Subject: \Q$subject\E\r?$/m } $s->mails; $mail },
	    "\"$subject\" at aiosmtpd");
	return $mail;
}

sub remove {
	my ($s) = @_;
	if (my $pid = delete $s->{pid}) {
		kill 'TERM', $pid;
		waitpid $pid, 0;
	}
	delete $live{ $s->{dir} };
	File::Path::remove_tree($s->{dir});
}

END {
	if ($$ == $owner) {
		my $status = $?;
		$_->remove for values %live;
		$? = $status;
	}
}

1;
