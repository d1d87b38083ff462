# Other servers are spared: connections, messages of a connection, a rate; fewer connections while they push
# back, and more again.  And what they cannot take comes back, or is made to fit.
use strict;
use warnings;
use Tabmail;
use Tabmail::Sink;
use Test::More;
use Time::HiRes qw(time);

my $sink = Tabmail::Sink->start(answer => sub { select undef, undef, undef, 0.02 if $_[0] eq 'end'; return undef });
my $busy = Tabmail::Sink->start(answer => sub { my ($stage, undef, $n) = @_;
	return $stage eq 'end' && $n > 12 && $n <= 32 ? '451 4.7.1 slow down' : undef });
my $narrow = Tabmail::Sink->start(most => 2,
    answer => sub { select undef, undef, undef, 0.01 if $_[0] eq 'end'; return undef });
my $hasty = Tabmail::Sink->start(answer => sub { my ($stage, undef, $n) = @_;
	return $stage eq 'rcpt' && $n > 12 && $n <= 20 ? '421 4.7.0 not so fast' : undef });
my $plain = Tabmail::Sink->start(ehlo => '250 old');
my $d = Tabmail->start(users => ['bob'], vars => { SINK => $sink->port, BUSY => $busy->port, PLAIN => $plain->port,
	NARROW => $narrow->port, HASTY => $hasty->port },
    config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT
limit relay for domain 127.0.0.1 connections 2 messages 5
limit relay for domain localhost rate 10/s
limit relay connections 8
accept from any for domain example.org userbase <users> deliver to maildir
accept for domain few.test relay via smtp+notls://127.0.0.1:$SINK
accept for domain rate.test relay via smtp+notls://localhost:$SINK
accept for domain busy.test relay via smtp+notls://[::ffff:127.0.0.1]:$BUSY
accept for domain narrow.test relay via smtp+notls://[::ffff:127.0.0.1]:$NARROW
accept for domain hasty.test relay via smtp+notls://[::ffff:127.0.0.1]:$HASTY
accept for domain plain.test relay via smtp+notls://127.0.0.1:$PLAIN
C

sub send_many {
	my ($n, $domain) = @_;
	my $c = $d->client;
	my $good = grep { $c->mail('bob@example.org', "x$_\@$domain", mail_text("$domain $_", 200)) =~ /^250 / } 1 .. $n;
	is $good, $n, "$n mails for $domain";
}
sub came { my ($k, $domain) = @_; return grep { $_->{mail} =~ /^Subject: \Q$domain\E /m } $k->mails }

# --- Connections, and messages of one
my $most = 0;
send_many(40, 'few.test');
wait_for {
	for ($d->ctl_rows('show', 'routes')) {
		my $n = $_->{connecting} + $_->{busy} + $_->{idle};
		$most = $n if $_->{route} =~ /127\.0\.0\.1/ && $n > $most;
	}
	came($sink, 'few.test') == 40;
} '40 mails';
ok $most == 1 || $most == 2, "at most 2 connections ($most seen)";
my %of;
$of{ $_->{session} }++ for came($sink, 'few.test');
is scalar(grep { $_ > 5 } values %of), 0, 'at most 5 messages each';

# --- A rate: a second's worth at once, the others in time
my $began = time;
send_many(25, 'rate.test');
wait_for { came($sink, 'rate.test') == 25 } '25 mails';
cmp_ok time - $began, '>', 1.2, '25 at 10/s take their time';

# --- 4xx: fewer connections, then more again
sub window { my $k = $_[0] || 'BUSY'; return (map { $_->{window} } grep { $_->{host} =~ /:$d->{vars}{$k}$/ } $d->ctl_rows('show', 'hosts'))[0] }
send_many(12, 'busy.test');
wait_for { came($busy, 'busy.test') == 12 } '12 mails';
my $open = window();
cmp_ok $open, '>', 2, "the window opens ($open)";
send_many(20, 'busy.test');
wait_for { (() = $d->log_text =~ /event=deferred.*451 4\.7\.1 slow down/g) == 20 } '20 mails put off';
is window(), 1, 'a server that pushes back has one connection left';
wait_for { $d->ctl('schedule', 'all'); came($busy, 'busy.test') == 32 } 'the 20 to arrive', 30;
cmp_ok window(), '>', 1, 'and more again when it takes mail';

# --- 421 in the middle is no better
send_many(12, 'hasty.test');
wait_for { came($hasty, 'hasty.test') == 12 } '12 mails';
$open = window('HASTY');
cmp_ok $open, '>', 2, "the window opens ($open)";
send_many(8, 'hasty.test');
wait_for { (() = $d->log_text =~ /event=deferred.*421 4\.7\.0 not so fast/g) == 8 } '8 mails put off';
is window('HASTY'), 1, 'a server that ends sessions has one connection left';
wait_for { $d->ctl('schedule', 'all'); came($hasty, 'hasty.test') == 20 } 'the 8 to arrive', 30;

# --- A server that takes few connections at once: the others are turned away, and nobody's mail waits
send_many(60, 'narrow.test');
wait_for { came($narrow, 'narrow.test') == 60 } 'the 60 to arrive', 30;
cmp_ok $narrow->turned_away, '>', 0, 'a server turns connections away';
is +(() = $d->log_text =~ /event=deferred.*narrow\.test/g), 0, 'which delays no mail while others work';

# --- 8-bit, and long lines
my $c = $d->client;
like $c->mail('bob@example.org', 'x@plain.test', "Subject: umlaut\n\n\xc3\xa4\n"), qr/^250 /, '8-bit mail';
my ($bounce) = $d->await_mails('bob', 1);
like $bounce, qr/^Status: 5\.6\.3\r?$/m, 'comes back where the server takes none (8BITMIME)';
my $long = 'y' x 3000;
like $c->mail('bob@example.org', 'x@few.test', "Subject: few.test long\n\n$long\n"), qr/^250 /, 'a line of 3000 bytes';
wait_for { (came($sink, 'few.test')) == 41 } 'it';
my ($mail) = grep { $_->{mail} =~ /^Subject: few.test long/m } $sink->mails;
is scalar(grep { length > 998 } split /\r\n/, $mail->{mail}), 0, 'is sent in lines of 998 at most';
(my $joined = $mail->{mail}) =~ s/\r\n (?=y)//g;
like $joined, qr/^y{3000}\r$/m, 'with nothing lost';
$d->stop;
$_->remove for $sink, $busy, $plain, $narrow, $hasty;
done_testing;
