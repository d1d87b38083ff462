# Two slapds, the first one preferred: it is killed, silent, deaf to connections; answers go on from the second
# within seconds, and from the first when it is back.  With `balance` both are asked.
use strict;
use warnings;
use LdapStream;
use Slapd;
use Tabmail;
use Test::More;
use Time::HiRes qw(time);

plan skip_all => slapd_missing if slapd_missing;
# Each says who it is
my ($first, $second) = map { my $name = $_; Slapd->start(log => 1, ldif => Slapd->alias('who', "$name\@example.org"), entries => \&fifty) }
    qw(first second);
my $p = $first->proxy;
my $h = table($first, $p->url . ' ' . $second->url);

sub who_answers { my ($t) = $h->ask('lookup', 'alias', 'who') =~ /^found\|(\w+)\@/; return $t // 'nobody' }
sub await_who {
	my ($name) = @_;
	my $since = time;
	wait_for { who_answers() eq $name } "answers from the $name", 30;
	return time - $since;
}

await_who('first');
is who_answers(), 'first', 'the first one is asked';
for my $fault (qw(refuse blackhole deaf forget)) {
	my $began;
	my $got = stream($h, 2, 0.2 => sub { $p->set(mode => $fault); $began = time });
	only_true($got, "the first one: $fault");
	note sprintf '%s: the first answer after %.2f s', $fault, $got->{after} - $began if $got->{after};
	cmp_ok $got->{error} // 0, '<=', $got->{asked} / 10, 'few errors, if any';
	is who_answers(), $fault eq 'forget' ? 'first' : 'second', 'who answers now';
	$p->set(mode => 'pass');
	note sprintf '%s: the first one is asked again after %.2f s', $fault, await_who('first');
}
my $began = time;
$first->kill;
my $took = await_who('second');
note sprintf 'killed: the second answers after %.2f s', $took;
$first->boot;
note sprintf 'killed: the first one is asked again after %.2f s', await_who('first');
like $h->stderr, qr/^failover from=\S+ to=\S+/m, 'a failover is a line';
like $h->stderr, qr/^returned from=\S+ to=\S+/m, 'a return is a line';
is $h->end, 0, 'ends with 0';

# At the start the first one takes no connections
$p->set(mode => 'deaf');
my $start = time;
$h = table($first, $p->url . ' ' . $second->url);
is who_answers(), 'second', 'the first drops every SYN: the second one is asked';
note sprintf 'the first answer came %.2f s after the start', time - $start;
is $h->end, 0, 'ends with 0, while an attempt hangs';
$p->set(mode => 'pass');

# Both
$h = table($first, $first->url . ' ' . $second->url, 'balance yes');
await_who($_) for qw(first second);
my %before = map { my $t = $_->log_text; ($_ => scalar(() = $t =~ /SRCH base="dc=/g)) } $first, $second;
only_true(stream($h, 0.5), 'balance');
for ([first => $first], [second => $second]) {
	my ($name, $s) = @$_;
	my $now = () = $s->log_text =~ /SRCH base="dc=/g;
	cmp_ok $now - $before{$s}, '>', 20, "balance: the $name had its share (" . ($now - $before{$s}) . ')';
}
$second->kill;
only_true(stream($h, 0.5), 'balance, one of them killed');
is $h->ask('lookup', 'alias', 'a7'), 'found|box7@example.org', 'the other answers alone';
diag $h->stderr if !Test::More->builder->is_passing;
is $h->end, 0, 'ends with 0';
$_->forget for $first, $second;
done_testing;
