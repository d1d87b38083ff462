#!/usr/bin/perl
# The recipes of table-ldap(5), as they stand there but for host, port and paths, against slapd with the schema, or with
# entries that look like those of the other servers: what the page promises is answered.
use strict;
use warnings;
use File::Temp qw(tempdir);
use Slapd;
use Tabmail;
use TabHelper;
use Test::More;

plan skip_all => slapd_missing() if slapd_missing();
my $build = $ENV{BUILD} // 'build';
my $page = slurp('man/table-ldap.5');
my %recipes;
while ($page =~ /^\.Ss (.*)\n((?:(?!\.S[sh] ).*\n)*)/mg) {
	my ($title, $text) = ($1, $2);
	push @{ $recipes{$title} }, $1 while $text =~ /^\.Bd -literal.*\n((?:(?!\.Ed).*\n)+)\.Ed/mg;
}
is_deeply [ sort grep { $recipes{$_}[0] =~ /^url/ } keys %recipes ],
    [ '389 Directory Server, FreeIPA', 'Active Directory', 'OpenLDAP, with Courier\'s aliases', 'OpenLDAP, with groups', 'lldap' ],
    'the page has a recipe for each';

sub entry { my ($dn, @lines) = @_; return join "\n", "dn: $dn", @lines, "\n" }

# Asks the helper with a recipe, of which the connection is another.
sub with {
	my ($title, $s, $which, @asks) = @_;
	my $text = $recipes{$title}[$which // 0];
	$text = join('', $recipes{$title}[0] =~ /^((?:url|username|password_file|basedn) .*\n)/mg) . $text if $which;
	my $dir = $s->dir;
	spew("$dir/secret", "hush\n");
	chmod 0600, "$dir/secret";
	$text =~ s{^password_file .*}{password_file $dir/secret}m;
	$text =~ s{^url .*}{'url ' . ($text =~ /^url ldaps/ ? $s->url('ldaps') : $s->url)}me;
	$text =~ s{^ca_file .*\n}{}m;
	$text .= "ca_file $s->{ca}\n" if $text =~ /ldaps:|^starttls/m;
	spew("$dir/f", $text);
	chmod 0600, "$dir/f";
	my $h = TabHelper->start("$build/table-ldap", "$dir/f");
	ok scalar $h->handshake, "$title: is taken";
	while (my ($op, $service, $key, $want) = splice @asks, 0, 4) {
		is $h->ask($op, $service, $key), $want, "$title: $op $service $key";
	}
	is $h->end, 0, "$title: ends";
	unlike $h->stderr, qr/\(warning\)/, "$title: nothing to warn of";
}

my $scratch = tempdir(CLEANUP => 1);
my $hash = crypt 'hush', '$6$abcdefgh$';
my $s = Slapd->start(ldif => join '', Slapd->alias('info', 'bob', 'ann'), Slapd->person('bob', userPassword => "{CRYPT}$hash"),
    Slapd->domain('example.org'));
with("OpenLDAP, with Courier's aliases", $s, 0,
    'lookup', 'alias', 'info', 'found|ann, bob',
    'lookup', 'credentials', 'bob', "found|bob:$hash",
    'check', 'domain', 'example.org', 'found',
    'check', 'domain', 'example.com', 'not-found');
$s->forget;

# A tree of another name: its own slapd.
sub tree {
	my ($base, $schemas, @entries) = @_;
	my ($dc) = $base =~ /^dc=(\w+)/;
	my $conf = <<"C";
${schemas}database mdb
suffix "$base"
rootdn "cn=root,$base"
rootpw root
directory DIR
access to attrs=userPassword by anonymous auth by * none
access to * by users read by * none
C
	my $one = Slapd->new(tls => 1);
	my $dir = "$one->{dir}/tree";
	mkdir $dir;
	$conf =~ s/DIR/$dir/;
	spew("$one->{dir}/slapd.conf", slurp("$one->{dir}/slapd.conf") . $conf);
	spew("$one->{dir}/tree.ldif", join '', entry($base, 'objectClass: dcObject', 'objectClass: organization', "dc: $dc", 'o: x'), @entries);
	my ($status, $out) = run('/usr/sbin/slapadd', '-q', '-b', $base, '-f', "$one->{dir}/slapd.conf", '-l', "$one->{dir}/tree.ldif");
	is $status, 0, "$base: its entries" or diag $out;
	return $one->boot;
}
sub ou { my ($name, $base) = @_; return entry("ou=$name,$base", 'objectClass: organizationalUnit', "ou: $name") }
sub cn { my ($dn, @more) = @_; my ($cn) = $dn =~ /^cn=([^,]*)/; return entry($dn, 'objectClass: extensibleObject', 'objectClass: organizationalRole', "cn: $cn", @more) }
sub user {
	my ($uid, $below, @more) = @_;
	return entry("uid=$uid,$below", (map { "objectClass: $_" } qw(inetOrgPerson posixAccount extensibleObject)), "uid: $uid", "cn: $uid", "sn: $uid",
	    'uidNumber: 2001', 'gidNumber: 2001', "homeDirectory: /home/$uid", "mail: $uid\@example.org", 'userPassword: pw', @more);
}

my $base = 'dc=example,dc=org';
$s = tree($base, '', ou('people', $base), ou('groups', $base), cn("cn=mail,$base", 'userPassword: hush'),
    user('bob', "ou=people,$base"), user('ann', "ou=people,$base"),
    entry("cn=staff,ou=groups,$base", 'objectClass: groupOfNames', 'cn: staff', map { "member: uid=$_,ou=people,$base" } qw(bob ann)));
my @usual = ('lookup', 'alias', 'bob@example.org', 'found|bob',
    'lookup', 'alias', 'staff@example.org', 'found|ann, bob',
    'lookup', 'alias', 'nobody@example.org', 'not-found',
    'lookup', 'mailaddrmap', 'bob', 'found|bob@example.org',
    'check', 'auth', 'bob:pw', 'found',
    'check', 'auth', 'bob:Pw', 'not-found',
    'check', 'auth', 'nobody:pw', 'not-found');
with('OpenLDAP, with groups', $s, 0, @usual, 'lookup', 'userinfo', 'bob', 'found|2001:2001:/home/bob');
$s->forget;

# As 389 has them; nsAccountLock is its own.
$base = 'dc=example,dc=com';
my $accounts = "cn=accounts,$base";
$s = tree($base, "attributetype ( 2.16.840.1.113730.3.1.610 NAME 'nsAccountLock' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )\n",
    cn($accounts), cn("cn=users,$accounts"), cn("cn=groups,$accounts"), cn("cn=etc,$base"), cn("cn=sysaccounts,cn=etc,$base"),
    entry("uid=tabmail,cn=sysaccounts,cn=etc,$base", 'objectClass: account', 'objectClass: simpleSecurityObject', 'uid: tabmail', 'userPassword: hush'),
    user('bob', "cn=users,$accounts"), user('ann', "cn=users,$accounts"),
    user('carol', "cn=users,$accounts", 'nsAccountLock: TRUE'),
    entry("cn=inner,cn=groups,$accounts", 'objectClass: groupOfNames', 'cn: inner', "member: uid=ann,cn=users,$accounts"),
    entry("cn=staff,cn=groups,$accounts", 'objectClass: groupOfNames', 'cn: staff', "member: uid=bob,cn=users,$accounts", "member: cn=inner,cn=groups,$accounts"));
my @ipa = @usual;
$ipa[7] = 'found|bob, ann';	# the group in the group comes a level later
with('389 Directory Server, FreeIPA', $s, 0, @ipa, 'lookup', 'userinfo', 'ann', 'found|2001:2001:/home/ann',
    'check', 'auth', 'carol:pw', 'not-found');
$s->forget;

$s = tree($base, '', ou('people', $base), ou('groups', $base),
    user('tabmail', "ou=people,$base") =~ s/userPassword: pw/userPassword: hush/r, user('bob', "ou=people,$base"), user('ann', "ou=people,$base"),
    entry("cn=staff,ou=groups,$base", 'objectClass: groupOfUniqueNames', 'cn: staff', map { "uniqueMember: uid=$_,ou=people,$base" } qw(bob ann)));
with('lldap', $s, 0, @usual);
$s->forget;

# As Active Directory has them, by the schema that OpenLDAP brings for it, with the matching that AD does.  The matching rule for nested groups is AD's
# alone: that recipe is looked at as far as slapd can answer it.
sub ad_user {
	my ($name, $control, @more) = @_;
	return entry("cn=$name,cn=Users,$base", 'objectClass: user', 'objectClass: extensibleObject', "cn: $name", "sn: $name", "sAMAccountName: $name", "userPrincipalName: $name\@example.com",
	    "userAccountControl: $control", "mail: $name\@example.com", "proxyAddresses: SMTP:$name\@example.com", "proxyAddresses: smtp:$name.x\@example.org",
	    'instanceType: 4', 'nTSecurityDescriptor: x', 'objectCategory: ' . "cn=Users,$base", 'userPassword: pw', @more);
}
my $ad = "$scratch/ad.schema";
if (-e '/etc/ldap/schema/msuser.schema') {
	spew($ad, slurp('/etc/ldap/schema/msuser.schema')
	    =~ s/(NAME '(?:sAMAccountName|userPrincipalName|proxyAddresses)'\s+)(?=SYNTAX)/$1EQUALITY caseIgnoreMatch /gr
	    =~ s/(NAME 'userAccountControl'\s+)(?=SYNTAX)/$1EQUALITY integerMatch /r);
}
$s = eval { tree($base, "include $ad\n", cn("cn=Users,$base"), cn("cn=Lists,$base"), ad_user('tabmail', 512) =~ s/: pw/: hush/r,
    ad_user('bob', 512), ad_user('ann', 66048), ad_user('carol', 514),
    entry("cn=staff,cn=Lists,$base", 'objectClass: group', 'objectClass: extensibleObject', 'cn: staff', 'groupType: 2', 'proxyAddresses: SMTP:staff@example.com', 'sAMAccountName: staff',
	'instanceType: 4', 'nTSecurityDescriptor: x', 'objectCategory: ' . "cn=Users,$base", map { "member: cn=$_,cn=Users,$base" } qw(bob ann carol))) };
SKIP: {
	skip "no such schema here: $@", 1 if !$s;
	with('Active Directory', $s, 0,
	    'lookup', 'alias', 'bob@example.com', 'found|bob',
	    'lookup', 'alias', 'bob.x@example.org', 'found|bob',
	    'lookup', 'alias', 'carol@example.com', 'not-found',
	    'lookup', 'alias', 'staff@example.com', 'found|ann, bob, carol',
	    'check', 'mailaddr', 'ann@example.com', 'found',
	    'lookup', 'mailaddrmap', 'ann', 'found|ann@example.com',
	    'check', 'auth', 'bob:pw', 'found',
	    'check', 'auth', 'ann@example.com:pw', 'found',
	    'check', 'auth', 'bob:x', 'not-found',
	    'check', 'auth', 'carol:pw', 'not-found');
	with('Active Directory', $s, 1, 'lookup', 'alias', 'nobody@example.com', 'not-found');
}
done_testing;
