# The LDAP file of 2013 (design 6), verbatim but for host and port, against a real slapd with its schema: alias,
# credentials and domain through the daemon.  Mail to an LDAP alias lands in a Maildir; while the directory is away
# mail is put off, and is never refused for that.
use strict;
use warnings;
use Slapd;
use Tabmail;
use Test::More;

plan skip_all => slapd_missing() if slapd_missing();
my $hash = crypt 'Secret', '$6$abcdefgh$';
my $s = Slapd->start(ldif => join '', Slapd->domain('example.org'), Slapd->alias('info', 'bob', 'alice'), Slapd->alias('post', 'info'),
    Slapd->alias('bob', 'bob'), Slapd->alias('alice', 'alice'), Slapd->alias('far', 'nobody@elsewhere.example'),
    Slapd->alias('later', 'bob'), Slapd->person('bob', userPassword => "{CRYPT}$hash"));
my ($port) = $s->url =~ /:(\d+)$/;
my $d = Tabmail->start(users => [qw(bob alice)], vars => { LDAP => $port }, files => { 'ldapd.conf' => Slapd->file_of_2013 }, config => <<'C');
table myldaptable ldap:$D/ldapd.conf
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept for domain <myldaptable> alias <myldaptable> userbase <users> deliver to maildir
C

my $text = mail_text('to an LDAP alias');
like $d->mail('a@example.net', 'info@example.org', $text), qr/^250 2\.0\.0 /, 'an alias of the directory is accepted';
for my $user (qw(bob alice)) {
	my ($mail) = $d->await_mails($user, 1);
	ok defined trace_and_rest($mail, $text), "and lands in the Maildir of $user";
}
like $d->mail('a@example.net', 'POST@Example.ORG', $text), qr/^250 /, 'an alias of an alias, in other case';
$d->await_mails($_, 2) for qw(bob alice);
like $d->mail('a@example.net', 'nobody@example.org', $text), qr/^550 /, 'nobody is unknown';
like $d->mail('a@example.net', 'info@example.com', $text), qr/^550 /, 'a domain that is not in the directory is not ours';

my ($status, $out) = $d->ctl('table', 'myldaptable', 'lookup', 'credentials', 'bob');
is $status, 0, 'tabmailctl asks it for credentials';
like $out, qr/bob:\Q$hash\E/, '{CRYPT} is unwrapped';
($status, $out) = $d->ctl('table', 'myldaptable', 'check', 'domain', 'example.org');
is $status, 0, 'and for a domain' or diag $out;
($status, $out) = $d->ctl('table', 'myldaptable', 'lookup', 'alias', 'info');
like $out, qr/alice, bob/, 'and for an alias';
like $d->await_log(qr/the file holds a password/), qr/myldaptable.*everybody may read it: chmod o-r/,
    'the log warns of its permissions';

# The directory goes and comes back.
$s->stop;
my %client = map { $_ => $d->client } qw(later unheard);
for my $name (sort keys %client) {
	$client{$name}->ehlo;
	$client{$name}->cmd('MAIL FROM:<a@example.net>');
	$client{$name}->send("RCPT TO:<$name\@example.org>\r\n");
}
my %reply = map { $_ => $client{$_}->reply } keys %client;
like $reply{later}, qr/^4\d\d /, 'without the directory mail is put off';
like $reply{unheard}, qr/^4\d\d /, 'also for a name that nobody has';
$s->boot;
wait_for { $d->mail('a@example.net', 'later@example.org', $text) =~ /^250 / } 'mail to be taken again', 40;
pass 'mail is taken again, without a restart';
$d->await_mails('bob', 3);
like $d->mail('a@example.net', 'unheard@example.org', $text), qr/^550 /, 'and what is unknown is unknown';

# The file is read again.
$d->file('ldapd.conf', slurp($d->dir . '/ldapd.conf') =~ s/alias_attributes maildrop/alias_attributs mail/r);
($status, $out) = $d->ctl('table', 'myldaptable', 'update');
isnt $status, 0, 'an update with a fault fails';
like $out, qr{ldapd\.conf:7: unknown keyword 'alias_attributs': did you mean alias_attributes\?}, 'and says where and what';
like $d->mail('a@example.net', 'info@example.org', $text), qr/^250 /, 'the old file serves on';
$d->file('ldapd.conf', slurp($d->dir . '/ldapd.conf') =~ s/alias_attributs mail/alias_attributes mail/r);
is +($d->ctl('table', 'myldaptable', 'update'))[0], 0, 'a good one is taken';
($status, $out) = $d->ctl('table', 'myldaptable', 'lookup', 'alias', 'info');
like $out, qr/info\@example\.org/, 'and counts';
unlike $d->log_text, qr/thisbemypasswd/, 'its password is nowhere in the log';
$d->stop;
done_testing;
