#!/usr/bin/perl
# The examples of tabmail-tables(7) are complete: they compile, run and answer.
use strict;
use warnings;
use File::Temp qw(tempdir);
use Test::More;
use TabHelper;

my $build = $ENV{BUILD} // 'build';
my $dir = tempdir(CLEANUP => 1);
my $page = do { local (@ARGV, $/) = 'man/tabmail-tables.7'; <> };

sub example {
	my ($first, $name) = @_;
	for my $text ($page =~ /^\.Bd -literal[^\n]*\n(.*?)^\.Ed/msg) {
		next if $text !~ /\A\Q$first\E/;
		$text =~ s/\\e/\\/g;
		$text =~ s/\\\(aq/'/g;
		open my $f, '>', "$dir/$name" or die;
		print $f $text;
		close $f;
		cmp_ok $text =~ tr/\n//, '<', 40, "$name has under 40 lines";
		return "$dir/$name";
	}
	die "no example that begins with $first";
}

sub try {
	my ($name, @command) = @_;
	my $h = TabHelper->start(@command);
	is_deeply [$h->handshake], ['alias'], "$name: handshake";
	is $h->ask('lookup', 'alias', 'team-a|b'), 'found|office@example.org', "$name: found";
	is $h->ask('lookup', 'alias', 'joe'), 'not-found', "$name: not found";
	like $h->ask('check', 'alias', 'joe'), qr/^error/, "$name: another operation";
	like $h->ask('lookup', 'domain', 'joe'), qr/^error/, "$name: another service";
	is $h->ask('update'), 'ok', "$name: update";
	is $h->end, 0, "$name: ends";
	is $h->stderr, '', "$name: nothing on stderr";
}

try('the Perl example', $^X, example('#!/usr/bin/perl', 'table-team.pl'));

my $c = example('#include <string.h>', 'table-team.c');
my @san = $build =~ m{/san\b} ? '-fsanitize=address,undefined' : ();
my $cc = $ENV{CC} || 'cc';
is system(split(' ', $cc), '-Wall', '-Wextra', '-Werror', @san, '-Iproto', '-o', "$dir/table-team", $c,
	"$build/libproto.a", '-levent_core', '-lpthread'), 0, 'the C example compiles';
try('the C example', "$dir/table-team");

done_testing;
