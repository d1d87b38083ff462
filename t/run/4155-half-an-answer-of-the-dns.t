# What of the DNS can be found out and what cannot, question by question: a host of which one family is known gets its mail; what
# cannot be known is never taken for "there is none", neither for a bounce nor for the next worse way.
use strict;
use warnings;
use IO::Socket::INET;
use POSIX ();
use Tabmail::Net;
use Tabmail;
use Tabmail::Dns;
use Tabmail::Sink;
use Test::More;

my %type = (A => 1, NS => 2, SOA => 6, MX => 15, AAAA => 28);
# name, type => records, or what is wrong: an rcode, 'junk'; a name that is not here does not exist
my %zone = (
	'half6.test MX' => ['10 half6mx.test'], 'half6mx.test A' => ['10.25.1.1'], 'half6mx.test AAAA' => 2,
	'half4.test MX' => ['10 half4mx.test'], 'half4mx.test A' => 2, 'half4mx.test AAAA' => ['fd25::6'],
	'none.test MX' => ['10 deaf.test'], 'deaf.test A' => 2, 'deaf.test AAAA' => [],
	'two.test MX' => [ '10 nosuch.test', '20 deaf.test' ],
	'other.test MX' => [ '10 deaf.test', '20 half6mx.test' ],
	'implicit.test MX' => [], 'implicit.test A' => 2, 'implicit.test AAAA' => [],
	'mx.test MX' => 2, 'mx.test A' => ['10.25.1.1'], 'mx.test AAAA' => [],
	'refused.test MX' => 5, 'refused.test A' => ['10.25.1.1'],
	'notimp.test MX' => 4, 'notimp.test A' => ['10.25.1.1'],
	'junk.test MX' => 'junk', 'junk.test A' => ['10.25.1.1'],
	'better.test MX' => [ '10 deaf.test', '20 mail.example.org' ],
	'worse.test MX' => [ '10 mail.example.org', '20 deaf.test' ], 'mail.example.org A' => [], 'mail.example.org AAAA' => [],
);

sub packed { return join('', map { pack 'C/a', $_ } split /\./, $_[0]) . "\0" }
sub reply {
	my ($query) = @_;
	my ($id, $at, @labels) = (substr($query, 0, 2), 12);
	while (my $n = ord substr $query, $at, 1) {
		push @labels, lc substr $query, $at + 1, $n;
		$at += 1 + $n;
	}
	my ($qtype) = unpack 'n', substr $query, $at + 1, 2;
	my $question = substr $query, 12, $at + 5 - 12;
	my $name = join '.', @labels;
	my ($word) = grep { $type{$_} == $qtype } keys %type;
	my $have = $zone{ "$name " . ($word || '') };
	my $exists = $name eq '' || $name eq 'test' || grep { /^\Q$name\E / } keys %zone;
	return $id . "\x81\x80\0\1\0\1\0\0\0\0" . $question . "\xc0" if defined $have && $have eq 'junk';
	my $rcode = !defined $have ? ($exists ? 0 : 3) : ref $have ? 0 : $have;
	my @answers = map {
		my $data = $word eq 'A' ? pack 'C4', split /\./ : $word eq 'AAAA' ? Socket::inet_pton(Socket::AF_INET6(), $_)
		    : do { my ($n, $host) = split / /; pack('n', $n) . packed($host) };
		"\xc0\x0c" . pack('nnNn/a', $qtype, 1, 1, $data)
	} ref $have ? @$have : ();
	my $soa = packed('ns.test') . packed('root.test') . pack 'N5', 1, 3600, 3600, 3600, 1;
	my @authority = !@answers && ($rcode == 0 || $rcode == 3) ? ("\0" . pack 'nnNn/a', 6, 1, 1, $soa) : ();
	return $id . pack('CCn4', 0x81, 0x80 | $rcode, 1, scalar @answers, scalar @authority, 0) . $question . join '', @answers, @authority;
}
my $socket = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1') or die "$!\n";
my $parent = $$;
my $server = fork;
die "fork: $!\n" unless defined $server;
if ($server == 0) {
	$SIG{$_} = 'DEFAULT' for qw(INT TERM HUP);
	while (getppid == $parent) {
		my $ready = '';
		vec($ready, fileno $socket, 1) = 1;
		select $ready, undef, undef, 1 or next;
		my $from = $socket->recv(my $query, 1500) or next;
		$socket->send(reply($query), 0, $from) if length $query > 16;
	}
	POSIX::_exit(0);
}
END { kill 'KILL', $server if $server && $$ == $parent }

my $sink = Tabmail::Sink->start(at => [qw(10.25.1.1:25 [fd25::6]:25)]);
my $d = Tabmail->start(users => ['bob'], resolver => '127.0.0.1@' . $socket->sockport, config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to maildir
accept for any relay
C
my %goes = ('half6.test' => '10.25.1.1', 'half4.test' => 'fd25::6', 'other.test' => '10.25.1.1');
my @waits = qw(none.test two.test implicit.test mx.test refused.test notimp.test junk.test better.test);
my $c = $d->client;
like $c->mail('bob@example.org', "x\@$_", mail_text("to $_")), qr/^250 /, "$_: accepted" for sort(keys %goes), @waits, 'worse.test', 'gone.test';
for my $domain (sort keys %goes) {
	my ($mail) = eval { wait_for { grep { $_->{mail} =~ /^Subject: to \Q$domain\E\r$/m } $sink->mails } $domain, 40 };
	($mail) = grep { $_->{mail} =~ /^Subject: to \Q$domain\E\r$/m } $sink->mails;
	is $mail ? $mail->{at} : 'nowhere', $goes{$domain}, "$domain goes to $goes{$domain}";
}
for my $domain (@waits) {
	my $line = eval { $d->await_log(qr/event=(?:deferred|failed|relayed) .*x\@\Q$domain\E/, 60) } || '';
	like $line, qr/event=deferred .*status=4\.4\.3 /, "$domain waits: it could not be found out" or $d->show_log;
}
like $d->await_log(qr/event=(?:deferred|failed) .*x\@worse\.test/), qr/event=failed .*status=5\.4\.6 /, 'worse than ourselves is of no use, known or not';
like $d->await_log(qr/event=(?:deferred|failed) .*x\@gone\.test/), qr/event=failed .*status=5\.1\.2 /, 'what does not exist comes back';
is scalar(grep { $_->{mail} !~ /^Subject: to (?:half6|half4|other)\.test\r$/m } $sink->mails), 0, 'nothing went by the address of a domain whose MX is not known';
$d->ctl('remove', 'all');
$d->stop;
$sink->remove;
done_testing;
