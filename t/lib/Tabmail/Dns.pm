# A real DNS server on loopback: nsd, which serves one zone, the root, so that every name is its own; or
# unbound in front of others, as a resolver that people run.
#
#	my $dns = Tabmail::Dns->nsd(zone => <<'Z');	# $dns->resolver: "127.0.0.1@5353"
#	one.test.	MX 10 mx.one.test.
#	mx.one.test.	A 10.25.0.2
#	Z
#	my $r = Tabmail::Dns->unbound(stubs => { '.' => $dns->port, 'dead.test' => $unused });
#	$dns->zone($text);	# serves this from now on
#	Tabmail::Dns->nsd(zone => …, origin => 'a.test', port => $n);	# REFUSED outside of a.test
#	my $dns = Tabmail::Dns->nsd(sign => 1, zone => …, zones => { plain => $unsigned }, spoil => sub { s/…/…/ });
#	$dns->anchor;	# the file with the root's key; spoil works on the signed zone, as someone on the way would
#	$dns->stop;
package Tabmail::Dns;
use strict;
use warnings;
use File::Path ();
use File::Temp ();
use IO::Socket::INET;
use POSIX ();
use Tabmail ();
use Time::HiRes ();

my %live;
my $owner = $$;

sub new {
	my ($class, $program, $port) = @_;
	($program) = grep { -x } map { "$_/$program" } qw(/usr/sbin /usr/bin /sbin /usr/local/sbin)
	    or die "$program is not installed: make deps-check\n";
	my $dir = File::Temp::tempdir('tmdns.XXXXXX', TMPDIR => 1);
	return bless { dir => $dir, program => $program, port => $port || Tabmail::free_port() }, $class;
}

sub port { return $_[0]{port} }
sub resolver { return "127.0.0.1\@$_[0]{port}" }

sub nsd {
	my ($class, %o) = @_;
	my $k = $class->new('nsd', $o{port});
	$k->{origin} = $o{origin} || '.';
	my $dir = $k->{dir};
	$k->make_key if $o{sign};
	$k->{spoil} = $o{spoil};
	$k->write_zone($o{zone});
	my $more = '';
	for my $zone (sort keys %{ $o{zones} || {} }) {
		Tabmail::spew("$dir/$zone.zone", $k->head . $o{zones}{$zone});
		$more .= qq(zone:\n\tname: "$zone"\n\tzonefile: "$zone.zone"\n);
	}
	Tabmail::spew("$dir/nsd.conf", <<"C");
server:
	ip-address: 127.0.0.1
	port: $k->{port}
	username: ""
	zonesdir: "$dir"
	database: ""
	pidfile: "$dir/pid"
	xfrdfile: "$dir/xfrd"
	xfrdir: "$dir"
	zonelistfile: "$dir/zones"
	cookie-secret-file: "$dir/cookie"
	server-count: 1
	rrl-ratelimit: 0
remote-control:
	control-enable: no
zone:
	name: "$k->{origin}"
	zonefile: "root.zone"
$more
C
	return $k->boot('-d', '-c', "$dir/nsd.conf");
}

sub head {
	my ($k) = @_;
	my $serial = ++$k->{serial};
	return <<"Z";
\$TTL 1
\@ SOA ns.invalid. root.invalid. $serial 3600 3600 3600 1
\@ NS ns.invalid.
Z
}

sub write_zone {
	my ($k, $text) = @_;
	my $dir = $k->{dir};
	Tabmail::spew("$dir/root.zone", $k->head . $text);
	return unless $k->{key};
	my ($status, $out) = Tabmail::run([secs => 60], 'ldns-signzone', '-o', '.', '-f', "$dir/signed",
	    "$dir/root.zone", "$dir/$k->{key}");
	die "ldns-signzone: $out" if $status != 0;
	local $_ = Tabmail::slurp("$dir/signed");
	$k->{spoil}->() if $k->{spoil};
	Tabmail::spew("$dir/root.zone", $_);
}

# The root's key.
sub make_key {
	my ($k) = @_;
	my ($status, $out) = Tabmail::run([secs => 60], 'sh', '-c', 'cd "$0" && ldns-keygen -a ECDSAP256SHA256 -k .',
	    $k->{dir});
	chmod 0755, $k->{dir}; # the daemon reads it as a user of its own
	($k->{key}) = $status == 0 && $out =~ /^(K\S+)$/m or die "ldns-keygen: $out";
}

sub anchor { return "$_[0]{dir}/$_[0]{key}.key" }

# Zones below are served by others, on these ports of 127.0.0.1.
sub unbound {
	my ($class, %o) = @_;
	my $k = $class->new('unbound');
	my $stubs = join '', map { <<"S" } sort keys %{ $o{stubs} };
stub-zone:
	name: "$_"
	stub-addr: 127.0.0.1\@$o{stubs}{$_}
	stub-no-cache: yes
S
	Tabmail::spew("$k->{dir}/unbound.conf", <<"C");
server:
	interface: 127.0.0.1
	port: $k->{port}
	username: ""
	chroot: ""
	directory: "$k->{dir}"
	pidfile: "$k->{dir}/pid"
	use-syslog: no
	do-daemonize: no
	do-not-query-localhost: no
	module-config: "iterator"
	access-control: 127.0.0.0/8 allow
	local-zone: "test." nodefault
remote-control:
	control-enable: no
$stubs
C
	return $k->boot('-d', '-c', "$k->{dir}/unbound.conf");
}

sub boot {
	my ($k, @args) = @_;
	my $pid = fork;
	die "fork: $!\n" unless defined $pid;
	if ($pid == 0) {
		setpgrp;
		open STDIN, '<', '/dev/null';
		open STDOUT, '>>', "$k->{dir}/log";
		open STDERR, '>>', "$k->{dir}/log";
		exec $k->{program}, @args or POSIX::_exit(127);
	}
	$k->{pid} = $pid;
	$live{$pid} = $k;
	eval { Tabmail::wait_for(sub { $k->answers }, "$k->{program} to answer"); 1 }
	    or die $@ . Tabmail::slurp("$k->{dir}/log");
	return $k;
}

# Asks it for the root's SOA; any answer will do.
sub answers {
	my ($k) = @_;
	my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$k->{port}", Proto => 'udp') or return 0;
	$s->send(pack('nnnnnn', 4711, 0x0100, 1, 0, 0, 0) . pack('Cnn', 0, 6, 1)) or return 0;
	my $ready = '';
	vec($ready, fileno $s, 1) = 1;
	return 0 unless select $ready, undef, undef, 0.2;
	my $answer = "";
	return defined $s->recv($answer, 512) && length $answer > 12;
}

sub zone {
	my ($k, $text) = @_;
	$k->write_zone($text);
	kill 'HUP', $k->{pid};
}

sub stop {
	my ($k) = @_;
	my $pid = delete $k->{pid} or return;
	delete $live{$pid};
	kill 'KILL', -$pid;
	waitpid $pid, 0;
	File::Path::remove_tree($k->{dir});
}

END {
	if ($$ == $owner) {
		my $status = $?;
		$_->stop for values %live;
		$? = $status;
	}
}

1;
