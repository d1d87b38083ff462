# table-ldap: many lookups of every kind with reconnects in between: memory stays flat.  Fifty thousand; with
# TABMAIL_LONG=1 a million.  Then some under valgrind, when it is installed: no leak, nothing invalid.
use strict;
use warnings;
use File::Temp qw(tempdir);
use LdapStream;
use Slapd;
use TabHelper;
use Tabmail;
use Test::More;

plan skip_all => slapd_missing if slapd_missing;
my $build = $ENV{BUILD} // 'build';
my $ROUNDS = $ENV{TABMAIL_LONG} ? 100 : 5;
my $EACH = 10000;
my $base = Slapd::base();
my $s = Slapd->start(sizelimit => 10, config => <<"C", entries => sub { fifty(@_); print $_[0]->person("p$_", userPassword => "pw$_", description => 'many') for 0 .. 19 });
limits dn.exact="cn=mail,$base" size.soft=10 size.hard=10 size.pr=10 size.prtotal=unlimited
C
my $p = $s->proxy;
my @more = ("auth_dn uid=%u,ou=people,$base", 'mailaddrmap_filter (description=%s)', 'mailaddrmap_attributes uid',
    'mailaddr_filter (uid=%s)', 'mailaddr_attributes uid');
my $h = table($s, $p->url, @more);

# Keeps up to 256 in flight; returns how many answers were not what they must be.
sub ask_many {
	my ($n) = @_;
	my ($sent, $open, $bad, %want) = (0, 0, 0);
	while ($sent < $n || $open) {
		my @lines;
		while ($sent < $n && $open < 256) {
			my $i = $sent++;
			my @q = $i % 200 == 7 ? ('lookup', 'mailaddrmap', 'many') : $i % 20 == 3 ? ('check', 'auth', 'p' . $i % 20 . ':pw' . $i % 20)
			    : $i % 5 == 1 ? ('check', 'mailaddr', 'nobody') : ('lookup', 'alias', 'a' . $i % 50);
			my ($id, $line) = $h->question(@q);
			$want{$id} = $q[2] eq 'nobody' ? qr/^not-found$/ : $q[1] eq 'auth' ? qr/^found$/ : $q[1] eq 'alias' ? qr/^found\|box\d+\@/
			    : qr/^found\|p0, p1/;
			push @lines, $line;
			$open++;
		}
		$h->put(@lines) if @lines;
		my $line = $h->get // die "silence\n";
		for (;;) {
			my ($id, $answer) = $line =~ /^\w+-result\|(\w+)\|(.*)/;
			my $want = delete $want{$id} // die "not asked: $line\n";
			$open--;
			$bad++ if $answer !~ $want && $answer !~ /^error/;
			last if !$open || !defined($line = $h->get(0));
		}
	}
	return $bad;
}

sub rss { my ($kb) = slurp("/proc/$_[0]/status") =~ /^VmRSS:\s+(\d+)/m; return $kb }

my ($bad, $early) = (0);
for my $round (1 .. $ROUNDS) {
	$bad += ask_many($EACH);
	if ($round % 3 == 0) {
		$p->set(mode => $_) for 'refuse', 'pass';
	} elsif ($round % 3 == 1) {
		$s->restart;
	}
	$early //= rss($h->pid) if $round >= $ROUNDS / 5;
}
my $late = rss($h->pid);
is $bad, 0, $ROUNDS * $EACH . ' lookups, no answer that is not true';
SKIP: {
	skip 'the sanitizers keep what was freed', 1 if $build =~ m{/san$};
	cmp_ok $late, '<', $early + 2048, "memory is flat: $early KiB after a fifth, $late at the end";
}
is $h->end, 0, 'ends with 0';
diag $h->stderr if $h->stderr =~ /Sanitizer/ || $bad;
unlike $h->stderr, qr/Sanitizer/, 'no sanitizer spoke';

SKIP: {
	my ($valgrind) = grep { -x } '/usr/bin/valgrind';
	skip 'no valgrind', 3 if !$valgrind || $build =~ m{/san$};
	my $log = tempdir(CLEANUP => 1) . '/valgrind';
	$h = TabHelper->start($valgrind, '-q', '--leak-check=full', '--errors-for-leak-kinds=definite', '--error-exitcode=99', "--log-file=$log",
	    "$build/table-ldap", LdapStream::conf());
	$h->handshake;
	is ask_many(300), 0, 'under valgrind';
	$s->restart;
	wait_for { $h->ask('lookup', 'alias', 'a1') eq 'found|box1@example.org' } 'an answer after a restart', 60;
	is ask_many(300), 0, 'and after a restart of slapd';
	is $h->end, 0, 'no leak, nothing invalid' or diag slurp($log);
}
$s->forget;
done_testing;
