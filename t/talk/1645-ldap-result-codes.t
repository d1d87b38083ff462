# table-ldap: whatever the server says but success is an error, never "not found"; what the server gives in pages
# only is fetched by pages; more entries than may be is an error.
use strict;
use warnings;
use LdapStream;
use Slapd;
use Tabmail;
use Test::More;

plan skip_all => slapd_missing if slapd_missing;
my $base = Slapd::base();

# slapo-retcode: a search below ou=codes gives the code of its base's name
my %codes = (operationsError => 1, protocolError => 2, timeLimitExceeded => 3, authMethodNotSupported => 7,
    strongerAuthRequired => 8, adminLimitExceeded => 11, noSuchAttribute => 16, inappropriateMatching => 18,
    noSuchObject => 32, aliasProblem => 33, invalidDNSyntax => 34, inappropriateAuthentication => 48, invalidCredentials => 49,
    insufficientAccessRights => 50, busy => 51, unavailable => 52, unwillingToPerform => 53, loopDetect => 54, other => 80);
my $items = join '', map { "retcode-item \"cn=$_\" $codes{$_} op=search text=\"as asked\"\n" } sort keys %codes;
my $s = Slapd->start(config => <<"END", entries => sub {
limits dn.exact="cn=mail,$base" size.soft=40 size.hard=40 size.pr=200 size.prtotal=unlimited
moduleload retcode
overlay retcode
retcode-parent "ou=codes,$base"
$items
END
	for my $i (1 .. 130) {
		print $_[0]->person("p$i", mail => "p$i\@example.org", description => 'many');
	}
	for my $i (1 .. 30) {
		print $_[0]->person("q$i", mail => "q$i\@example.org", description => 'some');
	}
	print $_[0]->alias('large', map { "box$_\@example.org" } 1 .. 2000);
});

my $h = table($s, $s->url, "domain_basedn cn=%s,ou=codes,$base", 'domain_filter (objectClass=*)', 'domain_attributes cn',
    'mailaddr_filter (uid=%s)', 'mailaddr_attributes uid', 'mailaddrmap_filter (description=%s)', 'mailaddrmap_attributes mail',
    "userinfo_basedn ou=nowhere,$base", 'userinfo_filter (uid=%s)', 'userinfo_attributes uidNumber,gidNumber,homeDirectory');
for my $name (sort { $codes{$a} <=> $codes{$b} } keys %codes) {
	like $h->ask('check', 'domain', $name), qr/^error\|/, "$name is an error";
}
like $h->ask('lookup', 'userinfo', 'p1'), qr/^error\|/, 'a base that does not exist is an error';
is $h->ask('check', 'mailaddr', 'p1'), 'found', 'the connection is good after all of them';
is $h->ask('check', 'mailaddr', 'nobody'), 'not-found', 'nobody is not found';

my ($some) = $h->ask('lookup', 'mailaddrmap', 'some') =~ /^found\|(.*)/;
is scalar(split /,/, $some // ''), 30, 'what is below the size limit comes at once';
my ($many) = $h->ask('lookup', 'mailaddrmap', 'many') =~ /^found\|(.*)/;
is join(',', sort split /,\s*/, $many // ''), join(',', sort map { "p$_\@example.org" } 1 .. 130),
    'what is above it comes by pages, whole';
my ($large) = $h->ask('lookup', 'alias', 'large') =~ /^found\|(.*)/;
is scalar(split /,/, $large // ''), 2000, 'an entry with 2,000 values';
# Several such at once, between others
my %open;
for my $i (1 .. 40) {
	my @q = $i % 4 == 0 ? ('lookup', 'mailaddrmap', 'many') : ('check', 'mailaddr', "p$i");
	my ($id, $line) = $h->question(@q);
	$open{$id} = $i;
	$h->put($line);
}
my ($right, $wrong) = (0, 0);
while (%open && defined(my $line = $h->get)) {
	my ($id, $answer) = $line =~ /^\w+-result\|(\w+)\|(.*)/;
	my $i = delete $open{$id};
	my $good = $i % 4 == 0 ? scalar(split /,/, $answer) == 130 : $answer eq 'found';
	$good ? $right++ : $wrong++;
}
is "$right $wrong", '40 0', 'pages and others at once';
is $h->end, 0, 'ends with 0';
diag $h->stderr if !Test::More->builder->is_passing;
$s->forget;
done_testing;
