# A spool on each kind of file system that others fill while mail waits, and go on filling: what waits goes out, and what
# comes of it is kept.  One of them cannot hold room by fallocate(2), one does not tell its size, and so never fills.
use strict;
use warnings;
BEGIN {
	# a mount namespace of the test's own, so that nothing is left mounted whatever happens
	if ($> == 0 && !$ENV{OWN_MOUNTS} && system('unshare -m true 2>/dev/null') == 0) {
		$ENV{OWN_MOUNTS} = 1;
		exec 'unshare', '-m', $^X, (map { "-I$_" } @INC), $0 or die "unshare: $!\n";
	}
}
use Tabmail;
use Test::More;

my $MAILS = 100;
my $config = <<'C';
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to maildir
C

sub make_file_system {
	my ($kind, $image, $folder) = @_;
	return system('mount', '-t', $kind, $kind, $folder) == 0 if $kind eq 'ramfs';
	return system('mount', '-t', $kind, '-o', 'size=100m', $kind, $folder) == 0 if $kind eq 'tmpfs';
	return system("truncate -s 100M $image && mkfs.$kind -q $image && mount -o loop $image $folder 2>/dev/null") == 0;
}

# Takes each block that becomes free.
sub start_hog {
	my ($file) = @_;
	my $pid = fork // die "fork: $!\n";
	return $pid if $pid;
	open my $out, '>>', $file or die "$file: $!\n";
	my $piece = 'x' x 4096;
	$SIG{ALRM} = 'DEFAULT';
	alarm 120;	# whatever becomes of who would end it
	1 while defined syswrite($out, $piece) || $!{ENOSPC};
	exit 1;
}

sub free_blocks { (split ' ', (`stat -f -c '%a' $_[0]`)[0] // '')[0] }

plan skip_all => 'only root can mount a file system' unless $ENV{OWN_MOUNTS};
for my $kind (qw(ext2 ext4 tmpfs ramfs)) {
	SKIP: {
		my $d = Tabmail->start(users => ['bob'], config => $config);
		$d->halt;
		my $spool = "$d->{dir}/spool";
		my @was = stat $spool;
		make_file_system($kind, "$d->{dir}/image", $spool) or $d->stop, skip "no $kind on a loop device here", 1;
		chown @was[ 4, 5 ], $spool;
		chmod 0755, $spool;
		$d->boot;
		$d->ctl('pause', 'local');
		is scalar(grep { $d->mail('a@example.net', 'bob@example.org', mail_text('x' x 50 . "\n" x 50) . ('y' x 70 . "\r\n") x 700) =~ /^250 / } 1 .. $MAILS),
			$MAILS, "$kind: mail is taken";
		my $hog = $kind eq 'ramfs' ? 0 : start_hog("$spool/hog");
		wait_for { free_blocks($spool) == 0 } 'the file system to be full' if $hog;
		$d->ctl('resume', 'local');
		$d->await_mails('bob', $MAILS);
		ok eval { $d->await_queue_empty; 1 }, "$kind: all has gone, and left the spool";
		kill 'KILL', $hog and waitpid $hog, 0 if $hog;
		is $d->halt, '', "$kind: the daemon stops";
		chmod 0644, "$spool/spool.db";	# as it was until now
		$d->boot;
		is_deeply [ map { sprintf '%o', (stat)[2] & 0777 } "$spool/spool.db", "$spool/spool.db-wal", "$spool/reserve" ],
			[ (600) x 3 ], "$kind: mail is nobody else's business";
		$d->halt;
		system 'umount', $spool;
	}
}
done_testing;
