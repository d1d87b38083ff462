# SIGKILL of queue, parent, or all at random moments under load: what was answered 250 arrives at least once,
# whole, and again no oftener than was in flight.  12 kills, or 300 with TABMAIL_LONG=1 (`make crash`).
use strict;
use warnings;
use Tabmail;
use Tabmail::Storm;
use Test::More;

my $kills = $ENV{KILLS} || ($ENV{TABMAIL_LONG} ? 300 : 12);
my $storm = Tabmail::Storm->new(clients => 12);
$storm->begin;
for my $n (1 .. $kills) {
	$storm->strike;
	diag "$n of $kills kills, ", $storm->accepted, ' messages answered 250' if $n % 50 == 0;
}
ok eval { $storm->flow(20) }, 'after the last kill mail flows' or diag $@;
my $r = $storm->reckon;
ok $r->{dry}, 'the queue drains';
note $storm->tell($r);
diag $storm->tell($r) if $ENV{TABMAIL_LONG};
is_deeply $r->{refused}, [], 'nothing was refused for good';
cmp_ok $r->{accepted}, '>', $kills, "$r->{accepted} messages to $r->{recipients} recipients were answered 250";
is_deeply $r->{missing}, [], 'none is missing';
is_deeply $r->{broken}, [], 'each came whole';
cmp_ok $r->{again}, '<=', $r->{bound}, "$r->{again} came again, $r->{bound} at most were in flight";
$storm->end;
done_testing;
