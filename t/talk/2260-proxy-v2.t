# listen on … proxy-v2 from …: the header of the PROXY protocol, whole and byte by byte, with SMTP or TLS directly behind it,
# odd ones, none; what counts for the client that it names: rules, limits, logins, Received, log.  HAProxy as the proxy.
use strict;
use warnings;
use FindBin;
use IO::Socket::INET;
use MIME::Base64 ();
use Socket qw(inet_aton inet_pton AF_INET6);
use Tabmail::Certs;
use Test::More;
BEGIN { require "$FindBin::Bin/2-talk.pl" }

my $hash = crypt('Richtig1', '$2b$05$abcdefghijklmnopqrstuu');
my $d = Tabmail::new('Tabmail', users => ['bob'], config => <<"C");
table users file:\$D/users
table creds { bob = "$hash" }
table bad { 198.51.100.66, 2001:db8:66::/48 }
pki mail.example.org certificate "\$D/mail.example.org.crt" key "\$D/mail.example.org.key"
limit smtp sessions-per-address 3 auth-failures 2
listen on 127.0.0.1 port \$PORT proxy-v2 from { 127.0.0.1, 127.0.7.0/24 } auth-optional <creds>
listen on 127.0.0.1 port \$PORT2 smtps proxy-v2 from 127.0.0.1
listen on 127.0.0.1 port \$PORT3 tls proxy-v2 from 127.0.0.1
reject from source <bad> for any
accept from any for domain example.org userbase <users> deliver to maildir
accept from local for any relay via smtp://127.0.0.1:\$PORT8
C
my $ca = Tabmail::Certs->new($d->dir);
$ca->issue('mail.example.org');
$d->start;

my $SIGNATURE = "\r\n\r\n\0\r\nQUIT\n";
sub header {
	my ($from, $to, $more) = @_;
	my $four = $from !~ /:/;
	my $addresses = $four ? inet_aton($from) . inet_aton($to || '192.0.2.1') : inet_pton(AF_INET6, $from) . inet_pton(AF_INET6, $to || '2001:db8::1');
	my $body = $addresses . pack('nn', 4321, 25) . ($more // '');
	return $SIGNATURE . ($four ? "\x21\x11" : "\x21\x21") . pack('n', length $body) . $body;
}
# A connection that has not been greeted.
sub raw {
	my ($n, $source) = @_;
	my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $d->port($n), LocalAddr => $source || '127.0.0.1', Timeout => 20) or die "connect: $!";
	my $c = bless { s => $s, in => '', secs => 30 }, 'Tabmail::Client';
	$s->blocking(0);
	return $c;
}
sub by {
	my ($from, $n, @more) = @_;
	my $c = raw($n);
	$c->send(header($from, @more));
	$c->{greeting} = $c->reply;
	return $c;
}

# --- An address of IPv6 is its network of 64 bits
{
	my @open = map { by("2001:db8:9:1:$_\::1") } 1 .. 3;
	like $_->greeting, qr/^220 /, 'a session of a network of 64 bits' for @open;
	like by('2001:db8:9:1:4::1')->greeting, qr/^421 4\.7\.0 too many sessions from your address/, 'the fourth is turned away';
	like by('2001:db8:9:2::1')->greeting, qr/^220 /, 'the next network is served';
}

# --- The header
my $c = by('198.51.100.7');
like $c->greeting, qr/^220 /, 'a header: the greeting';
like $c->mail('a@example.net', 'bob@example.org', mail_text('four')), qr/^250 /, 'a mail';
like +($d->await_mails('bob', 1))[0], qr/^Received: from client\.example\.net \(unknown \[198\.51\.100\.7\]\)/m, 'Received names the client';
like $d->log_text, qr/smtp event=connected address=198\.51\.100\.7 proxy=127\.0\.0\.1$/m, 'the log both';
unlike $d->log_text, qr/event=message .*127\.0\.0\.1/, 'and then the client alone';
$c->quit;
for my $case ([ 'IPv6', '2001:db8::7' ], [ 'IPv4', '198.51.100.7' ]) {
	my ($name, $from) = @$case;
	$c = raw();
	ok talk_bytewise($c, header($from, undef, "\x04\0\3abc" . "\x20\0\5hello") . "EHLO x\r\nNOOP\r\n"), "$name byte by byte, with fields behind, and SMTP in the same breath";
	like $c->reply, qr/^220 /, 'the greeting';
	like $c->reply, qr/^250-/, 'EHLO';
	like $c->reply, qr/^250 2\.0\.0/, 'NOOP';
	$c->quit;
	$c = raw();
	$c->send(header($from, undef, "\0" x 4000) . "NOOP\r\n");
	like join(' ', map { $c->reply } 1, 2), qr/^220 .* 250 /, "$name at once, with 4,000 bytes of fields";
	$c->quit;
}
$c = raw(2);
ok talk_bytewise($c, header('198.51.100.7')), 'before TLS';
is $c->starttls, '', 'the handshake';
like $c->reply, qr/^220 /, 'smtps behind a header';
like $c->mail('a@example.net', 'bob@example.org', mail_text('tls')), qr/^250 /, 'a mail';
like +(grep { /Subject: tls/ } $d->await_mails('bob', 2))[0], qr/\[198\.51\.100\.7\].*with ESMTPS \(TLSv1\.3/s, 'Received: the client, TLS';
$c = by('198.51.100.7', 3);
$c->ehlo;
like $c->cmd('STARTTLS'), qr/^220/, 'STARTTLS behind a header';
is $c->starttls, '', 'the handshake';
like $c->ehlo, qr/^250-/, 'and EHLO';

my %odd = (
	'SMTP' => "EHLO x\r\n", 'version 1' => "PROXY TCP4 198.51.100.7 192.0.2.1 4321 25\r\n", 'CRLF' => "\r\nEHLO x\r\n", 'TLS' => "\x16\x03\x01\0\5",
	'version 3' => "$SIGNATURE\x31\x11\0\x0c" . "\0" x 12, 'a command 2' => "$SIGNATURE\x22\x11\0\x0c" . "\0" x 12, 'UDP' => "$SIGNATURE\x21\x12\0\x0c" . "\0" x 12,
	'a client that is not told' => "$SIGNATURE\x21\0\0\0", 'too short' => "$SIGNATURE\x21\x11\0\x0b" . "\0" x 11, 'too long' => "$SIGNATURE\x21\x11\xff\xff" . "\0" x 12,
	'a UNIX socket' => "$SIGNATURE\x21\x31\0\xd8" . "\0" x 216, 'LOCAL too long' => "$SIGNATURE\x20\0\x20\0",
);
for my $name (sort keys %odd) {
	$c = raw();
	$c->send($odd{$name});
	is $c->reply, 'closed', "$name: closed without a word";
}
like $d->log_text, qr/smtp event=proxy-refused address=127\.0\.0\.1 reason="no header/, 'it is logged';
$c = raw();
$c->send(substr header('198.51.100.7'), 0, 20);
shutdown $c->socket, 1;
is $c->reply, 'closed', 'half a header and the end';
my @waiting = map { raw() } 1 .. 20;
like by('198.51.100.7')->greeting, qr/^220 /, 'those that say nothing hold up nobody';
like raw(1, '127.0.9.1')->reply, qr/^554 5\.7\.1 here only proxies/, 'others may not connect';
ok raw(1, '127.0.9.1')->at_end, 'and are let go';
$c = raw(1, '127.0.7.9');
$c->send(header('198.51.100.9'));
like $c->reply, qr/^220/, 'a proxy of a network that is trusted';

# --- LOCAL: the proxy itself
$c = raw();
$c->send("$SIGNATURE\x20\0\0\0");
like $c->reply, qr/^220 /, 'LOCAL: the proxy itself is served';
$c->ehlo;
$c->cmd('MAIL FROM:<a@example.org>');
like $c->cmd('RCPT TO:<x@example.com>'), qr/^250/, 'as who it is: from local';
$c->quit;

# --- What counts for the client
for my $case ([ '198.51.100.7', 550, 250 ], [ '198.51.100.66', 550, 550 ], [ '2001:db8:66::1', 550, 550 ], [ '127.0.0.1', 250, 250 ], [ '192.0.2.1', 250, 250, 'the address that it connected to' ]) {
	my ($from, $far, $near, $what) = @$case;
	$c = by($from);
	$c->ehlo;
	$c->cmd('MAIL FROM:<a@example.net>');
	like $c->cmd('RCPT TO:<x@example.com>'), qr/^$far/, "$from: to others $far" . ($what ? ", $what" : '');
	like $c->cmd('RCPT TO:<bob@example.org>'), qr/^$near/, "$from: to us $near";
	$c->quit;
}
my @three = map { by('203.0.113.5') } 1 .. 3;
is +(grep { $_->greeting =~ /^220/ } @three), 3, 'three sessions of an address';
like by('203.0.113.5')->greeting, qr/^421 4\.7\.0 too many sessions from your address/, 'not a fourth';
like by('203.0.113.6')->greeting, qr/^220/, 'another address is served by the same proxy';
my @many = map { by("203.0.113.$_") } 10 .. 40;
is +(grep { $_->greeting =~ /^220/ } @many), 31, 'however many it brings';
$_->quit for @three;
wait_for { my $n = by('203.0.113.5'); $n->greeting =~ /^220/ } 'a place of that address';
sub login {
	my ($from, $password) = @_;
	my $l = by($from);
	$l->ehlo;
	return $l->cmd('AUTH PLAIN ' . MIME::Base64::encode_base64("\0bob\0$password", ''));
}
like login('203.0.113.80', 'wrong'), qr/^535/, "a wrong password ($_)" for 1, 2;
like login('203.0.113.80', 'Richtig1'), qr/^421/, 'the address is put off';
like login('203.0.113.81', 'Richtig1'), qr/^235/, 'others of the proxy are not';
like $d->log_text, qr/event=failed-command address=203\.0\.113\.80 /, 'the log has the address for sshguard';
@many = @waiting = ();

# --- Early talk, with a delay of the greeting
$d->stop;
$d = Tabmail->start(config => <<'C');
limit smtp greet-delay 1s
listen on 127.0.0.1 port $PORT proxy-v2 from 127.0.0.1
C
$c = raw();
$c->send(header('198.51.100.7') . "EHLO x\r\n");
like $c->reply, qr/^554 5\.5\.1 you spoke before/, 'behind a header, too, who speaks before the greeting is refused';
like by('198.51.100.7')->greeting, qr/^220/, 'who waits is greeted';
$d->stop;

SKIP: {
	my ($haproxy) = grep { -x } '/usr/sbin/haproxy', '/usr/local/sbin/haproxy';
	skip 'HAProxy is not installed', 1 unless $haproxy;
	$d = Tabmail->start(users => ['bob'], config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT proxy-v2 from 127.0.0.1
accept from any for domain example.org userbase <users> deliver to maildir
C
	my $port = free_port();
	my $file = $d->file('haproxy.cfg', <<"H");
defaults
	mode tcp
	timeout connect 10s
	timeout client 60s
	timeout server 60s
listen smtp
	bind 127.0.0.1:$port
	server tabmail 127.0.0.1:\$PORT send-proxy-v2 check check-send-proxy inter 100ms
H
	my $pid = fork;
	if ($pid == 0) {
		open STDOUT, '>', $d->dir . '/haproxy.log';
		open STDERR, '>&', \*STDOUT;
		exec $haproxy, '-db', '-f', $file or POSIX::_exit(127);
	}
	wait_for {
		my $try = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, LocalAddr => '127.0.5.5', Timeout => 5);
		my $got = $try && <$try>;
		$got && $got =~ /^220/;
	} 'HAProxy';
	my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, LocalAddr => '127.0.5.5') or die;
	$s->blocking(0);
	my $l = bless { s => $s, in => '', secs => 30 }, 'Tabmail::Client';
	like $l->reply, qr/^220/, 'through HAProxy';
	like $l->mail('a@example.net', 'bob@example.org', mail_text('haproxy')), qr/^250 /, 'a mail';
	like +($d->await_mails('bob', 1))[0], qr/\(unknown \[127\.0\.5\.5\]\)/, 'the client is told';
	$d->await_log(qr/event=connected address=127\.0\.0\.1 proxy=127\.0\.0\.1/, 20);
	pass 'and its checks of health are served';
	kill 'TERM', $pid;
	waitpid $pid, 0;
	$d->stop;
}
done_testing;
