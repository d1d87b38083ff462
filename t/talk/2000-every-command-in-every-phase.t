# Every command in every phase gets its own code, and leaves the phase that the RFC says.
use strict;
use warnings;
use FindBin;
use Test::More;
require "$FindBin::Bin/2-talk.pl";

my $d = talk_daemon();
my @phases = qw(start ready mail rcpt);
my @table = (	# command, code in each phase
	[ 'HELO client.example.net', 250, 250, 250, 250 ],
	[ 'HELO', 501, 501, 501, 501 ],
	[ 'HELO two words', 501, 501, 501, 501 ],
	[ 'EHLO client.example.net', 250, 250, 250, 250 ],
	[ 'EHLO [127.0.0.1]', 250, 250, 250, 250 ],
	[ 'EHLO', 501, 501, 501, 501 ],
	[ 'EHLO <x>', 501, 501, 501, 501 ],
	[ 'MAIL FROM:<b@example.net>', 503, 250, 503, 503 ],
	[ 'mail from:<b@example.net>', 503, 250, 503, 503 ],
	[ 'MAIL', 503, 501, 503, 503 ],
	[ 'MAIL b@example.net', 503, 501, 503, 503 ],
	[ 'RCPT TO:<bob@example.org>', 503, 503, 250, 250 ],
	[ 'RCPT TO:<Bob@Example.Org>', 503, 503, 250, 250 ],
	[ 'RCPT TO:<nobody@example.org>', 503, 503, 550, 550 ],
	[ 'RCPT TO:<bob@elsewhere.test>', 503, 503, 550, 550 ],
	[ 'RCPT', 503, 503, 501, 501 ],
	[ 'RCPT TO:', 503, 503, 501, 501 ],
	[ 'DATA', 503, 503, 503, 354 ],
	[ 'DATA now', 503, 503, 503, 501 ],
	[ 'RSET', 250, 250, 250, 250 ],
	[ 'RSET now', 501, 501, 501, 501 ],
	[ 'NOOP', 250, 250, 250, 250 ],
	[ 'noop with words', 250, 250, 250, 250 ],
	[ 'VRFY bob', 252, 252, 252, 252 ],
	[ 'VRFY', 501, 501, 501, 501 ],
	[ 'HELP', 214, 214, 214, 214 ],
	[ 'HELP MAIL', 214, 214, 214, 214 ],
	[ 'QUIT', 221, 221, 221, 221 ],
	[ 'QUIT now', 501, 501, 501, 501 ],
	[ 'STARTTLS', 502, 502, 502, 502 ],
	[ 'AUTH PLAIN AGJvYgBzZWNyZXQ=', 502, 502, 502, 502 ],
	[ "BDAT 2 LAST\r\n", 503, 503, 503, 250 ],	# its octets: the CR LF that ends each line
	[ 'BDAT', 501, 501, 501, 501 ],
	[ 'EXPN staff', 502, 502, 502, 502 ],
	[ 'ETRN example.org', 502, 502, 502, 502 ],
	[ 'FOO', 500, 500, 500, 500 ],
	[ 'FETCH / HTTP/1.1', 500, 500, 500, 500 ],
	[ '', 500, 500, 500, 500 ],
	[ ' ', 500, 500, 500, 500 ],
);

for my $row (@table) {
	my ($line, @codes) = @$row;
	for my $i (0 .. $#phases) {
		my $c = talk_at(sub { $d->client }, $phases[$i]);
		my $reply = $c->cmd($line);
		like $reply, qr/^$codes[$i](?: |-)/, "$phases[$i]: '$line'";
		my $class = substr $codes[$i], 0, 1;
		my $without = $codes[$i] == 354 || $line =~ /^(HELO|EHLO)/ && $class == 2;	# RFC 2034 4
		like $reply, qr/^\d{3}(?: |-)$class\.\d\.\d+ /, '… has an enhanced code' unless $without;
		if ($line =~ /^(QUIT|BDAT)$/) {
			ok $c->at_end, '… and the session is over';
			next;
		}
		next if $codes[$i] == 354;
		# Refused commands change nothing; a greeting and RSET end what was open.
		my $open = $line =~ /^RSET$/ || $line =~ /LAST/ && $codes[$i] == 250 || $line =~ /^(HELO|EHLO)/ && $codes[$i] == 250 ? 0
		    : $line =~ /^MAIL/i && $codes[$i] == 250 ? 1 : $phases[$i] =~ /mail|rcpt/ ? 1 : 0;
		my $code = substr $c->cmd('RCPT TO:<bob@example.org>'), 0, 3;
		is $code, $open ? 250 : 503, '… and a transaction is ' . ($open ? 'open' : 'not open');
		$c->close;
	}
}

my $c = $d->client;
like $c->greeting, qr/^220 mail\.example\.org ESMTP/, 'the greeting';
my $ehlo = $c->ehlo;
for my $extension ('PIPELINING', '8BITMIME', 'SIZE 65536', 'ENHANCEDSTATUSCODES', 'DSN', 'CHUNKING') {
	like $ehlo, qr/^250[ -]\Q$extension\E$/m, "EHLO offers $extension";
}
unlike $ehlo, qr/STARTTLS|AUTH/, 'and nothing that is not there';
unlike $d->client(3)->ehlo, qr/DSN/, 'no DSN where the listener says so';
like $c->cmd('HELO client.example.net'), qr/^250 \S+$/, 'HELO has one line';
like $d->client->cmd("AUTH PLAIN AGJvYgBDQU5BUlk="), qr/^502/, 'a password is sent to who did not ask';
$d->client->cmd('Q0FOQVJZ');
unlike $d->log_text, qr/AGJvYgBDQU5BUlk|Q0FOQVJZ/, 'and is not in the log';
$d->stop;
done_testing;
