#!/usr/bin/perl
# table-source: addresses in turn, by weight and family; chosen by patterns for tabmail alone; names; updates.
use strict;
use warnings;
use File::Temp qw(tempdir);
use POSIX qw(mkfifo);
use Test::More;
use TabHelper;

my $build = $ENV{BUILD} // 'build';
my $dir = tempdir(CLEANUP => 1);
my $path = "$dir/sources";

sub file {
	my ($text) = @_;
	open my $f, '>', "$path.new" or die;
	print $f $text;
	close $f;
	rename "$path.new", $path or die;
}

# The helper as tabmail starts it, or as another daemon does.
sub serve {
	my ($argument, $other) = @_;
	my $h = TabHelper->start("$build/table-source", $argument);
	$h->put('config|tabmail|1') unless $other;
	$h->{services} = [ $h->handshake ];
	@{ $h->{services} } or die $h->stderr;
	return $h;
}

sub fetch { my ($h, $n) = @_; return map { my $a = $h->ask('fetch', 'source'); $a =~ s/^found\|//; $a } 1 .. $n }
sub choose { my ($h, $key) = @_; return $h->ask('lookup', 'source-for', $key) }
sub count { my %n; $n{$_}++ for @_; return \%n }

# --- The handshake
is_deeply serve('192.0.2.1')->{services}, [qw(source addrname source-for)], 'tabmail is offered source-for';
my $h = serve('192.0.2.1', 1);
is_deeply $h->{services}, [qw(source addrname)], 'another daemon is offered nothing that it does not know';
is choose($h, 'a@b.example c.example - inet4'), 'error|no such service here', '… and gets no answer to it';
$h = TabHelper->start("$build/table-source", '192.0.2.1');
$h->put('config|tabmail|2');
is_deeply [ $h->handshake ], [qw(source addrname)], 'nor is a tabmail of another version';

# --- In turn
$h = serve('192.0.2.1, 192.0.2.2, 192.0.2.3');
is_deeply [ fetch($h, 7) ], [ map { "192.0.2.$_" } 1, 2, 3, 1, 2, 3, 1 ], 'one after the other, and around';
$h = serve('192.0.2.1 weight=3, 192.0.2.2');
my @got = fetch($h, 400);
is_deeply count(@got), { '192.0.2.1' => 300, '192.0.2.2' => 100 }, 'three times as often by weight 3';
is_deeply [ grep { $_ % 4 == 0 && 1 != grep { $_ eq '192.0.2.2' } @got[$_ .. $_ + 3] } 0 .. 396 ], [],
    '… spread over the round';
$h = serve('192.0.2.1, 192.0.2.2, 192.0.2.3, 2001:DB8:0::1');
is_deeply [ fetch($h, 6) ], [qw(192.0.2.1 2001:db8::1 192.0.2.2 2001:db8::1 192.0.2.3 2001:db8::1)],
    'the families take turns, each around on its own; an address has its canonical text';

# --- Names
$h = serve('192.0.2.1 helo=mx1.example.org, 2001:db8::1 helo=mx6.example.org, 192.0.2.2');
is $h->ask('lookup', 'addrname', '192.0.2.1'), 'found|mx1.example.org', 'addrname';
is $h->ask('lookup', 'addrname', '2001:db8:0:0::1'), 'found|mx6.example.org', '… however it is written';
is $h->ask('lookup', 'addrname', '[192.0.2.1]'), 'found|mx1.example.org', '… in brackets';
is $h->ask('lookup', 'addrname', $_), 'not-found', "none for '$_'" for '192.0.2.2', '192.0.2.9', 'mx1.example.org', '';
is choose($h, 'a@b.example c.example - inet4'), 'found|192.0.2.1 mx1.example.org', 'source-for has the name behind';
is choose($h, 'a@b.example c.example - inet4'), 'found|192.0.2.2', '… where there is one';
is choose($h, 'a@b.example c.example - inet6'), 'found|2001:db8::1 mx6.example.org', 'and goes by the family';
is $h->ask('lookup', 'source', 'x'), 'error|source is fetched, not looked up', 'source has no lookup';
is $h->ask('fetch', 'addrname'), 'error|this service has no fetch', 'addrname has no fetch';

# --- Patterns
file(<<'END');
# the shop has addresses of its own
192.0.2.11 sender=@shop.example sender=shop@*.example helo=shop.example
192.0.2.12 sender=@shop.example sender=shop@*.example
192.0.2.13 to=*.slow.example to=slow.example	# one that is watched
192.0.2.14 user=ann sender=@home.example
192.0.2.15 sender=<>
192.0.2.16 sender=news-*
192.0.2.1
2001:db8::1
END
$h = serve($path);
sub chosen { my ($key, $last) = @_; return is choose($h, $key), "found|192.0.2.$last", $key }
chosen('a@shop.example b.example - inet4', '11 shop.example');
chosen('a@shop.example b.example - inet4', 12);
chosen('SHOP@x.example b.example - inet4', 1);
chosen('shop@x.example b.example - inet4', '11 shop.example');
chosen('a@sub.shop.example b.example - inet4', 1);
chosen('a@b.example x.slow.example - inet4', 13);
chosen('a@b.example slow.example - inet4', 13);
chosen('a@b.example notslow.example - inet4', 1);
chosen('a@home.example b.example ann inet4', 14);
chosen('a@home.example b.example bob inet4', 1);
chosen('a@other.example b.example ann inet4', 1);
chosen('- b.example - inet4', 15);
chosen('news-7@b.example b.example - inet4', 16);
chosen('"news- odd one"@b.example b.example - inet4', 1);
chosen('a@shop.example x.slow.example - inet4', 12);
is choose($h, 'a@b.example b.example - inet6'), 'found|2001:db8::1', 'the others have an IPv6 address';
is choose($h, 'a@shop.example b.example - inet6'), 'not-found', 'the shop has none, and gets none of the others';
is_deeply count(fetch($h, 10)), { '192.0.2.1' => 5, '2001:db8::1' => 5 }, 'fetch gives those without patterns';
is choose($h, $_), 'error|the key is not: sender recipient-domain user family', "no key: '$_'"
    for '', 'a@b.example', 'a@b.example c.example inet4', 'a@b.example c.example - inet5';

# --- Interfaces
SKIP: {
	skip 'no 127.0.0.1 on lo', 3 unless `ip -o addr show dev lo 2>/dev/null` =~ /127\.0\.0\.1/;
	$h = serve('interface lo helo=here.example');
	my ($four) = grep { /\./ } fetch($h, 2);
	is $four, '127.0.0.1', 'an interface stands for its addresses';
	is $h->ask('lookup', 'addrname', '127.0.0.1'), 'found|here.example', '… with a name';
	$h = serve('interface lo, 127.0.0.1 weight=2 helo=own.example, 192.0.2.1');
	is $h->ask('lookup', 'addrname', '127.0.0.1'), 'found|own.example', 'what a line of its own says of an address counts';
}
$h = serve('interface nosuch0');
is $h->ask('fetch', 'source'), 'not-found', 'an interface that is not there has no address';
is choose($h, 'a@b.example c.example - inet4'), 'not-found', '… for nobody';

# --- Updates: all of it or nothing
file("192.0.2.1\n");
$h = serve($path);
file("192.0.2.2 helo=two.example\n");
is_deeply [ fetch($h, 2) ], [qw(192.0.2.1 192.0.2.1)], 'a change is not seen by itself';
is $h->ask('update'), 'ok', 'update';
is_deeply [ fetch($h, 1) ], ['192.0.2.2'], 'but by an update';
for (
	[ 'mx.example.org', 'not an address to send from, nor "interface NAME"' ],
	[ '192.0.2.300', 'not an address to send from, nor "interface NAME"' ],
	[ '192.0.2.0/24', 'not an address to send from, nor "interface NAME"' ],
	[ '0.0.0.0', 'not an address to send from, nor "interface NAME"' ],
	[ 'fe80::1', 'not an address to send from, nor "interface NAME"' ],
	[ '192.0.2.1 weight=0', 'weight: a number from 1 to 100' ],
	[ '192.0.2.1 weight=x', 'weight: a number from 1 to 100' ],
	[ '192.0.2.1 weight=1 weight=2', '"weight" is given twice' ],
	[ '192.0.2.1 helo=a|b', 'helo: not a host name' ],
	[ '192.0.2.1 helo=', 'helo: not a host name' ],
	[ '192.0.2.1 mx1.example.org', 'behind the address stand weight=, helo=, sender=, to= and user=' ],
	[ '192.0.2.1 from=x', 'no such option: weight=, helo=, sender=, to= and user= are known' ],
	[ '192.0.2.1 to=', 'an empty pattern' ],
	[ 'interface', '"interface" wants a name' ],
	[ "192.0.2.1 \x01", 'a control character' ],
) {
	my ($line, $want) = @$_;
	file("192.0.2.9\n\n$line\n192.0.2.8\n");
	is $h->ask('update'), "error|$path:3: $want", "update: $want: $line";
	is_deeply [ fetch($h, 1) ], ['192.0.2.2'], 'the old list stays';
}
file("192.0.2.9\0\n");
is $h->ask('update'), "error|$path: a NUL byte", 'a NUL byte';
unlink $path;
is $h->ask('update'), "error|$path: No such file or directory", 'the file went';
mkfifo $path, 0600;
is $h->ask('update'), "error|$path: not a regular file", 'a FIFO does not hang it';
unlink $path;
is $h->ask('lookup', 'addrname', '192.0.2.2'), 'found|two.example', 'the old list is still there';
like $h->stderr, qr/update failed, the old list stays: \Q$path\E:3: weight/, 'said on stderr';
is $h->end, 0, 'ends';

# --- Nothing at the start: an error, never "none"
$h = serve($path);
is $h->ask('fetch', 'source'), "error|not loaded: $path: No such file or directory", 'no file: fetch is an error';
is choose($h, 'a@b.example c.example - inet4'), "error|not loaded: $path: No such file or directory", '… source-for, too';
file("192.0.2.7\n");
is $h->ask('update'), 'ok', 'the file came';
is_deeply [ fetch($h, 1) ], ['192.0.2.7'], 'and serves';
$h = serve('192.0.2.1 weight=200');
is $h->ask('fetch', 'source'), 'error|not loaded: in the argument: weight: a number from 1 to 100', 'a bad argument';
$h = serve('# nothing');
is $h->ask('fetch', 'source'), 'not-found', 'an empty list has none';

done_testing;
