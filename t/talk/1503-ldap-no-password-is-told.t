#!/usr/bin/perl
# table-ldap: passwords (its own, the users') are in no log, no command line, no error, whatever goes wrong and however
# much it tells.  Security row 20.
use strict;
use warnings;
use IPC::Open3;
use Slapd;
use Tabmail;
use TabHelper;
use Test::More;

plan skip_all => slapd_missing() if slapd_missing();
my $build = $ENV{BUILD} // 'build';
my $base = Slapd->base;
my ($own, $users) = ('KanarienvogelEins', 'KanarienvogelZwei');
my $s = Slapd->start(tls => 1, ldif => "dn: cn=canary,$base\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: canary\n"
    . "userPassword: $own\n\n" . Slapd->person('bob', userPassword => $users) . Slapd->person('ann', userPassword => "{SSHA}$users"));
my $dir = $s->dir;
my $said = '';
spew("$dir/secret", "$own\n");

# Command lines of the helper, looked at while it waits for its answer.
sub look { my ($pid) = @_; $said .= slurp("/proc/$pid/cmdline") =~ tr/\0/ /r . "\n" if -e "/proc/$pid/cmdline" }

my $services = "auth_filter (uid=%u)\ncredentials_filter (uid=%u)\ncredentials_attributes uid, userPassword\nslow 1ms\n";
my %files = (
	plain => $s->settings(username => "cn=canary,$base", password => $own),
	'password_file' => $s->settings(username => "cn=canary,$base", password => undef, password_file => "$dir/secret"),
	wrong => $s->settings(username => "cn=canary,$base", password => "$own-wrong"),
	'no such user' => $s->settings(username => "cn=nobody,$base", password => $own),
	'no server' => $s->settings(url => 'ldap://127.0.0.1:1', username => "cn=canary,$base", password => $own),
	'a certificate of nobody' => $s->settings(url => $s->url('ldaps'), username => "cn=canary,$base", password => $own),
	'StartTLS' => $s->settings(username => "cn=canary,$base", password => $own) . "starttls yes\nca_file $s->{ca}\n",
	'a DN in its place' => $s->settings(username => $own, password => $own),
	'no keyword' => "$own x\n" =~ s/$own/password: $own\npasswort/r,
	'twice' => $s->settings(password => $own) . "password $own$own\n",
);
for my $name (sort keys %files) {
	my $works = $name =~ /^(?:plain|password_file|StartTLS)$/;
	spew("$dir/f", $files{$name} . ($works ? '' : "query_timeout 300ms\n") . $services);	# everybody may read it: warned of
	my $h = TabHelper->start("$build/table-ldap", "$dir/f");
	$h->handshake;
	my @keys = ("bob:$users", "bob:x$users", "nobody:$users", "bob:$users\xff", "ann:$users", ":$users", "*:$users");
	$h->put((map { ($h->question('check', 'auth', $_))[1] } @keys), ($h->question('lookup', 'credentials', 'ann'))[1]);
	look($h->pid);
	$said .= "$name: " . ($h->get // 'nothing') . "\n" for @keys, 1;
	$said .= "$name: " . $h->ask('update') . "\n";
	# A line that is no question: a breach, which is told of without the line.
	$h->put("table|0.1|1713795082.354255|t|check|auth|1|bob:$users\r");
	$h->wait;
	$said .= $h->stderr;

	# From the shell, telling all it can; the password from standard input.
	for my $password ($users, $works ? "x$users" : ()) {
		my $pid = open3(my $in, my $out, undef, "$build/table-ldap", '-t', '-v', "$dir/f", 'auth', 'bob');
		look($pid);
		print $in "$password\n";
		close $in;
		$said .= do { local $/; <$out> // '' };
		waitpid $pid, 0;
	}
}
like $said, qr/plain: check-result\|\w+\|found/, 'a right password was let in';
like $said, qr/plain: check-result\|\w+\|not-found/, 'a wrong one was not';
like $said, qr/bind dn=uid=bob,.* server=/, 'binds were told of';
like $said, qr/wrong: check-result\|\w+\|error/, 'errors, too';
like $said, qr/chmod o-r/, 'and warnings';
like $said, qr/^slow /m, 'and what is slow' or diag $said;
unlike $said, qr/KanarienvogelEins/, "its own password is told nowhere";
unlike $said =~ s/^.*a DN in its place.*$//mgr, qr/KanarienvogelZwei/, "nor are the users'";

done_testing;
