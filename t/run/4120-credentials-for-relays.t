# A relay's URL with LABEL@: the credentials come from the rule's table, and go out in clear only to
# this host itself, or where the URL says so in so many words.
use strict;
use warnings;
use Tabmail::Net;
use Tabmail;
use Test::More;

my $PASSWORD = 'canary:7rQ';
my $plain = "250-sink\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME";
my $login = "250-sink\r\n250-AUTH CRAM-MD5 LOGIN\r\n250 8BITMIME";
my $sink = Tabmail::Sink->start(at => [qw(127.0.0.1:2601 10.25.1.1:25)], auth => "joe:$PASSWORD", ehlo => $plain);
my $second = Tabmail::Sink->start(at => [qw(127.0.0.1:2602)], auth => "joe:$PASSWORD", ehlo => $login);
my $none = Tabmail::Sink->start(at => [qw(127.0.0.1:2603)]);
my $many = Tabmail::Sink->start(at => [qw(127.0.0.1:2604 [::1]:2604)], auth => "joe:$PASSWORD", ehlo => $plain);
my $d = Tabmail->start(files => { secrets => "me: joe:$PASSWORD\nwrong: joe:other\n" },
    config => <<'C');
table secrets file:$D/secrets
table dead command "/bin/false"
listen on 127.0.0.1 port $PORT
accept for domain plain.test relay via "smtp://me@127.0.0.1:2601" auth <secrets>
accept for domain login.test relay via "smtp+auth://me@127.0.0.1:2602" auth <secrets>
accept for domain notls.test relay via "smtp+notls+auth://me@10.25.1.1" auth <secrets>
accept for domain clear.test relay via "smtp://me@10.25.1.1" auth <secrets>
accept for domain wrong.test relay via "smtp://wrong@127.0.0.1:2602" auth <secrets>
accept for domain nolabel.test relay via "smtp://nobody@localhost:2601" auth <secrets>
accept for domain dead.test relay via "smtp://me@localhost:2602" auth <dead>
accept for domain many.test relay via "smtp://wrong@localhost:2604" auth <secrets>
accept for domain none.test relay via "smtp://me@127.0.0.1:2603" auth <secrets>
C

sub sent { return $d->mail('bob@example.org', "x\@$_[0]", mail_text("to-$_[0]")) }
for ([$sink, 'plain.test'], [$second, 'login.test'], [$sink, 'notls.test']) {
	my ($server, $domain) = @$_;
	like sent($domain), qr/^250 /, $domain;
	my ($mail) = wait_for { (grep { $_->{mail} =~ /^Subject: to-\Q$domain\E\r$/m } $server->mails)[0] } "mail for $domain";
	is $mail->{user}, 'joe', "$domain: goes by the credentials of the label";
}
is scalar(grep { /^10\.25/ } $sink->auths), 1, 'in clear to another host where the URL says so';
for (['clear.test', 'not encrypted'], ['wrong.test', '535 5.7.8 who are you'], ['many.test', '535 5.7.8 who are you'], ['nolabel.test', 'no such label'], ['dead.test', 'cannot be asked'], ['none.test', 'neither AUTH PLAIN']) {
	my ($domain, $why) = @$_;
	like sent($domain), qr/^250 /, $domain;
	like $d->await_log(qr/event=deferred.*x\@\Q$domain\E/, 20), qr/status=4\.\d\.\d .*\Q$why\E/, "$domain waits: $why";
}
is scalar(grep { /^10\.25/ } $sink->auths), 1, 'and never else';
is scalar($many->auths), 1, 'a wrong password is not tried at each address of a host';
is $none->count, 0, 'nothing goes without, where credentials are wanted';
unlike $d->log_text, qr/canary/, 'no password in the log';
unlike +($d->ctl('show', 'queue'))[1], qr/canary/, 'nor in the queue';
$d->stop;
$_->remove for $sink, $second, $none, $many;
done_testing;
