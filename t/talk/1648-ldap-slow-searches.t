# A search that takes seconds at a server that works at one after the other on each connection: a sign of life
# waits behind it, so the connection comes into doubt.  Its answer is waited for all the same.
use strict;
use warnings;
use LdapStream;
use Slapd;
use Slapd::Proxy;
use Tabmail;
use Test::More;
use Time::HiRes qw(time);

plan skip_all => slapd_missing if slapd_missing;
my $s = Slapd->start(entries => \&fifty);
my $p = Slapd::Proxy->start(to => $s->url =~ /:(\d+)$/);
my $h = table($s, $p->url, 'query_timeout 20s');
is $h->ask('lookup', 'alias', 'a1'), 'found|box1@example.org', 'a quick server';
$p->set(slow => 2.5);
my $began = time;
is $h->ask('lookup', 'alias', 'a2'), 'found|box2@example.org', 'a search of 2.5 s is answered';
note sprintf 'after %.1f s', time - $began;
$p->set(slow => 0);
is $h->ask('lookup', 'alias', 'a3'), 'found|box3@example.org', 'and quick ones after it';
is $h->end, 0, 'ends with 0';
diag $h->stderr if !Test::More->builder->is_passing;
$p->stop;
$s->forget;
done_testing;
