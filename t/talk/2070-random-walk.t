# Security row 12: a random walk of commands against a model of the states.  Refused DATA, refused
# recipients, RSET, new greetings: what follows them is what the model says.
use strict;
use warnings;
use FindBin;
use Test::More;
require "$FindBin::Bin/2-talk.pl";

my $d = talk_daemon();
my $seed = $ENV{SEED} || 20261123;
srand $seed;
my $stored = 0;
my @commands = (
	[ 'EHLO client.example.net', sub { (250, 'ready') } ],
	[ 'HELO client.example.net', sub { (250, 'ready') } ],
	[ 'EHLO <bad>', sub { (501, $_[0]) } ],
	[ 'MAIL FROM:<a@example.net>', sub { $_[0] eq 'ready' ? (250, 'mail') : (503, $_[0]) } ],
	[ 'MAIL FROM:<a@example.net> FOO', sub { $_[0] eq 'ready' ? (555, 'ready') : (503, $_[0]) } ],
	[ 'MAIL FROM:<a@example.net> SIZE=999999999', sub { $_[0] eq 'ready' ? (552, 'ready') : (503, $_[0]) } ],
	[ 'RCPT TO:<bob@example.org>', sub { $_[0] =~ /mail|rcpt/ ? (250, 'rcpt') : (503, $_[0]) } ],
	[ 'RCPT TO:<nobody@example.org>', sub { $_[0] =~ /mail|rcpt/ ? (550, $_[0]) : (503, $_[0]) } ],
	[ 'RCPT TO:<bob@example.org> NOTIFY=X', sub { $_[0] =~ /mail|rcpt/ ? (501, $_[0]) : (503, $_[0]) } ],
	[ 'DATA', sub { $_[0] eq 'rcpt' ? (354, 'data') : (503, $_[0]) } ],
	[ 'RSET', sub { (250, $_[0] eq 'start' ? 'start' : 'ready') } ],
	# a chunk of two octets is the line's own CR LF; what is refused is eaten
	[ "BDAT 2\r\n", sub { $_[0] =~ /rcpt|chunk/ ? (250, 'chunk') : $_[0] eq 'spoilt' ? (552, 'spoilt') : (503, $_[0]) } ],
	[ "BDAT 2 LAST\r\n", sub { $_[0] =~ /rcpt|chunk/ ? (250, 'ready') : $_[0] eq 'spoilt' ? (552, 'ready') : (503, $_[0]) } ],
	[ "BDAT 70002\r\n" . 'NOOP' x 17500, sub { (552, $_[0] =~ /rcpt|chunk/ ? 'spoilt' : 'gone') } ],
	[ "BDAT 12 LAST\r\nQUIT\r\nQUIT", sub { $_[0] =~ /rcpt|chunk/ ? (250, 'ready') : $_[0] eq 'spoilt' ? (552, 'ready') : (503, $_[0]) } ],
	[ 'VRFY bob', sub { (252, $_[0]) } ],
	[ 'NOOP', sub { (250, $_[0]) } ],
	[ 'AUTH PLAIN', sub { (502, $_[0]) } ],
	[ "NOOP\0", sub { (500, $_[0]) } ],
	[ 'x' x 3000, sub { (500, $_[0]) } ],
);
my @data = (	# what may follow 354
	[ "Subject: walk\r\n\r\nx\r\n.", 250 ],
	[ '.', 250 ],
	[ "x\nMAIL FROM:<evil\@example.net>\r\n.", 550 ],
	[ "x\0\r\n.", 550 ],
	[ ('x' x 70 . "\r\n") x 1000 . '.', 552 ],
);
my ($c, $state, $bad) = ($d->client, 'start', 0);
my @wrong;
for my $step (1 .. 3000) {
	my ($line, $model) = @{ $commands[rand @commands] };
	my ($code, $next) = $model->($state);
	($line, $code) = @{ $data[rand @data] } if $state eq 'data';
	if ($state eq 'data') {
		$next = 'ready';
		$stored++ if $code == 250;
	}
	$stored++ if $line =~ /LAST/ && $code == 250;
	my $got = substr $c->cmd($line), 0, 3;
	push @wrong, "step $step, $state: " . substr($line, 0, 40) . ": $got, not $code" if $got ne $code;
	last if @wrong > 5;
	$bad = $code >= 400 ? $bad + 1 : $code == 252 ? $bad : 0;
	$state = $next;
	# longer than any message, and nothing takes it: the session ends, and what it sends is no command
	if ($state eq 'gone' || $bad >= 19 || rand() < 0.01) {	# well before the limit on refused commands
		$c->close if rand() < 0.5;
		($c, $state, $bad) = ($d->client, 'start', 0);
	}
}
is_deeply \@wrong, [], "3000 steps (SEED=$seed) answered as the model says";
is scalar(my @mails = $d->await_mails('bob', $stored, 60)), $stored, "$stored messages came, those that were answered 250";
unlike join('', @mails), qr/evil/, 'and none that was refused';
$d->stop;
done_testing;
