# STARTTLS: offered, begun, the session as new after it; certificates by name; what came before is dropped.
use strict;
use warnings;
use FindBin;
use IO::Socket::SSL;
use Tabmail::Certs;
use Test::More;
BEGIN { require "$FindBin::Bin/2-talk.pl" }

my $d = Tabmail::new('Tabmail', users => ['bob'], config => <<'C');
table users file:$D/users
pki mail.example.org certificate "$D/mail.example.org.crt" key "$D/mail.example.org.key"
pki other certificate "$D/other.example.org.crt" key "$D/other.example.org.key"
pki clients certificate "$D/mail.example.org.crt" key "$D/mail.example.org.key" ca "$D/ca.crt"
listen on 127.0.0.1 port $PORT tls
listen on 127.0.0.1 port $PORT2 tls-require pki other
listen on 127.0.0.1 inet4 port $PORT4 tls-require verify pki clients
listen on 127.0.0.1 inet4 port $PORT5 tls protocols "tlsv1.2" ciphers "ECDHE-ECDSA-AES128-GCM-SHA256"
accept from any for domain example.org userbase <users> deliver to maildir
C
my $ca = Tabmail::Certs->new($d->dir);
$ca->issue($_) for 'mail.example.org', 'other.example.org', 'client.example.net';
$d->start;
my $port = $d->port;

my $c = $d->client;
talk('before EHLO', $c, 'STARTTLS' => '503');
like $c->ehlo, qr/^250-STARTTLS$/m, 'offered';
talk('with words', $c, 'STARTTLS now' => '501');
talk('in a transaction', $c, 'MAIL FROM:<a@example.net>' => '250', 'STARTTLS' => '503', 'RSET' => '250');
talk('begins', $c, 'STARTTLS' => '220');
is $c->starttls(SSL_hostname => 'mail.example.org', SSL_verify_mode => 1, SSL_ca_file => $ca->crt('ca'),
    SSL_verifycn_name => 'mail.example.org', SSL_verifycn_scheme => 'smtp'), '', 'a handshake, verified';
is $c->socket->get_sslversion, 'TLSv1_3', 'with TLS 1.3';
talk('a session as new', $c, 'MAIL FROM:<a@example.net>' => '503');
unlike $c->ehlo, qr/STARTTLS/, 'not offered again';
talk('nor taken', $c, 'STARTTLS' => '503');
like $c->mail('a@example.net', 'bob@example.org', mail_text('secret', 200_000)), qr/^250 /, 'a large mail';
like $c->mail('a@example.net', 'bob@example.org', mail_text('small')), qr/^250 /, 'and a small one';
talk('ends', $c, 'QUIT' => '221');
ok $c->at_end, 'with close_notify';
my @mails = $d->await_mails('bob', 2);
like $mails[0], qr/^Received: from client\.example\.net \(unknown \[127\.0\.0\.1\]\)\n\tby mail\.example\.org \(tabmail\) with ESMTPS \(TLSv1\.3 TLS_\w+\) id /m, 'the trace field tells';
ok defined +(trace_and_rest($mails[0], mail_text('secret', 200_000)))[0], 'unchanged';
like $d->log_text, qr/ smtp event=tls address=127\.0\.0\.1 protocol=TLSv1\.3 cipher=TLS_\w+ bits=\d+ sni="mail\.example\.org" resumed=no verified=no$/m, 'the log tells';

# A name of its own for each.
for my $name ('mail.example.org', 'other.example.org', 'unknown.example.org') {
	$c = talk_at(sub { $d->client }, 'ready');
	talk('SNI', $c, 'STARTTLS' => '220');
	is $c->starttls(SSL_hostname => $name), '', "asked for $name";
	my $shown = $name eq 'unknown.example.org' ? 'mail.example.org' : $name;
	is $c->socket->get_fingerprint('sha256'), $ca->fingerprint($shown), "shown $shown";
	$c->close;
}

# Security row 11: what came in plain text is not taken for what comes after the handshake.
for my $early ("EHLO x\r\n", "MAIL FROM:<evil\@example.net>\r\nRCPT TO:<bob\@example.org>\r\nDATA\r\n", "\r\n", "x") {
	$c = talk_at(sub { $d->client }, 'ready');
	$c->send("STARTTLS\r\n$early");
	my @replies = talk_rest($c);
	is scalar(@replies), 1, 'text behind STARTTLS: one reply and the end';
	like $replies[0], qr/^503 /, 'a refusal';
	$c->close;
	$c = talk_at(sub { $d->client }, 'ready');
	talk('in a segment of its own', $c, 'STARTTLS' => '220');
	$c->send($early x 10);
	is scalar(talk_rest($c)), 0, 'text in place of a handshake: no reply, the end';
	$c->close;
}
$d->await_log(qr/ smtp event=tls-failed address=127\.0\.0\.1 reason="/);

# tls-require: nothing but what leads to TLS.
my $c2 = $d->client(2);
talk('required', $c2, 'EHLO client.example.net' => '250', 'NOOP' => '250', 'MAIL FROM:<a@example.net>' => '530',
    'RCPT TO:<bob@example.org>' => '530', 'DATA' => '530', 'STARTTLS' => '220');
is $c2->starttls, '', 'a handshake';
like $c2->mail('a@example.net', 'bob@example.org', mail_text('required')), qr/^250 /, 'then mail';
$c2->close;

# verify: only who shows a certificate of ours.
for my $pair (['none'], ['client.example.net'], ['lonely']) {
	my ($name) = @$pair;
	my $good = $name eq 'client.example.net';
	$ca->self_signed('lonely') if $name eq 'lonely';
	$c = talk_at(sub { $d->client(4) }, 'ready');
	talk('verify', $c, 'STARTTLS' => '220');
	my $why = $c->starttls($name eq 'none' ? () : (SSL_cert_file => $ca->crt($name), SSL_key_file => $ca->key($name)));
	my $reply = $why ? "TLS: $why" : $c->ehlo;
	($good ? \&like : \&unlike)->($reply, qr/^250/, "a client with certificate $name: " . ($good ? 'welcome' : 'not welcome'));
	$c->close;
}
like $d->log_text, qr/event=tls .*verified=yes$/m, 'and the log says that he is verified';

# What a listener narrows.
$c = talk_at(sub { $d->client(5) }, 'ready');
talk('narrow', $c, 'STARTTLS' => '220');
is $c->starttls, '', 'a handshake';
is $c->socket->get_sslversion . ' ' . $c->socket->get_cipher, 'TLSv1_2 ECDHE-ECDSA-AES128-GCM-SHA256', 'with what is allowed';
$c->close;
$c = talk_at(sub { $d->client(5) }, 'ready');
talk('narrow', $c, 'STARTTLS' => '220');
isnt $c->starttls(SSL_version => 'TLSv1_3'), '', 'and not with what is not';
$c->close;

# A ticket spares the second handshake its greater half; not every libtls gives one (libretls 3.7 does not).
my $session = $d->dir . '/session';
my @s_client = ('openssl', 's_client', '-connect', "127.0.0.1:$port", '-starttls', 'smtp', '-ign_eof');
my ($status, $out) = run([input => "QUIT\r\n"], @s_client, '-sess_out', $session);
like $out, qr/^New, TLSv1\.3/m, 'openssl s_client: new';
like $out, qr/No ALPN negotiated/, 'no ALPN';
like $out, qr/^221 /m, 'up to its QUIT';
SKIP: {
	skip 'libtls gave no ticket', 2 unless -s $session;
	($status, $out) = run([input => "QUIT\r\n"], @s_client, '-sess_in', $session);
	like $out, qr/^Reused, TLSv1\.3/m, 'and again: resumed';
	like $d->await_log(qr/event=tls .* resumed=yes/), qr/resumed=yes/, 'and the log says so';
}
$d->stop;
done_testing;
