#!/usr/bin/perl
# The recipe of table-ldap(5) for Active Directory, against Samba's: its schema and its matching rules.
# Long; as root, in a network namespace of its own, where samba-ad-dc, samba-ad-provision and ldap-utils are installed.
use strict;
use warnings;
use File::Temp qw(tempdir);
use IO::Socket::INET;
use Tabmail;
use TabHelper;
use Test::More;

plan skip_all => 'long: TABMAIL_LONG=1' if !$ENV{TABMAIL_LONG};
plan skip_all => 'needs root and unshare' if !root() || system('unshare -n true 2>/dev/null') != 0;
plan skip_all => 'samba is not installed' if !-x '/usr/sbin/samba' || !-x '/usr/bin/samba-tool' || !-d '/usr/share/samba/setup/ad-schema';
if (!$ENV{OWN_NETWORK}) {
	$ENV{OWN_NETWORK} = 1;
	exec 'unshare', '-n', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh', $^X, (map { "-I$_" } @INC), $0;
}

my $build = $ENV{BUILD} // 'build';
my $dir = tempdir(CLEANUP => 1);
my $base = 'DC=example,DC=com';
sub tool {
	my ($status, $out) = run([secs => 300], 'samba-tool', @_);
	die "samba-tool @_: $out" if $status != 0;
}
tool(qw(domain provision --realm=EXAMPLE.COM --domain=EXAMPLE --server-role=dc --dns-backend=NONE --host-ip=127.0.0.1 --host-name=dc1),
    '--adminpass=Passw0rd.admin', "--targetdir=$dir/dc");
my $conf = "$dir/dc/etc/smb.conf";
spew($conf, slurp($conf) =~ s/^\[global\]\n/[global]\n\tldap server require strong auth = no\n\tserver services = ldap\n\tinterfaces = lo\n\tbind interfaces only = yes\n/mr);
my $pid = fork // die "fork: $!";
if ($pid == 0) {
	setpgrp;
	open STDOUT, '>', "$dir/log";
	open STDERR, '>&', \*STDOUT;
	exec '/usr/sbin/samba', '-i', '-s', $conf or exit 127;
}
END { local $?; kill("TERM", -$pid), waitpid $pid, 0 if $pid }
wait_for { IO::Socket::INET->new(PeerAddr => '127.0.0.1:636') } 'samba to listen', 60;

for my $user (qw(tabmail bob ann carol)) {
	tool('user', 'create', $user, "Passw0rd.$user", '-s', $conf, "--mail-address=$user\@example.com");
}
tool('user', 'disable', 'carol', '-s', $conf);
tool('ou', 'create', 'OU=Lists', '-s', $conf);
tool('group', 'add', $_, '-s', $conf, '--groupou=OU=Lists') for qw(staff inner);
tool('group', 'addmembers', 'staff', 'bob,carol,inner', '-s', $conf);
tool('group', 'addmembers', 'inner', 'ann', '-s', $conf);
sub addresses { my ($dn, @all) = @_; return "dn: $dn,$base\nchangetype: modify\nadd: proxyAddresses\n" . join('', map { "proxyAddresses: $_\n" } @all) . "\n" }
my $ldif = join '', map({ addresses("CN=$_,CN=Users", "SMTP:$_\@example.com", "smtp:$_.x\@example.org") } qw(bob ann carol)),
    map({ addresses("CN=$_,OU=Lists", "SMTP:$_\@example.com") } qw(staff));
my ($status, $out) = run([ input => $ldif, secs => 300 ], qw(ldapmodify -x -H ldap://127.0.0.1 -D Administrator@EXAMPLE.COM -w Passw0rd.admin));
is $status, 0, 'the directory has its entries' or BAIL_OUT($out);

my ($section) = slurp('man/table-ldap.5') =~ /^\.Ss Active Directory\n(.*?)^\.Ss /ms;
my @recipes = $section =~ /^\.Bd -literal.*\n((?:(?!\.Ed).*\n)+)\.Ed/mg;
is scalar @recipes, 2, 'the page has two recipes';
my $connection = join '', $recipes[0] =~ /^((?:url|username|password_file|basedn) .*\n)/mg;
spew("$dir/secret", "Passw0rd.tabmail\n");
sub asks {
	my ($text, @asks) = @_;
	$text =~ s{^url .*}{url ldaps://127.0.0.1}m;
	$text =~ s{^password_file .*}{password_file $dir/secret}m;
	spew("$dir/f", "${text}tls_verify no\nquery_timeout 30s\n");	# its certificate is of its own making
	my $h = TabHelper->start("$build/table-ldap", "$dir/f");
	$h->handshake or die $h->stderr;
	while (my ($op, $service, $key, $want) = splice @asks, 0, 4) {
		is $h->ask($op, $service, $key), $want, "$op $service $key";
	}
	is $h->end, 0, 'ends' or diag $h->stderr;
}
asks($recipes[0],
	'lookup', 'alias', 'bob@example.com', 'found|bob',
	'lookup', 'alias', 'BOB.X@example.org', 'found|bob',
	'lookup', 'alias', 'carol@example.com', 'not-found',
	'lookup', 'alias', 'nobody@example.com', 'not-found',
	'lookup', 'alias', '*', 'not-found',
	'lookup', 'alias', 'staff@example.com', 'found|bob, carol, ann',
	'check', 'mailaddr', 'ann@example.com', 'found',
	'lookup', 'mailaddrmap', 'ann', 'found|ann@example.com',
	'check', 'auth', 'bob:Passw0rd.bob', 'found',
	'check', 'auth', 'ann@example.com:Passw0rd.ann', 'found',
	'check', 'auth', 'bob:passw0rd.bob', 'not-found',
	'check', 'auth', 'carol:Passw0rd.carol', 'not-found',
	'check', 'auth', 'nobody:Passw0rd.bob', 'not-found');
asks($connection . $recipes[1],
	'lookup', 'alias', 'staff@example.com', 'found|ann, bob, carol',
	'lookup', 'alias', 'inner', 'found|ann',
	'lookup', 'alias', 'nobody', 'not-found');
done_testing;
