#!/usr/bin/perl
# Flow: hundreds of questions in flight, lines in any pieces, a daemon that does not read.
use strict;
use warnings;
use File::Temp qw(tempdir);
use Test::More;
use TabHelper;
use Time::HiRes qw(time);

my $build = $ENV{BUILD} // 'build';
my $dir = tempdir(CLEANUP => 1);
my $long = 'v' x 20_000;

open my $f, '>', "$dir/t" or die;
print $f "user$_: dest$_\@example.org\n" for 1 .. 20_000;
print $f "long: $long\n";
close $f;
my @helper = ("$build/table-file", "$dir/t");

for my $how (0, 1) {
	my $name = $how ? 'pipes' : 'socket pair';
	my $h = TabHelper->start({ pipes => $how }, @helper);
	$h->handshake;
	my (%want, @lines);
	for my $i (1 .. 512) {
		my ($id, $line) = $h->question('lookup', 'alias', "user$i");
		$want{$id} = "found|dest$i\@example.org";
		push @lines, $line;
	}
	$h->put(@lines);
	my $right = 0;
	for (1 .. 512) {
		my $line = $h->get // last;
		$right++ if $line =~ /^lookup-result\|(\w+)\|(.*)$/ && delete($want{$1}) eq $2;
	}
	is $right, 512, "$name: 512 in flight, each answered right";
	ok $h->silent(0.1), "$name: and once";

	# Byte by byte, and in odd pieces.
	my $text = '';
	%want = ();
	for my $i (1 .. 300) {
		my ($id, $line) = $h->question('lookup', 'alias', $i % 3 ? "user$i" : 'none');
		$want{$id} = $i % 3 ? "found|dest$i\@example.org" : 'not-found';
		$text .= "$line\n";
	}
	my $size = 0;
	while (length $text) {
		$size = $size % 13 + 1;
		$h->raw(substr $text, 0, $size, '');
	}
	$right = 0;
	for (1 .. 300) {
		my $line = $h->get // last;
		$right++ if $line =~ /^lookup-result\|(\w+)\|(.*)$/ && delete($want{$1}) eq $2;
	}
	is $right, 300, "$name: questions in pieces of 1 to 13 bytes";

	# 4000 answers of 20 KB each while nobody reads: the helper stops reading and keeps its size.
	my $pid = fork // die;
	if ($pid == 0) {
		$h->{pid} = undef;
		$h->put(map { ($h->question('lookup', 'alias', 'long'))[1] } 1 .. 4000);
		require POSIX;
		POSIX::_exit(0);
	}
	my $most = 0;
	for (1 .. 30) {
		open my $s, '<', '/proc/' . $h->pid . '/status' or last;
		my ($kb) = join('', <$s>) =~ /^VmRSS:\s+(\d+)/m;
		$most = $kb if $kb && $kb > $most;
		select undef, undef, undef, 0.02;
	}
	my $n = 0;
	while ($n < 4000 && defined(my $line = $h->get)) {
		$n++ if length $line > 20_000;
	}
	waitpid $pid, 0;
	is $n, 4000, "$name: 80 MB of answers arrive once they are read";
	cmp_ok $most, '<', 60_000, "$name: the helper stayed small meanwhile ($most KB)"
	    if !defined $ENV{SAN} && $build !~ /san/;
	is $h->ask('lookup', 'alias', 'user1'), 'found|dest1@example.org', "$name: goes on";
	is $h->end, 0, "$name: ends";
}

# The daemon goes away with answers waiting.
my $h = TabHelper->start(@helper);
$h->handshake;
$h->put(map { ($h->question('lookup', 'alias', 'long'))[1] } 1 .. 20);
close $h->{in};
is $h->wait, 0, 'the daemon is gone: exit status 0';

# A slow password holds up nobody.
my $hash = crypt 'pw', '$6$rounds=1000000$abcdefgh$';
open $f, '>', "$dir/t" or die;
print $f "slow $hash\nquick value\n";
close $f;
$h = TabHelper->start(@helper);
$h->handshake;
my ($slow, $slow_line) = $h->question('check', 'auth', 'slow:pw');
my ($quick, $quick_line) = $h->question('lookup', 'alias', 'quick');
$h->put($slow_line, $quick_line);
is $h->get, "lookup-result|$quick|found|value", 'the quick answer comes first';
is $h->get, "check-result|$slow|found", 'then the slow one';

# Ended while the slow one is at work: it is still answered.
($slow, $slow_line) = $h->question('check', 'auth', 'slow:wrong');
$h->put($slow_line);
$h->shut;
is $h->get, "check-result|$slow|not-found", 'a slow answer is waited for at the end';
is $h->wait, 0, 'then it ends';

# Thousands of passwords that wait for their turn: each costs its own bytes, not a work space of crypt(3).
SKIP: {
	$hash = crypt 'pw', '$6$rounds=1000$abcdefgh$';
	open $f, '>', "$dir/t" or die;
	print $f "user $hash\nlocked !$hash\n";
	close $f;
	$h = TabHelper->start(@helper);
	$h->handshake;
	is $h->ask('check', 'auth', 'locked:pw'), 'not-found', 'a locked user';
	my $pid = fork // die;
	if ($pid == 0) {
		$h->{pid} = undef;
		$h->put(map { ($h->question('check', 'auth', 'user:pw'))[1] } 1 .. 4000);
		require POSIX;
		POSIX::_exit(0);
	}
	my $found = 0;
	for (1 .. 4000) {
		$found++ if ($h->get // last) =~ /\|found$/;
	}
	waitpid $pid, 0;
	is $found, 4000, '4000 passwords at once';
	skip 'a sanitizer keeps memory', 1 if $build =~ /san/;
	open my $s, '<', '/proc/' . $h->pid . '/status' or die;
	my ($kb) = join('', <$s>) =~ /^VmHWM:\s+(\d+)/m;
	cmp_ok $kb, '<', 30_000, "cost little memory ($kb KB)";
}

done_testing;
