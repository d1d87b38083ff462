# Mail over TLS to other servers: opportunistic, required, verified, from the first byte, with a certificate of our own.
use strict;
use warnings;
use Tabmail;
use Tabmail::Certs;
use Tabmail::FakeMx;
use Test::More;

my $d = Tabmail::new('Tabmail', users => ['bob'], config => '');
my $ca = Tabmail::Certs->new($d->dir);
$ca->issue('mx', names => ['localhost']);
$ca->issue($_) for 'client.example.org', 'other.example.org';
$ca->issue('old', names => ['localhost'], days => -1);
$ca->self_signed('lonely');
my $dir = $d->dir;
my %mx = (
	offers => {}, none => { offers => 0 }, smtps => { smtps => 1 }, lonely => { file => 'lonely' },
	other => { file => 'other.example.org' }, old => { file => 'old' }, asks => { ca => $ca->crt('ca') },
	refuses => { fault => sub { $_[0] eq 'starttls' ? "454 4.7.0 not now\r\n" : undef } },
	strict => { ssl => { SSL_version => 'TLSv1_3' } },
);
for my $name (keys %mx) {
	my %o = %{ $mx{$name} };
	my $file = delete $o{file} || 'mx';
	$mx{$name} = Tabmail::FakeMx->start(cert => $ca->crt($file), key => $ca->key($file), %o);
	$d->{vars}{ uc $name } = $mx{$name}->port;
}
# domain => the action, and what is to become of its mail: plain, secure, or a part of the reason why not
my %cases = (
	'may' => ['via smtp://localhost:$OFFERS', 'secure'],
	'may-none' => ['via smtp://localhost:$NONE', 'plain'],
	'may-lonely' => ['via smtp://localhost:$LONELY', 'secure'],
	'may-refuses' => ['via smtp://localhost:$REFUSES', 'plain'],
	'notls' => ['via smtp+notls://localhost:$OFFERS', 'plain'],
	'must' => ['via tls://localhost:$OFFERS', 'secure'],
	'must-long' => ['via smtp+tls://localhost:$LONELY', 'secure'],
	'must-word' => ['via smtp://localhost:$OFFERS tls', 'secure'],
	'must-none' => ['via smtp+tls://localhost:$NONE', qr/TLS is required, and the server does not offer it/],
	'must-refuses' => ['via smtp://localhost:$REFUSES tls', qr/454 4\.7\.0 not now|not now/],
	'at-once' => ['via smtps://localhost:$SMTPS', 'secure'],
	'secure' => ['via secure://localhost:$OFFERS', 'secure'],
	'secure-at-once' => ['via secure://localhost:$SMTPS', 'secure'],
	'verify' => ['via smtp://localhost:$OFFERS tls verify pki ours', 'secure'],
	'verify-smtps' => ['via smtps://localhost:$SMTPS verify pki ours', 'secure'],
	'verify-lonely' => ['via smtp://localhost:$LONELY verify pki ours', qr/TLS: .*self.signed certificate/],
	'verify-other' => ['via smtp://localhost:$OTHER verify pki ours', qr/TLS: .*localhost.*not present/],
	'verify-old' => ['via smtp://localhost:$OLD verify pki ours', qr/TLS: .*expired/],
	'verify-system' => ['via smtp://localhost:$OFFERS verify', qr/TLS: .*certificate/],
	'shown' => ['via smtp+tls://localhost:$ASKS pki client', 'secure'],
	'not-shown' => ['via smtp+tls://localhost:$ASKS', qr/./],
	'strict' => ['via smtp+tls://localhost:$STRICT', 'secure'],
);
$d->{config} = <<'C' . join '', map { "accept from any for domain $_.example relay $cases{$_}[0]\n" } sort keys %cases;
table users file:$D/users
pki ours ca "$D/ca.crt"
pki client certificate "$D/client.example.org.crt" key "$D/client.example.org.key"
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to maildir
C
$d->start;
like $d->mail('bob@example.org', "x\@$_.example", mail_text("to $_")), qr/^250 /, "$_ accepted" for sort keys %cases;

for my $name (sort keys %cases) {
	my $want = $cases{$name}[1];
	my ($mx) = map { $mx{ lc $_ } } $cases{$name}[0] =~ /\$([A-Z]+)/;
	if (ref $want) {
		my $line = $d->await_log(qr/delivery event=deferred .*to="x\@$name\.example"/, 30);
		like $line, $want, "$name: waits, and the log says why";
		is $mx->count(qr/mail-done \w+ to $name$/), 0, "$name: nothing was sent";
		next;
	}
	my $line = $d->await_log(qr/delivery event=relayed .*to="x\@$name\.example"/, 30);
	is $mx->count(qr/mail-done $want to $name$/), 1, "$name: came once, $want" or diag join "\n", $mx->events;
	if ($want eq 'plain') {
		unlike $line, qr/ tls=/, "$name: the log names no TLS";
	} else {
		my $verified = $name =~ /^verify/ ? 'verified' : 'unverified';
		like $line, qr/ tls="TLSv1\.3 TLS_\w+ $verified"/, "$name: the log names it";
	}
}
is $mx{offers}->count(qr/ tls \S+ sni=localhost$/) > 0, 1, 'the server is told its name';
is $mx{none}->count(qr/ other /), 0, 'who offers no STARTTLS is not asked for it';
for my $id ($d->log_text =~ /(\w{12})\.1 delivery event=deferred .*to="x\@verify-lonely\.example"/) {
	my ($status, $out) = $d->ctl('show', 'message', $id);
	like $out, qr/TLS: .*self.signed/, 'show message has the reason';
}
my ($canary) = slurp($ca->key('client.example.org')) =~ /-----\n(\S{40})/;
unlike $d->log_text, qr/\Q$canary\E/, 'no key in the log';
is +($d->ctl('remove', 'all'))[0], 0, 'the rest is removed';
$d->stop;
$_->remove for values %mx;
done_testing;
