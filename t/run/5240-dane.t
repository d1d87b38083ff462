# DANE (RFC 7672): hosts with TLSA records in signed zones are known by them, or their mail waits.
use strict;
use warnings;
use Tabmail::Net;
use Tabmail;
use Tabmail::Certs;
use Tabmail::Dns;
use Tabmail::FakeMx;
use Test::More;

my $d = Tabmail::new('Tabmail', users => ['bob'], config => '');
my $dir = $d->dir;
my $ca = Tabmail::Certs->new($dir);
$ca->self_signed($_) for 'lonely', 'other';
$ca->issue('old', names => ['mx-taold.dane'], days => -1);
$ca->issue('domain', names => ['tadomain.dane']);
$ca->issue('wild', names => ['*.wild.dane']);
$ca->issue('mx-ta', names => ['mx-ta.dane', 'mx-takey.dane']);
$ca->issue('mx-tabare', names => ['mx-tabare.dane', 'mx-tafull.dane']);
$ca->issue('stranger', names => ['mx.elsewhere.dane']);
sub chained { my ($file) = @_; spew("$dir/$file.chain", join '', map { slurp($ca->crt($_)) } $file, 'ca'); "$dir/$file.chain" }

# name => what its server shows, beside the defaults: a self-signed certificate that the DNS knows
my %mx = (
	ee => {}, plain => { offers => 0 }, strip => { offers => 0 }, notnow => { fault => sub {
	    $_[0] eq 'starttls' ? "454 4.7.0 not now\r\n" : undef } },
	bad => { file => 'other' }, ta => { file => 'mx-ta', chain => 1 }, tadomain => { file => 'domain', chain => 1 },
	tawild => { file => 'wild', chain => 1 }, tawrong => { file => 'stranger', chain => 1 },
	taold => { file => 'old', chain => 1 }, tabare => { file => 'mx-tabare' }, resets => { fault => sub {
	    $_[0] eq 'handshake' ? 'reset' : undef } },
);
my %address;
my $n = 0;
for my $name (sort keys %mx) {
	my %o = %{ $mx{$name} };
	my $file = delete $o{file} || 'lonely';
	$address{$name} = '10.25.2.' . ++$n;
	$mx{$name} = Tabmail::FakeMx->start(address => $address{$name}, port => 25, key => $ca->key($file),
	    cert => delete $o{chain} ? chained($file) : $ca->crt($file), %o);
}
my $ee = $ca->tlsa('lonely', 3, 1, 1);
my $ta = $ca->tlsa('ca', 2, 0, 1);
my $wrong512 = $ca->tlsa('other', 3, 1, 2);
# domain => its server, its TLSA records, and what is to become of its mail: the word for TLS, or why it waits
my %cases = (
	ee => ['ee', [$ee], 'dane'],
	eecert => ['ee', [$ca->tlsa('lonely', 3, 0, 2)], 'dane'],
	eefull => ['ee', [$ca->tlsa('lonely', 3, 0, 0)], 'dane'],
	eeold => ['taold', [$ca->tlsa('old', 3, 1, 1)], 'dane'],
	rollover => ['ee', [$ca->tlsa('other', 3, 1, 1), $ee], 'dane'],
	bad => ['bad', [$ee], qr/TLS \(DANE\): no certificate is that of the TLSA records of mx-bad\.dane/],
	agility => ['ee', [$ee, $wrong512], qr/TLS \(DANE\): no certificate is that/],
	ta => ['ta', [$ta], 'dane'],
	takey => ['ta', [$ca->tlsa('ca', 2, 1, 2)], 'dane'],
	tadomain => ['tadomain', [$ta], 'dane'],
	'tawild.wild' => ['tawild', [$ta], 'dane'],
	'deep.x.wild' => ['tawild', [$ta], qr/the certificate is not for mx-deep\.x\.wild\.dane/],
	tawrong => ['tawrong', [$ta], qr/TLS \(DANE\): the certificate is not for mx-tawrong\.dane tawrong\.dane/],
	taold => ['taold', [$ta], qr/TLS \(DANE\): the trust anchor of mx-taold\.dane: certificate has expired/],
	tabare => ['tabare', [$ta], qr/TLS \(DANE\): no certificate is that of the TLSA records/],
	tafull => ['tabare', [$ca->tlsa('ca', 2, 0, 0)], 'dane'],
	unusable => ['ee', [$ca->tlsa('other', 1, 1, 1), $ca->tlsa('ca', 0, 0, 1), '3 1 1 0102', '3 9 1 01'], 'unverified'],
	unusableplain => ['plain', [$ca->tlsa('other', 1, 1, 1)], qr/TLS is required by its TLSA records \(DANE\)/],
	strip => ['strip', [$ee], qr/TLS is required by its TLSA records \(DANE\)/],
	notnow => ['notnow', [$ee], qr/not now/],
	resets => ['resets', [$ee], qr/TLS \(DANE\): /],
	none => ['plain', [], 'plain'],
	nonetls => ['ee', [], 'unverified'],
	bogus => ['ee', [$ee], qr/TLSA records of mx-bogus\.dane \(DANE\): the answer's signature is wrong/],
);
my $zone = '';
for my $name (sort keys %cases) {
	my ($server, $records) = @{ $cases{$name} };
	$zone .= "$name.dane. MX 10 mx-$name.dane.\nmx-$name.dane. A $address{$server}\n";
	$zone .= "_25._tcp.mx-$name.dane. TLSA $_\n" for @$records;
}
# Those of which there is more to say.
my %more = (
	two => ['ee', 'dane'], twobogus => ['ee', 'dane'], cname => ['ee', 'dane'], alias => ['ee', 'dane'],
	halfalias => ['ee', 'dane'], bogusmx => [undef, qr/MX of bogusmx\.dane: the answer's signature is wrong/],
	self => ['ee', 'dane'], alsoee => ['ee', 'dane'],
	'in.plain' => ['ee', 'unverified'], 'hosted.plain' => ['ee', 'dane-host'],
	'hostedbad.plain' => ['bad', qr/TLS \(DANE\): no certificate is that/],
	'hostedta.plain' => ['ta', 'dane-host'], 'hosteddomain.plain' => ['tadomain', qr/the certificate is not for mx-tadomain\.dane\W*$/],
	'via-port' => ['ee', 'dane'], 'via-verify' => ['ee', 'dane'], 'via-notls' => ['ee', 'plain'],
	'via-literal' => ['bad', 'unverified'],
);
$zone .= <<"Z";
two.dane. MX 10 mx-bad.dane.
two.dane. MX 20 mx-ee.dane.
twobogus.dane. MX 10 mx-bogus.dane.
twobogus.dane. MX 20 mx-ee.dane.
alsoee.dane. MX 10 mx-ee.dane.
cname.dane. MX 10 mx-cname.dane.
mx-cname.dane. A $address{ee}
_25._tcp.mx-cname.dane. CNAME shared._tlsa.dane.
shared._tlsa.dane. TLSA $ee
alias.dane. MX 10 mx-alias.dane.
mx-alias.dane. CNAME mx-ee.dane.
halfalias.dane. MX 10 mx-half.dane.
mx-half.dane. CNAME mx.in.plain.
_25._tcp.mx-half.dane. TLSA $ee
bogusmx.dane. MX 10 mx-ee.dane.
self.dane. A $address{ee}
_25._tcp.self.dane. TLSA $ee
_2525._tcp.mx-ee.dane. TLSA $ee
plain. NS ns.invalid.
Z
my $dns = Tabmail::Dns->nsd(sign => 1, zone => $zone, zones => { plain => <<"Z" },
in MX 10 mx.in.plain.
mx.in A $address{ee}
_25._tcp.mx.in TLSA @{[$ca->tlsa('other', 3, 1, 1)]}
hosted MX 10 mx-ee.dane.
hostedbad MX 10 mx-bad.dane.
hostedta MX 10 mx-ta.dane.
hosteddomain MX 10 mx-tadomain.dane.
Z
	spoil => sub {
		s/^(_25\._tcp\.mx-bogus\.dane\.\s.*\sTLSA\s+3 1 1 )./$1x/m or die;
		s/^(_25\._tcp\.mx-bogus\.dane\.\s.*\sTLSA\s+3 1 1 )x/${1}0/m;
		s/^(bogusmx\.dane\.\s.*\sMX\s+)10 /${1}11 /m or die;
	});
my $high = Tabmail::FakeMx->start(address => $address{ee}, port => 2525, cert => $ca->crt('lonely'), key => $ca->key('lonely'));
$d->{vars}{RESOLVER} = $dns->resolver;
$d->{vars}{ANCHOR} = $dns->anchor;
$d->{config} = <<"C";
dane yes
trust-anchor "\$ANCHOR"
table users file:\$D/users
listen on 127.0.0.1 port \$PORT
accept from any for domain example.org userbase <users> deliver to maildir
accept for domain via-port.dane relay via smtp://mx-ee.dane:2525
accept for domain via-verify.dane relay via smtp://mx-ee.dane verify
accept for domain via-notls.dane relay via smtp+notls://mx-ee.dane
accept for domain via-literal.dane relay via smtp://$address{bad}
accept for any relay
C
$d->start;
my %want = ((map { ("$_.dane" => $cases{$_}[2]) } keys %cases), (map { (/plain/ ? $_ : "$_.dane") => $more{$_}[1] } keys %more));
my $c = $d->client;
like $c->mail('bob@example.org', "x\@$_", mail_text("to $_")), qr/^250 /, "$_ accepted" for sort keys %want;
my @servers = (values %mx, $high);
for my $domain (sort keys %want) {
	my $want = $want{$domain};
	my $line = $d->await_log(qr/delivery event=\w+ .*to="x\@\Q$domain\E"/, 30);
	my $came = 0;
	$came += $_->count(qr/mail-done \w+ to \Q$domain\E$/) for @servers;
	if (ref $want) {
		like $line, qr/event=deferred /, "$domain: waits";
		like $line, $want, 'and the log says why';
		is $came, 0, 'nothing was sent';
		next;
	}
	like $line, qr/event=relayed /, "$domain: goes";
	is $came, 1, 'came once';
	if ($want eq 'plain') {
		unlike $line, qr/ tls=/, 'in plain text';
	} else {
		like $line, qr/ tls="TLSv1\.\d \S+ $want"/, "$want";
	}
}
my $plain = 0;
$plain += $_->count(qr/ plain MAIL/) for grep { $_ != $mx{plain} && $_ != $mx{ee} } @servers;
is $plain, 0, 'nothing in plain text but where there are no records, or the rule wants it';
is $mx{ee}->count(qr/ tls \S+ sni=mx-ee\.dane$/) > 0, 1, 'servers are asked by the name that the records are for';
ok !$mx{ee}->count(qr/ tls \S+ sni=mx-alias\.dane$/), 'not by an alias of it';

# --- OpenSSL's own verification says the same of these servers and records
for my $name (sort keys %cases) {
	my ($server, $records, $want) = @{ $cases{$name} };
	next if $name eq 'tadomain' || $server =~ /^(plain|strip|notnow|resets)$/ || $name =~ /^(unusable|bogus|none)/;
	my ($status, $out) = Tabmail::run([secs => 60, input => "QUIT\n"], qw(openssl s_client -starttls smtp -brief -connect),
	    "$address{$server}:25", '-dane_ee_no_namechecks', '-dane_tlsa_domain', "mx-$name.dane", map { ('-dane_tlsa_rrdata', $_) } @$records);
	is $out =~ /^Verification: OK$/m && $out =~ /^DANE TLSA/m ? 'dane' : 'no', ref $want ? 'no' : $want, "openssl: mx-$name.dane"
	    or diag $out;
}

# --- What people are told
my ($hop) = grep { $_->{section} eq 'hop' } $d->ctl_rows('explain', 'x@rollover.dane', 'from', 'bob@example.org');
like $hop->{dane}, qr/^_25\._tcp\.mx-rollover\.dane 3 1 1 [0-9a-f]{12}…, 3 1 1 /, 'explain has the records';
($hop) = grep { $_->{section} eq 'hop' } $d->ctl_rows('explain', 'x@unusable.dane', 'from', 'bob@example.org');
like $hop->{dane}, qr/none usable/, 'and that none can be used';
my %host = map { $_->{host} => $_->{dane} } $d->ctl_rows('show', 'hosts');
is $host{"$address{ta}:25"}, 'verified', 'show hosts: verified';
is $host{"$address{tawrong}:25"}, 'failed', 'show hosts: failed';
my ($id) = $d->log_text =~ /(\w{12})\.1 delivery event=deferred .*to="x\@tawrong\.dane"/;
my ($status, $out) = $d->ctl('show', 'message', $id);
like $out, qr/TLS \(DANE\): the certificate is not for/, 'show message has the reason';
is +($d->ctl('remove', 'all'))[0], 0, 'the rest is removed';
$d->stop;
$_->remove for @servers;
$dns->stop;
done_testing;
