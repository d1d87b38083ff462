#!/usr/bin/perl
# tabmail-helper-test: our helpers pass it, as prove runs it; what it says to its author about itself holds.
use strict;
use warnings;
use File::Temp qw(tempdir);
use Slapd;
use Test::More;

my $build = $ENV{BUILD} // 'build';
my $secs = $build =~ m{/san\b} ? 20 : 5;
my $dir = tempdir(CLEANUP => 1);
my $kit = "$build/tabmail-helper-test";

sub file {
	my ($name, $text) = @_;
	open my $f, '>', "$dir/$name" or die;
	print $f $text;
	close $f;
	return "$dir/$name";
}

# The kit itself, strict: not even a "should" may fail.
sub passes {
	my ($name, $known, @command) = @_;
	open my $pipe, '-|', $kit, '-S', '-t', $secs, (map { ('-s', $_) } @$known), @command or die;
	my $tap = do { local $/; <$pipe> };
	close $pipe;
	is $?, 0, "$name: exit status 0" or diag $tap;
	unlike $tap, qr/^not ok/m, "$name: nothing fails";
	unlike $tap, qr/SKIP \S+ failed/, "$name: nothing is left out";
	my $n = () = $tap =~ /^ok /mg;
	like $tap, qr/^1\.\.$n$/m, "$name: all $n tests were printed";
	return $tap;
}

# One that cannot know: these it fails, and is right to; whatever else is asked of it, it keeps.
sub fails_only {
	my ($name, $fails, @command) = @_;
	open my $pipe, '-|', $kit, '-S', '-t', $secs, @command or die;
	my $tap = do { local $/; <$pipe> };
	close $pipe;
	is_deeply [ $tap =~ /^not ok \d+ - (\S+)/mg ], $fails, "$name: fails no more than it must" or diag $tap;
}

my $hash = crypt 'Secret', '$6$saltsalt$';
passes('table-file, aliases', [ 'alias:root=joe', 'alias:info=joe@example.org, ann', 'alias:a|b=bar',
    "alias:j\xc3\xbcrgen=utf8", 'mailaddrmap:root=joe', 'userinfo:vmail=1000:1000:/home/vmail' ],
    "$build/table-file", file('aliases', <<"T"));
root: joe
info: joe\@example.org, ann
a|b: bar
j\xc3\xbcrgen: utf8
vmail: 1000:1000:/home/vmail
T
my $tap = passes('table-file, passwords', [ 'auth:bob:Secret', "credentials:bob=bob:$hash" ],
    "$build/table-file", file('passwords', "bob: $hash\n"));
like $tap, qr/^ok \d+ - key-password-case \(must\): [^#]*$/m, 'the case of passwords was looked at';
passes('table-file, a list', [ 'source:=192.0.2.7', 'source:=2001:db8::1', 'netaddr:192.0.2.7', 'domain:example.org',
    'mailaddr:bob@example.org', 'string:example.org', 'relayhost:=example.org' ],
    "$build/table-file", file('list', "192.0.2.7\n2001:db8::1\nexample.org\nbob\@example.org\n"));
passes('table-file, an empty file', [], "$build/table-file", file('empty', ''));
passes('table-source, a list', [ 'source:=192.0.2.7', 'source:=2001:db8::1', 'addrname:192.0.2.7=mx1.example.org' ],
    "$build/table-source", '192.0.2.7 weight=3 helo=mx1.example.org, 2001:db8::1, 192.0.2.8 to=x.example');
passes('table-source, nothing', [], "$build/table-source", file('none', ''));
my ($uid, $gid, $home) = (getpwnam 'root')[2, 3, 7];
passes('table-getpwnam', ["userinfo:root=$uid:$gid:$home"], "$build/table-getpwnam");

SKIP: {
	skip slapd_missing(), 1 if slapd_missing();
	my $base = Slapd->base;
	my $s = Slapd->start(ldif => join '', Slapd->alias('root', 'joe'), Slapd->alias('info', 'joe@example.org', 'ann'),
	    Slapd->domain('example.org'), Slapd->person('bob', userPassword => 'Secret', mail => 'bob@example.org'),
	    "dn: cn=out,ou=groups,$base\nobjectClass: device\nobjectClass: ipHost\ncn: out\nipHostNumber: 192.0.2.7\nipHostNumber: 2001:db8::1\n\n");
	my $file = file('ldap', $s->settings . <<'T');
alias_filter (&(objectClass=courierMailAlias)(uid=%u))
alias_attributes maildrop
domain_filter (&(objectClass=rFC822localPart)(dc=%u))
auth_filter (uid=%u)
credentials_filter (&(objectClass=posixAccount)(uid=%u))
credentials_attributes uid, userPassword
userinfo_filter (&(objectClass=posixAccount)(uid=%u))
userinfo_attributes uidNumber, gidNumber, homeDirectory
mailaddr_filter (&(objectClass=posixAccount)(mail=%u))
mailaddrmap_filter (&(objectClass=posixAccount)(uid=%u))
mailaddrmap_attributes mail
netaddr_filter (ipHostNumber=%u)
source_filter (objectClass=ipHost)
source_attributes ipHostNumber
T
	$tap = passes('table-ldap', [ 'alias:root=joe', 'alias:info=ann, joe@example.org', 'domain:example.org', 'auth:bob:Secret',
	    'credentials:bob=bob:Secret', 'userinfo:bob=2001:2001:/home/bob', 'mailaddr:bob@example.org', 'mailaddrmap:bob=bob@example.org',
	    'netaddr:192.0.2.7', 'source:=192.0.2.7', 'source:=2001:db8::1' ], "$build/table-ldap", $file);
	like $tap, qr/^ok \d+ - key-password-case \(must\): [^#]*$/m, 'the case of passwords was looked at';
	$s->stop;
	file('ldap', do { local (@ARGV, $/) = $file; <> } . "query_timeout 500ms\n");
	fails_only('table-ldap without its directory', ['key-unknown'], "$build/table-ldap", $file);
	fails_only('table-ldap with a bad file', [ 'update-ok', 'key-unknown' ], "$build/table-ldap", file('ldap', "url\nx y\n"));
}

# By prove, in the two ways of the manual.
my $aliases = "$dir/aliases";
my $out = `prove -e '$kit -t $secs -s alias:root=joe' $build/table-file :: $aliases 2>&1`;
is $?, 0, 'prove -e runs it' or diag $out;
like $out, qr/^Result: PASS$/m, 'prove is content';
$out = `$kit -t $secs -s alias:root=joe $build/table-file $aliases >$dir/x.tap; prove $dir/x.tap 2>&1`;
is $?, 0, 'prove reads its output from a file' or diag $out;
$out = `prove -e '$kit -t $secs -s alias:root=jim' $build/table-file :: $aliases 2>&1`;
isnt $?, 0, 'prove sees a failure';
like $out, qr{Failed 1/\d+ subtests}, 'exactly one';

# Its own arguments.
for my $case ([ 'no command' ], [ 'a bad service', '-s', 'nothing:a=b', 'x' ], [ 'a lookup without a value', '-s',
    'alias:root', 'x' ], [ 'no service', '-s', 'root', 'x' ], [ 'no seconds', '-t', 'x', 'x' ], [ 'no option', '-x', 'x' ],
    [ 'a source with a key', '-s', 'source:a=b', 'x' ]) {
	my ($name, @args) = @$case;
	open my $pipe, '-|', 'sh', '-c', 'exec "$@" 2>&1', 'sh', $kit, @args or die;
	my $said = do { local $/; <$pipe> };
	close $pipe;
	is $? >> 8, 2, "$name: exit status 2";
	like $said, qr/^usage: tabmail-helper-test /m, '… and the usage';
}
open my $pipe, '-|', $kit, '-t', 1, "$dir/not-there" or die;
$tap = do { local $/; <$pipe> };
close $pipe;
is $? >> 8, 1, 'a command that is not there: exit status 1';
like $tap, qr/^not ok 1 - start .*stderr: \S+not-there: No such file/ms, '… and it says so';

# The manual names every test, and no other.
my %listed = map { /^(\S+) +(must|should|may) / ? ($1 => $2) : () } `$kit -l`;
my $page = do { local (@ARGV, $/) = 'man/tabmail-helper-test.1'; <> };
my %written;
my ($tests) = $page =~ /^\.Ss Tests\n(.*?)^\.S[hs] /ms;
$written{$1} = $2 while $tests =~ /^\.It Cm (\S+) Pq (must|should|may)$/mg;
delete $written{known};
is_deeply \%written, \%listed, 'tabmail-helper-test(1) has them all, with their levels';

done_testing;
