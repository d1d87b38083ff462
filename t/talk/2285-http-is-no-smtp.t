# A web page, or whoever has a program on this machine make a request, can have it sent to port 25, where it comes from a trusted
# address: the request's first line ends the session, and what stands in its body is never a command.
use strict;
use warnings;
use FindBin;
use Test::More;
use Tabmail;
require "$FindBin::Bin/2-talk.pl";

my $d = talk_daemon();
my $body = join '', map { "$_\r\n" } '', 'EHLO x', 'MAIL FROM:<evil@example.net>', 'RCPT TO:<bob@example.org>', 'DATA', 'Subject: evil', '', 'x', '.', 'QUIT';
my $head = "Host: 127.0.0.1:25\r\nContent-Type: text/plain\r\nContent-Length: " . length($body) . "\r\n";
for my $listener (talk_listeners($d)) {
	my ($name, $connect) = @$listener;
	for my $method (qw(GET HEAD POST PUT CONNECT OPTIONS post)) {
		for my $bytewise (0, 1) {
			my $c = $connect->();
			my $bytes = "$method / HTTP/1.1\r\n$head\r\n$body";
			$bytewise ? talk_bytewise($c, $bytes) : $c->send($bytes);
			is join('|', map { substr $_, 0, 9 } talk_rest($c)), '554 5.5.1', "$name: $method" . ($bytewise ? ', byte by byte' : '') . ': refused, and the end';
		}
	}
}
if (system('curl --version >/dev/null 2>&1') == 0) {
	my ($status) = run([ secs => 60 ], 'curl', '-sS', '-m', 20, '--data-binary', $body, 'http://127.0.0.1:' . $d->port . '/');
	cmp_ok $status, '!=', 0, 'curl gets no answer';
}
like $d->client->mail('a@example.net', 'bob@example.org', "Subject: good\n\nx\n"), qr/^250/, 'others are served';
my @mails = $d->await_mails('bob', 1);
is scalar(@mails), 1, 'one mail came';
like $mails[0], qr/^Subject: good/m, 'the good one';
$d->stop;
done_testing;
