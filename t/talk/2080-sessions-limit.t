# More sessions than the limit are told so at once, and have a place when another has left.
use strict;
use warnings;
use FindBin;
use Tabmail;
use IO::Socket::INET;
use Test::More;
require "$FindBin::Bin/2-talk.pl";

my $d = talk_daemon(config => "limit sessions 3\n");
my @c;
wait_for {	# the sessions of the harness itself have gone
	@c = map { $d->client } 1 .. 3;
	!grep { $_->greeting !~ /^220/ } @c;
} 'three sessions';
for (1 .. 3) {
	my $c = $d->client;
	like $c->greeting, qr/^421 4\.3\.2 /, 'the fourth is told to come again';
	ok $c->at_end, 'and let go';
}
like $_->cmd('NOOP'), qr/^250/, 'those within it go on' for @c;
(pop @c)->quit;
my $late = wait_for { my $c = $d->client; $c->greeting =~ /^220/ ? $c : undef } 'a place';
like $late->mail('a@example.net', 'bob@example.org', "Subject: late\n\nx\n"), qr/^250/, 'a place has become free';
$d->await_mails('bob', 1);

# Row 5: clients that reset their connection in every phase, many at a time.
for my $round (1 .. 30) {
	for my $phase (qw(start ready mail rcpt)) {
		my $c = $d->client;
		next if $c->greeting !~ /^220/;
		$c->send("EHLO x\r\nMAIL FROM:<a\@example.net>\r\nRCPT TO:<bob\@example.org>\r\nDATA\r\nx\r\n");
		setsockopt $c->socket, Socket::SOL_SOCKET(), Socket::SO_LINGER(), pack 'ii', 1, 0;
		$c->close;
	}
}
my ($smtp) = $d->pids('smtp');
like $late->cmd('NOOP'), qr/^250/, 'others notice nothing';
is_deeply [ $d->pids('smtp') ], [$smtp], 'and the process is the same';
$d->stop;

# A MAIL alone is no work: who has brought no recipient makes room for others, the oldest first.
$d = talk_daemon(config => "limit sessions 3\nlimit smtp rate-per-address 0\n");
sub other {	# 127.0.0.1 is exempt
	my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $d->port, LocalAddr => '127.0.0.9', Timeout => 20) or die "connect: $!";
	my $c = bless { s => $s, in => '', secs => 30 }, 'Tabmail::Client';
	$s->blocking(0);
	$c->{greeting} = $c->reply;
	return $c;
}
my %rcpt = (none => [], refused => [ 'RCPT TO:<nobody@example.org>' => 550 ], taken => [ 'RCPT TO:<bob@example.org>' => 250 ]);
wait_for {
	@c = map { other() } 1 .. 3;
	!grep { $_->greeting !~ /^220/ } @c;
} 'three sessions';
my %c = map { $_ => shift @c } qw(none taken refused);
talk($_, $c{$_}, 'EHLO x' => 250, 'MAIL FROM:<a@example.net>' => 250, @{ $rcpt{$_} }) for sort keys %c;
for my $which (qw(none refused)) {
	my $new = wait_for { my $c = other(); $c->greeting =~ /^220/ ? $c : undef } 'a place';
	push @c, $new;
	like $c{$which}->reply, qr/^421 4\.3\.2 too many sessions, and yours is idle/, "MAIL, recipient $which: it makes room";
}
like $c{taken}->cmd('NOOP'), qr/^250/, 'who has a recipient stays';
$d->stop;
done_testing;
