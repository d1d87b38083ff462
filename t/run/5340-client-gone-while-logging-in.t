# Security row 5 for logins and senders: the helper answers late, and the client has gone; the process is
# the same afterwards.
use strict;
use warnings;
use MIME::Base64 ();
use Socket qw(SOL_SOCKET SO_LINGER);
use Tabmail;
use Test::More;

my $late = <<'H';
#!/usr/bin/perl
use strict;
use warnings;
$| = 1;
while (<STDIN>) {
	chomp;
	if ($_ eq 'config|ready') { print "register|auth\nregister|mailaddrmap\nregister|ready\n"; next }
	my ($kind, undef, undef, undef, $op, undef, $id, $key) = split /\|/, $_, 8;
	next unless $kind eq 'table';
	select undef, undef, undef, 0.5 if $key =~ /slow/;
	print("$op-result|$id|not-found\n"), next if $key =~ /:falsch/;
	print "$op-result|$id|found", $op eq 'lookup' ? '|@example.org' : '', "\n";
}
H
my $d = Tabmail->start(users => ['bob'], files => { late => $late }, config => <<'C');
table users file:$D/users
table late command "$D/late"
listen on 127.0.0.1 port $PORT auth <late> senders <late>
accept from any for domain example.org userbase <users> deliver to maildir
C
my ($pid) = $d->pids('smtp');
my $plain = sub { 'AUTH PLAIN ' . MIME::Base64::encode_base64("\0$_[0]\0x", '') };
for my $how ('reset', 'closed', 'half-closed') {
	for my $step ('auth', 'sender') {
		my $c = $d->client;
		$c->ehlo;
		if ($step eq 'sender') {
			like $c->cmd($plain->('slowly')), qr/^235/, 'logs in' ;
			$c->send("MAIL FROM:<a\@example.org>\r\n");
		} else {
			$c->send($plain->('slow') . "\r\n");
		}
		setsockopt $c->socket, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0) if $how eq 'reset';
		if ($how eq 'half-closed') {
			shutdown $c->socket, 1;
			like $c->reply, $step eq 'auth' ? qr/^235/ : qr/^250/, "$how in $step: the reply comes all the same";
		}
		$c->close;
	}
}
my $c = $d->client;
$c->ehlo;
like $c->cmd($plain->('slow')), qr/^235/, 'when all late answers are there, others are served';
is +($d->pids('smtp'))[0], $pid, 'by the same process';

# A 535 comes late; who does not wait for it is found in the log all the same.
for my $i (1 .. 8) {
	my $c = Tabmail::Client->new(port => $d->port);
	$c->ehlo;
	$c->send('AUTH PLAIN ' . MIME::Base64::encode_base64("\0guessed$i\0falsch", '') . "\r\n");
	wait_for { (map { $_->{missing} } grep { $_->{table} eq 'late' } $d->ctl_rows('show', 'tables'))[0] == $i } 'the answer of the helper';
	setsockopt $c->socket, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0) if $i % 2;
	$c->close;
}
my @logged = wait_for {
	my @all = $d->log_text =~ /: [0-9a-f]{16} smtp event=failed-command address=127\.0\.0\.1 host=unknown command="AUTH PLAIN \(user="guessed(\d)"\)" result="535 Authentication failed"$/mg;
	@all >= 8 && \@all;
} 'their lines in the log';
is join(' ', sort @{ $logged[0] }), join(' ', 1 .. 8), 'guesses of those who left before the answer are logged, each once';
$d->stop;
done_testing;
