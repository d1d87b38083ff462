# Security row 4: many lookups of each service through the daemon and table-file: none is lost, and neither
# lookup nor the helper grows.  20,000 of each, or 10^6 with TABMAIL_LONG=1.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $n = $ENV{TABMAIL_LONG} ? 1_000_000 : $ENV{BUILD} && $ENV{BUILD} =~ m{/san$} ? 4000 : 20_000;
my $grows_kb = 1024;
my $names = 1000;	# keys in each file; as many again are not in it

# service => [ what the file says of key i, that key, one that is not there ]
my %of = (
	alias => [ sub { "a$_[0]: bob" }, sub { "a$_[0]" } ],
	userinfo => [ sub { "a$_[0]: 2001:2001:/home/a$_[0]" }, sub { "a$_[0]" } ],
	credentials => [ sub { "a$_[0]: user:password$_[0]" }, sub { "a$_[0]" } ],
	mailaddrmap => [ sub { "a$_[0]: a$_[0]\@example.org, b\@example.org" }, sub { "a$_[0]" } ],
	addrname => [ sub { '10.0.' . ($_[0] >> 8) . '.' . ($_[0] & 255) . " mx$_[0].example.org" }, sub { '10.0.' . ($_[0] >> 8) . '.' . ($_[0] & 255) },
		sub { '10.1.' . ($_[0] >> 8) . '.' . ($_[0] & 255) } ],
	relayhost => [ sub { "d$_[0].example: smtp://mx$_[0].example.org" }, sub { "d$_[0].example" } ],
	domain => [ sub { "d$_[0].example" }, sub { "d$_[0].example" } ],
	mailaddr => [ sub { "a$_[0]\@example.org" }, sub { "a$_[0]\@example.org" } ],
	netaddr => [ sub { '10.0.' . ($_[0] >> 8) . '.' . ($_[0] & 255) }, sub { '10.0.' . ($_[0] >> 8) . '.' . ($_[0] & 255) },
		sub { '10.1.' . ($_[0] >> 8) . '.' . ($_[0] & 255) } ],
	string => [ sub { "s$_[0]" }, sub { "s$_[0]" } ],
	regex => [ sub { $_[0] < 20 ? "^r$_[0]-[0-9]+\$" : '' }, sub { 'r' . $_[0] % 20 . "-$_[0]" } ],
	source => [ sub { '192.0.2.' . (1 + $_[0] % 250) }, sub { 'x' }, sub { 'x' } ],
	auth => [ sub { "a$_[0]: " . crypt("plain$_[0]", 'ab') }, sub { "a$_[0]:plain$_[0]" }, sub { "a$_[0]:wrong" } ],	# an unknown user costs a slow hash
);
my (%files, $tables);
for my $service (sort keys %of) {
	my %seen;
	$files{"t-$service"} = join '', map { "$_\n" } grep { length && !$seen{$_}++ } map { $of{$service}[0]->($_) } 0 .. $names - 1;
	$tables .= "table t-$service file:\$D/t-$service\n";
}
my $d = Tabmail->start(files => \%files, config => <<"C");
$tables
listen on 127.0.0.1 port \$PORT
accept for any relay via smtp://127.0.0.1:\$PORT8
C

sub rss_kb {
	my ($pid) = @_;
	return slurp("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m ? $1 : die "no RssAnon of $pid\n";
}
sub row { my ($table) = @_; return (grep { $_->{table} eq $table } $d->ctl_rows('show', 'tables'))[0] }

my ($lookup) = $d->pids('lookup');
my $keys = $d->dir . '/keys';
my ($first_kb, $total) = (undef, 0);
for my $service (sort keys %of) {
	my (undef, $there, $not_there) = @{ $of{$service} };
	$not_there ||= sub { 'no' . $there->($_[0]) };
	# half of them found; one file serves again and again, for a million lines are many
	my $lines = join '', map { ($there->($_), "\n", $not_there->($_), "\n") } 0 .. $names - 1;
	open my $f, '>', $keys or die "$keys: $!\n";
	print $f $lines for 1 .. $n / (2 * $names);
	close $f or die "$keys: $!\n";
	my $pid = row("t-$service")->{pid};
	# a warm-up: heaps take their size
	$d->file('warm', $lines);
	$d->ctl_rows('table', "t-$service", 'bench', $service, $d->dir . '/warm', 512);
	my @before = map { rss_kb($_) } $lookup, $pid;
	$first_kb = $before[0] unless defined $first_kb;
	my ($status, $out) = run([ secs => 600 ], $d->dir . '/bin/tabmailctl', '-j', '-s', $d->dir . '/run/control.sock',
		'table', "t-$service", 'bench', $service, $keys, 512);
	require JSON::PP;
	my ($r) = eval { @{ JSON::PP::decode_json($out) } };
	is $status, 0, "$service: is asked" or diag $out;
	is $r->{asked}, $n, "$n times";
	is $r->{found} + $r->{missing}, $n, 'none is lost, none an error';
	is $r->{found}, $service eq 'source' ? $n : $n / 2, 'those that are there are found';
	my @after = map { rss_kb($_) } $lookup, $pid;
	diag sprintf '%-12s %8d a second; lookup %5d -> %5d kB, table-file %5d -> %5d kB', $service, $r->{rate}, $before[0], $after[0], $before[1], $after[1];
	SKIP: {
		skip 'a sanitizer keeps what is freed', 2 if $d->{slow} > 1;
		cmp_ok $after[0] - $before[0], '<', $grows_kb, 'lookup is no larger';
		cmp_ok $after[1] - $before[1], '<', $grows_kb, 'nor the helper';
	}
	is row("t-$service")->{pid}, $pid, 'which is the same process';
	$total += $n;
}
is join(' ', $d->pids('lookup')), $lookup, 'lookup is the same process';
my $last_kb = rss_kb($lookup);
diag sprintf 'lookup: %d kB at first, %d kB after %d lookups', $first_kb, $last_kb, $total;
SKIP: {
	skip 'a sanitizer keeps what is freed', 1 if $d->{slow} > 1;
	cmp_ok $last_kb - $first_kb, '<', 2 * $grows_kb, 'over all services, too';
}
$d->stop;
done_testing;
