# A process sees daemon/base, daemon/conf, proto and itself: no other process's headers.
use strict;
use warnings;
use Test::More;

my %folder;		# header -> folders that have it
for my $path (glob 'daemon/*.h daemon/*/*.h proto/*.h helpers/*/*.h') {
	my ($folder, $name) = $path =~ m{(.*)/(.*)};
	push @{ $folder{$name} }, $folder;
}
my %shared = map { $_ => 1 } qw(daemon daemon/base daemon/conf proto);
my %below = (		# the shared ones see less
	'proto' => [qw(proto)],
	'daemon/base' => [qw(daemon daemon/base)],
	'daemon/conf' => [qw(daemon daemon/base daemon/conf proto)],
);
my %found;
for my $path (glob 'daemon/*.[chy] daemon/*/*.[chy] proto/*.[ch] helpers/*/*.[ch]') {
	my ($folder) = $path =~ m{(.*)/};
	my @allowed = $below{$folder} ? @{ $below{$folder} }
	    : $folder =~ m{^helpers/} ? ('proto', $folder) : (keys %shared, $folder);
	open my $f, '<', $path or die "$path: $!";
	while (<$f>) {
		next unless /^\s*#\s*include\s*"([^"]+)"/;
		my $name = $1;
		my ($base) = $name =~ m{([^/]+)$};
		next if $base eq 'parse.h';	# made by bison
		$found{$folder}++;
		my @homes = @{ $folder{$base} || [] };
		next if grep { my $home = $_; grep { $_ eq $home } @allowed } @homes;
		fail "$path:$.: includes \"$name\" of @homes";
	}
}
for my $folder (sort keys %found) {
	ok $found{$folder}, "$folder: $found{$folder} includes looked at";
}
done_testing;
