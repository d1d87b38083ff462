# What the dialogues with the SMTP server share: a daemon with one user and four listeners.
#
#	require "./t/talk/2-talk.pl";		# or by FindBin, as the tests do
#	my $d = talk_daemon();			# $PORT, $PORT2 (tagged), $PORT3 (no-dsn), $PORT4 (reentry),
#					# and the submission socket
#	talk('name', $c, 'NOOP' => 250, …);	# commands and what their replies begin with
use strict;
use warnings;
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Tabmail;
use Tabmail::Client;
use Test::More;

sub talk_daemon {
	my (%o) = @_;
	return Tabmail->start(users => ['bob'], config => ($o{config} || '') . <<'END');
table users file:$D/users
max-message-size 64k
listen on 127.0.0.1 port $PORT
listen on 127.0.0.1 port $PORT2 tag DKIM
listen on 127.0.0.1 port $PORT3 no-dsn mask-source
listen on 127.0.0.1 port $PORT4 tag BACK reentry
accept tagged DKIM from any for domain example.org userbase <users> deliver to maildir
accept from any for domain example.org userbase <users> deliver to maildir
accept from any for domain example.com relay via smtp://127.0.0.1:$PORT8
END
}

# The listeners by name, each a way to connect.
sub talk_listeners {
	my ($d) = @_;
	return (
		[ 'loopback', sub { $d->client } ],
		[ 'tagged', sub { $d->client(2) } ],
		[ 'no-dsn', sub { $d->client(3) } ],
		[ 'submission', sub { Tabmail::Client->new(path => $d->dir . '/run/submit.sock') } ],
	);
}

# Sends each command and checks its reply, a code or a beginning.
sub talk {
	my ($name, $c, @steps) = @_;
	while (my ($line, $want) = splice @steps, 0, 2) {
		my $reply = $c->cmd($line);
		(my $shown = substr $line, 0, 60) =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ge;
		like $reply, qr/^\Q$want\E/, "$name: $shown: $want";
	}
}

# A session up to a phase: start, ready, mail, rcpt.
sub talk_at {
	my ($connect, $phase) = @_;
	my $c = $connect->();
	my @lines = ('EHLO client.example.net', 'MAIL FROM:<a@example.net>', 'RCPT TO:<bob@example.org>');
	my %n = (start => 0, ready => 1, mail => 2, rcpt => 3);
	for my $line (@lines[0 .. $n{$phase} - 1]) {
		my $reply = $c->cmd($line);
		die "$line: $reply\n" unless $reply =~ /^250/;
	}
	return $c;
}

# Bytes one at a time, each a segment of its own.
sub talk_bytewise {
	my ($c, $bytes) = @_;
	setsockopt $c->socket, IPPROTO_TCP, TCP_NODELAY, 1;	# no error on a UNIX socket that matters
	for my $byte (split //, $bytes) {
		return 0 unless $c->send($byte);
	}
	return 1;
}

# All replies up to the end of the connection.
sub talk_rest {
	my ($c) = @_;
	my @replies;
	while (@replies < 5000) {
		my $reply = $c->reply;
		last if $reply =~ /^(closed|silent)\z/;
		push @replies, $reply;
	}
	return @replies;
}

1;
