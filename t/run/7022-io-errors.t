# The spool's disk answers EIO to reads, writes (half of each is written) and fsyncs under load, with kills in
# between: clients get 452 and the like, the daemon goes on, and what was answered 250 arrives.
# 12 spells of errors, or 120 with TABMAIL_LONG=1 (`make crash`).
#
# Real enough: t/fault/iofault.c is loaded into the daemon, and fails the calls that SQLite makes on spool.db.
# A device that fails needs device-mapper, which not every kernel has.
use strict;
use warnings;
use Tabmail;
use Tabmail::Storm;
use Test::More;

my $spells = $ENV{TABMAIL_LONG} ? 120 : 12;
my @kinds = ([sync => 300_000], [write => 200_000], [read => 100_000], [sync => 1_000_000], [write => 50_000, read => 20_000]);
my $storm = Tabmail::Storm->new(clients => 8, faults => 1);
$storm->begin;
my $stuck = '';
for my $n (1 .. $spells) {
	$storm->fault(@{ $kinds[$n % @kinds] });
	select undef, undef, undef, 0.1 + rand 0.4;
	$storm->strike('queue') if $n % 4 == 2;	# so it starts on a bad disk
	$storm->fault;
	eval { $storm->flow(3); 1 } or $stuck = "spell $n: $@", last;
	$storm->strike if $n % 4 == 0;
	diag "$n of $spells spells, ", $storm->accepted, ' messages answered 250' if $n % 20 == 0;
}
is $stuck, '', 'after each spell mail flows again';
my ($calls, $failed) = $storm->faults;
cmp_ok $failed, '>', $spells, "$failed of $calls calls on the spool failed";
my $r = $storm->reckon;
ok $r->{dry}, 'the queue drains';
note $storm->tell($r);
diag $storm->tell($r) if $ENV{TABMAIL_LONG};
is_deeply $r->{refused}, [], 'nothing was refused for good';
cmp_ok $r->{accepted}, '>', $spells, "$r->{accepted} messages to $r->{recipients} recipients were answered 250";
is_deeply $r->{missing}, [], 'none is missing';
is_deeply $r->{broken}, [], 'each came whole';
$storm->end;
done_testing;
