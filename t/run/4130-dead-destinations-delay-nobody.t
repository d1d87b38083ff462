# Three in ten destinations are dead or stall, each in another way: the others get their mail as fast as
# without them.  TABMAIL_LONG=1: 1,000 destinations,
# and more mail for the dead than memory holds.
use strict;
use warnings;
use Tabmail::Net;
use Tabmail;
use Tabmail::Crowd;
use Test::More;

my ($live, $dead, $each, $dead_each) = $ENV{TABMAIL_LONG} ? (700, 300, 10, 60) : (140, 60, 6, 6);
my $r = Tabmail::Crowd::run_crowd(live => $live, dead => $dead, each => $each, dead_each => $dead_each);
diag sprintf '%d destinations, %d of them dead: %.0f mails/s to the others, %.0f without the dead: ratio %.2f; relay and queue %d MB',
    $live + $dead, $dead, $r->{beside}, $r->{alone}, $r->{ratio}, $r->{rss_kb} / 1024;
is $r->{lost}, 0, 'all mail for those that live arrives';
is $r->{waiting}, $r->{dead}, 'all mail for the dead waits';
cmp_ok $r->{ratio}, '>', 0.5, sprintf 'and is not held up by the dead (ratio %.2f)', $r->{ratio};
$r->{d}->stop;
done_testing;
