#!/usr/bin/perl
# table-file: an update takes the whole file or nothing, and says where the fault is.
use strict;
use warnings;
use File::Temp qw(tempdir);
use POSIX qw(mkfifo);
use Test::More;
use TabHelper;

my $build = $ENV{BUILD} // 'build';
my $dir = tempdir(CLEANUP => 1);
my $path = "$dir/t";

sub file {
	my ($text) = @_;
	open my $f, '>', "$path.new" or die;
	print $f $text;
	close $f;
	rename "$path.new", $path or die;
}

# Missing at the start: said, and every question is an error, never 'not found'.
my $h = TabHelper->start("$build/table-file", $path);
$h->handshake;
my $none = "error|not loaded: $path: No such file or directory";
is $h->ask('lookup', 'alias', 'root'), $none, 'no file: lookup is an error';
is $h->ask('check', 'domain', 'x'), $none, 'no file: check too';
is $h->ask('check', 'auth', 'x:y'), $none, 'no file: auth too';
is $h->ask('fetch', 'source'), $none, 'no file: fetch too';
is $h->ask('update'), "error|$path: No such file or directory", 'no file: update fails';
like $h->stderr, qr/^\Q$path\E: No such file or directory$/m, 'no file: said on stderr';

file("root: joe\n");
is $h->ask('update'), 'ok', 'the file came: update is fine';
is $h->ask('lookup', 'alias', 'root'), 'found|joe', 'and serves';
file("root: ann\n");
is $h->ask('lookup', 'alias', 'root'), 'found|joe', 'a change is not seen by itself';
is $h->ask('update'), 'ok', 'update';
is $h->ask('lookup', 'alias', 'root'), 'found|ann', 'but by an update';

for (
	[ "root: new\n\nbob\n", ':3: a key without a value' ],
	[ "root: new\n" . 'x' x 70_000, ':2: line longer than 65535 bytes' ],
	[ "root: new\nb: a\0c\n", ':2: a NUL byte' ],
	[ "root: new\nb: a\rc\n", ':2: a control character' ],
	[ "root: new\n\"b: c\n", ':2: a quote that does not end' ],
	[ "root: new\n: c\n", ':2: no key' ],
	[ "root: new\n" . ('k' x 5000) . " v\n", ':2: key longer than 4096 bytes' ],
	[ "root: new\n" . "b: " . ('v' x 65000) . "\n", ':2: value too long' ],
) {
	my ($text, $want) = @$_;
	file($text);
	is $h->ask('update'), "error|$path$want", "update: $want";
	is $h->ask('lookup', 'alias', 'root'), 'found|ann', 'the old data stays';
	like $h->stderr, qr/the old data stays: \Q$path$want\E$/m, 'said on stderr';
}

unlink $path;
is $h->ask('update'), "error|$path: No such file or directory", 'the file went';
is $h->ask('lookup', 'alias', 'root'), 'found|ann', 'the old data stays';
mkdir $path;
is $h->ask('update'), "error|$path: a directory, not a file", 'a directory';
rmdir $path;
mkfifo $path, 0600;
is $h->ask('update'), "error|$path: not a regular file", 'a FIFO does not hang it';
unlink $path;
symlink 't', $path;
like $h->ask('update'), qr/^error\|\Q$path\E: Too many levels/, 'a symbolic link to itself';
unlink $path;
SKIP: {
	skip 'root reads everything', 1 if $> == 0;
	file("a: b\n");
	chmod 0, $path;
	is $h->ask('update'), "error|$path: Permission denied", 'unreadable';
	unlink $path;
}
is $h->ask('lookup', 'alias', 'root'), 'found|ann', 'the old data is still there';

# Many updates at once, questions between them.
file("root: last\n");
my (%open, @order);
for my $i (1 .. 50) {
	for my $q ([ 'update' ], [ 'lookup', 'alias', 'root' ]) {
		my ($id, $line) = $h->question(@$q);
		$open{$id} = $q->[0];
		push @order, $line;
	}
}
$h->put(@order);
my %got;
for (1 .. 100) {
	my ($op, $id, $outcome) = ($h->get // '||') =~ /^(\w+)-result\|(\w+)\|(.*)$/ or last;
	$got{$outcome}++ if ($open{$id} // '') eq $op;
	delete $open{$id};
}
is keys %open, 0, '50 updates and 50 lookups are answered';
is $got{ok}, 50, 'the updates with ok';
is +($got{'found|ann'} // 0) + ($got{'found|last'} // 0), 50, 'the lookups with old or new data';
is $h->ask('lookup', 'alias', 'root'), 'found|last', 'the new data is there';
is $h->end, 0, 'ends';

# A file that is bad at the start.
file("a b\nc\n");
$h = TabHelper->start("$build/table-file", $path);
$h->handshake;
is $h->ask('lookup', 'alias', 'a'), "error|not loaded: $path:2: a key without a value",
    'a bad file at the start: nothing of it is served';
file("a: b\na: c\n");
is $h->ask('update'), 'ok', 'a key that stands twice is taken';
is $h->ask('lookup', 'alias', 'a'), 'found|c', 'the last one counts';
like $h->stderr, qr/^\Q$path\E:2: 1 keys? /m, 'and it is said';

done_testing;
