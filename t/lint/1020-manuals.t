# The manual pages are clean mdoc, and name every page they refer to correctly.
use strict;
use warnings;
use Test::More;

my @pages = glob 'man/*.[0-9]';
ok @pages >= 6, 'there are manual pages';
my %ours = map { m{man/(.*)\.(\d)$}; ("$1 $2" => 1) } @pages;
for my $page (@pages) {
	my $out = `mandoc -T lint -W warning $page 2>&1`;
	is $out, '', "$page: mandoc finds nothing";
	open my $f, '<', $page or die;
	while (<$f>) {
		next unless /^\.Xr (tabmail\S*|table-\S+) (\d)/;
		ok $ours{"$1 $2"}, "$page:$.: $1($2) exists";
	}
}
done_testing;
