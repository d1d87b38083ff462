#!/usr/bin/perl
# table-ldap -t: one question from the shell: its answer, its exit status, what -v shows; passwords by standard input.
use strict;
use warnings;
use Slapd;
use Tabmail;
use Test::More;

plan skip_all => slapd_missing() if slapd_missing();
my $build = $ENV{BUILD} // 'build';
my $base = Slapd->base;
my $s = Slapd->start(ldif => join '', Slapd->alias('info', 'bob', 'ann'), Slapd->person('bob', userPassword => 'se:cret', mail => 'b@example.org'),
    "dn: cn=staff,ou=groups,$base\nobjectClass: groupOfNames\ncn: staff\nmember: uid=bob,ou=people,$base\n\n",
    map { "dn: cn=h$_,ou=groups,$base\nobjectClass: device\nobjectClass: ipHost\ncn: h$_\nipHostNumber: 192.0.2.$_\n\n" } 1, 2);
my $dir = $s->dir;
my $good = $s->settings . <<"F";
query_timeout 3s
alias_filter (|(uid=%u)(cn=%u))
alias_attributes maildrop
alias_special_attributes member
alias_leaf_attributes mail
domain_filter (uid=%d)
auth_filter (uid=%u)
source_filter (objectClass=ipHost)
source_attributes ipHostNumber
F
sub file { spew("$dir/f", $_[0]); chmod 0600, "$dir/f"; return "$dir/f" }
sub once { my ($in, @words) = @_; return run([input => $in], "$build/table-ldap", @words) }
sub is_once {
	my ($name, $want_status, $want, $in, @words) = @_;
	my ($status, $out) = once($in, @words);
	is $status, $want_status, "$name: exit status $want_status";
	like $out, $want, "$name: what it says";
	return $out;
}

file($good);
is_once('an alias', 0, qr/^ann, bob, info\@example\.org$/m, '', '-t', "$dir/f", 'alias', 'info');
is_once('nobody', 1, qr/^not found$/m, '', '-t', "$dir/f", 'alias', 'nobody');
is_once('a check', 0, qr/^found$/m, '', '-t', "$dir/f", 'domain', 'bob');
is_once('a source', 0, qr/^192\.0\.2\.1$/m, '', '-t', "$dir/f", 'source');
is_once('a service that the file has not', 2, qr/^error: the file has no filter for this service$/m, '', '-t', "$dir/f", 'userinfo', 'bob');
is_once('a service that is none', 3, qr/^aliases: no such service$/m, '', '-t', "$dir/f", 'aliases', 'bob');
my $out = is_once('a group, told', 0, qr/^b\@example\.org$/m, '', '-t', '-v', "$dir/f", 'alias', 'staff');
like $out, qr/^search base=\Q$base\E scope=sub filter=\(\|\(uid=staff\)\(cn=staff\)\) server=\Q@{[ $s->url ]}\E ok entries=1 took=[\d.]+ms$/m,
    '-v: the search, its server and time';
like $out, qr/^  dn=cn=staff,ou=groups,\Q$base\E$/m, '-v: the DN';
like $out, qr/^search base=uid=bob,ou=people,\Q$base\E scope=base filter=\(objectClass=\*\) /m, '-v: the member';

$out = is_once('a password by standard input', 0, qr/^found$/m, "se:cret\n", '-t', '-v', "$dir/f", 'auth', 'bob');
like $out, qr/^bind dn=uid=bob,ou=people,\Q$base\E server=\S+ ok /m, '-v: the bind';
unlike $out, qr/se:cret/, 'not the password';
is_once('a wrong one', 1, qr/^not found$/m, "secret\n", '-t', "$dir/f", 'auth', 'bob');
is_once('an empty one', 1, qr/^not found$/m, "\n", '-t', "$dir/f", 'auth', 'bob');
is_once('one on the command line', 0, qr/^found$/m, '', '-t', "$dir/f", 'auth', 'bob:se:cret');

is_once('a bad file', 3, qr/^\Q$dir\E\/f:1: unknown keyword 'ulr': did you mean url\?\n\Q$dir\E\/f: no url/m, '', '-t', file("ulr x\n"), 'alias', 'x');
is_once('no file', 3, qr/^\Q$dir\E\/none: No such file/m, '', '-t', "$dir/none", 'alias', 'x');
is_once('no arguments', 1, qr/^usage: table-ldap file$/m, '');
is_once('too few', 3, qr/^usage: /m, '', '-t', "$dir/f");
is_once('too many', 3, qr/^usage: /m, '', '-t', "$dir/f", 'alias', 'x', 'y');
is_once('an option that is none', 3, qr/^usage: /m, '', '-x', "$dir/f");
is_once('-v alone', 3, qr/^usage: /m, '', '-v', "$dir/f");

file($good);
$s->stop;
is_once('no server', 2, qr/^error: /m, '', '-t', "$dir/f", 'alias', 'info');

done_testing;
