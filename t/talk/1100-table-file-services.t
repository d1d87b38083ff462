#!/usr/bin/perl
# table-file: every service, from real files.
use strict;
use warnings;
use File::Temp qw(tempdir);
use Test::More;
use TabHelper;

my $build = $ENV{BUILD} // 'build';
my $dir = tempdir(CLEANUP => 1);

sub serve {
	my ($text) = @_;
	open my $f, '>', "$dir/t" or die;
	print $f $text;
	close $f;
	my $h = TabHelper->start("$build/table-file", "$dir/t");
	$h->handshake or die $h->stderr;
	return $h;
}

sub asks {
	my ($h, @asks) = @_;
	while (my ($op, $service, $key, $want) = splice @asks, 0, 4) {
		is $h->ask($op, $service, $key), $want, "$op $service " . ($key // '');
	}
}

my $h = serve(<<'END');
# aliases(5)
root:		joe@example.org,
		"|/usr/bin/prog -x 'a, b'",
		bob
postmaster:	root
"odd user":	ann
list:		:include:/etc/list
user@example.org: dest
@example.org	catchall
a|b: pipe
END
asks($h,
	'lookup', 'alias', 'root', q{found|joe@example.org, "|/usr/bin/prog -x 'a, b'", bob},
	'lookup', 'alias', 'postmaster', 'found|root',
	'lookup', 'alias', 'odd user', 'found|ann',
	'lookup', 'alias', 'list', 'found|:include:/etc/list',
	'lookup', 'alias', 'user@example.org', 'found|dest',
	'lookup', 'alias', '@example.org', 'found|catchall',
	'lookup', 'alias', 'a|b', 'found|pipe',
	'lookup', 'alias', 'a', 'not-found',
	'lookup', 'alias', '', 'not-found',
	'lookup', 'alias', 'x' x 4000, 'not-found',
	'check', 'alias', 'root', 'found',
	'lookup', 'frobnicate', 'x', 'error|no such service here',
	'fetch', 'alias', undef, 'error|this service has no fetch');

$h = serve("example.org\n*.example.net\n");
asks($h,
	'check', 'domain', 'example.org', 'found',
	'check', 'domain', 'a.example.org', 'not-found',
	'check', 'domain', 'a.b.example.net', 'found',
	'check', 'domain', 'example.net', 'not-found');

$h = serve("192.0.2.1\n198.51.100.0/24\n2001:db8::/32\n[2001:db9::1]\nlocal\n");
asks($h,
	'check', 'netaddr', '192.0.2.1', 'found',
	'check', 'netaddr', '[192.0.2.1]', 'found',
	'check', 'netaddr', '192.0.2.2', 'not-found',
	'check', 'netaddr', '198.51.100.200', 'found',
	'check', 'netaddr', '2001:db8:1::1', 'found',
	'check', 'netaddr', '[2001:DB8::1]', 'found',
	'check', 'netaddr', '2001:db9::1', 'found',
	'check', 'netaddr', '2001:db9::2', 'not-found',
	'check', 'netaddr', 'local', 'found');

$h = serve("joe\@example.org\n\@example.net\nann\@*.example.com\nroot\n");
asks($h,
	'check', 'mailaddr', 'joe@example.org', 'found',
	'check', 'mailaddr', 'joe+tag@example.org', 'found',
	'check', 'mailaddr', 'jim@example.org', 'not-found',
	'check', 'mailaddr', 'any@example.net', 'found',
	'check', 'mailaddr', 'ann@a.example.com', 'found',
	'check', 'mailaddr', 'ann@example.com', 'not-found',
	'check', 'mailaddr', 'root@somewhere.example', 'found');

my $hash = crypt 'sEcret|x', '$6$abcdefgh$';
my $quick = crypt 'other', '$1$abcdefgh$';
$h = serve("Bob $hash\nann: $quick\nlocked !$hash\nstar *\nrelay user:password\nodd \$9\$nohash\n");
asks($h,
	'lookup', 'credentials', 'bob', "found|Bob:$hash",
	'lookup', 'credentials', 'relay', 'found|user:password',
	'lookup', 'credentials', 'nobody', 'not-found',
	'check', 'auth', 'bob:sEcret|x', 'found',
	'check', 'auth', 'bob:secret|x', 'not-found',
	'check', 'auth', 'bob:', 'not-found',
	'check', 'auth', 'bob', 'not-found',
	'check', 'auth', ':sEcret|x', 'not-found',
	'check', 'auth', '', 'not-found',
	'check', 'auth', 'ann:other', 'found',
	'check', 'auth', 'ann:other:', 'not-found',
	'check', 'auth', "ann:$quick", 'not-found',
	'check', 'auth', 'nobody:other', 'not-found',
	'check', 'auth', 'locked:sEcret|x', 'not-found',
	'check', 'auth', 'star:*', 'not-found',
	'check', 'auth', 'relay:password', 'not-found',
	'check', 'auth', 'odd:x', 'error|the table holds no hash that crypt(3) knows');
is $h->end, 0, 'ends';
unlike $h->stderr, qr/sEcret|other|\Q$hash\E/, 'no password in what it says';

$h = serve("joe 1000:1000:/home/joe\nann: 1001:100:/home/ann\n");
asks($h,
	'lookup', 'userinfo', 'joe', 'found|1000:1000:/home/joe',
	'lookup', 'userinfo', 'ann', 'found|1001:100:/home/ann',
	'lookup', 'userinfo', 'bob', 'not-found');

$h = serve("192.0.2.1\n192.0.2.2\n2001:db8::1\n");
is_deeply [map { $h->ask('fetch', 'source') } 1 .. 5],
    [map { "found|$_" } qw(192.0.2.1 192.0.2.2 2001:db8::1 192.0.2.1 192.0.2.2)],
    'source goes round';

$h = serve("192.0.2.1 mx1.example.org\n2001:db8::1 mx6.example.org\n");
asks($h,
	'lookup', 'addrname', '192.0.2.1', 'found|mx1.example.org',
	'lookup', 'addrname', '2001:db8:0::1', 'found|mx6.example.org',
	'lookup', 'addrname', '192.0.2.9', 'not-found');

$h = serve("joe: joe\@example.org, info\@example.org\n");
asks($h, 'lookup', 'mailaddrmap', 'joe', 'found|joe@example.org, info@example.org');

$h = serve("example.org smtp://relay.example:25\n");
asks($h,
	'lookup', 'relayhost', 'example.org', 'found|smtp://relay.example:25',
	'fetch', 'relayhost', undef, 'found|smtp://relay.example:25');

$h = serve("# \@list\n^a[0-9]+\$\nb: c\n");
asks($h,
	'check', 'regex', 'a77', 'found',
	'check', 'regex', 'a', 'not-found',
	'check', 'string', 'b: c', 'found',
	'check', 'string', 'b', 'not-found');

$h = serve('');
asks($h,
	'lookup', 'alias', 'root', 'not-found',
	'check', 'netaddr', '::1', 'not-found',
	'fetch', 'source', undef, 'not-found');

done_testing;
