# A helper with every habit of those written for OpenSMTPD 7.6 and later (t/lib/opensmtpd-habits.pl) serves
# all tables, one question at a time (max-pending 1) and as many as may come.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $N = 100;
my $map = join '', "info bob\n", "team bob\n", (map { "n$_ bob\n" } 1 .. $N), "\@lists.example.org bob\n";
my $d = Tabmail->new(users => ['bob'], files => {
	'opensmtpd-habits' => slurp('t/lib/opensmtpd-habits.pl'),
	aliases => $map, domains => "example.org\nlists.example.org\n", clients => "127.0.0.1\n",
}, config => <<'C');
table aliases command "$D/opensmtpd-habits $D/aliases" max-pending 1
table free command "$D/opensmtpd-habits $D/aliases"
table domains command "$D/opensmtpd-habits $D/domains" max-pending 1
table clients command "$D/opensmtpd-habits $D/clients" max-pending 1
table people command "$D/opensmtpd-habits $D/people" max-pending 1
listen on 127.0.0.1 port $PORT
accept from source <clients> for domain <domains> alias <aliases> userbase <people> deliver to maildir
accept from any for domain free.example alias <free> userbase <people> deliver to maildir
C
$d->file('people', join '', map { my $u = $d->{users}{$_}; "$_ $u->{uid}:$u->{gid}:$u->{home}\n" } 'bob');
$d->start;

my @clients = map { $d->client } 1 .. 10;
my ($good, $none) = (0, 0);
$_->ehlo for @clients;
$_->cmd('MAIL FROM:<a@example.net>') for @clients;
# All at once: what is beyond max-pending waits, and nobody waits for long.
for my $domain ('example.org', 'free.example') {
	for my $n (1 .. $N) {
		my $c = $clients[ $n % @clients ];
		$c->send("RCPT TO:<n$n\@$domain>\r\nRCPT TO:<nobody$n\@$domain>\r\n");
	}
	for my $n (1 .. $N) {
		my $c = $clients[ $n % @clients ];
		$good++ if $c->reply =~ /^250 /;
		$none++ if $c->reply =~ /^550 /;
	}
}
is $good, 2 * $N, 'who is there is accepted';
is $none, 2 * $N, 'who is not there is refused';
$_->quit for @clients;

like $d->mail('a@example.net', 'info@example.org', mail_text('one')), qr/^250 /, 'mail for one';
like $d->mail('a@example.net', 'TEAM@free.example', mail_text('two')), qr/^250 /, 'and another, in upper case';
$d->await_mails('bob', 2);
$d->await_queue_empty;

my ($status, $out) = $d->ctl('table', 'aliases', 'update');
is $status, 0, "update: $out";
$d->file('aliases', $map . "late bob\n");
($status, $out) = $d->ctl('table', 'aliases', 'lookup', 'alias', 'late');
unlike $out, qr/\bbob\b/, 'the new entry is not there before an update';
$d->ctl('table', 'aliases', 'update');
($status, $out) = $d->ctl('table', 'aliases', 'lookup', 'alias', 'late');
like $out, qr/\bbob\b/, 'and is after it';

# Killed amid work: a new one takes over.
my @old = $d->pids(qr/opensmtpd-habits/);
kill 'KILL', @old;
like $d->mail('a@example.net', 'n7@example.org', mail_text('three')), qr/^250 /, 'killed, and the mail is accepted';
$d->await_mails('bob', 3);
my %rows = map { ($_->{name} // $_->{table} // '') => $_ } $d->ctl_rows('show', 'tables');
ok $rows{aliases}, 'show tables lists it' or diag explain \%rows;

# Its stdout closes late: that holds up nothing.
my $began = time;
$d->stop;
cmp_ok time - $began, '<', 10 * $d->{slow}, 'the daemon ends, and so do they';
done_testing;
