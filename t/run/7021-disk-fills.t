# The spool's file system, a small one of its own, fills to the last byte and is freed again and again under load,
# with kills in between: clients get 452 where what is delivered makes no room, the daemon goes on, and what was answered 250 arrives.
# 8 times, or 100 with TABMAIL_LONG=1 (`make crash`).
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
use Tabmail::Storm;
use Test::More;

plan skip_all => 'only root can mount a small file system' unless $ENV{OWN_MOUNTS};
my $laps = $ENV{TABMAIL_LONG} ? 100 : 8;
my $storm = Tabmail::Storm->new(clients => 8, spool_size => '96m');
$storm->begin;
my $stuck = '';
my $refused = 0;
for my $n (1 .. $laps) {
	my ($before, $taken) = ($storm->busy, $storm->accepted);
	$storm->ballast(1);
	# What is delivered makes room for other mail, so it may go on.
	eval { wait_for { $storm->busy > $before + 5 || $storm->accepted > $taken + 300 } 'refusals', 30; 1 } or $stuck = "lap $n, full: $@", last;
	$refused += $storm->busy - $before;
	$storm->strike($n % 8 == 3 ? 'all' : 'queue') if $n % 4 == 3;	# so it starts on a full disk
	$storm->ballast(0);
	eval { $storm->flow(5); 1 } or $stuck = "lap $n, free: $@", last;
	diag "$n of $laps times full, ", $storm->accepted, ' messages answered 250' if $n % 20 == 0;
}
is $stuck, '', 'each time it is full clients are told to come later, or what is delivered makes room; each time there is room mail flows';
like join(' ', grep { /^busy/ } $storm->notes), qr/busy 452 4\.3\.1 /, "$refused times while it was full, 452 among them";
my $r = $storm->reckon;
ok $r->{dry}, 'the queue drains';
note $storm->tell($r);
diag $storm->tell($r) if $ENV{TABMAIL_LONG};
is_deeply $r->{refused}, [], 'nothing was refused for good';
cmp_ok $r->{accepted}, '>', $laps, "$r->{accepted} messages to $r->{recipients} recipients were answered 250";
is_deeply $r->{missing}, [], 'none is missing';
is_deeply $r->{broken}, [], 'each came whole';
$storm->end;
done_testing;
