# The control socket: foreign users are refused, and what is no request hurts nobody.
use strict;
use warnings;
use IO::Socket::UNIX;
use Tabmail;
use Test::More;

my $d = Tabmail->start(users => ['bob'], config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to maildir
C
my $sock = $d->dir . '/run/control.sock';
my ($queue) = $d->pids('queue');

# Sends bytes and reads what comes until an answer's end, or the connection's.
sub talk {
	my ($bytes, $half) = @_;
	local $SIG{PIPE} = 'IGNORE';
	my $s = IO::Socket::UNIX->new(Peer => $sock) or return "connect: $!";
	my $at = 0;
	while ($at < length $bytes) {
		my $n = syswrite $s, $bytes, 65536, $at or last;
		$at += $n;
	}
	shutdown $s, 1 if $half;
	my $got = '';
	my $end = eval {
		local $SIG{ALRM} = sub { die "silent\n" };
		alarm 20;
		1 while $got !~ /^(?:\.|!.*)\n\z/m && sysread $s, $got, 65536, length $got;
		alarm 0;
		1;
	};
	return $end ? $got : "$got(silent)";
}

for (["empty line", "\n"], ["no such word", "frobnicate\n"], ["tabs", "\t\t\t\t\n"], ["a word too many", "show\tqueue\tx\ty\tz\n"],
    ["64 KiB in a line", 'x' x 65536 . "\n"], ["binary", join('', map { chr } 0 .. 255) x 20 . "\n"],
    ["a request too long, without end", 'y' x 200_000], ["half a request", "show\tque", 1], ["nothing", '', 1],
    ["an id that is none", "remove\t../../etc/passwd\n"], ["a negative id", "show\tmessage\t-1\n"],
    ["escapes", "table\tus\\x01ers\\x00\\t\tlookup\talias\t\\xff\\\\\n"]) {
	my ($name, $bytes, $half) = @$_;
	my $got = talk($bytes, $half);
	ok $got eq '' || $got =~ /\A(?:![^\n]*\n)+\z/, "$name: refused or dropped" or diag substr $got, 0, 200;
}
is talk("show\tqueue\n") =~ s/^H[^\n]*\n//r, ".\n", 'a good request is answered still';
my @idle = map { IO::Socket::UNIX->new(Peer => $sock) } 1 .. 50;
is scalar(grep { defined } @idle), 50, '50 clients that say nothing';
is +($d->ctl('show', 'queue'))[0], 0, 'harm nobody';
@idle = ();
is_deeply [$d->pids('queue')], [$queue], 'the process is the same';

SKIP: {
	skip 'only root has other users', 4 unless root();
	my $pid = open my $pipe, '-|';
	if ($pid == 0) {
		open STDERR, '>&', \*STDOUT;
		$( = $) = '65534 65534';
		$< = $> = 65534;
		exec $d->dir . '/bin/tabmailctl', '-s', $sock, 'remove', 'all' or exit 127;
	}
	my $out = join '', <$pipe>;
	close $pipe;
	isnt $? >> 8, 0, 'another user is refused';
	like $out, qr/^tabmailctl: permission denied: only root and the daemon's own user may control it$/, 'with the reason';
	my $mail_file = $d->file('mail', "To: bob\@example.org\nSubject: from nobody\n\nx\n");
	$pid = open $pipe, '-|';
	if ($pid == 0) {
		open STDERR, '>&', \*STDOUT;
		$( = $) = '65534 65534';
		$< = $> = 65534;
		$ENV{TABMAIL_SOCKET} = $sock;
		open STDIN, '<', $mail_file;
		exec $d->dir . '/bin/sendmail', '-t' or exit 127;
	}
	$out = join '', <$pipe>;
	close $pipe;
	is $? >> 8, 0, 'but may send mail' or diag $out;
	my ($mail) = $d->await_mails('bob', 1);
	like $mail, qr/^From: .*nobody\@mail\.example\.org/m, 'under its name';
}
$d->stop;
done_testing;
