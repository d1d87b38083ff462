# Mail goes where the DNS says: every case of MX, against a real name server.
use strict;
use warnings;
use Tabmail::Net;
use Tabmail;
use Tabmail::Dns;
use Test::More;

# What listens; every other address refuses.
my @up = qw(10.25.1.1:25 10.25.1.2:25 10.25.1.3:25 10.25.1.4:25 10.25.1.5:25 [fd25::6]:25);
my $dns = Tabmail::Dns->nsd(zone => <<'Z');
mx1.test. A 10.25.1.1
mx2.test. A 10.25.1.2
mx3.test. A 10.25.1.3
mx4.test. A 10.25.1.4
dead.test. A 10.25.9.9
six.test. AAAA fd25::6
one.test. MX 10 mx1.test.
implicit.test. A 10.25.1.2
null.test. MX 0 .
null.test. A 10.25.1.1
bare.test. TXT "nothing to see"
order.test. MX 30 mx3.test.
order.test. MX 10 dead.test.
order.test. MX 20 mx2.test.
equal.test. MX 10 mx1.test.
equal.test. MX 10 mx2.test.
equal.test. MX 10 mx3.test.
sixonly.test. MX 10 six.test.
both.test. AAAA fd25::dead
both.test. A 10.25.1.4
both6.test. AAAA fd25::6
both6.test. A 10.25.9.9
nofamily.test. AAAA 2001:db8::1
nofamily.test. A 10.25.1.3
onlyelsewhere.test. AAAA 2001:db8::1
cname.test. CNAME one.test.
mxcname.test. MX 10 alias.test.
alias.test. CNAME mx2.test.
gone.test. MX 10 nosuch.test.
cnamehost.test. CNAME mx2.test.
nullmixed.test. MX 0 .
nullmixed.test. MX 10 mx3.test.
nullten.test. MX 10 .
MiXed.test. MX 10 MX1.Test.
half.test. MX 10 nosuch.test.
half.test. MX 20 mx4.test.
address.test. MX 10 10.25.1.1.
ours.test. MX 10 mail.example.org.
ours.test. MX 20 mx1.test.
better.test. MX 10 mx4.test.
better.test. MX 20 mail.example.org.
better.test. MX 30 mx1.test.
betterdead.test. MX 10 dead.test.
betterdead.test. MX 20 mail.example.org.
betterdead.test. MX 20 mx1.test.
ouraddress.test. MX 10 other.test.
other.test. A 10.25.7.7
loopback.test. MX 10 lo.test.
lo.test. A 127.0.0.1
weare.test. MX 10 mx3.test.
weare.test. MX 20 secondary.test.
weare.test. MX 30 mx1.test.
route.test. MX 10 dead.test.
narrow.test. AAAA fd25::6
narrow.test. A 10.25.1.4
*.shared.test. MX 10 shared.test.
shared.test. A 10.25.1.5
*.othercase.test. MX 10 mx4.test.
xn--bcher-kva.test. MX 10 mx3.test.
Z
my $sink = Tabmail::Sink->start(at => \@up);
my $d = Tabmail->start(users => ['bob'], resolver => $dns->resolver, config => <<'C');
table users file:$D/users
table broken command "/bin/false"
table routes { route.test = "smtp://mx3.test", list.test = "smtp://dead.test:2525, smtp://10.25.1.1" }
listen on 127.0.0.1 port $PORT
listen on 10.25.7.7 port 25
limit relay for domain { equal.test } connections 1, messages 1
limit relay for domain narrow.test family inet4
accept from any for domain example.org userbase <users> deliver to maildir
accept for domain weare.test relay backup secondary.test
accept for domain { route.test, list.test, other.test } relay relayhost <routes>
accept for domain broken.test relay relayhost <broken>
accept for domain via.test relay via "smtp://dead.test", "smtp+notls://mx2.test"
accept for domain nohost.test relay via "smtp://nosuch.test"
accept for any relay
C

sub to {
	my ($subject, $rcpt) = @_;
	my $reply = $d->mail('bob@example.org', $rcpt, mail_text($subject));
	like $reply, qr/^250 /, "$subject is taken" if $reply !~ /^250 /;
}

# The sink's mail of that subject.
sub arrived {
	my ($subject) = @_;
	return grep { $_->{mail} =~ /^Subject: \Q$subject\E\r$/m } $sink->mails;
}

# --- What arrives, and where
my %arrives = (
	'one.test' => '10.25.1.1',
	'implicit.test' => '10.25.1.2',
	'order.test' => '10.25.1.2',
	'sixonly.test' => 'fd25::6',
	'both.test' => '10.25.1.4',
	'both6.test' => 'fd25::6',
	'nofamily.test' => '10.25.1.3',
	'narrow.test' => '10.25.1.4',
	'cname.test' => '10.25.1.1',
	'mxcname.test' => '10.25.1.2',
	'cnamehost.test' => '10.25.1.2',
	'nullmixed.test' => '10.25.1.3',
	'mixed.test' => '10.25.1.1',
	'half.test' => '10.25.1.4',
	'better.test' => '10.25.1.4',
	'weare.test' => '10.25.1.3',
	'[10.25.1.3]' => '10.25.1.3',
	'[IPv6:fd25::6]' => 'fd25::6',
	'route.test' => '10.25.1.3',
	'list.test' => '10.25.1.1',
	'address.test' => '10.25.1.1',
	'via.test' => '10.25.1.2',
	'SUB.OtherCase.Test' => '10.25.1.4',
);
to("to-$_", "x\@$_") for sort keys %arrives;
for my $domain (sort keys %arrives) {
	my ($mail) = eval { wait_for { (arrived("to-$domain"))[0] } "mail for $domain" };
	is $mail ? $mail->{at} : 'nowhere', $arrives{$domain}, "$domain goes to $arrives{$domain}";
}
{ # as people write it; nothing in the mail needs SMTPUTF8 but this, and it goes as the DNS has it
	my $c = $d->client;
	$c->ehlo;
	$c->cmd($_) for 'MAIL FROM:<bob@example.org> SMTPUTF8', 'RCPT TO:<x@bücher.test>', 'DATA';
	like $c->cmd("Subject: to-xn\r\n\r\nx\r\n."), qr/^250/, 'a domain beyond ASCII';
	my ($mail) = eval { wait_for { (arrived('to-xn'))[0] } 'its mail' };
	is $mail && "$mail->{at} @{ $mail->{rcpts} }", '10.25.1.3 x@xn--bcher-kva.test', 'its MX is found';
}
$d->await_queue_empty;

# --- Equal ones share the load
to("equal$_", "x$_\@equal.test") for 1 .. 30;
my %at;
wait_for { %at = (); $at{ $_->{at} }++ for grep { $_->{mail} =~ /^Subject: equal/m } $sink->mails;
	my $n = 0; $n += $_ for values %at; $n == 30 } '30 mails for equal.test', 30;
is_deeply [sort keys %at], [qw(10.25.1.1 10.25.1.2 10.25.1.3)],
    'equal preferences: all are used, ' . join ' ', map { "$_ x$at{$_}" } sort keys %at;

# --- Domains that have a mail host in common share its connections
to('share-1', 'x@a.shared.test');
my ($one) = wait_for { (arrived('share-1'))[0] } 'the first';
$d->await_queue_empty;
to('share-2', 'x@b.shared.test');
my ($two) = wait_for { (arrived('share-2'))[0] } 'the second';
is $two->{session}, $one->{session}, 'another domain of the same mail host goes over the same connection';

# --- What comes back at once, and says why
my %fails = (
	'null.test' => ['5.1.10', 'takes no mail'],
	'nullten.test' => ['5.1.10', 'takes no mail'],
	'none.test' => ['5.1.2', 'does not exist'],
	'bare.test' => ['5.4.4', 'neither MX nor address'],
	'gone.test' => ['5.4.4', 'no such host'],
	'ours.test' => ['5.4.6', 'loops'],
	'ouraddress.test' => ['5.4.6', 'loops'],
	'loopback.test' => ['5.4.6', 'loops'],
	'[10.25.7.7]' => ['5.4.6', 'loops'],
);
for my $domain (sort keys %fails) {
	my $had = $d->mails('bob');
	to("fail-$domain", "x\@$domain");
	my $bounce = (sort { $b =~ /\Q$domain\E/ <=> $a =~ /\Q$domain\E/ } $d->await_mails('bob', $had + 1))[0];
	my ($status, $text) = @{ $fails{$domain} };
	like $bounce, qr/^Status: \Q$status\E\r?$/m, "$domain fails with $status";
	like $bounce, qr/\Q$text\E/, "and says \"$text\"";
}

# --- explain shows the way, and sends nothing
my @hops = grep { $_->{section} eq 'hop' } $d->ctl_rows('explain', 'x@order.test', 'from', 'bob@example.org');
is join(', ', map { "$_->{preference} $_->{host} $_->{addresses}" } @hops),
    '10 smtp://dead.test:25 10.25.9.9, 20 smtp://mx2.test:25 10.25.1.2, 30 smtp://mx3.test:25 10.25.1.3', 'explain: hosts in order';
(my $hop) = grep { $_->{section} eq 'hop' } $d->ctl_rows('explain', 'x@null.test');
like $hop->{error}, qr/^5\.1\.10 /, 'or why there is none';

# --- What waits
my %waits = (
	'betterdead.test' => 'cannot connect: Connection refused',
	'onlyelsewhere.test' => 'Network is unreachable',
	'nohost.test' => 'no such host',
	'broken.test' => 'the table of relay hosts',
);
to("wait-$_", "x\@$_") for sort keys %waits;
for my $domain (sort keys %waits) {
	my $line = $d->await_log(qr/event=deferred.*x\@\Q$domain\E/);
	like $line, qr/\Q$waits{$domain}\E/, "$domain waits: $waits{$domain}";
}
is scalar(arrived('wait-betterdead.test')), 0, 'what is worse than ourselves is not tried';
$dns->zone("betterdead.test. MX 10 mx1.test.\nmx1.test. A 10.25.1.1\n");
wait_for { $d->ctl('schedule', 'all'); arrived('wait-betterdead.test') } 'a changed MX to be used', 30;
pass 'a changed MX is used at the next try';
$d->stop;
$sink->remove;
$dns->stop;
done_testing;
