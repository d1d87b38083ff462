# A web service that knows aliases, as helpers/examples/aliases.py asks it: 200 with destinations, or 204;
# 404 for what is not under /alias/.  "slow" takes 1.5 s, "empty" and "broken" are what they say.
package AliasHttp;

use strict;
use warnings;
use IO::Socket::INET;
use POSIX ();
use Socket qw(SOCK_STREAM);

my $LIFE_SEC = 300;    # whatever becomes of the test

my %aliases = (
	'team' => "ann\nbob\n",
	'slow' => 'late@example.org',
	'a%7Cb%2F..%FF' => "odd\n",
	'empty' => "\n",
);

sub start {
	my ($class) = @_;
	delete @ENV{qw(http_proxy HTTP_PROXY all_proxy ALL_PROXY)};
	my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 128, Type => SOCK_STREAM)
	    or die "no socket: $!";
	my $pid = fork // die "fork: $!";
	serve($listen) if $pid == 0;
	my $port = $listen->sockport;
	close $listen;
	return bless { pid => $pid, port => $port }, $class;
}

sub port { return $_[0]{port} }

sub serve {
	my ($listen) = @_;
	$SIG{CHLD} = 'IGNORE';
	$SIG{$_} = 'DEFAULT' for qw(ALRM TERM INT);
	alarm $LIFE_SEC;
	while (1) {
		my $c = $listen->accept or next;
		my $pid = fork;
		next if !defined $pid || $pid;
		alarm 60;
		answer($c);
		POSIX::_exit(0);
	}
}

sub answer {
	my ($c) = @_;
	my ($path) = (<$c> // '') =~ m{^GET (\S+)} or return;
	while (my $line = <$c>) {
		last if $line =~ /^\r?$/;
	}
	my ($key) = $path =~ m{^/alias/(.*)};
	select undef, undef, undef, 1.5 if $path =~ /slow/;
	my ($status, $text) =
	      !defined $key ? ('404 Not Found', 'no such page')
	    : $key eq 'broken' ? ('500 Oops', 'ann')
	    : exists $aliases{$key} ? ('200 OK', $aliases{$key})
	    : ('204 No Content', '');
	print $c "HTTP/1.0 $status\r\nContent-Length: " . length($text) . "\r\n\r\n$text";
	close $c;
}

sub stop {
	my ($self) = @_;
	my $pid = delete $self->{pid} or return;
	local ($?, $!);
	kill 'KILL', $pid;
	waitpid $pid, 0;
}

sub DESTROY { $_[0]->stop }

1;
