# A server that takes few recipients at a time says 452 to the others (RFC 5321 4.5.3.1.10): they go in further transactions
# at once.  A mailbox that is full says it with a status of its own, and waits.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $wants = "250-sink\r\n250-8BITMIME\r\n250";
my $few = 0;
sub taking {
	my ($reply) = @_;
	return sub {
		my ($stage, $arg) = @_;
		$few = 0 if $stage eq 'mail';
		return '452 4.2.2 mailbox full' if $stage eq 'rcpt' && $arg =~ /^<full/;
		return '552 5.2.2 over quota for good' if $stage eq 'rcpt' && $arg =~ /^<quota/;
		return '550 5.1.1 nobody' if $stage eq 'rcpt' && $arg =~ /^<nobody/;
		return $reply if $stage eq 'rcpt' && ++$few > 3;
		return '554 5.6.0 not for these' if $stage eq 'end' && $arg =~ /<a3\@/ && $arg =~ /refused/;
		return;
	};
}
my %sink = (piped => Tabmail::Sink->start(answer => taking('452 4.5.3 too many recipients')),
	single => Tabmail::Sink->start(ehlo => "$wants SIZE", answer => taking('452 too many')),
	old => Tabmail::Sink->start(ehlo => "$wants SIZE", answer => taking('552 Too many recipients')));
my $d = Tabmail->start(users => ['bob'], vars => { map { uc $_ => $sink{$_}->port } keys %sink }, config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT
limit relay for domain localhost connections 1, messages 2
limit relay connections 1
accept from any for domain example.org userbase <users> deliver to maildir
accept for domain single.example relay via smtp://127.0.0.1:$SINGLE
accept for domain old.example relay via smtp://127.0.0.1:$OLD
accept for domain short.example relay via smtp+notls://localhost:$PIPED
accept for any relay via smtp://127.0.0.1:$PIPED
C
sub went { my ($k, $subject) = @_; return grep { $_->{mail} =~ /^Subject: \Q$subject\E\r$/m } $sink{$k}->mails }
for (['piped', 'piped.example'], ['single', 'single.example'], ['old', 'old.example'], ['piped', 'short.example']) {
	my ($k, $domain) = @$_;
	my $text = mail_text("to $domain", 200_000);
	like $d->mail('bob@example.org', [ map { "a$_\@$domain" } 1 .. 10 ], $text), qr/^250 /, "$domain: ten recipients";
	my @mails;
	eval { wait_for { @mails = went($k, "to $domain"); @mails >= 4 || $d->log_text =~ /event=deferred/ } 'four transactions'; 1 } or $d->show_log;
	is_deeply [ sort map { @{ $_->{rcpts} } } @mails ], [ sort map { "a$_\@$domain" } 1 .. 10 ], 'each has it once';
	is scalar(@mails), 4, 'in four transactions';
	(my $wire = $text) =~ s/\n/\r\n/g;
	is scalar(grep { defined +(trace_and_rest($_->{mail}, $wire))[1] } @mails), 4, 'all of it';
	my %sessions = map { $_->{session} => 1 } @mails;
	is scalar(keys %sessions), $domain eq 'short.example' ? 2 : 1, 'over as many connections as messages of one allow';
}
unlike $d->log_text, qr/event=deferred/, 'none was put off';

# --- What is no such thing
like $d->mail('bob@example.org', ['a1@piped.example', 'full@piped.example', 'quota@piped.example', 'nobody@piped.example'], mail_text('mixed')),
    qr/^250 /, 'a full mailbox, one for good, an unknown one';
like $d->await_log(qr/event=deferred .*full\@piped/), qr/452 4\.2\.2 mailbox full/, 'full for now: waits';
like $d->await_log(qr/event=failed .*quota\@piped/), qr/552 5\.2\.2 over quota/, 'full for good: comes back';
$d->await_log(qr/event=failed .*nobody\@piped/);
wait_for { went('piped', 'mixed') } 'it there';
is scalar(went('piped', 'mixed')), 1, 'in one transaction';

# --- The first three are refused after the data: the others have not been asked yet.
like $d->mail('bob@example.org', [ map { "a$_\@refused.example" } 1 .. 5 ], mail_text('refused')), qr/^250 /, 'refused after the data';
wait_for { went('piped', 'refused') } 'it for the others';
is_deeply [ map { @{ $_->{rcpts} } } went('piped', 'refused') ], [ 'a4@refused.example', 'a5@refused.example' ], 'the others get theirs';
$d->await_log(qr/event=failed .*a$_\@refused/) for 1 .. 3;
$d->ctl('remove', 'all');
$d->stop;
$_->remove for values %sink;
done_testing;
