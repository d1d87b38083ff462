# table-ldap: auth by bind while slapd is restarted, frozen, silent, gone: a right password is never "not found", a
# wrong one never found; binds and searches keep connections of their own; several binds at a time.
use strict;
use warnings;
use LdapStream;
use Slapd;
use Tabmail;
use Test::More;
use Time::HiRes qw(time);

plan skip_all => slapd_missing if slapd_missing;
my $base = Slapd::base();
my ($s, $second) = map { Slapd->start(log => 1, entries => sub { print $_[0]->person("p$_", userPassword => "secret$_") for 0 .. 19 }) } 1, 2;
my $p = $s->proxy;

# Right and wrong passwords by turns, every 5 ms.
sub logins {
	my ($h, $secs, @calls) = @_;
	my $start = time;
	my (%open, %got, $n);
	while (time < $start + $secs || %open) {
		if (@calls && time >= $start + $calls[0]) {
			shift @calls;
			(shift @calls)->();
		}
		my $asking = time < $start + $secs;
		if ($asking) {
			my $i = $n++ % 20;
			my $right = int($n / 2) % 2;
			my ($id, $line) = $h->question('check', 'auth', "p$i:" . ($right ? "secret$i" : 'Secret'));
			$open{$id} = $right ? 'right' : 'wrong';
			$h->put($line);
		}
		my $wait = $asking ? 0.005 : 20;
		while (%open && defined(my $line = $h->get($wait))) {
			my ($id, $what) = $line =~ /^check-result\|(\w+)\|([^|]*)/ or die "odd: $line";
			my $kind = delete $open{$id} or die "twice: $line";
			$got{"$kind $what"}++;
			$wait = 0 if $asking;
		}
		last if time > $start + $secs + 25;
	}
	return { %got, lost => scalar keys %open };
}

sub only_true_logins {
	my ($got, $name) = @_;
	ok !$got->{'right not-found'} && !$got->{'wrong found'} && !$got->{lost} && ($got->{'right found'} || 0) > 0, "$name ("
	    . join(', ', map { "$_ $got->{$_}" } sort keys %$got) . ')';
}

for my $way ("auth_dn uid=%u,ou=people,$base", 'auth_filter (uid=%u)') {
	my ($how) = split ' ', $way;
	my $h = table($s, $p->url, $way);
	only_true_logins(logins($h, 1, 0.3 => sub { $s->restart }), "$how: slapd is restarted");
	only_true_logins(logins($h, 1, 0.3 => sub { $s->kill; $s->boot }), "$how: slapd is killed");
	only_true_logins(logins($h, 1.5, 0.3 => sub { $s->freeze }, 1 => sub { $s->thaw }), "$how: slapd is frozen");
	only_true_logins(logins($h, 1, 0.3 => sub { $p->set(mode => $_) }, 0.6 => sub { $p->set(mode => 'pass') }), "$how: the wire: $_")
	    for qw(forget refuse garbage cut);
	unlike $h->stderr, qr/secret\d|Secret|mailpw/, 'no password in the log';
	is $h->end, 0, 'ends with 0';
}

my $h = table($s, $p->url . ' ' . $second->url, "auth_dn uid=%u,ou=people,$base", 'query_timeout 5s');
only_true_logins(logins($h, 0.3), 'two servers');
for my $fault (qw(blackhole deaf refuse)) {
	my $got = logins($h, 2, 0.3 => sub { $p->set(mode => $fault) });
	only_true_logins($got, "the first one: $fault");
	is $h->ask('check', 'auth', 'p1:secret1'), 'found', 'the second one knows him too';
	is $h->ask('check', 'auth', 'p1:secret2'), 'not-found', 'and what is wrong';
	$p->set(mode => 'pass');
}
is $h->end, 0, 'ends with 0';
diag $h->stderr if !Test::More->builder->is_passing;

my (%who, %searches);
my $life = 0; # of slapd, which counts its connections anew each time
for ($s->log_text =~ /^(.*)$/mg) {
	$life++ if /slapd starting/;
	$who{"$life $1"}{$2} = 1 if /conn=(\d+) op=\d+ BIND dn="(uid=[^"]*)" method=128/;
	$searches{"$life $1"} = 1 if /conn=(\d+) op=\d+ SRCH base="dc=/;
}
is_deeply [ grep { $searches{$_} } keys %who ], [], 'no connection was both: a user\'s and searched on';
cmp_ok scalar(grep { keys %{ $who{$_} } > 1 } keys %who), '>', 0, 'connections served one user after the other';
$_->forget for $s, $second;
done_testing;
