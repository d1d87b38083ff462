# table-ldap over a wire that forgets connections, resets them, garbles, cuts, swallows, drops SYNs, ends what is
# idle: each question is answered once, with what is true or with an error; never with "not found".
use strict;
use warnings;
use LdapStream;
use Slapd;
use Tabmail;
use Test::More;
use Time::HiRes qw(time);

plan skip_all => slapd_missing if slapd_missing;
my $s = Slapd->start(entries => \&fifty);
my $p = $s->proxy;
my $h = table($s, $p->url);
wait_for { $h->ask('lookup', 'alias', 'a1') =~ /^found/ } 'an answer';
for my $mode (qw(forget refuse garbage cut blackhole deaf)) {
	my $got = stream($h, 1, 0.2 => sub { $p->set(mode => $mode) }, 0.8 => sub { $p->set(mode => 'pass') });
	only_true($got, "the wire: $mode");
	my $since = time;
	wait_for { $h->ask('lookup', 'alias', 'a2') eq 'found|box2@example.org' } "an answer after $mode", 20;
	note sprintf 'answers %.2f s after it', time - $since;
}
$p->set(idle => 0.3);
my $taken = $p->accepted;
wait_for { $p->accepted > $taken + 1 } 'the proxy to drop idle connections', 20;
only_true(stream($h, 0.5), 'idle connections are dropped');
is $h->ask('lookup', 'alias', 'a3'), 'found|box3@example.org', 'the first question after it has its answer';
unlike $h->stderr, qr/mailpw/, 'no password in the log';
like $h->stderr, qr/^lost server=\S+ reason="[^"]+" in-flight=\d+/m, 'a loss is a line';
like $h->stderr, qr/^connected server=\S+ took=\d+ms/m, 'a connection is a line';
is $h->end, 0, 'ends with 0';
diag $h->stderr if !Test::More->builder->is_passing;
$s->forget;
done_testing;
