# Whole dialogues in one segment, and byte by byte: the same replies, in the order of the commands.
use strict;
use warnings;
use FindBin;
use Test::More;
require "$FindBin::Bin/2-talk.pl";

my $d = talk_daemon(config => "limit smtp errors 1000\n");
my $one = join '', map { "$_\r\n" } 'EHLO client.example.net', 'MAIL FROM:<a@example.net>',
    'RCPT TO:<bob@example.org>', 'RCPT TO:<nobody@example.org>', 'RCPT TO:<bad', 'RCPT TO:<x@example.com>',
    'DATA';
my $two = join '', map { "$_\r\n" } 'Subject: pipelined', '', 'hello', '.', 'NOOP', 'MAIL FROM:<>',
    'RCPT TO:<nobody@example.org>', 'DATA', 'RSET', 'MAIL FROM:<>', 'RCPT TO:<bob@example.org>', 'RSET', 'FOO',
    'VRFY x', 'QUIT';
my @want = (qw(220 250 250 250 550 501 250 354 250 250 250 550 503 250 250 250 250 500 252 221));
my %send = (
	'in one segment' => sub { $_[0]->send($_[1]) },
	'byte by byte' => \&talk_bytewise,
	'in threes' => sub { my ($c, $b) = @_; $c->send(substr $b, 0, 3, '') while length $b },
);
for my $listener (talk_listeners($d)) {
	my ($name, $connect) = @$listener;
	for my $how (sort keys %send) {
		my $c = $connect->();
		$send{$how}->($c, $one . $two);
		my @got = map { substr $_, 0, 3 } $c->greeting, talk_rest($c);
		is "@got", "@want", "$name: a whole dialogue $how";
	}
}

# RCPTs run ahead of each other, never out of order.
my $c = talk_at(sub { $d->client }, 'ready');
my @rcpts = map { $_ % 3 == 0 ? "nobody$_\@example.org" : $_ % 3 == 1 ? "x$_\@example.com" : 'bad' } 1 .. 300;
$c->send(join '', "MAIL FROM:<a\@example.net>\r\n", (map { "RCPT TO:<$_>\r\n" } @rcpts), "NOOP\r\n", "QUIT\r\n");
my @codes = map { substr $_, 0, 3 } talk_rest($c);
# Malformed ones are bad commands, but never 20 in a row.
is "@codes", join(' ', 250, (map { /nobody/ ? 550 : /bad/ ? 501 : 250 } @rcpts), 250, 221),
    '300 recipients in one segment';

$c = talk_at(sub { $d->client }, 'ready');
$c->send("NOOP\r\n" x 2000 . "QUIT\r\n");
my @noops = talk_rest($c);
is scalar(grep { /^250/ } @noops), 2000, '2000 NOOPs in one go';
like $noops[-1], qr/^221/, 'and the QUIT';
my @mails = $d->await_mails('bob', 12);
is scalar(@mails), 12, 'one message for each dialogue';
$d->stop;
done_testing;
