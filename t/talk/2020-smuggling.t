# Security row 10: nothing but CRLF.CRLF ends a message.  Every fake end, followed by a second mail, is
# one message and refused, on every listener, whole and byte by byte.
use strict;
use warnings;
use FindBin;
use Test::More;
require "$FindBin::Bin/2-talk.pl";

my $d = talk_daemon();
my @fakes = ("\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\r\r\n.\r\r\n", "\r\n.\r\r\n",
	"\n.\r", "\r.\n", "\r\n\0.\r\n", "\r\n.\0\r\n", "\r\n.\r\0\n", "\n\n.\n\n", "\r\n..\n.\r\n.\n", "\r\r.\r\r");
my $second = join '', map { "$_\r\n" } 'MAIL FROM:<evil@example.net>', 'RCPT TO:<bob@example.org>', 'DATA',
    'Subject: smuggled', '', 'smuggled';

for my $listener (talk_listeners($d), [ 'reentry', sub { $d->client(4) } ]) {
	my ($name, $connect) = @$listener;
	for my $bytewise (0, 1) {
		for my $fake (@fakes) {
			my $c = talk_at($connect, 'rcpt');
			like $c->cmd('DATA'), qr/^354/, "$name: DATA";
			my $bytes = "Subject: first\r\n\r\nfirst" . $fake . $second . ".\r\nQUIT\r\n";
			$bytewise ? talk_bytewise($c, $bytes) : $c->send($bytes);
			my @got = map { substr $_, 0, 9 } talk_rest($c);
			(my $shown = $fake) =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ge;
			is "@got", '550 5.6.0 221 2.0.0',
			    "$name: '$shown' " . ($bytewise ? 'byte by byte' : 'whole') . ': one message, refused';
		}
	}
}

# What is well-formed goes through, and a message after a refused one too.
my $c = talk_at(sub { $d->client }, 'rcpt');
$c->cmd('DATA');
$c->send("x\ny\r\n.\r\n");
like $c->reply, qr/^550 5\.6\.0 /, 'a bare LF';
is $c->mail('a@example.net', 'bob@example.org', "Subject: good\n\n.\n..\ngood.\n") =~ /^250/, 1, 'then a good one';
my @mails = $d->await_mails('bob', 1);
is scalar(@mails), 1, 'one message has come';
like $mails[0], qr/\n\nReceived|Subject: good\n\n\.\n\.\.\ngood\.\n\z/, 'the good one, its dots as they were';
unlike join('', @mails), qr/smuggled|first/, 'and nothing else';
unlike $mails[0], qr/\r/, 'stored without CR';
$d->stop;
done_testing;
