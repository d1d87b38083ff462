# XCLIENT of a trusted proxy: offered to it alone, what it tells counts for rules, limits, logins, Received and log; odd ones.  swaks as the proxy.
use strict;
use warnings;
use FindBin;
use IO::Socket::INET;
use MIME::Base64 ();
use Tabmail::Certs;
use Test::More;
BEGIN { require "$FindBin::Bin/2-talk.pl" }

my $hash = crypt('Richtig1', '$2b$05$abcdefghijklmnopqrstuu');
my $d = Tabmail::new('Tabmail', users => ['bob'], config => <<"C");
table users file:\$D/users
table creds { bob = "$hash" }
table bad { 198.51.100.66 }
table his { bob = bob\@example.org }
table ours { 192.0.2.5 = mx5.example.org }
pki mail.example.org certificate "\$D/mail.example.org.crt" key "\$D/mail.example.org.key"
limit smtp sessions-per-address 3 auth-failures 2
listen on 127.0.0.1 port \$PORT tls auth-optional <creds> senders <his> xclient from { 127.0.0.1, 127.0.7.7 } hostnames <ours>
listen on 127.0.0.1 port \$PORT2 xclient from 127.0.0.1
reject from source <bad> for any
accept from any for domain example.org userbase <users> deliver to maildir
accept authenticated for any relay via smtp://127.0.0.1:\$PORT8
accept from local for domain local.example relay via smtp://127.0.0.1:\$PORT8
C
my $ca = Tabmail::Certs->new($d->dir);
$ca->issue('mail.example.org');
$d->start;

sub from {
	my ($source, $n) = @_;
	my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $d->port($n), LocalAddr => $source, Timeout => 20) or die "connect: $!";
	my $c = bless { s => $s, in => '', secs => 30 }, 'Tabmail::Client';
	$s->blocking(0);
	$c->{greeting} = $c->reply;
	return $c;
}
sub as {
	my ($args) = @_;
	my $c = $d->client;
	$c->ehlo;
	$c->{reply} = $c->cmd("XCLIENT $args");
	return $c;
}

like $d->client->ehlo, qr/^250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT$/m, 'offered to the trusted';
like $d->client(2)->ehlo, qr/^250-XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT$/m, 'without a login where there is none';
unlike from('127.0.7.8')->ehlo, qr/XCLIENT/, 'not to others';
talk('others', from('127.0.7.8'), 'XCLIENT ADDR=198.51.100.7' => '550 5.7.1', 'EHLO x' => 250, 'XCLIENT ADDR=198.51.100.7' => '550 5.7.1');
like from('127.0.7.7')->cmd('XCLIENT ADDR=198.51.100.7'), qr/^220 /, 'another that is trusted';

my $c = $d->client;
talk('the whole', $c, 'EHLO x' => '250', 'XCLIENT NAME=spike.example ADDR=198.51.100.7 PORT=4321 PROTO=ESMTP HELO=spike.helo DESTADDR=192.0.2.5 DESTPORT=25' => '220 mx5.example.org ESMTP',
	'MAIL FROM:<a@example.net>' => 250, 'RCPT TO:<bob@example.org>' => 250, 'XCLIENT ADDR=198.51.100.8' => '503 5.5.1',
	'RSET' => 250, 'XCLIENT NAME=a ADDR' => '501 5.5.4', 'XCLIENT FOO=1' => '501 5.5.4', 'XCLIENT' => '501 5.5.4', 'XCLIENT ADDR=198.51.100.7+0D+0AMAIL' => '501 5.5.4',
	'MAIL FROM:<a@example.net>' => 250, 'RCPT TO:<bob@example.org>' => 250, 'DATA' => 354);
$c->send("Subject: whole\r\n\r\nx\r\n.\r\n");
like $c->reply, qr/^250/, 'the mail';
like +($d->await_mails('bob', 1))[0], qr/^Received: from spike\.helo \(spike\.example \[198\.51\.100\.7\]\)\n\tby mx5\.example\.org \(tabmail\) with ESMTP id/m, 'Received has what was told';
like $d->log_text, qr/smtp event=xclient address=198\.51\.100\.7 host=spike\.example helo="spike\.helo" user=""$/m, 'the log, too';
talk('in pieces', $c, 'XCLIENT HELO=[UNAVAILABLE] NAME=[TEMPUNAVAIL]' => 220, 'MAIL FROM:<a@example.net>' => 503, 'EHLO again' => 250,
	'MAIL FROM:<a@example.net>' => 250, 'RCPT TO:<bob@example.org>' => 250, 'DATA' => 354);
$c->send("Subject: pieces\r\n\r\nx\r\n.\r\n");
$c->reply;
like +(grep { /Subject: pieces/ } $d->await_mails('bob', 2))[0], qr/^Received: from again \(unknown \[198\.51\.100\.7\]\)/m, 'the address stays, what is not known goes';

# --- Rules
for my $case ([ 'ADDR=198.51.100.7', 550, 250 ], [ 'ADDR=198.51.100.66', 550, 550 ], [ 'ADDR=IPV6:2001:db8::7', 550, 250 ], [ 'ADDR=[UNAVAILABLE]', 550, 250 ],
	[ 'ADDR=127.0.0.1', 250, 250 ], [ 'ADDR=198.51.100.7 LOGIN=bob', 250, 250 ], [ 'NAME=x', 250, 250 ]) {
	my ($args, $far, $near) = @$case;
	$c = as($args);
	like $c->{reply}, qr/^220/, "$args: 220";
	$c->ehlo;
	$c->cmd('MAIL FROM:<bob@example.org>');
	like $c->cmd('RCPT TO:<x@local.example>'), qr/^$far/, "$args: to others $far";
	like $c->cmd('RCPT TO:<bob@example.org>'), qr/^$near/, "$args: to us $near";
	$c->quit;
}
$c = as('LOGIN=bob');
talk('a login', $c, 'EHLO x' => 250, 'MAIL FROM:<eve@example.org>' => 553, 'AUTH PLAIN AGJvYgBib2I=' => 503, 'XCLIENT NAME=x.example' => 220, 'EHLO x' => 250, 'MAIL FROM:<eve@example.org>' => 250);
$c = $d->client(2);
talk('no login', $c, 'EHLO x' => 250, 'XCLIENT LOGIN=bob' => '501 5.5.4');
$c = $d->client;
talk('AUTH before', $c, 'EHLO x' => 250, 'AUTH PLAIN ' . MIME::Base64::encode_base64("\0bob\0Richtig1", '') => 235, 'XCLIENT ADDR=198.51.100.7' => 220, 'EHLO x' => 250,
	'MAIL FROM:<bob@example.org>' => 250, 'RCPT TO:<x@other.example>' => 550);

# --- Limits of the address that is told, none of the proxy
my @three = map { as('ADDR=203.0.113.5') } 1 .. 3;
is +(grep { $_->{reply} =~ /^220/ } @three), 3, 'three sessions of an address';
my $four = as('ADDR=203.0.113.5');
like $four->{reply}, qr/^421 4\.7\.0 too many sessions from your address/, 'not a fourth';
ok $four->at_end, 'and the session ends';
like as('ADDR=203.0.113.6')->{reply}, qr/^220/, 'another is served';
talk('to another address', $three[0], 'XCLIENT ADDR=203.0.113.7' => 220);
like as('ADDR=203.0.113.5')->{reply}, qr/^220/, 'and leaves a place';
my @proxied = map { from('127.0.7.7') } 1 .. 10;
is +(grep { $_->greeting =~ /^220/ } @proxied), 10, 'the proxy itself may have more';
sub login {
	my ($address) = @_;
	my $l = as("ADDR=$address");
	$l->ehlo;
	$l->cmd('STARTTLS');
	$l->starttls;
	$l->ehlo;
	return $l->cmd('AUTH PLAIN ' . MIME::Base64::encode_base64("\0bob\0wrong", ''));
}
like login('203.0.113.80'), qr/^535/, "a wrong password behind STARTTLS ($_)" for 1, 2;
like login('203.0.113.80'), qr/^421/, 'the address is put off';
like login('203.0.113.81'), qr/^535/, 'others of the proxy are not';

# --- Others' programs
my ($status, $out) = run('swaks', '--server', '127.0.0.1', '--port', $d->port, '--to', 'bob@example.org', '--from', 'a@example.net', '--helo', 'swaks.example',
    '--xclient', 'NAME=spike.example ADDR=198.51.100.9', '--header', 'Subject: swaks');
is $status, 0, 'swaks --xclient' or diag $out;
like +(grep { /Subject: swaks/ } $d->await_mails('bob', 3))[0], qr/^Received: from swaks\.example \(spike\.example \[198\.51\.100\.9\]\)/m, 'told who the client is';
$d->stop;
done_testing;
