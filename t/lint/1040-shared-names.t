# All processes are one program: an exported function stands in one folder only, and is named for its file.
use strict;
use warnings;
use Test::More;

my $build = $ENV{BUILD} || 'build';
my %where;
my $odd = 0;
for my $object (glob "$build/daemon/*/*.o") {
	my ($folder, $file) = $object =~ m{([^/]+)/([^/]+)\.o$};
	for (`nm -g --defined-only $object`) {
		my ($kind, $name) = /^\S+ (\w) (\S+)$/ or next;
		next if $name =~ /^(yy|__|_)/;
		push @{ $where{$name} }, "$folder/$file";
	}
}
for my $name (sort keys %where) {
	my @at = @{ $where{$name} };
	is scalar @at, 1, "$name is exported once: @at" if @at > 1;
}
cmp_ok scalar keys %where, '>', 50, scalar(keys %where) . ' exported names looked at';
done_testing;
