# SMTPUTF8 and tables: a domain beyond ASCII is found in either form, in lists, in files, in LDAP; users and senders in UTF-8;
# a login by Python's smtplib, as Thunderbird does it, against each kind of table.
use strict;
use warnings;
use MIME::Base64 ();
use Slapd;
use Tabmail;
use Test::More;

plan skip_all => slapd_missing() if slapd_missing();
my $hash = crypt('Richtig1', '$6$abcdefgh$');
my $s = Slapd->start(ldif => join '', Slapd->domain('xn--ldap-bcher-feb.example'), Slapd->person('ann', userPassword => "{CRYPT}$hash"),
    alias_in_utf8('größe', 'bob'));
# Names beyond ASCII are written in base64 there, and mail may be none.
sub alias_in_utf8 {
	my ($uid, $to) = @_;
	my ($dn, $b64) = map { MIME::Base64::encode_base64($_, '') } "uid=$uid,ou=aliases," . Slapd->base, $uid;
	return "dn:: $dn\nobjectClass: account\nobjectClass: courierMailAlias\nuid:: $b64\nmail: x\@example.org\nmaildrop: $to\n\n";
}
my ($port) = $s->url =~ /:(\d+)$/;
my $d = Tabmail->start(users => ['bob'], vars => { LDAP => $port }, files => {
	'ldapd.conf' => Slapd->file_of_2013, creds => "ann $hash\njürgen $hash\n", domains => "bücher.example\nxn--strae-oqa.example\n",
	virtual => "büro\@bücher.example bob\n\@xn--strae-oqa.example bob\n",
	senders => "ann jürgen\@bücher.example,\@strae.example,\@straße.example\njürgen jürgen\@xn--bcher-kva.example\n" }, config => <<'C');
table users file:$D/users
table creds file:$D/creds
table ldap ldap:$D/ldapd.conf
table domains file:$D/domains
table virtual file:$D/virtual
table senders file:$D/senders
limit smtp auth-failures 1000
listen on 127.0.0.1 port $PORT
listen on 127.0.0.1 port $PORT2 auth <creds> senders <senders> masquerade received-auth
listen on 127.0.0.1 port $PORT3 auth <ldap>
accept from any sender { "böse@bücher.example" } for domain example.org deliver to mda "exit 75"
accept from any for domain <domains> virtual <virtual> userbase <users> deliver to maildir
accept from any for domain <ldap> alias <ldap> userbase <users> deliver to maildir
accept from any for domain { example.org, "*.größe.example" } userbase <users> deliver to maildir "~/Maildir"
C

sub rcpts {
	my ($from, @pairs) = @_;
	my $c = $d->client;
	$c->ehlo;
	$c->cmd("MAIL FROM:<$from> SMTPUTF8");
	while (my ($rcpt, $want) = splice @pairs, 0, 2) {
		like $c->cmd("RCPT TO:<$rcpt>"), qr/^$want/, "$rcpt: $want";
	}
	$c->quit;
}
rcpts('ü@example.net', 'büro@bücher.example' => 250, 'büro@xn--bcher-kva.example' => 250, 'büro@BÜCHER.example' => 250, 'BÜRO@bücher.example' => '550 5.1.1',
    'x@straße.example' => 250, 'x@xn--strae-oqa.example' => 250, 'x@strasse.example' => 550, 'größe@ldap-bücher.example' => 250, 'GRÖßE@ldap-bücher.example' => 250, 'x*@ldap-bücher.example' => 550,
    'bob@a.größe.example' => 250, 'bob@a.xn--gre-6ka8i.example' => 250, 'bob@größe.example' => 550);
my ($status, $out) = $d->ctl('explain', 'bob@example.org', 'from', 'böse@xn--bcher-kva.example');
like $out, qr/bob\@example\.org: taken by rule 1$/m, 'a sender of a list of the configuration';
($status, $out) = $d->ctl('explain', 'bob@example.org', 'from', 'gut@bücher.example');
like $out, qr/bob\@example\.org: taken by rule 4$/m, 'and no other';
($status, $out) = $d->ctl('explain', 'büro@bücher.example', 'from', 'böse@bücher.example');
is $status, 0, 'explain' or diag $out;
like $out, qr/büro\@xn--bcher-kva\.example/, 'names the domain as the DNS has it';

# Logins.
my %from = (2 => 'jürgen@bücher.example', 3 => 'zoë@example.net');
for my $n (2, 3) {
	my $file = $d->file('mail', "From: Ann Müller <other\@example.net>\r\nTo: bob\@example.org\r\nSubject: login $n\r\n\r\nGrüße\r\n");
	($status, $out) = run('python3', '-c', <<'P', $d->port($n), $file, $from{$n});
import smtplib, sys
with smtplib.SMTP('127.0.0.1', int(sys.argv[1])) as s:
    s.ehlo('client.example.net')
    s.login('ann', 'Richtig1')
    print(s.sendmail(sys.argv[3], ['bob@example.org'], open(sys.argv[2], 'rb').read(), mail_options=['SMTPUTF8', 'BODY=8BITMIME']))
P
	is $out, "{}\n", 'smtplib logs in at ' . (undef, undef, 'a file', 'LDAP')[$n] . ' and sends';
}
my %mails = map { /^Subject: (.*)$/m; $1 => $_ } $d->await_mails('bob', 2);
like $mails{'login 3'}, qr/ with UTF8SMTPA id /, 'Received says both';
like $mails{'login 2'}, qr/^From: Ann Müller <jürgen\@xn--bcher-kva\.example>$/m, 'masquerade: From has the sender in UTF-8';
like $mails{'login 2'}, qr/^\t\(authenticated as ann\)$/m, 'received-auth';
my $c = $d->client(2);
$c->ehlo;
like $c->cmd('AUTH PLAIN ' . MIME::Base64::encode_base64("\0jürgen\0Richtig1", '')), qr/^235/, 'a user in UTF-8 logs in';
like $c->cmd('MAIL FROM:<jürgen@bücher.example> SMTPUTF8'), qr/^250/, 'his address, which the table has in the other form';
$c->cmd('RSET');
like $c->cmd('MAIL FROM:<jürgen@example.net> SMTPUTF8'), qr/^553/, 'one that is not his';
like $c->cmd('MAIL FROM:<ann@straße.example> SMTPUTF8'), qr/^553/, 'nor is this';
$c->cmd('MAIL FROM:<jürgen@bücher.example> SMTPUTF8');
$c->cmd('RCPT TO:<bob@example.org>');
$c->cmd('DATA');
like $c->cmd("Subject: by jürgen\r\nFrom: x\@x\r\n\r\nx\r\n."), qr/^250/, 'sends';
my ($mail) = grep { /by jürgen/ } $d->await_mails('bob', 3);
like $mail, qr/^\t\(authenticated as j\+C3\+BCrgen\)$/m, 'received-auth stays ASCII';
$d->stop;
$s->stop;
done_testing;
