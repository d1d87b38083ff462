# A helper that talks all the time and reads nothing of what it is asked: the questions that wait for it do not
# pile up in lookup's memory, and it is replaced.
use strict;
use warnings;
use Tabmail;
use Test::More;
use Time::HiRes qw(time);

my $d = Tabmail->start(users => ['bob'], files => { deaf => <<'H' }, config => <<'C');
#!/usr/bin/perl
$| = 1;
while (<STDIN>) { last if /^config\|ready/ }
print "register|alias\nregister|ready\n";
for (;;) {
	print "lookup-result|ffffffff|found|eve\n" x 100;
	select undef, undef, undef, 0.01;
}
H
table users file:$D/users
table deaf command "$D/deaf" timeout 1s
listen on 127.0.0.1 port $PORT
accept from any for domain deaf.example alias <deaf> userbase <users> deliver to maildir
accept from any for domain example.org userbase <users> deliver to maildir
C
sub rss_kb {
	my ($pid) = @_;
	return slurp("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m ? $1 : die "no RssAnon of $pid\n";
}
my ($lookup) = $d->pids('lookup');
wait_for { (grep { $_->{table} eq 'deaf' } $d->ctl_rows('show', 'tables'))[0]{state} eq 'ready' } 'it to be ready';
my $before_kb = rss_kb($lookup);
# A request of tabmailctl holds 24 KiB of keys, and waits for its answers: so many of them.
my @pids = map {
	my $who = $_;
	my $keys = $d->file("keys$who", join '', map { 'x' x 4000 . "$who-$_\n" } 1 .. 60);
	my $pid = fork // die "fork: $!\n";
	if ($pid == 0) {
		open STDOUT, '>', '/dev/null';
		open STDERR, '>&', \*STDOUT;
		exec $d->dir . '/bin/tabmailctl', '-s', $d->dir . '/run/control.sock', qw(table deaf bench alias), $keys, 1024;
	}
	$pid;
} 1 .. 60;
my ($most_kb, $end) = (0, time + 4.5);
while (time < $end) {
	my $kb = rss_kb($lookup);
	$most_kb = $kb if $kb > $most_kb;
	select undef, undef, undef, 0.05;
}
kill 'TERM', @pids;
waitpid $_, 0 for @pids;
my ($row) = grep { $_->{table} eq 'deaf' } $d->ctl_rows('show', 'tables');
cmp_ok $row->{errors} + $row->{'turned-away'}, '>', 300, 'its questions are answered with an error';
cmp_ok $row->{restarts}, '>', 0, "it was replaced, $row->{restarts} times";
diag sprintf 'lookup: RssAnon %d kB before, %d kB at most', $before_kb, $most_kb;
SKIP: {
	skip 'a sanitizer keeps what is freed', 1 if $d->{slow} > 1;
	cmp_ok $most_kb - $before_kb, '<', 12 * 1024, 'lookup holds what is in flight, and no more';
}
is join(' ', $d->pids('lookup')), $lookup, 'lookup is the same process';
like $d->mail('a@example.net', 'bob@example.org', mail_text('x')), qr/^250 /, 'mail flows';
$d->stop;
done_testing;
