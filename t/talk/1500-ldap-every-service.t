#!/usr/bin/perl
# table-ldap: every service against a real slapd: filters, attributes, bases, scopes, values in a stable order.
use strict;
use warnings;
use Slapd;
use Tabmail;
use TabHelper;
use Test::More;

plan skip_all => slapd_missing() if slapd_missing();
my $build = $ENV{BUILD} // 'build';
my $base = Slapd->base;
my $hash = crypt 'Secret|x', '$6$abcdefgh$';

sub host {
	my ($name, $address, $kind) = @_;
	return "dn: cn=$name,ou=groups,$base\nobjectClass: device\nobjectClass: ipHost\ncn: $name\nipHostNumber: $address\n"
	    . "description: $kind\n\n";
}

my $s = Slapd->start(ldif => join '',
    Slapd->alias('info', 'zoe@example.org', 'bob', 'ann'), Slapd->alias('self', 'self'), Slapd->alias('Joe', '"|prog a, b"'),
    Slapd->person('bob', userPassword => "{CRYPT}$hash", mail => [ 'bob@example.org', 'b@example.net' ], uidNumber => 2001),
    Slapd->person('ann', userPassword => '{SSHA}0c0blFTXXNuAMHECS4uxrj3ZieMoWImr', mail => 'ann@example.org'),
    Slapd->person('carol'), Slapd->person('relay', userPassword => 'Relay pass|word'),
    Slapd->person('twin', cn => 'twins'), Slapd->person('twin2', cn => 'twins', uidNumber => 2009),
    Slapd->domain('example.org'), Slapd->domain('example.net'),
    host('mx1.example.org', '192.0.2.1', 'source'), host('mx2.example.org', '192.0.2.2', 'source'),
    host('mx6.example.org', '2001:db8::1', 'source'), host('friend.example.org', '198.51.100.7', 'friend'),
    "dn: ou=example.com,ou=domains,$base\nobjectClass: organizationalUnit\nobjectClass: labeledURIObject\nou: example.com\n"
    . "labeledURI: smtp://relay.example.com:25\n\n",
    "dn: uid=deep,uid=bob,ou=people,$base\nobjectClass: account\nuid: deep\nhost: below\n\n");

my $dir = $s->dir;
spew("$dir/all", $s->settings . <<"F");
alias_filter (&(objectClass=courierMailAlias)(uid=%u))
alias_attributes maildrop
domain_filter (&(objectClass=rFC822localPart)(dc=%d))
credentials_filter (&(objectClass=posixAccount)(uid=%u))
credentials_attributes uid, userPassword
netaddr_filter (&(description=friend)(ipHostNumber=%u))
netaddr_attributes ipHostNumber
userinfo_filter (&(objectClass=posixAccount)(|(uid=%u)(cn=%u)))
userinfo_attributes uidNumber, gidNumber, homeDirectory
source_filter (description=source)
source_attributes ipHostNumber
mailaddr_filter (mail=%u)
mailaddr_basedn ou=people,$base
mailaddrmap_filter (uid=%u)
mailaddrmap_attributes mail
addrname_filter (ipHostNumber=%u)
addrname_attributes cn
relayhost_filter (ou=%d)
relayhost_attributes labeledURI
relayhost_basedn ou=domains,$base
relayhost_scope one
auth_filter (uid=%u)
F
chmod 0600, "$dir/all";

sub asks {
	my ($h, @asks) = @_;
	while (my ($op, $service, $key, $want) = splice @asks, 0, 4) {
		is $h->ask($op, $service, $key), $want, "$op $service " . ($key // '');
	}
}

my $h = TabHelper->start("$build/table-ldap", "$dir/all");
is_deeply [ $h->handshake ], [qw(alias domain auth credentials netaddr userinfo source mailaddr mailaddrmap addrname relayhost)],
    'registers what the file has';
asks($h,
	'lookup', 'alias', 'info', 'found|ann, bob, zoe@example.org',
	'lookup', 'alias', 'INFO', 'found|ann, bob, zoe@example.org',
	'lookup', 'alias', 'Joe', 'found|"|prog a, b"',
	'lookup', 'alias', 'nobody', 'not-found',
	'lookup', 'alias', '', 'not-found',
	'lookup', 'alias', 'x' x 4000, 'not-found',
	'check', 'alias', 'info', 'found',
	'check', 'domain', 'example.org', 'found',
	'check', 'domain', 'example.com', 'not-found',
	'lookup', 'domain', 'example.org', 'found|example.org',
	'lookup', 'credentials', 'bob', "found|bob:$hash",
	'lookup', 'credentials', 'relay', 'found|relay:Relay pass|word',
	'lookup', 'credentials', 'carol', 'not-found',
	'lookup', 'credentials', 'nobody', 'not-found',
	'lookup', 'credentials', 'ann', "error|the password's scheme cannot be checked by crypt(3)",
	'lookup', 'credentials', 'ann', "error|the password's scheme cannot be checked by crypt(3)",
	'check', 'netaddr', '198.51.100.7', 'found',
	'check', 'netaddr', '192.0.2.1', 'not-found',
	'lookup', 'userinfo', 'bob', 'found|2001:2001:/home/bob',
	'lookup', 'userinfo', 'nobody', 'not-found',
	'lookup', 'userinfo', 'twins', 'error|several entries match, and do not say the same',
	'check', 'mailaddr', 'b@example.net', 'found',
	'check', 'mailaddr', 'info@example.org', 'not-found',
	'lookup', 'mailaddrmap', 'bob', 'found|b@example.net, bob@example.org',
	'lookup', 'mailaddrmap', 'carol', 'not-found',
	'lookup', 'addrname', '2001:db8::1', 'found|mx6.example.org',
	'lookup', 'addrname', '192.0.2.9', 'not-found',
	'lookup', 'relayhost', 'example.com', 'found|smtp://relay.example.com:25',
	'lookup', 'relayhost', 'example.org', 'not-found',
	'fetch', 'relayhost', undef, 'error|the filter has a place for a key, and a fetch has none',
	'fetch', 'alias', undef, 'error|this service has no fetch',
	'lookup', 'frobnicate', 'x', 'error|no such service here',
	'lookup', 'string', 'x', 'error|no such service here');
is_deeply [ map { $h->ask('fetch', 'source') } 1 .. 5 ],
    [ map { "found|$_" } qw(192.0.2.1 192.0.2.2 2001:db8::1 192.0.2.1 192.0.2.2) ], 'source goes round';

# Many at once, answered as they come: each gets its own answer.
my (%want, %got);
for my $n (1 .. 500) {
	my $key = ('info', 'Joe', 'nobody', 'self')[ $n % 4 ];
	my ($id, $line) = $h->question('lookup', 'alias', $key);
	$h->put($line);
	$want{$id} = { info => 'found|ann, bob, zoe@example.org', Joe => 'found|"|prog a, b"', nobody => 'not-found',
	    self => 'found|self' }->{$key};
}
for (1 .. 500) {
	my ($id, $answer) = ($h->get // '') =~ /^lookup-result\|(\w+)\|(.*)$/ or last;
	$got{$id} = $answer;
}
is_deeply \%got, \%want, '500 questions at once';
is $h->end, 0, 'ends';
my @said = $h->stderr =~ /^(credentials: .*)$/mg;
is @said, 2, 'what is odd about passwords is said once for each' or diag $h->stderr;
like $h->stderr, qr/^credentials: a password's scheme .* use auth_filter or auth_dn \(said once\)$/m, 'with what to do';
unlike $h->stderr, qr/mailpw|\Q$hash\E|Relay pass|SSHA/, 'no password among it';

# A filter without a place for the key gives a list, which is matched as table-file matches.
spew("$dir/lists", $s->settings . <<"F");
netaddr_filter (description=network)
netaddr_attributes ipHostNumber
domain_filter (description=network)
domain_attributes cn
mailaddr_filter (description=network)
mailaddr_attributes l
F
chmod 0600, "$dir/lists";
$s->add(host('*.example.org', '198.51.100.0/24', 'network') =~ s/\n\n/\nl: \@example.net\nl: ann\n\n/r . host('example.net', '2001:db8:5::/48', 'network'));
$h = TabHelper->start("$build/table-ldap", "$dir/lists");
$h->handshake;
asks($h,
	'check', 'netaddr', '198.51.100.77', 'found',
	'check', 'netaddr', '[2001:db8:5:1::1]', 'found',
	'check', 'netaddr', '192.0.2.1', 'not-found',
	'lookup', 'netaddr', '198.51.100.77', 'found|198.51.100.0/24',
	'check', 'domain', 'a.b.example.org', 'found',
	'check', 'domain', 'example.net', 'found',
	'check', 'domain', 'example.org', 'not-found',
	'check', 'mailaddr', 'anybody@example.net', 'found',
	'check', 'mailaddr', 'ann+tag@example.com', 'found',
	'check', 'mailaddr', 'bob@example.com', 'not-found');
is $h->end, 0, 'ends';
unlike $h->stderr, qr/warning/, 'nothing to warn of';

# Scopes and bases; the table's name; a relay's turn; uid and gid that are none.
sub serve {
	my ($lines) = @_;
	spew("$dir/f", $s->settings(basedn => undef) . $lines);
	chmod 0600, "$dir/f";
	my $one = TabHelper->start("$build/table-ldap", "$dir/f");
	$one->handshake or die $one->stderr;
	return $one;
}
for my $case ([ base => 'not-found' ], [ one => 'not-found' ], [ sub => 'found|below' ]) {
	my ($scope, $want) = @$case;
	$h = serve("basedn ou=people,$base\nscope $scope\nalias_filter (uid=%u)\nalias_attributes host\n");
	is $h->ask('lookup', 'alias', 'deep'), $want, "scope $scope";
}
$h = serve("basedn ou=nowhere,$base\nalias_basedn uid=%l,ou=people,$base\nalias_filter (uid=deep)\nalias_attributes host\n"
    . "mailaddr_filter (mail=%u)\nrelayhost_basedn ou=domains,$base\nrelayhost_filter (objectClass=labeledURIObject)\n"
    . "relayhost_attributes labeledURI\ndomain_basedn ou=people,$base\ndomain_filter (&(uid=%h)(uid=*))\n");
asks($h,
	'lookup', 'alias', 'bob@anywhere', 'found|below',
	'lookup', 'alias', '@anywhere', 'not-found',
	'fetch', 'relayhost', undef, 'found|smtp://relay.example.com:25',
	'check', 'domain', 'x', 'not-found');
like $h->ask('check', 'mailaddr', 'bob@example.org'), qr/^error\|.*[Nn]o such object/, 'a base that is not there is an error';
like $h->ask('lookup', 'alias', 'nobody@anywhere'), qr/^error\|.*[Nn]o such object/, 'one made from the key, too';
$h->{table} = 'bob';
is $h->ask('check', 'domain', 'x'), 'found', '%h is the name of the table';

# More entries than the server gives at once, and than the limit allows.
$s->add(join '', map { Slapd->person("many$_", cn => 'many', mail => "m$_\@example.org") } 1 .. 30);
$h = serve("basedn $base\npage_size 7\nalias_filter (cn=many)\nalias_attributes mail\n");
is $h->ask('lookup', 'alias', 'x'), 'found|' . join(', ', map { "m$_\@example.org" } sort 1 .. 30), 'pages are put together';
$h = serve("basedn $base\ngroup_members 20\nalias_filter (cn=many)\nalias_attributes mail\n");
like $h->ask('lookup', 'alias', 'x'), qr/^error\|/, 'more than group_members is an error, not a part of them';

done_testing;
