# limit smtp: sessions and connections of an address and a network, errors, messages and recipients of a
# session, time; early talkers.  127.0.0.1 itself is trusted, other addresses of 127.0.0.0/8 are not.
use strict;
use warnings;
use FindBin;
use IO::Socket::INET;
use Test::More;
use Time::HiRes qw(time sleep);
use Tabmail;
require "$FindBin::Bin/2-talk.pl";

sub daemon { return talk_daemon(config => $_[0]) }
# A connection from an address; its greeting.
my @open;
sub from {
	my ($d, $address, $keep) = @_;
	my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $d->port, LocalAddr => $address, Timeout => 20)
	    or die "connect from $address: $!";
	my $c = bless { s => $s, in => '', secs => 30 }, 'Tabmail::Client';
	$s->blocking(0);
	push @open, $c if $keep;
	return ($c->reply, $c);
}

{
	my $d = daemon("limit smtp sessions-per-address 3 sessions-per-network 5 rate-per-address 0\n");
	is +(from($d, '127.0.0.9', 1))[0] =~ /^220/, 1, "session $_ of an address" for 1 .. 3;
	like +(from($d, '127.0.0.9'))[0], qr/^421 4\.7\.0 too many sessions from your address/, 'the fourth is turned away';
	is +(from($d, "127.0.0.1$_", 1))[0] =~ /^220/, 1, 'others of its network' for 1 .. 2;
	like +(from($d, '127.0.0.13'))[0], qr/^421 4\.7\.0 too many sessions from your network/, 'until it has too many';
	like +(from($d, '127.0.1.9'))[0], qr/^220/, 'another network is served';
	like $d->client->greeting, qr/^220/, 'and 127.0.0.1, though of the network';
	(shift @open)->close;
	wait_for { (from($d, '127.0.0.14'))[0] =~ /^220/ } 'a place to be free again';
	pass 'a place is free when one leaves';
	like $d->log_text, qr/smtp event=turned-away address=127\.0\.0\.9 reply="421 4\.7\.0 /, 'it is logged';
	@open = ();
	$d->stop;
}
{
	my $d = daemon("limit smtp rate-per-address 2, errors 4, recipients 3, recipients-per-session 5, messages 2\n" =~ s/,//gr);
	my %n;
	for (1 .. 12) {
		my ($greeting) = from($d, '127.0.0.9');
		$n{ substr $greeting, 0, 3 }++;
	}
	cmp_ok $n{421} || 0, '>=', 4, 'too many connections a second: 421';
	cmp_ok $n{220} || 0, '>=', 4, 'as many as may be are served';
	like +(from($d, '127.0.0.10'))[0], qr/^220/, 'another address is served';
	my $c = $d->client;
	talk('errors', $c, 'FOO' => 500, 'BAR' => 500, 'NOOP' => 250, ('FOO' => 500) x 4);
	like $c->reply, qr/^421 4\.7\.0 /, 'as many errors in a row as may be: 421';
	for my $case ([ 'NOOP' ], [ 'RSET' ], [ 'EHLO x' ], [ 'VRFY x', 'HELP' ], [ 'FOO', 'NOOP' ], [ 'MAIL FROM:<a@example.net>', 'RSET' ],
		[ 'MAIL FROM:<a@example.net>', 'RCPT TO:<bob@example.org>', 'RSET' ]) {
		$c = $d->client;
		$c->ehlo;
		my $n = 0;
		until ($c->cmd($case->[$n++ % @$case]) =~ /^(421|closed)/ or $n > 200) { }
		cmp_ok $n, '<', 200, "a session of @$case and no mail ends";
	}
	$c = $d->client;
	talk('recipients', $c, 'EHLO x' => 250, 'MAIL FROM:<a@example.net>' => 250, ('RCPT TO:<bob@example.org>' => 250) x 3,
		'RCPT TO:<bob@example.org>' => '452 4.5.3', 'RSET' => 250, 'MAIL FROM:<a@example.net>' => 250,
		'RCPT TO:<bob@example.org>' => 250, 'RCPT TO:<bob@example.org>' => '452 4.5.3 too many recipients in this session');
	$c = $d->client;
	like $c->mail('a@example.net', ['bob@example.org'], "Subject: $_\n\nx\n"), qr/^250/, "message $_" for 1 .. 2;
	talk('messages', $c, 'MAIL FROM:<a@example.net>' => '421 4.7.0');
	ok $c->at_end, 'and the session ends';
	$d->stop;
}
{
	my $d = daemon("limit smtp greet-delay 1s timeout 2s data-rate 1000000\n");
	my $began = time;
	my ($greeting, $c) = from($d, '127.0.0.9');
	like $greeting, qr/^220/, 'who waits for the greeting gets it';
	cmp_ok time - $began, '>', 0.9, 'a little later';
	my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $d->port, LocalAddr => '127.0.0.9');
	print $s "EHLO early\r\n";
	like scalar(<$s>), qr/^554 5\.5\.1 /, 'who speaks before it is refused';
	is scalar(<$s>), undef, 'and that is all';
	like $d->client->greeting, qr/^220/, '127.0.0.1 need not wait';
	$c = $d->client;
	like $c->reply, qr/^421 4\.4\.2 /, 'silence: 421';
	$c = $d->client;
	talk('slow', $c, 'EHLO x' => 250, 'MAIL FROM:<a@example.net>' => 250, 'RCPT TO:<bob@example.org>' => 250, 'DATA' => 354);
	my $reply = '';
	for (1 .. 60) {	# a KiB and a little each time: no silence, and too slow all the same
		$c->send(join '', ('x' x 70 . "\r\n") x 16);
		IO::Select->new($c->socket)->can_read(0.25) or next;
		$reply = $c->reply;
		last;
	}
	like $reply, qr/^421 4\.4\.2 \S+ the message comes too slowly/, 'data that trickles: 421';
	for my $len (0, 1) {	# a chunk now and then keeps no session open for ever
		$c = $d->client;
		talk('chunks', $c, 'EHLO x' => 250, 'MAIL FROM:<a@example.net>' => 250, 'RCPT TO:<bob@example.org>' => 250);
		for (1 .. 50) {
			$c->send("BDAT $len\r\n" . 'x' x $len);
			$reply = $c->reply;
			last if $reply !~ /^250/;
			select undef, undef, undef, 0.2;
		}
		like $reply, qr/^421 4\.4\.2 \S+ the message comes too slowly/, "chunks of $len now and then: 421";
	}
	# What is eaten has to come as fast as what is kept.
	for my $case ([ 1152, 'the message comes too slowly' ], [ 1, 'too long without a command' ]) {
		my ($len, $why) = @$case;
		$c = $d->client;
		talk('eaten', $c, 'EHLO x' => 250);
		$c->send("BDAT 60000\r\n");
		$reply = '';
		for (1 .. 50) {
			$c->send('x' x $len);
			IO::Select->new($c->socket)->can_read(0.25) or next;
			$reply = $c->reply;
			last;
		}
		like $reply, qr/^421 4\.4\.2 .*\Q$why\E/, "a refused chunk that trickles, $len at a time: 421";
	}
	$d->stop;
}
# Places are for those who bring mail: who has begun one, and keeps silent or busy without bringing it, makes room.
{
	my $d = daemon("limit smtp sessions 6 timeout 2s data-rate 1 errors 1000\n");
	my @holders = map { (from($d, "127.0.$_.9"))[1] } 1 .. 6;
	for my $c (@holders) {
		talk('holder', $c, 'EHLO x' => 250, 'MAIL FROM:<a@example.net>' => 250, 'RCPT TO:<bob@example.org>' => 250);
	}
	like +(from($d, '127.0.7.9'))[0], qr/^421 4\.3\.2 too many sessions/, 'all places are taken by those who have a recipient';
	my $served = 0;
	for (1 .. 40) {
		$_->cmd('NOOP') for @holders;
		$served = 1, last if (from($d, '127.0.7.9'))[0] =~ /^220/;
		select undef, undef, undef, 0.2;
	}
	ok $served, 'one of them that brings nothing more makes room';
	my @gone = grep { $_->cmd('NOOP') =~ /^(?:421|closed)/ } @holders;
	cmp_ok @gone, '>=', 1, 'it was told, or is closed';
	$d->stop;
}
# What sessions hold is looked at while they take it, though nothing comes or goes.
SKIP: {
	skip "a sanitizer's allocator does not tell what is in use", 1 if ($ENV{BUILD} || '') =~ m{/san$};
	my $d = daemon("limit smtp memory 16M\n");
	my @c = map { my $c = $d->client; talk('holder', $c, 'EHLO x' => 250, 'MAIL FROM:<a@example.net>' => 250); $c } 1 .. 40;
	my $line = 'RCPT TO:<bob+' . 'x' x 40 . '@example.org> ORCPT=rfc822;' . 'y' x 400 . "\r\n";
	sleep 2.5;	# their coming has been looked at
	my $reply = '';
	for my $c (@c) {
		$c->send($line x 100), map { $c->reply } 1 .. 100 for 1 .. 8;
	}
	wait_for { ($reply = $c[0]->cmd('RCPT TO:<bob@example.org>')) !~ /^250/ } 'a recipient to be refused', 10;
	like $reply, qr/^452 4\.3\.1 too much memory/, 'recipients up to the limit of memory: 452';
	@c = ();
	wait_for { $d->client->greeting =~ /^220/ } 'memory to be free again', 10;
	pass 'and when they have gone there is room again';
	$d->stop;
}
# Who fills memory with a message that does not come has to let go of it.
SKIP: {
	skip "a sanitizer's allocator does not tell what is in use", 1 if ($ENV{BUILD} || '') =~ m{/san$};
	my $d = daemon("limit smtp memory 16M timeout 2s errors 1000\n");
	my $line = 'RCPT TO:<bob+' . 'x' x 40 . '@example.org> ORCPT=rfc822;' . 'y' x 400 . "\r\n";
	my @c;
	my $turned_away = sub { (from($d, '127.0.99.9'))[0] =~ /^421 4\.3\.2 too much memory/ };
	for my $i (1 .. 60) {
		my (undef, $c) = from($d, "127.0.$i.9");
		push @c, $c;
		$c->send("EHLO x\r\nMAIL FROM:<a\@example.net>\r\n" . $line x 900);
	}
	wait_for { $_->send("NOOP\r\n") for @c; $turned_away->() } 'memory to be full', 20;
	wait_for { $_->send("NOOP\r\n") for @c; !$turned_away->() } 'them to be sent away', 20;
	like $d->log_text, qr/event=disconnected address=127\.0\.\d+\.9 reason=memory/, 'they are sent away, however busy';
	$d->stop;
}
done_testing;
