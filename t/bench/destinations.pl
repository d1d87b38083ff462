# A part of `make bench`: 1,000 destinations of which 300 are dead or stall, by MX from a real name
# server: how fast the others get their mail, beside the same without mail for the dead.
use strict;
use warnings;
use Tabmail::Net;
use Tabmail;
use Tabmail::Crowd;

my $r = Tabmail::Crowd::run_crowd(live => 700, dead => 300, each => 10, dead_each => 30);
printf "1,000 destinations, 300 dead or stalling: %.0f mails/s to the others, %.0f without mail for the dead: "
    . "ratio %.2f\n", @$r{qw(beside alone ratio)};
printf "%d mails for the dead wait, none of the others is lost or late; relay and queue use %d MB\n",
    $r->{waiting}, $r->{rss_kb} / 1024;
$r->{d}->halt;
$r->{d}->forget;
