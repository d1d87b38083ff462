# Programs of others over TLS, with a password where one is due: swaks, curl, msmtp, Python's smtplib.
use strict;
use warnings;
use FindBin;
use Tabmail::Certs;
use Test::More;
BEGIN { require "$FindBin::Bin/2-talk.pl" }

my $d = Tabmail::new('Tabmail', users => ['bob'], files => { creds => 'bob: ' . crypt('Richtig1', '$6$saltsalt$') . "\n" }, config => <<'C');
table users file:$D/users
table creds file:$D/creds
pki mail.example.org certificate "$D/localhost.crt" key "$D/localhost.key"
listen on 127.0.0.1 port $PORT tls-require auth <creds>
listen on 127.0.0.1 port $PORT2 tls
accept authenticated for domain example.org userbase <users> deliver to maildir
accept from any for domain example.org userbase <users> deliver to maildir
C
my $ca = Tabmail::Certs->new($d->dir);
$ca->issue('localhost');
chmod 0644, $ca->crt('ca');
$d->start;
my ($dir, $port, $open) = ($d->dir, $d->port, $d->port(2));
$d->file('letter', "From: bob\@example.org\r\nTo: bob\@example.org\r\nSubject: by file\r\n\r\nhello\r\n");
my $mails = 0;
sub came {
	my ($name, $with, $status, $out) = @_;
	is $status, 0, "$name: done" or diag $out;
	my @mails = $d->await_mails('bob', ++$mails);
	like $mails[-1], qr/ with $with \(TLSv1\.3 /, "$name: the mail is there, by $with";
}
my @swaks = ('swaks', '--server', "127.0.0.1:$port", '--from', 'bob@example.org', '--to', 'bob@example.org');
came('swaks', 'ESMTPSA', run(@swaks, '--tls', '--auth', $_, '--auth-user', 'bob', '--auth-password', 'Richtig1')) for 'PLAIN', 'LOGIN';
came('swaks without a password', 'ESMTPS', run('swaks', '--server', "127.0.0.1:$open", '--tls', '--from', 'a@example.net', '--to', 'bob@example.org'));
my ($status, $out) = run(@swaks, '--tls', '--auth', 'PLAIN', '--auth-user', 'bob', '--auth-password', 'falsch');
like $out, qr/^<~\* +535 /m, 'swaks with a wrong password: 535';
($status, $out) = run(@swaks, '--auth', 'PLAIN', '--auth-user', 'bob', '--auth-password', 'Richtig1');
unlike $out, qr/^<-? +235 /m, 'no password is taken in plain text';
isnt $status, 0, 'and no mail';

came('curl', 'ESMTPSA', run('curl', '-sS', '--ssl-reqd', '--cacert', $ca->crt('ca'), '--resolve', "localhost:$port:127.0.0.1",
    '--url', "smtp://localhost:$port", '--user', 'bob:Richtig1', '--mail-from', 'bob@example.org', '--mail-rcpt', 'bob@example.org',
    '--upload-file', "$dir/letter"));
($status, $out) = run('curl', '-sS', '--ssl-reqd', '--resolve', "localhost:$port:127.0.0.1", '--url', "smtp://localhost:$port",
    '--mail-from', 'bob@example.org', '--mail-rcpt', 'bob@example.org', '--upload-file', "$dir/letter");
isnt $status, 0, 'curl that does not trust us sends nothing';

$d->file('msmtprc', "account default\nhost localhost\nport $port\ntls on\ntls_starttls on\ntls_trust_file $dir/ca.crt\nauth plain\nuser bob\n"
    . "passwordeval echo Richtig1\nfrom bob\@example.org\n", 0600);
came('msmtp', 'ESMTPSA', run([input => slurp("$dir/letter") =~ s/\r//gr], 'msmtp', '-C', "$dir/msmtprc", 'bob@example.org'));

came('python', 'ESMTPSA', run([input => <<"PY"], 'python3', '-'));
import smtplib, ssl
s = smtplib.SMTP('localhost', $port)
s.starttls(context=ssl.create_default_context(cafile='$dir/ca.crt'))
s.login('bob', 'Richtig1')
s.sendmail('bob\@example.org', ['bob\@example.org'], open('$dir/letter').read())
s.quit()
PY
unlike $d->log_text, qr/Richtig1|UmljaHRpZz/, 'no password in the log';
$d->stop;
done_testing;
