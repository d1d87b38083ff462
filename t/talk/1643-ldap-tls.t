# table-ldap and TLS: ldaps, StartTLS, ldapi, certificates, SASL EXTERNAL; what is wrong with it ends the connection,
# and nothing goes in clear instead: no name, no password.
use strict;
use warnings;
use File::Temp qw(tempdir);
use LdapStream;
use Slapd;
use Tabmail;
use Test::More;

plan skip_all => slapd_missing if slapd_missing;
my $s = Slapd->start(tls => 1, log => 1, entries => \&fifty);
my $wire = tempdir(CLEANUP => 1) . '/bytes';
my $p = $s->proxy(record => $wire);
my $base = Slapd::base();

sub answers {
	my ($name, $url, @more) = @_;
	my $h = table($s, $url, @more);
	my $got = $h->ask('lookup', 'alias', 'a1');
	is $got, 'found|box1@example.org', $name or diag $h->stderr;
	is $h->ask('lookup', 'alias', 'nobody'), 'not-found', "$name: who is not there is not found";
	like $h->stderr, (ref $url ? "@{$url}[0]" : $url) =~ /ldapi/ ? qr/tls=no/ : qr/tls=yes/, "$name: the log says how";
	return $h->end;
}

# No answer but errors, and nothing of ours on the wire
sub refuses {
	my ($name, $why, $url, @more) = @_;
	spew($wire, '');
	my $h = table($s, $url, @more);
	like $h->ask('lookup', 'alias', 'a1'), qr/^error\|/, "$name: an error";
	like $h->stderr, $why, "$name: the log says why";
	unlike $h->stderr, qr/^connected/m, "$name: no connection";
	unlike slurp($wire), qr/mailpw|cn=mail|courier/, "$name: nothing went in clear";
	unlike $h->stderr, qr/mailpw/, "$name: no password in the log";
	return $h->end;
}

my @ca = ("ca_file $s->{ca}");
answers('ldaps', $s->url('ldaps'), @ca);
answers('StartTLS', $s->url, @ca, 'starttls yes');
spew($wire, '');
answers('StartTLS over a wire', $p->url, @ca, 'starttls yes');
unlike slurp($wire), qr/mailpw|cn=mail|courier/, 'StartTLS: nothing in clear on the wire';
answers('tls_verify no', $s->url('ldaps'), 'tls_verify no', "ca_file $s->{other_ca}");
my @nobody = (username => undef, password => undef);
answers('EXTERNAL by a certificate', [$s->url('ldaps'), @nobody], @ca, 'sasl external',
    "certificate $s->{client_cert}", "key $s->{client_key}");
answers('EXTERNAL by the socket', [$s->url('ldapi'), @nobody], 'sasl external');
answers('ldapi', $s->url('ldapi'));

refuses('another CA', qr/^unreachable .*TLS/m, $s->url('ldaps'), "ca_file $s->{other_ca}");
refuses('another CA, StartTLS', qr/^unreachable .*TLS/m, $p->url, "ca_file $s->{other_ca}", 'starttls yes');
$p->set(mode => 'strip');
refuses('StartTLS is stripped', qr/^unreachable .*StartTLS: Protocol error/m, $p->url, @ca, 'starttls yes');

# Plain text behind the answer to StartTLS: "success" to the bind and an entry to the search that would follow
my $bound = "\x30\x0c\x02\x01\x02\x61\x07\x0a\x01\x00\x04\x00\x04\x00";
$p->set(mode => 'inject', inject => $bound);
refuses('plain text behind StartTLS', qr/^unreachable .*(?:plain text|TLS)/m, $p->url, @ca, 'starttls yes');
$p->set(mode => 'pass');
answers('the same wire when it is good', $p->url, @ca, 'starttls yes');

$s->stop;
$s->use_certificate('misnamed');
$s->boot;
refuses('a certificate of another name', qr/^unreachable .*TLS/m, $s->url('ldaps'), @ca);
refuses('a certificate of another name, StartTLS', qr/^unreachable .*TLS/m, $p->url, @ca, 'starttls yes');
unlike $s->log_text, qr/BIND dn="" method=128/, 'slapd saw no anonymous bind';
$s->forget;
done_testing;
