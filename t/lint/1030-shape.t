# Files and functions stay readable: what is longer than it should be is shown; what is far too long fails.
use strict;
use warnings;
use Test::More;

my ($functions, $files) = (0, 0);
for my $path (glob 'daemon/*.c daemon/*/*.c proto/*.c helpers/*/*.c') {
	open my $f, '<', $path or die "$path: $!";
	my @lines = <$f>;
	$files++;
	diag "$path has " . @lines . ' lines' if @lines > 500;
	cmp_ok scalar @lines, '<=', 800, "$path is one idea" if @lines > 500;
	my ($start, $name);
	for my $i (0 .. $#lines) {
		$name = $1 if $lines[$i] =~ /^(\w+)\(/;
		$start = $i if $lines[$i] =~ /^\{/;
		next unless defined $start && $lines[$i] =~ /^\}/;
		my $len = $i - $start;
		$functions++;
		diag "$path: $name() has $len lines" if $len > 80;
		cmp_ok $len, '<=', 160, "$path: $name() can be read" if $len > 80;
		undef $start;
	}
}
pass "$functions functions in $files files";
done_testing;
