# A program in Python beside this module's folder, in a scratch folder, from "ready" on its output until remove() or the test's end.
# Its classes are Tabmail::Aio and Tabmail::Dkim.
package Tabmail::PythonPeer;
use strict;
use warnings;
use Cwd ();
use File::Basename ();
use File::Path ();
use File::Temp ();
use POSIX ();

my %live;
my $owner = $$;

sub new {
	my ($class, %o) = @_;
	my $dir = File::Temp::tempdir('tmpeer.XXXXXX', TMPDIR => 1);
	return $live{$dir} = bless { dir => $dir, %o }, $class;
}

sub run_program {
	my ($p, $program, @args) = @_;
	pipe my $from, my $to or die "pipe: $!";
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		$SIG{$_} = 'DEFAULT' for qw(INT TERM HUP);
		$ENV{PYTHONDONTWRITEBYTECODE} = 1;
		open STDIN, '<', '/dev/null';
		open STDOUT, '>&', $to;
		exec '/usr/bin/python3', File::Basename::dirname(Cwd::abs_path(__FILE__)) . "/../$program", @args or POSIX::_exit(127);
	}
	close $to;
	my $line = <$from> // '';
	$p->{pid} = $pid;
	die "$program does not start\n" if $line ne "ready\n";
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
