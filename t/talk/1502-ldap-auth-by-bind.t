#!/usr/bin/perl
# table-ldap: auth by a bind as the user: a wrong password is not-found, whatever else is wrong an error; a bind
# without a password is never sent; the service's own connections stay its own.
use strict;
use warnings;
use Slapd;
use Tabmail;
use TabHelper;
use Test::More;

plan skip_all => slapd_missing() if slapd_missing();
my $build = $ENV{BUILD} // 'build';
my $base = Slapd->base;
my $s = Slapd->start(log => 1, config => <<"C", ldif => join '',
access to dn.exact="uid=hidden,ou=people,$base" by anonymous auth by * none
C
    Slapd->person('bob', userPassword => 'S3cret:|x'), Slapd->person('ann', userPassword => '{SSHA}m0ckhash', cn => 'twins'),
    Slapd->person('carol', cn => 'twins'), Slapd->person('dora', userPassword => "pass w\xc3\xb6rd"),
    map { Slapd->person("many$_", userPassword => "pw$_") } 1 .. 40);
my $dir = $s->dir;

sub serve {
	my ($lines, %o) = @_;
	spew("$dir/f", $s->settings(%o) . $lines);
	chmod 0600, "$dir/f";
	my $h = TabHelper->start("$build/table-ldap", "$dir/f");
	is_deeply [ $h->handshake ], ['auth'], 'registers auth' or diag $h->stderr;
	return $h;
}
sub binds { return grep { !/cn=mail,/ } $s->log_text =~ /BIND dn="([^"]*)" method=128$/mg }

for my $how ("auth_filter (|(uid=%u)(cn=%u))\n", "auth_dn uid=%u,ou=people,$base\n") {
	my ($name) = split ' ', $how;
	my $h = serve($how);
	is $h->ask('check', 'auth', 'bob:S3cret:|x'), 'found', "$name: the right password";
	is $h->ask('check', 'auth', 'BOB:S3cret:|x'), 'found', "$name: a user's case does not count";
	is $h->ask('check', 'auth', 'bob:s3cret:|x'), 'not-found', "$name: a password's does";
	is $h->ask('check', 'auth', 'bob:S3cret'), 'not-found', "$name: a part of the password";
	is $h->ask('check', 'auth', "dora:pass w\xc3\xb6rd"), 'found', "$name: UTF-8";
	is $h->ask('check', 'auth', 'nobody:S3cret:|x'), 'not-found', "$name: nobody";
	is $h->ask('check', 'auth', 'carol:x'), 'not-found', "$name: a user without a password";
	is $h->ask('check', 'auth', 'ann:x'), 'not-found', "$name: a hash that is none";

	my $before = binds();
	is $h->ask('check', 'auth', $_), 'not-found', "$name: '$_' is refused" for 'bob:', ':', ':x', 'bob', '', 'nobody:';
	is scalar binds(), $before, '… and no bind was sent';

	# As many as come, side by side; each user has his own answer.
	my (%want, %got);
	for my $n (1 .. 40) {
		my ($id, $line) = $h->question('check', 'auth', "many$n:pw" . ($n % 3 ? $n : 'x'));
		$h->put($line);
		$want{$id} = $n % 3 ? 'found' : 'not-found';
	}
	($h->get // '') =~ /^check-result\|(\w+)\|(.*)$/ and $got{$1} = $2 for 1 .. 40;
	is_deeply \%got, \%want, "$name: 40 at once";
	is $h->end, 0, 'ends';
	unlike $h->stderr, qr/S3cret|pw\d|mailpw/, 'no password on stderr';
}

my $h = serve("auth_filter (cn=%u)\n");
is $h->ask('check', 'auth', 'twins:x'), 'error|several entries match auth_filter: who is meant?', 'two entries';
like $h->ask('lookup', 'auth', 'bob:S3cret:|x'), qr/^error\|/, 'no lookup';

# A user whom the service may not see, a service that may not search, a server that is not there.
$h = serve("query_timeout 1s\nauth_filter (uid=%u)\n", username => "cn=mail,$base", password => 'wrong');
like $h->ask('check', 'auth', 'bob:S3cret:|x'), qr/^error\|/, 'the service itself is refused: an error, no wrong password';
$h = serve("query_timeout 1s\nauth_dn uid=%u,ou=people,$base\n", username => undef, password => undef);
is $h->ask('check', 'auth', 'bob:S3cret:|x'), 'found', 'without a user of its own, by auth_dn';
is $h->ask('check', 'auth', 'bob:x'), 'not-found', '… a wrong password';
# The connections that search are of cn=mail, from their first operation to their last.
my %who;
for ($s->log_text =~ /^(.*)$/mg) {
	$who{$1}{$2}++ if /conn=(\d+) op=\d+ BIND dn="([^"]*)" method=128/;
	$who{$1}{search}++ if /conn=(\d+) op=\d+ SRCH base="[^"]/; # not a hello, which asks the server itself
}
is_deeply [ grep { $_->{search} && grep { !/^(?:search|cn=mail,.*)$/ } keys %$_ } values %who ], [],
    'no connection that searches was ever bound as a user';
ok +(grep { !$_->{search} } values %who), 'binds have connections of their own';

$s->stop;
like $h->ask('check', 'auth', 'bob:S3cret:|x'), qr/^error/, 'no server: an error';
like $h->ask('check', 'auth', 'bob:wrong'), qr/^error/, '… for a wrong password too';
is $h->ask('check', 'auth', 'bob:'), 'not-found', 'an empty one needs no server';

done_testing;
