# Security row 18: a block list in LDAP that cannot be asked lets nobody through and refuses nobody for good; other
# tables serve meanwhile.
use strict;
use warnings;
use Slapd;
use Tabmail;
use Test::More;

plan skip_all => slapd_missing() if slapd_missing();
my $s = Slapd->start(ldif => Slapd->alias('evil', 'x'));
my $d = Tabmail->start(users => ['bob'], files => { 'block.conf' => $s->settings . <<'F' }, config => <<'C');
query_timeout 1s
mailaddr_filter (&(objectClass=courierMailAlias)(mail=%u))
mailaddrmap_filter (uid=%u)
mailaddrmap_attributes mail
F
table blocked ldap:$D/block.conf
table users file:$D/users
listen on 127.0.0.1 port $PORT
listen on 127.0.0.1 port $PORT2 tag OTHER
accept tagged OTHER from any for domain example.org userbase <users> deliver to maildir
reject from any for any sender <blocked>
accept from any for domain example.org userbase <users> deliver to maildir
C

my $n = 0;
sub ask { my ($sender) = @_; $n++; return $d->mail($sender, 'bob@example.org', mail_text("number $n")) }

like ask('evil@example.org'), qr/^5\d\d /, 'who is on the list is refused';
like ask('good@example.org'), qr/^250 /, 'who is not is let through';
$s->stop;
like ask('evil2@example.org'), qr/^4\d\d /, 'without the directory nobody is let through';
like ask('good2@example.org'), qr/^4\d\d /, 'nor refused for good';
my $c = $d->client(2);
$c->ehlo;
like $c->mail('good3@example.org', ['bob@example.org'], mail_text('other')), qr/^250 /, 'a rule that asks another table serves';
$s->boot;
wait_for { ask('good2@example.org') =~ /^250 / } 'the list to answer again', 30;
pass 'back again, who is not on it is let through';
wait_for { ask('evil@example.org') =~ /^5/ } 'the list to refuse', 30;
pass 'and who is on it is refused';
unlike $d->log_text, qr/mailpw/, 'no password in the log';
$d->stop;
done_testing;
