#!/usr/bin/perl
# table-file: who is not there, or locked, takes as long as who is, whatever kind of hash the table holds: a guesser
# with a watch learns no name.
use strict;
use warnings;
use File::Temp qw(tempdir);
use Test::More;
use TabHelper;

my $build = $ENV{BUILD} // 'build';
my $dir = tempdir(CLEANUP => 1);
my $hash = crypt('Richtig1', '$2b$10$abcdefghijklmnopqrstuu');	# some 50 ms, against 2 of SHA-512
open my $f, '>', "$dir/t" or die;
print $f "bob bob:$hash\nann ann:!$hash\n";
close $f;
my $h = TabHelper->start("$build/table-file", "$dir/t");
$h->handshake or die $h->stderr;

my %took = $h->time_wrong_logins('bob', 'nobody', 'ann');
cmp_ok $took{$_}, '>', $took{bob} / 3, "$_ takes as long" for 'nobody', 'ann';
is $h->end, 0, 'it ends well';
done_testing;
