# A resolver that strips signatures stops no mail, unless it is told to; names of a network's own go; and
# connections are not shared by those who demand other certificates.
use strict;
use warnings;
use Cwd ();
use File::Temp ();
use Tabmail::Net;
use Tabmail;
use Tabmail::Certs;
use Tabmail::Dns;
use Tabmail::FakeMx;
use Test::More;

my $BUILD = $ENV{BUILD} || Cwd::abs_path('build');
my $dir = File::Temp::tempdir('tmdane.XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $dir;
my $ca = Tabmail::Certs->new($dir);
$ca->self_signed($_) for 'one', 'two';
$ca->issue('named', names => ['named.dane']);
spew("$dir/named.chain", slurp($ca->crt('named')) . slurp($ca->crt('ca')));
my $record = '_25._tcp.mx.dane. TLSA ';
my $zone = <<"Z";
good.dane. MX 10 mx.dane.
also.dane. MX 10 mx.dane.
broken.dane. MX 10 mx.dane.
mx.dane. A 10.25.2.1
mail.lan. A 10.25.2.2
hidden.corp.dane. A 10.25.2.2
dead.dane. MX 10 mx-dead.dane.
deadtwo.dane. MX 10 mx-dead.dane.
deadtwo.dane. MX 20 mx.dane.
mx-dead.dane. A 10.25.2.1
_25._tcp.mx-dead.dane. TLSA @{[$ca->tlsa('one', 3, 1, 1)]}
named.dane. MX 10 mx-named.dane.
unnamed.dane. MX 10 mx-named.dane.
mx-named.dane. A 10.25.2.3
_25._tcp.mx-named.dane. TLSA @{[$ca->tlsa('ca', 2, 0, 1)]}
Z
my $mx = Tabmail::FakeMx->start(address => '10.25.2.1', port => 25, cert => $ca->crt('one'), key => $ca->key('one'));
my $named = Tabmail::FakeMx->start(address => '10.25.2.3', port => 25, cert => "$dir/named.chain", key => $ca->key('named'));
my $inner = Tabmail::FakeMx->start(address => '10.25.2.2', port => 25, offers => 0);
my $yes = $record . $ca->tlsa('one', 3, 1, 1) . "\n";
my $no = $record . $ca->tlsa('two', 3, 1, 1) . "\n";
my $signed = Tabmail::Dns->nsd(sign => 1, zone => $zone . $yes, spoil => sub {
	s/^(broken\.dane\.\s.*\sMX\s+)10 /${1}11 /m or die;
	s/^(mail\.lan|hidden\.corp\.dane)\.\s.*\sRRSIG\sA\s.*\n//mg or die;
});
my $strips = Tabmail::Dns->nsd(zone => $zone . $no);

sub daemon {
	my ($resolver, $settings) = @_;
	return Tabmail->start(users => ['bob'], resolver => $resolver->resolver, vars => { ANCHOR => $signed->anchor }, config => <<"C");
$settings
table users file:\$D/users
listen on 127.0.0.1 port \$PORT
accept from any for domain example.org userbase <users> deliver to maildir
accept for domain lan.example relay via smtp://mail.lan
accept for domain corp.example relay via smtp://hidden.corp.dane
accept for any relay
C
}
my $n = 0;
# Mail's fate: the log's line of it.
sub fate {
	my ($d, $domain) = @_;
	my $rcpt = 'x' . ++$n . "\@$domain";
	like $d->mail('bob@example.org', $rcpt, mail_text("to $rcpt")), qr/^250 /, "mail for $domain";
	return $d->await_log(qr/delivery event=\w+ .*to="\Q$rcpt\E"/, 30);
}

# --- A resolver that passes signatures on
my $d = daemon($signed, qq(trust-anchor "\$ANCHOR"));
like fate($d, 'good.dane'), qr/event=relayed .* dane"/, 'DANE by default, where there is an anchor';
like $d->log_text, qr/lookup: dns event=dnssec-on file="\Q@{[$signed->anchor]}\E"/, 'which the log names';
like fate($d, 'broken.dane'), qr/event=deferred .*signature is wrong \(DNSSEC\)/, 'a domain whose signatures are wrong waits';
like $d->log_text, qr/dns event=bogus name="broken\.dane" reason="validation failure/, 'and the log says what is wrong';
like fate($d, 'good.dane'), qr/event=relayed .* dane"/, 'for which others need not do without';
unlike $d->log_text, qr/event=dnssec-off/, 'it is not the resolver';
like fate($d, 'lan.example'), qr/event=relayed .*mail\.lan/, "a network's own names under lan need no signature";
like fate($d, 'corp.example'), qr/event=deferred .*signature is wrong/, 'those under a signed domain do';

# --- Connections: kept, shared, and left when the records change
my $before = $mx->count(qr/ connect$/);
fate($d, 'good.dane') for 1 .. 2;
like fate($d, 'also.dane'), qr/event=relayed .* dane"/, 'another domain of the host';
is $mx->count(qr/ connect$/), $before, 'all over the connection that was verified for them';
like fate($d, 'named.dane'), qr/event=relayed .* dane"/, 'a certificate for the domain of the mail';
like fate($d, 'unnamed.dane'), qr/event=deferred .*the certificate is not for mx-named\.dane unnamed\.dane/,
    'which is none for another of the same host, also over a connection that is there';
$signed->zone($zone . $no);
wait_for { my ($hop) = grep { $_->{section} eq 'hop' } $d->ctl_rows('explain', 'x@third.dane', 'from', 'bob@example.org');
	my ($mxhop) = grep { $_->{section} eq 'hop' } $d->ctl_rows('explain', 'x@good.dane', 'from', 'bob@example.org');
	my ($want) = $no =~ /3 1 1 (\w{12})/; $mxhop->{dane} =~ /$want/ } 'the new records', 30;
$signed->zone($zone . "third.dane. MX 10 mx.dane.\n" . $no);
wait_for { my ($hop) = grep { $_->{section} eq 'hop' } $d->ctl_rows('explain', 'x@third.dane', 'from', 'bob@example.org'); $hop->{dane} } 'a domain more', 30;
like fate($d, 'third.dane'), qr/event=deferred .*TLS \(DANE\)/, 'a connection that is kept serves none who demands another certificate';
$d->stop;

# --- Names of an inner zone, of which the world is told something else
$signed->zone($zone . $yes);
$d = daemon($signed, qq(trust-anchor "\$ANCHOR"\nno-dnssec corp.dane, other.example));
like fate($d, 'corp.example'), qr/event=relayed /, 'no-dnssec: its names need no signature';
like fate($d, 'good.dane'), qr/event=relayed .* dane"/, 'the others do';
$d->stop;

# --- unbound as the resolver, and a name server that has no answer to such questions
my $resolver = Tabmail::Dns->unbound(stubs => { '.' => $signed->port, '_tcp.mx-dead.dane' => Tabmail::free_port() });
$d = daemon($resolver, qq(trust-anchor "\$ANCHOR"));
like fate($d, 'good.dane'), qr/event=relayed .* dane"/, 'a resolver that validates nothing itself';
like fate($d, 'dead.dane'), qr/event=deferred .*TLSA records of mx-dead\.dane \(DANE\): the name's servers give no answer/,
    'TLSA records that cannot be found out: mail waits';
like fate($d, 'deadtwo.dane'), qr/event=relayed .*host="mx\.dane\[.* dane"/, 'or goes to the next host';
like $d->log_text, qr/lookup: dns event=host-left-out host="mx-dead\.dane"/, 'and the log says so';
$d->stop;
$resolver->stop;

# --- A resolver that strips them
$d = daemon($strips, qq(trust-anchor "\$ANCHOR"));
like fate($d, 'good.dane'), qr/event=relayed .* unverified"/, 'a resolver that strips signatures stops no mail';
like $d->log_text, qr/lookup: dns event=dnssec-off reason="the resolver passes no signatures on/, 'and the log says so';
like fate($d, 'broken.dane'), qr/event=relayed /, 'nor what is wrong with any domain';
like fate($d, 'lan.example'), qr/event=relayed /, "nor a network's own";
is +(() = $d->log_text =~ /event=dnssec-off/g), 1, 'said once';
$d->stop;
$d = daemon($strips, qq(dane yes\ntrust-anchor "\$ANCHOR"));
like fate($d, 'good.dane'), qr/event=deferred .*status=4\.4\.3 .*signature is wrong/, 'dane yes: then nothing goes';
$d->stop;
$d = daemon($signed, 'dane no');
like fate($d, 'good.dane'), qr/event=relayed .* unverified"/, 'dane no: nobody is asked for TLSA records';
like fate($d, 'broken.dane'), qr/event=relayed /, 'nor are signatures looked at';
$d->stop;

# --- Anchors that are none
my $garbage = "$dir/garbage";
spew($garbage, "this is no key\n");
$d = daemon($signed, qq(trust-anchor "$garbage"));
like $d->log_text, qr/dns event=dnssec-off file="?\Q$garbage\E"? reason="no trust anchor can be read there"/, 'the log names an anchor that is none';
like fate($d, 'good.dane'), qr/event=relayed .* unverified"/, 'mail goes without';
$d->stop;
$d = daemon($signed, qq(dane yes\ntrust-anchor "$garbage"));
like fate($d, 'good.dane'), qr/event=deferred .*no trust anchor can be read/, 'or not at all, with dane yes';
$d->stop;
spew("$dir/conf", qq(trust-anchor "/nosuch/root.key"\nspool "$dir/spool"\nsocket "$dir/control.sock"\n));
my ($status, $out) = Tabmail::run("$BUILD/tabmaild", '-d', '-f', "$dir/conf");
isnt $status, 0, 'one that is named and not there: no start';
like $out, qr{trust-anchor: /nosuch/root\.key: No such file}, 'which says why';
$_->remove for $mx, $inner, $named;
$_->stop for $signed, $strips;
done_testing;
