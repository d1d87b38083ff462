#!/usr/bin/perl
# table-ldap: files that serve OpenSMTPD's helper serve here as they are, with all the freedom that it gives them, and
# answer what its manual says.
use strict;
use warnings;
use Slapd;
use Tabmail;
use TabHelper;
use Test::More;

plan skip_all => slapd_missing() if slapd_missing();
my $build = $ENV{BUILD} // 'build';
my $base = Slapd->base;
my $hash = crypt 'x', '$6$abcdefgh$';
my $s = Slapd->start(ldif => join '', Slapd->domain('example.org'),
    Slapd->person('bob', mail => [ 'bob@example.org', 'bob@example.net' ], userPassword => $hash),
    Slapd->person('ann', mail => 'ann@example.org'), Slapd->person('joint', mail => [ 'team@example.org' ]),
    Slapd->person('joint2', mail => [ 'team@example.org' ]),
    "dn: cn=h,ou=groups,$base\nobjectClass: device\nobjectClass: ipHost\ncn: h\nipHostNumber: 192.0.2.7\n\n");
my $dir = $s->dir;
my ($port) = $s->url =~ /:(\d+)$/;

sub serve {
	my ($text) = @_;
	spew("$dir/f", $text);
	chmod 0600, "$dir/f";
	my $h = TabHelper->start("$build/table-ldap", "$dir/f");
	my @services = $h->handshake;
	return ($h, @services);
}
sub asks {
	my ($h, $name, @asks) = @_;
	while (my ($op, $service, $key, $want) = splice @asks, 0, 4) {
		is $h->ask($op, $service, $key), $want, "$name: $op $service $key";
	}
}

# The shape of its example file: colons, blanks behind commas, every service that it has.
my ($h, @services) = serve(<<"F");
# the connection
url: ldap://127.0.0.1:$port
username: cn=mail,$base
password: mailpw
basedn: $base

# alias, virtual
alias_filter: (&(objectclass=person)(mail=%s))
alias_attributes: uid

credentials_filter: (&(objectclass=posixaccount)(uid=%s))
credentials_attributes: uid, userPassword

domain_filter: (&(objectclass=rFC822localPart)(dc=%s))
domain_attributes: dc

userinfo_filter: (&(objectclass=posixaccount)(uid=%u))
userinfo_attributes: uidNumber, gidNumber, homeDirectory

mailaddr_filter: (&(objectclass=posixaccount)(mail=%s))
mailaddr_attributes: mail

mailaddrmap_filter: (&(objectclass=posixaccount)(uid=%s))
mailaddrmap_attributes: mail

netaddr_filter: (&(objectclass=iphost)(iphostnumber=%s))
netaddr_attributes: ipHostNumber
F
is_deeply [ sort @services ], [ sort qw(alias credentials domain userinfo mailaddr mailaddrmap netaddr) ], 'its services';
asks($h, 'example',
	'lookup', 'alias', 'bob@example.org', 'found|bob',
	'lookup', 'alias', 'team@example.org', 'found|joint, joint2',
	'lookup', 'alias', 'nobody@example.org', 'not-found',
	'lookup', 'credentials', 'bob', "found|bob:$hash",
	'lookup', 'credentials', 'ann', 'not-found',
	'check', 'domain', 'example.org', 'found',
	'lookup', 'domain', 'example.org', 'found|example.org',
	'lookup', 'userinfo', 'bob', 'found|2001:2001:/home/bob',
	'check', 'mailaddr', 'bob@example.net', 'found',
	'lookup', 'mailaddrmap', 'bob', 'found|bob@example.net, bob@example.org',
	'check', 'netaddr', '192.0.2.7', 'found',
	'check', 'netaddr', '192.0.2.8', 'not-found');
is $h->ask('update'), 'ok', 'update';
is $h->end, 0, 'ends';
unlike $h->stderr, qr/fault|warning|unknown/i, 'nothing is said against it';

# A host without a scheme, a URL with more behind it, no blank, many blanks, tabs, CR LF, comments that are indented,
# a filter with the table's name, a percent sign and a place in the middle of a value.
($h) = serve("url: 127.0.0.1:$port\r\nusername:cn=mail,$base\r\n\tpassword :   mailpw  \r\n  # comment\r\nbasedn\t$base\r\n"
    . "alias_filter:(&(uid=*)(|(mail=%s\@example.org)(cn=%h-%%-%u)))\r\nalias_attributes:uid\r\n");
is $h->ask('lookup', 'alias', 'ann'), 'found|ann', 'a host alone, and odd blanks';
($h) = serve("url ldap://127.0.0.1:$port/$base?uid?sub?(x=y)\nusername cn=mail,$base\npassword mailpw\nbasedn $base\n"
    . "alias_filter (mail=%u)\nalias_attributes uid\n");
is $h->ask('lookup', 'alias', 'ann@example.org'), 'found|ann', 'what stands behind the host in a URL does not matter';

# What it warns of and passes over.
($h) = serve("url ldap://127.0.0.1:$port\nurl ldap://127.0.0.1:1\nusername cn=mail,$base\npassword mailpw\npassword wrong\nbasedn $base\n"
    . "domain_filter\nalias_filter (mail=%u)\nalias_attributes uid\nalias_attributes mail\n");
is $h->ask('lookup', 'alias', 'ann@example.org'), 'found|ann', 'of what stands twice the first counts';
is +(() = $h->stderr =~ /stands in line \d+ already, which counts \(warning\)$/mg), 3, 'with a warning each';
like $h->stderr, qr/:7: domain_filter has no value: the line is passed over \(warning\)$/m, 'no value: passed over';
unlike $h->stderr, qr/mailpw|wrong/, 'passwords are not shown';

# An anonymous one.
my $open = Slapd->start(anonymous => 1, ldif => Slapd->person('bob', mail => 'bob@example.org'));
for my $who ('', "username:\npassword:\n") {
	($h) = serve("url " . $open->url . "\nbasedn $base\n${who}alias_filter (mail=%u)\nalias_attributes uid\n");
	is $h->ask('lookup', 'alias', 'bob@example.org'), 'found|bob', 'without a user: anonymous' . ($who && ', also with empty lines');
}

done_testing;
