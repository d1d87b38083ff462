# Mail flows to aliases of two directory servers; the first is killed, black-holed, comes back: mail is taken all
# the time, from the second server within seconds, and from the first when it is back.
use strict;
use warnings;
use Slapd;
use Tabmail;
use Test::More;
use Time::HiRes qw(time sleep);

plan skip_all => slapd_missing if slapd_missing;
my ($first, $second) = map { Slapd->start(log => 1, entries => sub { print $_[0]->alias("a$_", 'bob') for 1 .. 2000 }) } 1, 2;
my $p = $first->proxy;
my $d = Tabmail->start(users => ['bob'], vars => { FIRST => $p->port, SECOND => $second->port },
    files => { 'ldap.conf' => <<'F' }, config => <<'C');
url ldap://127.0.0.1:$FIRST ldap://127.0.0.1:$SECOND
username cn=mail,dc=opensmtpd,dc=org
password mailpw
basedn dc=opensmtpd,dc=org
alias_filter (&(objectClass=courierMailAlias)(uid=%s))
alias_attributes maildrop
F
table people ldap:$D/ldap.conf
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org alias <people> userbase <users> deliver to maildir
C
my $c = $d->client;
my ($n, $taken) = (0, 0);

sub asked { my ($s) = @_; return scalar(() = $s->log_text =~ /SRCH base="dc=/g) }

# Mail for so long; the longest time of one message and the replies that were not 250.
sub flow {
	my ($secs) = @_;
	my ($longest, @other) = (0);
	my $end = time + $secs;
	while (time < $end) {
		my $began = time;
		my $reply = $c->mail('a@example.net', 'a' . ++$n . '@example.org', mail_text("number $n"));
		$reply =~ /^250/ ? $taken++ : push @other, $reply;
		$longest = time - $began if time - $began > $longest;
		sleep 0.01;
	}
	return ($longest, @other);
}

flow(0.3);
ok asked($first) > 0 && asked($second) == 0, 'the first server is asked';
for my $fault (qw(refuse blackhole deaf)) {
	$p->set(mode => $fault);
	my $before = asked($second);
	my ($longest, @other) = flow(2);
	is "@other", '', sprintf 'the first: %s: mail is taken all the time, waiting %.2f s at most', $fault, $longest;
	cmp_ok asked($second), '>', $before, 'the second is asked';
	$p->set(mode => 'pass');
	my ($back, $since) = (asked($first), time);
	wait_for { flow(0.1); asked($first) > $back + 2 } 'the first to be asked again', 30;
	note sprintf 'the first is asked again %.2f s after it is back', time - $since;
}
$first->kill;
my ($longest, @other) = flow(1);
is "@other", '', sprintf 'the first is killed: mail is taken all the time, waiting %.2f s at most', $longest;
$c->quit;
wait_for { (() = $d->mail_files('bob')) >= $taken } 'all mail', 60;
is scalar(() = $d->mail_files('bob')), $taken, "$taken were taken, and each arrived once";
like $d->log_text, qr/table=people event=stderr text="failover from=/, 'the log tells of it';
$d->stop;
$_->forget for $first, $second;
done_testing;
