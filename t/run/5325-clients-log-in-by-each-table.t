# Programs of others log in over TLS, whatever holds the users: a file, LDAP by its hash, LDAP by a bind, the system (PAM).
# The system's users are for root to test.
use strict;
use warnings;
use IPC::Open2;
use MIME::Base64 ();
use Slapd;
use Tabmail;
use Tabmail::Certs;
use Tabmail::SystemUsers;
use Test::More;

plan skip_all => slapd_missing() if slapd_missing();
my $hash = crypt('Richtig1', '$6$saltsalt$');
my $days = int(time / 86400);
my $root = !system_users_missing();
system_users(passwd => "tmgood:x:59001:59001::/nonexistent:/bin/sh\n", shadow => "tmgood:$hash:$days:0:99999:7:::\n") if $root;

my $s = Slapd->start(ldif => join '', Slapd->domain('example.net'), Slapd->person('tmgood', userPassword => '{CRYPT}' . $hash));
my ($ldap) = $s->url =~ /:(\d+)$/;
my @tables = ([ 'a file' => '<creds>' ], [ 'LDAP, by its hash' => '<ldap>' ], [ 'LDAP, by a bind' => '<bind>' ], $root ? [ 'the system' => '' ] : ());
my $listen = join '', map { 'listen on 127.0.0.1 port $PORT' . ($_ ? $_ + 1 : '') . " tls-require auth $tables[$_][1]\n" } 0 .. $#tables;
my $d = Tabmail::new('Tabmail', users => ['bob'], vars => { LDAP => $ldap }, files => { creds => "tmgood: $hash\n", 'ldapd.conf' => Slapd->file_of_2013,
	'bind.conf' => $s->settings . "auth_filter (&(objectClass=posixAccount)(uid=%u))\n" }, config => <<"C");
table users file:\$D/users
table creds file:\$D/creds
table ldap ldap:\$D/ldapd.conf
table bind ldap:\$D/bind.conf
limit smtp auth-failures 1000
pki mail.example.org certificate "\$D/localhost.crt" key "\$D/localhost.key"
${listen}accept authenticated for domain example.org userbase <users> deliver to maildir
C
my $ca = Tabmail::Certs->new($d->dir);
$ca->issue('localhost');
chmod 0644, $ca->crt('ca');
$d->start;
my $dir = $d->dir;
$d->file('letter', "From: tmgood\@example.org\r\nTo: bob\@example.org\r\nSubject: by file\r\n\r\nhello\r\n");

# openssl's s_client carries what a person would type, each line after its answer.
sub by_openssl {
	my ($port, $password) = @_;
	local $SIG{PIPE} = 'IGNORE';
	my $pid = open2(my $from, my $to, 'sh', '-c', 'exec "$0" "$@" 2>/dev/null', 'openssl', 's_client', '-quiet', '-verify_return_error', '-CAfile', $ca->crt('ca'), '-starttls', 'smtp', '-crlf', '-connect',
	    "localhost:$port");
	my $out = '';
	for my $line ('EHLO x', 'AUTH PLAIN ' . MIME::Base64::encode_base64("\0tmgood\0$password", ''), 'MAIL FROM:<tmgood@example.org>',
		'RCPT TO:<bob@example.org>', 'DATA', slurp("$dir/letter") =~ s/\r//gr . '.', 'QUIT') {
		syswrite $to, "$line\n" or last;
		my $reply;
		do { defined($reply = <$from>) or last; $out .= $reply } until $reply =~ /^\d{3} /;
		last if $reply && $reply =~ /^[45]/;
	}
	close $to;
	kill 'TERM', $pid;
	waitpid $pid, 0;
	return ($out =~ /^221 /m ? 0 : 1, $out);
}

sub by_swaks {
	my ($port, $password, $mechanism) = @_;
	return run('swaks', '--server', "127.0.0.1:$port", '--from', 'tmgood@example.org', '--to', 'bob@example.org', '--tls', '--auth', $mechanism,
	    '--auth-user', 'tmgood', '--auth-password', $password);
}

sub by_curl {
	my ($port, $password) = @_;
	return run('curl', '-sS', '--ssl-reqd', '--cacert', $ca->crt('ca'), '--resolve', "localhost:$port:127.0.0.1", '--url', "smtp://localhost:$port",
	    '--user', "tmgood:$password", '--mail-from', 'tmgood@example.org', '--mail-rcpt', 'bob@example.org', '--upload-file', "$dir/letter");
}

sub by_msmtp {
	my ($port, $password) = @_;
	my $rc = $d->file('msmtprc', "account default\nhost localhost\nport $port\ntls on\ntls_starttls on\ntls_trust_file $dir/ca.crt\nauth on\nuser tmgood\n"
	    . "passwordeval echo $password\nfrom tmgood\@example.org\n", 0600);
	return run([ input => slurp("$dir/letter") =~ s/\r//gr ], 'msmtp', '-C', "$dir/msmtprc", 'bob@example.org');
}

# As Thunderbird does it: addresses and headers in UTF-8.
sub by_python {
	my ($port, $password) = @_;
	return run([ input => <<"PY" ], 'python3', '-');
import smtplib, ssl
from email.message import EmailMessage
m = EmailMessage()
m['From'] = 'j\\u00fcrgen\@example.org'
m['To'] = 'bob\@example.org'
m['Subject'] = 'Gr\\u00f6\\u00dfe'
m.set_content('hello')
s = smtplib.SMTP('localhost', $port)
s.starttls(context=ssl.create_default_context(cafile='$dir/ca.crt'))
s.login('tmgood', '$password')
s.send_message(m)
s.quit()
PY
}
my @programs = (
	[ 'openssl s_client', \&by_openssl ], [ 'swaks, PLAIN', \&by_swaks, 'PLAIN' ], [ 'swaks, LOGIN', \&by_swaks, 'LOGIN' ], [ 'curl', \&by_curl ],
	[ 'msmtp', \&by_msmtp ], [ "Python's smtplib", \&by_python ],
);

my $mails = 0;
for my $n (0 .. $#tables) {
	my $port = $d->port($n ? $n + 1 : 1);
	for my $program (@programs) {
		my ($name, $by, @more) = @$program;
		my ($status, $out) = $by->($port, 'Richtig1', @more);
		is $status, 0, "$tables[$n][0]: $name logs in" or diag $out;
		my @mails = $d->await_mails('bob', ++$mails);
		my $with = $name =~ /Python/ ? 'UTF8SMTPSA' : 'ESMTPSA';
		like $mails[-1], qr/ with $with \(TLSv1\.3 /, "… and the mail is there, by $with";
	}
	my ($name, $by, @more) = @{ $programs[$n] };
	my ($status, $out) = $by->($port, 'falsch', @more);
	isnt $status, 0, "$tables[$n][0]: a wrong password is none, $name";
}
is scalar($d->mails('bob')), $mails, 'and no other mail came';
unlike $d->log_text, qr/Richtig1|falsch|UmljaHRpZz/, 'no password in the log';
$d->stop;
$s->stop;
$s->forget;
done_testing;
