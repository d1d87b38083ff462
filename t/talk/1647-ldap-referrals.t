# table-ldap and referrals: by default what they point at is not there; with `referrals yes` they are followed, and what
# cannot be had is an error, never "not found"; a loop ends.
use strict;
use warnings;
use LdapStream;
use Slapd;
use Tabmail;
use Test::More;

plan skip_all => slapd_missing if slapd_missing;
my $base = Slapd::base();
my $branch = "ou=branch,$base";
my $second = Slapd->start(anonymous => 1, ldif => "dn: $branch\nobjectClass: organizationalUnit\nou: branch\n\n"
    . Slapd->alias('there', 'box@example.org') =~ s/ou=aliases/ou=branch/r);
my $port = free_port;
my $first = Slapd->start(port => $port, ldif => Slapd->alias('here', 'bob')
    . "dn: $branch\nobjectClass: referral\nobjectClass: extensibleObject\nou: branch\nref: " . $second->url . "/$branch\n\n"
    . "dn: ou=loop,$base\nobjectClass: referral\nobjectClass: extensibleObject\nou: loop\nref: ldap://127.0.0.1:$port/ou=loop,$base\n\n");

my @within = ('domain_filter (uid=%s)', "domain_basedn $branch", 'domain_attributes uid', 'mailaddr_filter (uid=%s)',
    "mailaddr_basedn ou=loop,$base", 'mailaddr_attributes uid', "alias_basedn ou=aliases,$base", 'query_timeout 5s',
    'userinfo_filter (uid=%s)', "userinfo_basedn $base", 'userinfo_attributes uidNumber,gidNumber,homeDirectory');
my $h = table($first, $first->url, @within);
is $h->ask('lookup', 'alias', 'here'), 'found|bob', 'no referral in the way';
is $h->ask('lookup', 'userinfo', 'nobody'), 'not-found', 'by default a reference among results is passed over';
like $h->ask('check', 'domain', 'there'), qr/^error\|Referral/, 'a referral instead of a result is an error';
is $h->end, 0, 'ends with 0';

$h = table($first, $first->url, @within, 'referrals yes');
is $h->ask('check', 'domain', 'there'), 'found', 'referrals yes: a referral is followed';
is $h->ask('check', 'domain', 'nobody'), 'not-found', 'who is not there either is not found';
like $h->ask('check', 'mailaddr', 'x'), qr/^error\|/, 'a loop ends, with an error';
is $h->ask('lookup', 'alias', 'here'), 'found|bob', 'the service goes on';
my ($id, $line) = $h->question('check', 'domain', 'there');
$second->freeze;
$h->put($line);
is $h->ask('lookup', 'alias', 'here'), 'found|bob', 'while another server hangs, too';
like $h->get, qr/^check-result\|$id\|error\|/, 'its own question is an error';
$second->thaw;
wait_for { $h->ask('check', 'domain', 'there') eq 'found' } 'it to be followed again';
pass 'it is followed again when it can be';
$second->kill;
like $h->ask('check', 'domain', 'there'), qr/^error\|/, 'the other server is gone: an error';
like $h->ask('lookup', 'userinfo', 'nobody'), qr/^error\|/, 'for a part of the tree, too';
is $h->end, 0, 'ends with 0';
diag $h->stderr if !Test::More->builder->is_passing;
$_->forget for $first, $second;
done_testing;
