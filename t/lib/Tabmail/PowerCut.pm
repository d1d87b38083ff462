# What a power cut would have left on the disk: from the record of all writes, syncs and names that
# t/fault/record.c has made of a daemon at work, files and folders as of any moment of it.
#
#	my $cut = Tabmail::PowerCut->new($path, 1 << 28);	# the log, so many bytes at most; then the daemon runs
#	$cut->root($folder_before, 'spool');			# a folder that was there before
#	$cut->upto($at);					# on to this moment, in the log's bytes
#	$cut->rebuild('spool', $where, 'some');			# what may be left of it
#
# Durable is what was there when a sync began that has returned: of a file its bytes and length, of a folder its names.
# Of the rest a disk may keep whatever it likes: `none` of it, `all`, `some` (each sector of each write for itself,
# 512 bytes or 4 KiB, so that writes are torn and late ones there without earlier ones), or `first`: the oldest, and half of
# the one that is under way.  Names of a folder survive in the order in which they were made.
package Tabmail::PowerCut;
use strict;
use warnings;

my $HEAD = 16;
my @KINDS = (undef, qw(create write truncate sync rename unlink mkdir));

sub new {
	my ($class, $path, $size) = @_;
	open my $f, '+>', $path or die "$path: $!\n";
	truncate $f, $size or die "$path: $!\n";
	chmod 0666, $path;
	syswrite $f, pack 'Q2', $HEAD, $size;
	my $cut = bless { path => $path, f => $f, size => $size, at => $HEAD, nodes => {}, roots => {}, syncs => 0 }, $class;
	return $cut;
}

sub path { return $_[0]{path} }

# How long the log is: this moment.
sub len {
	my ($cut) = @_;
	open my $f, '<', $cut->{path} or die "$cut->{path}: $!\n";
	sysread $f, my $bytes, 8;
	my $len = unpack 'Q', $bytes;
	die "the log is full\n" if $len > $cut->{size};
	return $len;
}

# A node: a folder has names; a file has bytes; what is not durable waits, each with its place in the log.
sub node { return $_[0]{nodes}{ $_[1] } ||= { names => {}, bytes => '', waits => [] } }

sub root {
	my ($cut, $folder, $name) = @_;
	my $ino = (stat $folder)[1] or die "$folder: $!\n";
	$cut->{roots}{$name} = $ino;
	return;
}

# To the beginning of the record.
sub rewind {
	my ($cut) = @_;
	@$cut{qw(at nodes syncs)} = ($HEAD, {}, 0);
	return;
}

# The moment before that sync of a root's file which made this text durable; before `before`.
sub sync_of {
	my ($cut, $root, $name, $text, $before) = @_;
	my ($last, $node);
	$cut->rewind;
	$cut->{on_sync} = sub {
		my ($synced) = @_;
		$node = names_now($cut->node($cut->{roots}{$root}))->{$name};
		$last = $cut->{at} if $node && $synced == $node && index($node->{bytes}, $text) < 0;
	};
	$cut->upto($before);
	delete $cut->{on_sync};
	$cut->rewind;
	return $last;
}

# Another for the same: what is recorded under a number from now on is not what it was.
sub fresh { delete $_[0]{nodes}{ $_[1] }; return $_[0]->node($_[1]) }

sub upto {
	my ($cut, $to) = @_;
	while ($cut->{at} < $to) {
		sysseek $cut->{f}, $cut->{at}, 0;
		sysread $cut->{f}, my $head, 40;
		my ($len, $kind, $ino, $other, $at, $n) = unpack 'L2Q4', $head;
		last if !$len || $cut->{at} + $len > $to;
		my $data = '';
		if ($n) { sysread($cut->{f}, $data, $n) == $n or die "the log is short\n" }
		$cut->one($KINDS[$kind], $ino, $other, $at, $data);
		$cut->{at} += $len;
	}
	return;
}

sub one {
	my ($cut, $kind, $ino, $other, $at, $data) = @_;
	my @names = split /\0/, $data if $kind =~ /^(?:create|rename|unlink|mkdir)$/;
	my $wait = sub { push @{ $cut->node($_[0])->{waits} }, [$cut->{at}, @_[1 .. $#_]] };
	if ($kind eq 'create' || $kind eq 'mkdir') {
		my $node = $cut->fresh($ino);
		$node->{is_folder} = $kind eq 'mkdir';
		$wait->($other, link => $names[0], $node);
	}
	elsif ($kind eq 'unlink') { $wait->($other, unlink => $names[0]) }
	elsif ($kind eq 'rename') {
		my $node = names_now($cut->node($ino))->{ $names[0] } or die "a rename of nothing: $names[0]\n";
		$wait->($other, link => $names[1], $node);
		$wait->($ino, unlink => $names[0]);
	} elsif ($kind eq 'write') { $wait->($ino, write => $at, $data) }
	elsif ($kind eq 'truncate') { $wait->($ino, truncate => $at) }
	else {
		my $node = $cut->node($ino);
		$cut->{on_sync}->($node) if $cut->{on_sync};
		my @now = grep { $_->[0] < $at } @{ $node->{waits} };
		$node->{waits} = [grep { $_->[0] >= $at } @{ $node->{waits} }];
		apply($node->{names}, \$node->{bytes}, $_) for @now;
		$cut->{syncs}++;
	}
	return;
}

sub names_now {
	my ($node) = @_;
	my %names = %{ $node->{names} };
	apply(\%names, \my $none, $_) for @{ $node->{waits} };
	return \%names;
}

sub put {
	my ($bytes, $at, $data) = @_;
	$$bytes .= "\0" x ($at - length $$bytes) if length $$bytes < $at;
	substr $$bytes, $at, length $data, $data;
	return;
}

sub apply {
	my ($names, $bytes, $w) = @_;
	my (undef, $what, $a, $b) = @$w;
	if ($what eq 'link') { $names->{$a} = $b }
	elsif ($what eq 'unlink') { delete $names->{$a} }
	elsif ($what eq 'write') { put($bytes, $a, $b) }
	else { length $$bytes > $a ? substr $$bytes, $a, length($$bytes) - $a, '' : put($bytes, $a, '') }
	return;
}

# What the disk may have kept of what waits.
sub kept {
	my ($waits, $how) = @_;
	return () if $how eq 'none';
	return @$waits if $how eq 'all';
	my $n = int rand(@$waits + 1);
	if ($how eq 'first') {
		my @kept = @$waits[0 .. $n - 1];
		if (@kept && $kept[-1][1] eq 'write') {
			my ($at, $what, $where, $data) = @{ $kept[-1] };
			$kept[-1] = [$at, $what, $where, substr $data, 0, length($data) / 2];
		}
		return @kept;
	}
	my $sector = rand() > 0.5 ? 512 : 4096;
	my $share = rand;
	my @kept;
	for (@$waits) {
		my ($at, $what, $where, $data) = @$_;
		if ($what ne 'write') { push @kept, $_ if rand() < $share; next }
		for (my $i = 0; $i < length $data;) {
			my $len = $sector - ($where + $i) % $sector;
			push @kept, [$at, $what, $where + $i, substr $data, $i, $len] if rand() < $share;
			$i += $len;
		}
	}
	return @kept;
}

# Makes the folder `where` what is left of the root; `own` gives what is made to whom it belongs.
sub rebuild {
	my ($cut, $root, $where, $how, $own) = @_;
	tree($cut->node($cut->{roots}{$root}), $where, $how, $own || sub { });
	return;
}

sub tree {
	my ($node, $where, $how, $own) = @_;
	my %names = %{ $node->{names} };
	my @waits = @{ $node->{waits} };
	my $n = $how eq 'none' ? 0 : $how eq 'all' ? @waits : int rand(@waits + 1);
	apply(\%names, \my $none, $_) for @waits[0 .. $n - 1];
	for my $name (sort keys %names) {
		my $child = $names{$name};
		my $path = "$where/$name";
		if ($child->{is_folder}) {
			mkdir $path, 0700 or die "$path: $!\n";
			$own->($path);
			tree($child, $path, $how, $own);
			next;
		}
		my $bytes = $child->{bytes};
		apply({}, \$bytes, $_) for kept($child->{waits}, $how);
		open my $f, '>:raw', $path or die "$path: $!\n";
		print $f $bytes;
		close $f or die "$path: $!\n";
		chmod 0600, $path;
		$own->($path);
	}
	return;
}

1;
