#!/usr/bin/perl
# table-ldap: a key is one value in a filter or a DN, whatever its bytes: nothing is found that it does not name,
# and slapd sees no other filter than the file's.
use strict;
use warnings;
use Slapd;
use Tabmail;
use TabHelper;
use Test::More;

plan skip_all => slapd_missing() if slapd_missing();
my $build = $ENV{BUILD} // 'build';
my $base = Slapd->base;
my $s = Slapd->start(log => 1, ldif => join '', Slapd->alias('info', 'ann'), Slapd->person('bob', userPassword => 'secret'),
    "dn: ou=admin,ou=people,$base\nobjectClass: organizationalUnit\nou: admin\n\n",
    "dn: uid=x,ou=admin,ou=people,$base\nobjectClass: account\nobjectClass: simpleSecurityObject\nuid: x\nuserPassword: secret\n\n",
    # Keys that are odd and exist all the same.
    Slapd->alias('st*ar', 'star'), Slapd->alias('a(b)c', 'parens'), Slapd->alias('back\\5cslash', 'back'),
    "dn:: dWlkPWrDvHJnZW4sb3U9YWxpYXNlcyxkYz1vcGVuc210cGQsZGM9b3Jn\nobjectClass: account\nobjectClass: courierMailAlias\n"
    . "uid:: asO8cmdlbg==\nmail: j\@example.org\nmaildrop: umlaut\n\n");

my $dir = $s->dir;
sub serve {
	my ($lines) = @_;
	spew("$dir/f", $s->settings . $lines);
	chmod 0600, "$dir/f";
	my $h = TabHelper->start("$build/table-ldap", "$dir/f");
	$h->handshake or die $h->stderr;
	return $h;
}

my $h = serve("alias_filter (&(objectClass=courierMailAlias)(uid=%u)(!(uid=%u-not)))\nalias_attributes maildrop\n"
    . "domain_filter (uid=%d)\nauth_dn uid=%u,ou=people,$base\nmailaddr_basedn uid=%l,ou=people,$base\n"
    . "mailaddr_filter (objectClass=*)\n");
is $h->ask('lookup', 'alias', 'info'), 'found|ann', 'a plain key';
my @odd = ('*', 'in*', '*)(uid=*', 'a)(uid=*', 'info)(objectClass=*', 'info))(|(uid=*', '\\2a', '\\69nfo', "\\", "info\\", '(', ')', '&',
    'info)', 'x,ou=admin', "\xff\xfe", "info\xff", "\xc0\xaainfo", "\xed\xa0\x80", "info\t", '%u', '%s%s%n', 'i|nfo',
    "\x01\x02\x7f", 'uid=info', '#04', '"info"', '<info>', ';', '1.1');
for my $key (@odd) {
	my $shown = $key =~ s/([^!-~])/sprintf '\\x%02x', ord $1/ger;
	is $h->ask('lookup', 'alias', $key), 'not-found', "alias $shown";
	is $h->ask('check', 'domain', "a\@$key"), 'not-found', "domain $shown";
	is $h->ask('check', 'auth', "$key:secret"), 'not-found', "auth $shown";
	like $h->ask('check', 'mailaddr', "$key\@d"), qr/^(?:not-found|error\|.*[Nn]o such object)/, "mailaddr $shown";
}
is $h->ask('lookup', 'alias', 'st*ar'), 'found|star', 'a star that is there is found';
is $h->ask('lookup', 'alias', 'a(b)c'), 'found|parens', 'so are parentheses';
is $h->ask('lookup', 'alias', "back\\slash"), 'found|back', 'and a backslash';
is $h->ask('lookup', 'alias', "j\xc3\xbcrgen"), 'found|umlaut', 'and UTF-8';
is $h->ask('lookup', 'alias', ' info '), 'found|ann', "blanks around it are for the attribute's matching rule to judge";
is $h->ask('check', 'auth', 'bob:secret'), 'found', 'a plain user is let in';

# A NUL in a key is a breach of the protocol: it reaches nobody.
my ($id, $line) = $h->question('lookup', 'alias', "info\0*");
$h->put($line);
is $h->wait, 1, 'a NUL ends the helper';
like $h->stderr, qr/^protocol: /m, 'and it says why';

# What slapd was asked: only what the file has, with one value in each place.
my @filters = $s->log_text =~ /SRCH base="[^"]*" scope=2 deref=0 filter="(.*)"$/mg;
cmp_ok scalar @filters, '>=', @odd, 'slapd was asked';
is_deeply [ grep { !/^\(&\(objectClass=courierMailAlias\)\(\??uid=[^()*]*\)\(!\(\??uid=[^()*]*-not\)\)\)$/ && !/^\(\??uid=[^()*]*\)$/
    && $_ ne '(objectClass=*)' } @filters ], [],
    'only the filters of the file';
my @binds = grep { !/cn=mail,/ } $s->log_text =~ /BIND dn="([^"]*)" method=128$/mg;
is_deeply [ grep { !/^uid=(?:[^,\\]|\\..)*,ou=people,\Q$base\E$/ } @binds ], [], 'and binds one level below the base only';
unlike $s->log_text, qr/BIND dn="uid=x,ou=admin/i, 'never as one elsewhere';

done_testing;
