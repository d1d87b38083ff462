#!/usr/bin/perl
# table-ldap: groups: members by DN and by LDAP URL, followed level by level; loops end; depth and number have limits;
# a group is never silently short of members.  Security row 19.
use strict;
use warnings;
use Slapd;
use Tabmail;
use TabHelper;
use Test::More;

plan skip_all => slapd_missing() if slapd_missing();
my $build = $ENV{BUILD} // 'build';
my $base = Slapd->base;
sub group {
	my ($name, @members) = @_;
	return "dn: cn=$name,ou=groups,$base\nobjectClass: groupOfNames\ncn: $name\n" . join('', map { "member: $_\n" } @members) . "\n";
}
sub user { return "uid=$_[0],ou=people,$base" }
sub g { return "cn=$_[0],ou=groups,$base" }

my $deep = join '', map { group("d$_", g('d' . ($_ + 1))) } 1 .. 1001;
my $s = Slapd->start(ldif => join('',
    (map { Slapd->person($_, mail => "$_\@example.org") } qw(ann bob carol)), Slapd->person('nomail'),
    group('staff', user('bob'), user('ann')), group('all', g('staff'), user('carol'), 'UID=Ann, OU=People, ' . $base),
    group('a', g('b')), group('b', g('a'), user('bob')), group('self', g('self')), group('selfbob', g('selfbob'), user('bob')),
    group('gone', user('ann'), user('left'), g('closed')), group('allgone', user('left')), group('mailless', user('nomail')),
    # A group with a mail of its own: not where its mail goes.
    "dn: cn=own,ou=groups,$base\nobjectClass: groupOfNames\nobjectClass: extensibleObject\ncn: own\nmail: own\@example.org\n"
    . "maildrop: archive\@example.org\nmember: " . user('ann') . "\n\n",
    group('odd', user('ann'), 'cn=\\,'), $deep, group('d1002', user('bob'))));

my $dir = $s->dir;
sub serve {
	my ($lines) = @_;
	my $wait = $lines =~ /^query_timeout/m ? '' : "query_timeout 60s\n"; # this is not about time
	spew("$dir/f", $s->settings . "${wait}alias_filter (&(|(objectClass=groupOfNames)(objectClass=inetOrgPerson))(|(cn=%u)(uid=%u)))\n" . $lines);
	chmod 0600, "$dir/f";
	my $h = TabHelper->start("$build/table-ldap", "$dir/f");
	$h->handshake or die $h->stderr;
	return $h;
}
my $h = serve("alias_leaf_attributes mail\nalias_attributes maildrop\nalias_special_attributes member labeledURI\n");
sub asks {
	my (@asks) = @_;
	while (my ($key, $want, $name) = splice @asks, 0, 3) {
		my $got = $h->ask('lookup', 'alias', $key);
		ref $want ? like $got, $want, $name : is $got, $want, $name;
	}
}
asks(
	'staff', 'found|ann@example.org, bob@example.org', 'members, in a stable order',
	'bob', 'found|bob@example.org', 'somebody who is no group',
	'all', 'found|ann@example.org, carol@example.org, bob@example.org', 'a group in a group; who is there twice comes once',
	'nobody', 'not-found', 'no such group',
	'a', 'found|bob@example.org', 'A names B, B names A',
	'self', 'not-found', 'a group that names itself alone has nobody',
	'selfbob', 'found|bob@example.org', 'one that names itself and bob has bob',
	'gone', 'found|ann@example.org', 'a member who was deleted is left out',
	'allgone', 'error|none of the members is in the directory', 'if all are, that is an error',
	'mailless', 'not-found', 'members without an address',
	'own', 'found|archive@example.org, ann@example.org', "a group's own address is no leaf's; alias_attributes count everywhere",
	'd993', 'found|bob@example.org', 'ten levels below',
	'd992', 'error|groups nest deeper than 10 (group_depth)', 'eleven are too many',
	'd1', 'error|groups nest deeper than 10 (group_depth)', '1,001 likewise');
is $h->ask('check', 'alias', 'd1'), 'found', 'a check follows nothing';
like $h->stderr, qr/^alias gone: 2 members are not in the directory, one of them (?:cn=closed|uid=left),/m, 'the log says who is gone';

$h = serve("alias_leaf_attributes mail\nalias_special_attributes member\ngroup_depth 0\n");
asks('bob', 'found|bob@example.org', 'no depth: a leaf', 'staff', 'error|groups nest deeper than 0 (group_depth)', 'but no group');
$h = serve("alias_leaf_attributes mail\nalias_special_attributes member\ngroup_depth 2000\n");
asks('d1', 'found|bob@example.org', '1,001 levels, when that is allowed');
$h = serve("alias_leaf_attributes mail\nalias_special_attributes member\ngroup_members 2\n");
asks('staff', 'found|ann@example.org, bob@example.org', 'as many as allowed',
    'all', qr/^error\|.*more (?:values|members) than/, 'more than allowed');

# LDAP URLs: dynamic groups.  The host in a URL is not gone to.
$s->add(join '', map { "dn: cn=$_->[0],ou=groups,$base\nobjectClass: groupOfNames\nobjectClass: extensibleObject\ncn: $_->[0]\nmember: "
    . g('self') . "\n" . join('', map { "labeledURI: $_\n" } @$_[1 .. $#$_]) . "\n" }
    [ 'url', "ldap:///ou=people,$base?mail?one?(mail=*)" ], [ 'urlsub', "ldap:///$base??sub?(uid=ann)", "ldap:///" . user('bob') ],
    [ 'urlfar', "ldap://192.0.2.1:389/ou=people,$base??sub?(uid=carol)" ], [ 'urlloop', "ldap:///ou=groups,$base??sub?(cn=urlloop)" ],
    [ 'urlbase', "ldap:///ou=nowhere,$base??sub?(uid=x)" ], [ 'urlbad', 'http://example.org/' ], [ 'urlx', 'ldap://[::1/??' ]);
$h = serve("alias_leaf_attributes mail\nalias_special_attributes labeledURI member\n");
asks(
	'url', 'found|ann@example.org, bob@example.org, carol@example.org', 'a URL names all who match',
	'urlsub', 'found|ann@example.org, bob@example.org', 'two URLs, one of them a DN alone',
	'urlfar', 'found|carol@example.org', 'our servers are asked, not the one in the URL',
	'urlloop', 'not-found', 'a URL that finds itself ends',
	'urlbase', qr/^error\|/, "a URL's base that is not there is an error",
	'urlbad', qr/^error\|a member is neither a DN nor an LDAP URL: http:/, 'no LDAP URL',
	'urlx', qr/^error\|a member is neither/, 'a broken one');

# Referrals: to its own server and place, round and round.
my ($status, $out) = run([input => "dn: ou=there,$base\nobjectClass: referral\nobjectClass: extensibleObject\nou: there\nref: "
    . $s->url . "/ou=there,$base??sub\nref: " . $s->url . "/$base??sub\n\n" . group('refers', "ou=there,$base", user('bob'))],
    'ldapadd', '-x', '-M', '-H', $s->url, '-D', "cn=admin,$base", '-w', 'thisbemypasswd');
is $status, 0, 'referrals that lead to themselves' or diag $out;
for my $follow ('no', 'yes') {
	$h = serve("query_timeout " . ($follow eq 'yes' ? 5 : 20) . "s\nreferrals $follow\nalias_leaf_attributes mail\nalias_special_attributes member\n"
	    . "mailaddr_basedn ou=there,$base\nmailaddr_filter (mail=%u)\n");
	asks('bob', $follow eq 'no' ? 'found|bob@example.org' : qr/^error\|/,
	    "referrals $follow: below a base that has such a one" . ($follow eq 'no' ? ', others are found' : ', what cannot be followed is an error'),
	    'refers', qr/^error\|/, "referrals $follow: a member that is one is an error");
	like $h->ask('check', 'mailaddr', 'bob@example.org'), qr/^error\|/, "referrals $follow: a base that is one, too";
	is $h->end, 0, "referrals $follow: ends well";
}

# 10^5 members: refused, soon, and others are served meanwhile.
my $n = $ENV{TABMAIL_LONG} ? 100_000 : 20_000;
$s->add("dn: cn=huge,ou=groups,$base\nobjectClass: groupOfNames\ncn: huge\n" . join '', map { 'member: ' . user("m$_") . "\n" } 1 .. $n);
$h = serve("alias_leaf_attributes mail\nalias_special_attributes member\n");
$h->put((map { ($h->question('lookup', 'alias', 'huge'))[1] } 1 .. 5), ($h->question('lookup', 'alias', 'staff'))[1]);
my %answers;
$answers{ ($h->get // '') =~ s/^lookup-result\|\w+\|//r }++ for 1 .. 6;
is $answers{'found|ann@example.org, bob@example.org'}, 1, 'the small group is answered beside the huge one' or diag explain \%answers;
is +(grep { /^error\|.*more values than the limit/ } keys %answers), 1, "$n members are an error";
is $h->ask('lookup', 'alias', 'bob'), 'found|bob@example.org', 'it goes on';
is $h->end, 0, 'and ends well';
unlike $h->stderr, qr/Sanitizer|runtime error/, 'clean';

done_testing;
