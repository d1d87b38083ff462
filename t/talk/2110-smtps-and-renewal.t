# smtps; certificates that are renewed while sessions run; bad new ones; none at all; no key where it must not be.
use strict;
use warnings;
use FindBin;
use IO::Socket::SSL;
use Tabmail::Certs;
use Test::More;
BEGIN { require "$FindBin::Bin/2-talk.pl" }

my $config = <<'C';
table users file:$D/users
pki mail.example.org certificate "$D/mail.crt" key "$D/mail.key"
listen on 127.0.0.1 inet4 port $PORT smtps pki mail.example.org
listen on 127.0.0.1 port $PORT2 tls
accept from any for domain example.org userbase <users> deliver to maildir
C
my $d = Tabmail::new('Tabmail', users => ['bob'], config => $config, vars => { HOST => 'mail.example.org' });
my $ca = Tabmail::Certs->new($d->dir);
$ca->issue('mail', names => ['mail.example.org']);
$d->write_config;

# What is wrong is told before anything starts, by -n and by a start alike.
sub refused {
	my ($name, $like) = @_;
	my ($status, $out) = run("$d->{dir}/bin/tabmaild", '-n', '-f', "$d->{dir}/tabmail.conf");
	is $status, 1, "$name: tabmaild -n refuses";
	like $out, $like, "$name: and says why";
	($status, $out) = run("$d->{dir}/bin/tabmaild", '-d', '-f', "$d->{dir}/tabmail.conf");
	is $status, 1, "$name: so does a start";
	like $out, $like, "$name: for the same reason";
}
my $key = slurp($ca->key('mail'));
chmod 0644, $ca->key('mail');
refused('a key that all may read', qr/pki mail\.example\.org: \S+mail\.key: a key that others may use: chmod 600 it/);
chmod 0600, $ca->key('mail');
spew($ca->key('mail'), slurp($ca->key('ca')));
chmod 0600, $ca->key('mail');
refused('another key', qr/pki mail\.example\.org: \S+mail\.crt with \S+mail\.key: /);
unlink $ca->key('mail');
refused('no key', qr/mail\.key: No such file/);
spew($ca->key('mail'), '');
chmod 0600, $ca->key('mail');
refused('an empty key', qr/mail\.key: empty/);
spew($ca->key('mail'), "-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n");
chmod 0600, $ca->key('mail');
refused('nonsense', qr/mail\.key: /);
spew($ca->key('mail'), $key);
chmod 0600, $ca->key('mail');
(my $none = $config) =~ s/^pki.*\n//m;
$none =~ s/ pki mail.example.org//;
$d->write_config($none);
refused('tls without a certificate', qr/no certificate for mail\.example\.org.*openssl req -x509 .*-subj \/CN=mail\.example\.org/s);
(my $cipher = $config) =~ s/tls$/tls ciphers "NONSENSE"/m;
$d->write_config($cipher);
refused('a cipher that nobody knows', qr/tabmail\.conf:\d+: .*cipher/);
$d->write_config($config);
my ($status, $out) = run("$d->{dir}/bin/tabmaild", '-n', '-f', "$d->{dir}/tabmail.conf");
is $status, 0, 'and now all is well' or diag $out;
delete $d->{vars}{PORT};	# smtps greets nobody in plain text
$d->{vars}{PORT} = my $smtps = free_port;
$d->{config} =~ s/^listen on 127\.0\.0\.1 inet4 port \S+ smtps/listen on 127.0.0.1 smtps port $smtps/m;
{
	no warnings 'redefine';
	my $ready = \&Tabmail::ready;
	local *Tabmail::ready = sub {
		my ($self) = @_;
		local $self->{config} = $config =~ s/^listen.*smtps.*\n//mr;
		return $ready->($self);
	};
	$d->start;
}

my $c = Tabmail::Client->new(port => $smtps, tls => { SSL_hostname => 'mail.example.org' });
like $c->greeting, qr/^220 mail\.example\.org ESMTP/, 'smtps: the greeting comes through TLS';
unlike $c->ehlo, qr/STARTTLS/, 'no STARTTLS there';
like $c->mail('a@example.net', 'bob@example.org', mail_text('smtps')), qr/^250 /, 'mail';
like +($d->await_mails('bob', 1))[0], qr/with ESMTPS \(TLSv1/, 'and its trace';
my $plain = Tabmail::Client->new(port => $smtps, quiet => 1);
$plain->send("EHLO client.example.net\r\n");
is scalar(talk_rest($plain)), 0, 'plain text at smtps: no reply, the end';

# Renewal: sessions go on with what they have, new ones get the new.
my $old = $ca->fingerprint('mail');
is $c->socket->get_fingerprint('sha256'), $old, 'the first certificate';
my ($smtp) = $d->pids('smtp');
$ca->issue('mail', names => ['mail.example.org']);
my $new = $ca->fingerprint('mail');
isnt $new, $old, 'a new one on disk';
is_deeply [$d->ctl('update', 'pki')], [0, ''], 'tabmailctl update pki';
sub shown { return Tabmail::Client->new(port => $smtps, tls => {})->socket->get_fingerprint('sha256') }
wait_for { shown() eq $new } 'the new certificate';
pass 'the new certificate is shown';
is $c->cmd('NOOP'), '250 2.0.0 ok', 'a session that stood goes on';
$ca->issue('mail', names => ['mail.example.org']);
kill 'HUP', $d->pid;
my $newer = $ca->fingerprint('mail');
wait_for { shown() eq $newer } 'the newer certificate';
pass 'SIGHUP does the same';

# A bad new file.
spew($ca->crt('mail'), substr slurp($ca->crt('mail')), 0, 300);
($status, $out) = $d->ctl('update', 'pki');
isnt $status, 0, 'a torn file: refused';
like $out, qr/pki mail\.example\.org: \S+mail\.crt with .*\(what was read before is kept\)/, 'and the reason';
is shown(), $newer, 'what was there stays';
kill 'HUP', $d->pid;
$d->await_log(qr/parent: pki mail\.example\.org: .*\(what was read before is kept\)/);
is shown(), $newer, 'by SIGHUP too';
unlink $ca->crt('mail');
isnt +($d->ctl('update', 'pki'))[0], 0, 'a missing file: refused';

# A new smtp process gets what parent holds.
my @was = $d->kill_role('smtp');
$d->await_role('smtp', @was);
wait_for { eval { shown() eq $newer } } 'smtp to be back';
pass 'smtp started anew shows the same, though the file is gone';
($smtp) = $d->pids('smtp');

# The key is nowhere but in smtp's memory, and no descriptor of it is left open there.
my ($canary) = slurp($ca->key('mail')) =~ /-----\n(\S{40})/;
unlike $d->log_text, qr/\Q$canary\E/, 'no key in the log';
for my $process ($d->processes) {
	my @held = grep { (readlink $_ || '') =~ /tabmail\.pki/ } glob "/proc/$process->{pid}/fd/*";
	is "@held", '', "$process->{role} holds no file of keys open";
}
my @with = grep { defined && index(slurp($_), $canary) >= 0 } grep { -f } glob "$d->{dir}/spool/* $d->{dir}/run/*";
is "@with", '', 'no key in the spool';
$d->stop;
done_testing;
