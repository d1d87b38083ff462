# tabmailctl table NAME bench: keys of a file through the broker, so many in flight; what it counts and
# times is true, and the daemon serves mail meanwhile.
use strict;
use warnings;
use JSON::PP;
use Tabmail;
use Test::More;
use Time::HiRes ();

my $d = Tabmail->start(users => ['bob'], files => {
	aliases => join('', map { "a$_: bob\n" } 1 .. 1000),
	slow => <<'S', odd => <<'O' }, config => <<'C');
#!/usr/bin/perl
# answers each question after 20 ms, many at a time, and tells how many there were at most
$| = 1;
while (<STDIN>) { last if /^config\|ready/ }
print "register|alias\nregister|ready\n";
use Time::HiRes;
my (@due, $buf, $most);
for (;;) {
	my $in = '';
	vec($in, 0, 1) = 1;
	if (select $in, undef, undef, @due ? 0.002 : undef) {
		sysread STDIN, $buf, 65536, length($buf || '') or exit;
		while ($buf =~ s/^(.*)\n//) {
			my @f = split /\|/, $1;
			push @due, [Time::HiRes::time + 0.02, $f[6]];
			$most = @due if @due > ($most || 0);
		}
	}
	print "lookup-result|", (shift @due)->[1], "|found|$most\n" while @due && $due[0][0] <= Time::HiRes::time;
}
S
#!/usr/bin/perl
$| = 1;
while (<STDIN>) { last if /^config\|ready/ }
print "register|alias\nregister|ready\n";
while (<STDIN>) {
	chomp;
	my @f = split /\|/, $_, 8;
	print "lookup-result|$f[6]|", $f[7] =~ /bad/ ? 'error|it is bad' : $f[7] =~ /no/ ? 'not-found' : 'found|x', "\n";
}
O
table users file:$D/users
table aliases file:$D/aliases
table slow command "$D/slow"
table odd command "$D/odd"
table nets { 192.0.2.0/24 }
listen on 127.0.0.1 port $PORT
accept from any for domain example.org alias <aliases> userbase <users> deliver to maildir
C
my $keys = $d->dir . '/keys';
sub bench {
	my ($table, $service, $n, @keys) = @_;
	$d->file('keys', join '', map { "$_\n" } @keys);
	my ($row, @more) = $d->ctl_rows('table', $table, 'bench', $service, $keys, defined $n ? $n : ());
	is scalar @more, 0, "$table: one row";
	return $row;
}

my $r = bench('aliases', 'alias', undef, map { $_ % 3 ? 'a' . (1 + $_ % 1000) : "x$_" } 1 .. 30_000);
is_deeply [@$r{qw(asked found missing errors)}], [30_000, 20_000, 10_000, 0], 'all are asked and counted';
cmp_ok $r->{rate}, '>', 500, "at $r->{rate} a second";
is $r->{rate}, int($r->{asked} * 1e6 / $r->{elapsed_us}), 'the rate is that of the time in lookup';
ok $r->{p50us} > 0 && $r->{p50us} <= $r->{p99us} && $r->{p99us} <= $r->{max_us}, 'latencies rise';

my $began = Time::HiRes::time;
$r = bench('slow', 'alias', 10, map { "k$_" } 1 .. 200);
my $took = Time::HiRes::time - $began;
is $r->{found}, 200, 'a helper that takes 20 ms each';
cmp_ok $r->{p50us}, '>=', 20_000, 'which the latencies show';
cmp_ok $r->{elapsed_us}, '>=', 20 * 20_000, '10 in flight: not faster than it can be';
cmp_ok $r->{elapsed_us}, '<=', $took * 1e6, 'and the time is that which passed';
cmp_ok $took, '<', 200 * 0.02, 'nor one by one';
like +($d->ctl('table', 'slow', 'lookup', 'alias', 'z'))[1], qr/^found +10$/m, 'there were never more in flight';

# longer than one batch may take: mail and other commands are served meanwhile
$d->file('keys', join '', map { "k$_\n" } 1 .. 400);
my $pid = fork;
die "fork: $!" unless defined $pid;
if ($pid == 0) {
	open STDOUT, '>', $d->dir . '/out';
	exec $d->dir . '/bin/tabmailctl', '-j', '-s', $d->dir . '/run/control.sock', qw(table slow bench alias), $keys, 2;
}
wait_for { grep { $_->{table} eq 'slow' && $_->{'in-flight'} } $d->ctl_rows('show', 'tables') } 'it to begin';
like $d->mail('a@example.net', 'a1@example.org', mail_text('meanwhile')), qr/^250 /, 'mail is taken meanwhile';
$d->await_mails('bob', 1);
is +($d->ctl('show', 'stats'))[0], 0, 'and other commands are answered';
is waitpid($pid, POSIX::WNOHANG()), 0, 'while it goes on';
waitpid $pid, 0;
is $?, 0, 'it ends well';
is decode_json(slurp($d->dir . '/out'))->[0]{found}, 400, 'with all answers';

$r = bench('odd', 'alias', undef, ('yes') x 5, ('no') x 3, 'bad', "with|bar", '', "back\\slash");
is_deeply [@$r{qw(asked found missing errors)}], [11, 7, 3, 1], 'errors are counted apart; an empty line is no key';
my ($status, $out) = $d->ctl('table', 'odd', 'bench', 'alias', $keys);
is $status, 0, 'for people';
like $out, qr/^ASKED +FOUND +MISSING +ERRORS +RATE +P50US +P99US +MAX_US/m, 'columns';
like $out, qr/^tabmailctl: the first error: it is bad$/m, 'and the first error';
unlike $out, qr/a second/, 'no progress where there is no terminal';

$r = bench('nets', 'netaddr', 4096, map { "192.0.$_.1" } 1 .. 4);
is_deeply [@$r{qw(asked found missing)}], [4, 1, 3], 'a list of the configuration';
$r = bench('odd', 'domain', 8, 'example.org');
is $r->{errors}, 1, 'a service that the helper has not';
$r = bench('odd', 'alias', 64, map { 'x' x 4000 . $_ } 1 .. 30);
is $r->{found}, 30, 'long keys';

for ([66, "$keys.nothing"], [65, $d->file('empty', "\n\n")], [65, $d->file('long', 'x' x 5000 . "\n")], [65, $d->file('nul', "a\0b\n")]) {
	my ($want, $file) = @$_;
	($status, $out) = $d->ctl('table', 'odd', 'bench', 'alias', $file);
	is $status, $want, "$file: no";
	like $out, qr/^tabmailctl: \Q$file\E: \S/, 'and why';
}
is +($d->ctl('table', 'nosuch', 'bench', 'alias', $d->file('one', "a\n")))[0], 1, 'no such table';
is +($d->ctl('table', 'odd', 'bench', 'alias', $keys, 5000))[0], 64, 'too many in flight';

# A helper that fails its update says so
($status, $out) = $d->ctl('table', 'odd', 'update');
is $status, 1, 'an update that the helper does not answer well fails' or diag $out;
$d->file('aliases', "a: b\n:\n");
($status, $out) = $d->ctl('table', 'aliases', 'update');
is $status, 1, 'a bad file';
like $out, qr/^tabmailctl: \S.*\b2\b/, "is refused with the helper's own words" or diag $out;
like +($d->ctl('table', 'aliases', 'lookup', 'alias', 'a1'))[1], qr/^found +bob$/m, 'the old one is kept';
$d->file('aliases', "a1: bob\n");
($status, $out) = $d->ctl('table', 'aliases', 'update');
is "$status $out", "0 updated\n", 'a good one is taken';
$d->stop;
done_testing;
