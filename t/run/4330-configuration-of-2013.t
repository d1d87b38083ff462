# The configuration of 2013 as it stands, addresses filled in: LDAP, TLS and AUTH, a DKIM proxy, MX, source addresses that
# cycle; mail of swaks from another host and of sendmail here arrives signed, verified, once.
use strict;
use warnings;
use Tabmail::Veth;
use Slapd;
use Tabmail;
use Tabmail::Certs;
use Tabmail::Dkim;
use Tabmail::Dns;
use Test::More;

plan skip_all => slapd_missing() if slapd_missing();
Tabmail::Veth->cable(here => [qw(10.77.0.1/24 10.77.0.2/24)], there => [qw(10.77.0.100/24 10.77.0.101/24)]);
my $dns = Tabmail::Dns->nsd(zone => <<'Z');
one.example. MX 10 mx.one.example.
one.example. MX 20 backup.one.example.
mx.one.example. A 10.77.0.100
backup.one.example. A 10.77.0.101
Z
my $sink = Tabmail::Veth->there(sub { Tabmail::Sink->start(at => ['10.77.0.100:25']) });
my $hash = crypt 'Secret', '$6$abcdefgh$';
my $slapd = Slapd->start(ldif => join '', Slapd->domain('example.org'), Slapd->alias('info', 'bob', 'alice'), Slapd->alias('bob', 'bob'),
    Slapd->alias('alice', 'alice'), Slapd->person('bob', userPassword => "{CRYPT}$hash"));
my ($ldap) = $slapd->url =~ /:(\d+)$/;
my $proxy = Tabmail::Dkim->start(port => 10028, next => 10029, domain => 'example.org');
my $d = Tabmail->new(users => [qw(bob alice)], resolver => $dns->resolver, vars => { LDAP => $ldap },
    files => { 'ldapd.conf' => Slapd->file_of_2013 }, config => <<'C');
pki mail.example.org certificate "$D/mail.example.org.crt" key "$D/mail.example.org.key"
table users file:$D/users
limit relay messages 1

table myldaptable ldap:$D/ldapd.conf
table myaddrs { 10.77.0.1, 10.77.0.2 }
bounce-warn 4h, 1d, 2d
listen on egress tls auth <myldaptable>
listen on lo0 port 10029 tag DKIM
accept for domain <myldaptable> alias <myldaptable> userbase <users> deliver to maildir
accept tagged DKIM for any relay source <myaddrs>
accept for any relay via smtp://127.0.0.1:10028
C
Tabmail::Certs->new($d->dir)->issue('mail.example.org');
$d->start;

sub arrived {
	my ($subject, $n) = @_;
	my @found;
	eval { wait_for { (@found = grep { $_->{mail} =~ /^Subject: \Q$subject\E\r$/m } $sink->mails) >= $n } "$n of $subject"; 1 } or $d->show_log;
	$d->await_queue_empty;
	@found = grep { $_->{mail} =~ /^Subject: \Q$subject\E\r$/m } $sink->mails;
	is scalar(@found), $n, "$subject: $n arrive, each once";
	is_deeply [ grep { $_ ne 'signed and good' } map { $proxy->verdict($_->{mail}) } @found ], [], "$subject: opendkim verifies them";
	is_deeply [ map { scalar(() = $_->{mail} =~ /^DKIM-Signature:/mg) } @found ], [ (1) x $n ], "$subject: signed once";
	my %by;
	$by{ $_->{peer} }++ for @found;
	return \%by;
}
sub swaks {
	my (@more) = @_;
	return run('nsenter', '--net=' . "/proc/$Tabmail::Veth::pid/ns/net", 'swaks', '--server', '10.77.0.1', '--from', 'bob@example.org',
	    '--helo', 'laptop.example.net', '--body', 'hello', @more);
}

# From another host, over TLS, with the password of the directory.
my @auth = ('--tls', '--auth', 'PLAIN', '--auth-user', 'bob', '--auth-password', 'Secret');
for (1 .. 6) {
	my ($status, $out) = swaks(@auth, '--to', 'x@one.example', '--header', 'Subject: from swaks');
	is $status, 0, 'swaks hands in over TLS, as bob' or diag $out;
}
my $by = arrived('from swaks', 6);
is_deeply [ sort keys %$by ], [qw(10.77.0.1 10.77.0.2)], 'from both addresses in turn: ' . join ', ', map { "$_ $by->{$_}" } sort keys %$by;
my ($status, $out) = swaks('--tls', '--to', 'x@one.example');
isnt $status, 0, 'without a password nothing is taken';
($status, $out) = swaks('--auth', 'PLAIN', '--auth-user', 'bob', '--auth-password', 'Secret', '--to', 'x@one.example');
isnt $status, 0, 'nor a password without TLS';

# From here, by sendmail.
for (1 .. 8) {
	($status, $out) = run([ input => "From: bob\@example.org\nTo: y\@one.example\nSubject: from sendmail\n\nhello\n" ],
	    $d->dir . '/bin/sendmail', '-S', $d->dir . '/run/submit.sock', '-f', 'bob@example.org', 'y@one.example');
	is $status, 0, 'sendmail hands in' or diag $out;
}
$by = arrived('from sendmail', 8);
is_deeply [ sort keys %$by ], [qw(10.77.0.1 10.77.0.2)], 'from both addresses in turn';

# For here: the domain, the alias and the users of the directory; no proxy.
($status, $out) = swaks(@auth, '--to', 'info@example.org', '--header', 'Subject: local');
is $status, 0, 'mail to an alias of the directory' or diag $out;
unlike +($d->await_mails($_, 1))[0], qr/^DKIM-Signature/m, "$_ has it" for qw(bob alice);
my @trips = grep { $_->{section} eq 'trip' } $d->ctl_rows('explain', 'x@one.example', 'from', 'bob@example.org');
is_deeply [ map { "$_->{tag} $_->{route}" } @trips ], ['DKIM mx:one.example source <myaddrs>'], 'explain shows the way by the proxy to the MX';
unlike $d->log_text, qr/event=(?:deferred|failed) .*delivery/, 'nothing was put off';
$d->stop;
$_->remove for $sink, $proxy;
$_->stop for $dns, $slapd;
done_testing;
