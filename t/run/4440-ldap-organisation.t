# The mail server of table-ldap(5): its file and its rules as they stand there, but for addresses, ports and the tree's name.
# Then the faults of a first day: what explain says of a wrong password, a base that is not there, a directory that is down.
use strict;
use warnings;
use Cwd ();
use File::Basename qw(dirname);
use MIME::Base64 ();
use Slapd;
use Tabmail;
use Test::More;

plan skip_all => slapd_missing() if slapd_missing();
my ($section) = slurp(dirname(Cwd::abs_path($0)) . '/../../man/table-ldap.5') =~ /^\.Ss OpenLDAP, with groups\n(.*?)^\.Ss /ms;
my ($file, $rules) = $section =~ /^\.Bd -literal[^\n]*\n(.*?)^\.Ed/msg;
ok $file && $rules, 'the page has a file and rules for it';

my $d = Tabmail->new(users => ['bob', 'ann'], config => '');
my $base = Slapd->base;
my $s = Slapd->start(tls => 1, ldif => join '', (map { my $home = $d->home($_);
	Slapd->person($_, mail => "$_\@example.org", userPassword => "$_-pw", uidNumber => (stat $home)[4], gidNumber => (stat $home)[5], homeDirectory => $home)
    } qw(bob ann)), "dn: cn=staff,ou=groups,$base\nobjectClass: groupOfNames\ncn: staff\n" . join('', map { "member: uid=$_,ou=people,$base\n" } qw(bob ann)) . "\n");

$file =~ s/dc=example,dc=org/$base/g;
$file =~ s{^url .*}{'url ' . $s->url}me;
$file =~ s{^password_file .*}{password_file $d->{dir}/secret}m;
$file .= "ca_file $s->{ca}\nquery_timeout 5s\n";
sub give { # what only the helper may read
	my ($name, $text) = @_;
	my $path = $d->file($name, $text, 0600);
	chown scalar(getpwnam '_tabmail'), -1, $path if root();
}
give('secret', "mailpw\n");
give('ldap.conf', $file);
my $dir = $d->dir;
run(qw(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=mail.example.org), '-keyout', "$dir/key", '-out', "$dir/crt");
$rules =~ s/\\e/\\/g;
$rules =~ s{/etc/tabmail}{\$D};
$rules =~ s{egress tls$}{127.0.0.1 port \$PORT tls}m;
$rules =~ s{egress smtps}{127.0.0.1 port \$PORT2 smtps}m;
$d->write_config(qq(pki mail.example.org certificate "$dir/crt" key "$dir/key"\n$rules));
$d->boot;

my $c = $d->client;
like $c->mail('carol@example.net', ['bob@example.org'], mail_text('to one')), qr/^250 /, 'mail for a person';
like $c->mail('carol@example.net', ['staff@example.org'], mail_text('to all')), qr/^250 /, 'for a group';
like $c->mail('carol@example.net', ['eve@example.org'], mail_text('x')), qr/^550 5\.1\.1 /, 'for nobody';
like +($d->ctl('explain', 'dave@example.com', 'client', '192.0.2.1'))[1], qr/^refuse +550 5\.7\.1 /m, 'for elsewhere: no relay for strangers';
is scalar($d->await_mails('bob', 2)), 2, 'the person has both';
is scalar($d->await_mails('ann', 1)), 1, 'the other one the second';

sub session {
	my ($user, $password) = @_;
	my $t = Tabmail::Client->new(port => $d->port(2), tls => {});
	$t->ehlo;
	return ($t, $t->cmd('AUTH PLAIN ' . MIME::Base64::encode_base64("\0$user\0$password", '')));
}
my ($t, $reply) = session('bob', 'bob-pw');
like $reply, qr/^235 /, 'he logs in';
like $t->mail('ann@example.org', ['ann@example.org'], mail_text('x')), qr/^5\d\d /, 'and may not send as another';
like $t->mail('bob@example.org', ['ann@example.org'], mail_text('from bob')), qr/^250 /, 'but as himself';
is scalar($d->await_mails('ann', 2)), 2, 'it arrives';
($t, $reply) = session('bob', 'ann-pw');
like $reply, qr/^535 /, 'a wrong password';

# --- The first day's faults
sub explained {
	my ($name, $regex) = @_;
	my $out;
	$d->ctl('table', 'people', 'update');
	wait_for { $out = ($d->ctl('explain', 'bob@example.org', 'client', '192.0.2.1'))[1]; $out =~ $regex } $name;
	like $out, qr/^try-later 451 /m, "$name: later, and not never";
}
my $url = quotemeta $s->url;
give('secret', "wrong\n");
explained('a wrong password of ours', qr/^ +because no server can be used: $url: bind: Invalid credentials/m);
give('secret', "mailpw\n");
give('ldap.conf', $file =~ s/^basedn .*/basedn dc=nowhere,dc=org/mr);
explained('a base that is not there', qr/because No such object \(the base is not there, or may not be read\)$/m);
give('ldap.conf', $file);
$s->stop;
explained('a directory that is down', qr/because no server can be used: $url: .*Connection refused$/m);
$s->boot;
wait_for { ($d->ctl('explain', 'bob@example.org', 'client', '192.0.2.1'))[1] =~ /^accept /m } 'all to be well again', 40;
pass 'and it serves when all is well';
$d->stop;
done_testing;
