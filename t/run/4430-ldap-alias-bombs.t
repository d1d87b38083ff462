# Security row 19 with aliases in LDAP: loops, chains and huge groups are bounded, put off or refused; others are served.
use strict;
use warnings;
use Slapd;
use Tabmail;
use Test::More;

plan skip_all => slapd_missing() if slapd_missing();
my $base = Slapd->base;
my $members = $ENV{TABMAIL_LONG} ? 100_000 : 10_000;
sub group {
	my ($name, @members) = @_;
	return "dn: cn=$name,ou=groups,$base\nobjectClass: groupOfNames\ncn: $name\n" . join('', map { "member: $_\n" } @members) . "\n";
}
sub g { return map { "cn=$_,ou=groups,$base" } @_ }
my $bob = "uid=bob,ou=people,$base";
my $s = Slapd->start(ldif => join '', Slapd->person('bob', mail => 'bob@example.org'),
    # by names, which the daemon follows
    Slapd->alias('a', 'b'), Slapd->alias('b', 'a'), Slapd->alias('self', 'self'), (map { Slapd->alias("c$_", 'c' . ($_ + 1)) } 1 .. 1000),
    Slapd->alias('c1001', 'bob'), Slapd->alias('wide', map { "nobody$_\@elsewhere.example" } 1 .. 2000),
    # by DN, which table-ldap follows
    group('ga', g('gb')), group('gb', g('ga'), $bob), (map { group("d$_", g('d' . ($_ + 1))) } 1 .. 1001), group('d1002', $bob),
    group('huge', map { "uid=m$_,ou=people,$base" } 1 .. $members), group('team', $bob),
    (map { group("bomb$_", g(map { "bomb$_" } 0 .. 9)) } 0 .. 9));
my $d = Tabmail->start(users => ['bob'], files => { 'ldap.conf' => $s->settings . <<'F' }, config => <<'C');
alias_filter (&(|(objectClass=courierMailAlias)(objectClass=groupOfNames))(|(uid=%u)(cn=%u)))
alias_attributes maildrop
alias_special_attributes member
alias_leaf_attributes uid
F
table people ldap:$D/ldap.conf
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org alias <people> userbase <users> deliver to maildir
C
my $n = 0;
for my $rcpt (qw(a self c1 wide ga d1 huge bomb0)) {
	my $reply = $d->mail('', "$rcpt\@example.org", mail_text($rcpt));
	ok $reply =~ /^(?:250|4\d\d|5\d\d) /, "$rcpt is answered: " . substr $reply, 0, 60;
	like $reply, qr/^250 /, 'A names B, B names A and bob' if $rcpt eq 'ga';
	like $reply, qr/^4\d\d /, 'too deep or too many is put off' if $rcpt =~ /^(?:d1|huge)$/;
	like $d->mail('a@example.net', 'team@example.org', mail_text("after $rcpt")), qr/^250 /, '… and others are served';
	$n++;
}
wait_for { $n == grep { /^Subject: after /m } $d->mails('bob') } 'the mails of others';
pass 'and get their mail';
wait_for { grep { /^Subject: ga$/m } $d->mails('bob') } 'the mail by a loop that has bob in it';
is scalar(grep { /^Subject: ga$/m } $d->mails('bob')), 1, 'a loop that has bob in it reaches him, once';
for my $role (qw(lookup queue table-ldap)) {
	my ($pid) = $d->pids($role);
	my ($kb) = slurp("/proc/$pid/status") =~ /^VmRSS:\s+(\d+)/m;
	cmp_ok $kb, '<', 200_000 * $d->{slow}, "$role is not swollen: $kb KiB";
}
$d->await_log(qr/people.*groups nest deeper than 10 \(group_depth\)/);
$d->await_log(qr/people.*more values than the limit \(group_members\)/);
pass 'the log says which limits were reached';
unlike $d->log_text, qr/(?:killed|died|signal)/i, 'no process ended';
$d->ctl('remove', 'all');
$d->stop;
done_testing;
