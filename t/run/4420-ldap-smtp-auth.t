# SMTP AUTH against LDAP: by credentials, with the file of 2013 as it is; by a bind, whatever the password's scheme; both
# through the daemon.  A directory that is away is 454, never 535 or a pass; an empty password reaches nobody.
use strict;
use warnings;
use MIME::Base64 ();
use Slapd;
use Tabmail;
use Test::More;

plan skip_all => slapd_missing() if slapd_missing();
my $s = Slapd->start(log => 1, ldif => join '', Slapd->domain('example.org'),
    Slapd->person('bob', userPassword => '{CRYPT}' . crypt('Richtig1', '$6$abcdefgh$')), Slapd->person('ann', userPassword => 'Richtig2'),
    Slapd->person('eve', userPassword => '{SSHA}' . ssha('Richtig3')));
sub ssha { require Digest::SHA; return MIME::Base64::encode_base64(Digest::SHA::sha1("$_[0]salt") . 'salt', '') }
my ($port) = $s->url =~ /:(\d+)$/;
my $d = Tabmail->start(users => ['bob'], vars => { LDAP => $port }, flags => [qw(-v -v -v)], files => { 'ldapd.conf' => Slapd->file_of_2013,
    'bind.conf' => $s->settings . "query_timeout 2s\nauth_filter (&(objectClass=posixAccount)(uid=%u))\n" }, config => <<'C');
table myldaptable ldap:$D/ldapd.conf
table bindtable ldap:$D/bind.conf
table users file:$D/users
limit smtp auth-failures 1000
listen on 127.0.0.1 port $PORT auth <myldaptable>
listen on 127.0.0.1 port $PORT2 auth <bindtable>
accept from any authenticated for domain example.com userbase <users> deliver to maildir
accept for domain <myldaptable> alias <myldaptable> userbase <users> deliver to maildir
C
sub login {
	my ($n, @who) = @_;
	return (logins($n, [@who]))[0];
}

# Side by side: what fails is answered with a delay.
sub logins {
	my ($n, @who) = @_;
	my @clients;
	for my $who (@who) {
		push @clients, $d->client($n);
		$clients[-1]->ehlo;
		$clients[-1]->send('AUTH PLAIN ' . MIME::Base64::encode_base64("\0$who->[0]\0$who->[1]", '') . "\r\n");
	}
	return map { $_->reply } @clients;
}
my @names = (undef, 'credentials', 'a bind');
like login(1, 'bob', 'Richtig1'), qr/^235 /, 'credentials: {CRYPT}, the right password';
like login(1, 'BOB', 'Richtig1'), qr/^235 /, 'credentials: the user in other case';
like login(1, 'eve', 'Richtig3'), qr/^454 /, 'credentials: {SSHA} cannot be checked: later, not no';
for my $who ([ bob => 'Richtig1' ], [ ann => 'Richtig2' ], [ eve => 'Richtig3' ]) {
	like login(2, @$who), qr/^235 /, "a bind: $who->[0]";
}
for my $n (1, 2) {
	my @wrong = (
		[ 'a password in other case', 'bob', 'richtig1' ], [ 'nobody', 'nobody', 'Richtig1' ], [ 'no user but a filter', '*', 'Richtig1' ],
		[ 'an empty password', 'bob', '' ], [ 'one that begins with NUL', 'bob', "\0x" ]);
	my @replies = logins($n, map { [ @$_[1, 2] ] } @wrong);
	like $replies[$_], $_ < 3 ? qr/^535 / : qr/^5(?:35|01) /, "$names[$n]: $wrong[$_][0]" for 0 .. $#wrong;
}
is_deeply [ grep { !/cn=(?:mail|admin),/ } $s->log_text =~ /BIND dn="([^"]*)" method=128$/mg ],
    [ map { "uid=$_,ou=people,dc=opensmtpd,dc=org" } qw(bob ann eve bob) ], 'slapd saw a bind for each password that was one, and no other';
my $c = $d->client(2);
$c->ehlo;
$c->cmd('AUTH PLAIN ' . MIME::Base64::encode_base64("\0eve\0Richtig3", ''));
like $c->mail('eve@example.org', ['bob@example.com'], mail_text('from eve')), qr/^250 /, 'who has logged in may send';
$d->await_mails('bob', 1);

$s->stop;
my @replies = logins(2, [ 'bob', 'Richtig1' ], [ 'bob', 'falsch' ]);
like $replies[0], qr/^454 /, 'without the directory: later';
like $replies[1], qr/^454 /, 'for a wrong password, too';
$s->boot;
wait_for { login(2, 'ann', 'Richtig2') =~ /^235 / } 'a login when the directory is back', 40;
pass 'and logins again when it is back';
my $titles = join "\n", map { $_->{title} } $d->processes;
unlike $d->log_text . $titles, qr/Richtig\d|thisbemypasswd|mailpw|\$6\$/, 'no password in the log or a command line';
$d->stop;
done_testing;
