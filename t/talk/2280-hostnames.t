# listen on … hostnames <table>: what this host calls itself at the address that was connected to; a slow and a dead helper.
use strict;
use warnings;
use FindBin;
use Tabmail::Certs;
use Test::More;
use Time::HiRes qw(sleep);
BEGIN { require "$FindBin::Bin/2-talk.pl" }

my $d = Tabmail::new('Tabmail', users => ['bob'], files => { 'table-names' => <<'H' }, config => <<'C');
#!/usr/bin/perl
# Answers after the seconds that stand in a file; dies of "die".
use strict;
use warnings;
$| = 1;
while (<STDIN>) {
	print "register|addrname\nregister|ready\n" if /^config\|ready/;
	next unless /\|lookup\|addrname\|(\w+)\|(.*)$/;
	my ($id, $key) = ($1, $2);
	open my $f, '<', "$ARGV[0]/how" or die;
	my $how = <$f>;
	exit 1 if $how =~ /die/;
	select undef, undef, undef, $how;
	print "lookup-result|$id|", $key eq '127.0.0.1' ? 'found|slow.example.org' : 'not-found', "\n";
}
H
table users file:$D/users
table ours { 127.0.0.2 = two.example.org, 127.0.0.3 = three.example.org }
table slow command "$D/table-names $D" timeout 3s
pki mail.example.org certificate "$D/mail.example.org.crt" key "$D/mail.example.org.key"
listen on 127.0.0.1 port $PORT hostnames <ours> hostname one.example.org
listen on 127.0.0.2 port $PORT2 hostnames <ours> hostname one.example.org
listen on 127.0.0.3 port $PORT3 smtps hostnames <ours>
listen on 127.0.0.1 port $PORT4 hostnames <slow>
accept from any for domain example.org userbase <users> deliver to maildir
C
$d->file('how', "0\n");
my $ca = Tabmail::Certs->new($d->dir);
$ca->issue('mail.example.org');
$d->start;

like $d->client->greeting, qr/^220 one\.example\.org /, 'an address that the table does not know: the name of the listener';
my $c = Tabmail::Client->new(host => '127.0.0.2', port => $d->port(2));
like $c->greeting, qr/^220 two\.example\.org ESMTP$/, 'the greeting has the name of the address';
like $c->ehlo, qr/^250-two\.example\.org$/m, 'so has EHLO';
like $c->mail('a@example.net', 'bob@example.org', mail_text('two')), qr/^250/, 'a mail';
like +($d->await_mails('bob', 1))[0], qr/^\tby two\.example\.org \(tabmail\)/m, 'and Received';
like $c->cmd('QUIT'), qr/^221 2\.0\.0 two\.example\.org/, 'and the end';
like +Tabmail::Client->new(host => '127.0.0.3', port => $d->port(3), tls => {})->greeting, qr/^220 three\.example\.org /, 'smtps';

like $d->client(4)->greeting, qr/^220 slow\.example\.org /, 'a helper';
$d->file('how', "1\n");
my ($smtp) = $d->pids('smtp');
$c = Tabmail::Client->new(port => $d->port(4), quiet => 1);
$c->send("EHLO x\r\nNOOP\r\n");
my @gone = map { Tabmail::Client->new(port => $d->port(4), quiet => 1) } 1 .. 3;
for my $g (@gone) {
	setsockopt $g->socket, Socket::SOL_SOCKET(), Socket::SO_LINGER(), pack 'ii', 1, 0;
	$g->close;
}
like $d->client->greeting, qr/^220 /, 'a slow one holds up no other listener';
is $c->reply, '220 slow.example.org ESMTP', 'it is waited for';
like $c->reply, qr/^250-slow/, 'what was sent meanwhile is there';
like $c->reply, qr/^250 2/, 'in order';
wait_for { my $n = () = $d->log_text =~ /event=disconnected/g; my $m = () = $d->log_text =~ /event=connected/g; $m - $n <= 2 } 'those who left to be gone';
$d->file('how', "die\n");
like +Tabmail::Client->new(port => $d->port(4), secs => 30)->greeting, qr/^421 4\.3\.0 our own name cannot be found now/, 'a dead one: try later';
is_deeply [ $d->pids('smtp') ], [$smtp], 'the process is the same';
$d->stop;
done_testing;
