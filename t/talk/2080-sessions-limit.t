# More sessions than the limit are told so at once, and have a place when another has left.
use strict;
use warnings;
use FindBin;
use Tabmail;
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
done_testing;
