#!/usr/bin/perl
# tabmail-helper-test: helpers that are wrong in one way each fail at the line that names it, and at no other.
use strict;
use warnings;
use File::Temp qw(tempdir);
use Test::More;

my $build = $ENV{BUILD} // 'build';
my $secs = $build =~ m{/san\b} ? 5 : 2;
my $dir = tempdir(CLEANUP => 1);
my $AT_ONCE = 16;
$ENV{UNBUFFERED} = 1;

# A helper that is right.  Each mark may be replaced by the code of a fault.
my $right = <<'H';
use strict;
use warnings;
$| = 1;
my %data = (root => 'joe', '%' => 'percent');
delete $data{'%'};
my $n = 0;
#START
while (my $line = <STDIN>) {
	#RAW
	chomp $line;
	if ($line eq 'config|ready') {
		#READY
		print "register|alias\n";
		print "register|ready\n";
		next;
	}
	#LINE
	my (undef, undef, undef, $table, $op, @rest) = split /\|/, $line, 8;
	next if $line !~ /^table\|/;
	my ($service, $id, $key) = $op eq 'update' ? ('', @rest) : @rest;
	$n++;
	#QUESTION
	if ($op eq 'update') {
		print "update-result|$id|ok\n";
		next;
	}
	if ($op ne 'lookup' || $service ne 'alias') {
		print "$op-result|$id|error|not served here\n" if $op =~ /^(check|lookup|fetch)$/;
		next;
	}
	#ANSWER
	print "lookup-result|$id|", defined $data{$key} ? "found|$data{$key}" : 'not-found', "\n";
	#AFTER
}
#END
exit 0;
H

my @cases = (
	[ 'is right', {}, [] ],

	# the start
	[ 'ends at once', { START => 'exit 3;' }, ['start'], qr/ended with status 3/ ],
	[ 'cannot be run', { START => 'nonsense(;' }, ['start'], qr/stderr: .*syntax error/ ],
	[ 'registers before the configuration',
	    { START => 'print "register|alias\nregister|ready\n";', READY => 'next;' }, ['handshake-silent'] ],
	[ 'greets', { START => 'print "hello\n";' }, ['handshake-silent'], qr/got:  hello\n/ ],
	[ 'never registers', { READY => 'next;' }, ['handshake-registers'], qr/nothing in \d+ s; it still runs/ ],
	[ 'never says ready', { READY => 'print "register|alias\n"; next;' }, ['handshake-registers'],
	    qr/services came, but not their end/ ],
	[ 'registers nothing', { READY => 'print "register|ready\n"; next;' }, ['handshake-registers'] ],
	[ 'flushes as the person\'s environment says', { START => '$| = $ENV{UNBUFFERED} // 0;' }, ['handshake-registers'], qr/buffered/ ],
	[ 'does not flush', { START => '$| = 0;' }, ['handshake-registers'], qr/buffered/ ],
	[ 'ends after the handshake', { READY => 'print "register|alias\nregister|ready\n"; exit 4;' },
	    ['answer', 'end-eof'], qr/ended with status 4/ ],
	[ 'registers what only tabmail knows, unasked', { READY => 'print "register|source-for\n";' }, ['handshake-services'],
	    qr/source-for/ ],
	[ 'registers a service of its own', { READY => 'print "register|aliases\n";' }, ['handshake-services'],
	    qr/got:  register\|aliases/ ],
	[ 'ends at a config key', { LINE => 'die "what is $1?\n" if $line =~ /^config\|(unheard-of)/;' },
	    ['handshake-unknown-keys'], qr/stderr: what is unheard-of/ ],
	[ 'needs a config line', { RAW => 'our $name = 1 if $line =~ /tablename/;',
	    READY => 'our $name or die "no name\n";' }, ['handshake-bare'], undef, 'should' ],
	[ 'takes a read for lines', { START => <<'C' }, [qw(handshake-pieces flow-byte-by-byte flow-not-reading)] ],
		while (sysread STDIN, my $lines, 65536) {
			$lines =~ /config\|ready\n/ and print "register|alias\nregister|ready\n";
			print "lookup-result|$1|", $2 eq 'root' ? 'found|joe' : 'not-found', "\n"
			    while $lines =~ /\|lookup\|alias\|([^|\n]+)\|(.*)\n/g;
			print "$1-result|$2|error\n" while $lines =~ /\|(check|fetch)\|[^|]*\|([^|\n]+)/g;
			print "update-result|$1|ok\n" while $lines =~ /\|update\|(.*)\n/g;
		}
		exit 0;
C

	[ 'asks again and again', { START => 'use Socket; use IO::Handle;', READY => <<'C' }, ['idle'], undef, 'should' ],
		print "register|alias\nregister|ready\n";
		my $buf = '';
		while (1) {	# looks without waiting
			my $got = recv STDIN, my $more, 65536, MSG_DONTWAIT;
			next if !defined $got;
			exit 0 if $more eq '';
			$buf .= $more;
			while ($buf =~ s/^(.*)\n//) {
				my ($op, $service, $id, $key) = (split /\|/, $1, 8)[4 .. 7];
				print "update-result|$service|ok\n" if $op eq 'update';
				print "lookup-result|$id|", $key eq 'root' ? 'found|joe' : 'not-found', "\n"
				    if $op eq 'lookup' && $service eq 'alias';
			}
		}
C

	# answers
	[ 'answers nothing', { ANSWER => 'next;' }, ['answer'], qr/nothing in \d+ s/ ],
	[ 'ends at the first question', { ANSWER => 'die "no\n";' }, ['answer'], qr/stderr: no/ ],
	[ 'never ends its line', { ANSWER => 'print "x" x 1_000_000; next;' }, ['answer-line-length'] ],
	[ 'says what is no line', { ANSWER => 'print "debug: $key\n";' }, ['answer-valid'],
	    qr/got:  debug: no-such-user/ ],
	[ 'says yes', { ANSWER => 'print "lookup-result|$id|yes\n"; next;' }, ['answer-valid'] ],
	[ 'ends lines with CR', { ANSWER => 'print "lookup-result|$id|not-found\r\n"; next;' },
	    ['answer-valid'], qr/not-found\\x0d/ ],
	[ 'writes a NUL', { ANSWER => 'print "lookup-result|$id|found|a\0b\n"; next;' }, ['answer-valid'] ],
	[ 'has a line end in a value', { ANSWER => 'if ($key ne "root") { print "lookup-result|$id|found|a\nb\n"; next }' },
	    ['answer-valid'], qr/got:  b / ],
	[ 'finds nothing', { ANSWER => 'print "lookup-result|$id|found|\n"; next;' }, ['answer-not-empty'] ],
	[ 'finds, and says not what', { ANSWER => 'print "lookup-result|$id|found\n"; next;' }, ['answer-not-empty'] ],
	[ 'answers with a wrong id', { ANSWER => 'print "lookup-result|x$id|not-found\n"; next;' }, ['answer-id'],
	    qr/sent: table\|.*got:  lookup-result\|x/s ],
	[ 'takes the id for a number', { QUESTION => 'no warnings; $id += 0;' }, ['answer-id'] ],
	[ 'answers twice', { AFTER => 'print "lookup-result|$id|not-found\n";' }, ['answer-once'] ],
	[ 'cuts ids', { QUESTION => '$id = substr $id, 0, 16;' }, ['answer-id-opaque'] ],
	[ 'lower-cases ids', { QUESTION => '$id = lc $id;' }, ['answer-id-opaque'] ],
	[ 'ends at another operation', { QUESTION => 'die if $op eq "check";' }, ['other-operation'] ],
	[ 'ends at an unknown operation', { QUESTION => 'die "op $op\n" if $op =~ /^f.*e$/;' },
	    ['unknown-operation'], qr/stderr: op frobnicate/ ],
	[ 'ends at an unknown service', { QUESTION => 'die if $op eq "lookup" && $service ne "alias";' },
	    ['unknown-service'] ],
	[ 'does not answer an update', { QUESTION => 'next if $op eq "update";' }, ['update'] ],
	[ 'cannot update', { QUESTION => 'if ($op eq "update") { print "update-result|$id|error|no file\n"; next }' },
	    ['update-ok'], qr/error\|no file/, 'should' ],

	# keys
	[ 'says error for not found',
	    { ANSWER => 'if (!defined $data{$key}) { print "lookup-result|$id|error\n"; next }' }, ['key-unknown'] ],
	[ 'has another value', { START => '$data{root} = "jim";' }, ['known'], qr/found\|jim.*found\|joe/s ],
	[ 'has lost a key', { START => 'delete $data{root};' }, ['known'] ],
	[ 'ends at an empty key', { ANSWER => 'die if $key eq "";' }, ['key-empty'] ],
	[ 'does not answer an empty key', { ANSWER => 'next if $key eq "";' }, ['key-empty'] ],
	[ 'ends at a space', { ANSWER => 'die if $key =~ /\s/;' }, ['key-spaces'] ],
	[ 'cuts the key at a bar', { QUESTION => '($key) = split /\|/, $key, -1 if ($key // "") =~ /[^|]/;' },
	    ['key-bar'] ],
	[ 'ends at bytes', { ANSWER => 'my $copy = $key; utf8::decode($copy) or die "no UTF-8\n";' }, ['key-bytes'] ],
	[ 'takes a key for a pattern', { ANSWER => '(my $re = quotemeta $key) =~ s/\\\\([%*])/.*/g; '
	    . '($key) = (grep { /^$re$/ } sort keys %data), $key;' }, ['key-metacharacters'] ],
	[ 'has a short buffer', { RAW => 'die "line too long\n" if length $line > 2048;' }, ['key-long'] ],
	[ 'lower-cases passwords', { READY => 'print "register|auth\n";', ANSWER => '',
	    QUESTION => 'if ($op eq "check" && $service eq "auth") '
	    . '{ print "check-result|$id|", lc $key eq "bob:secret" ? "found" : "not-found", "\n"; next }' },
	    ['key-password-case'], undef, undef, [ '-s', 'auth:bob:Secret' ] ],

	# flow
	[ 'swallows every 100th', { QUESTION => 'next if $n % 100 == 0;' }, ['flow-one-write'],
	    qr/no answer to 5 of 512/ ],
	[ 'answers every 100th twice', { AFTER => 'print "lookup-result|$id|not-found\n" if $n % 100 == 0;' },
	    ['flow-one-write'] ],
	[ 'drops what does not go out', { ANSWER => 'vec(my $w = "", fileno STDOUT, 1) = 1; '
	    . 'select(undef, $w, undef, 0.1) or next;' }, ['flow-not-reading'] ],
	[ 'mixes up what is open', { START => 'our @held; use IO::Select; my $select = IO::Select->new(\*STDIN);',
	    ANSWER => 'if ($n % 9 == 0) { our $other = $key } elsif (our $other) { ($key, $other) = ($other, $key) '
	    . 'if $n > 100 }' }, ['flow-one-write'], qr/among others/ ],

	# the end
	[ 'stays', { END => 'sleep 60;' }, ['end-eof'], qr/still runs/ ],
	[ 'burns the CPU', { END => '1 while 1;' }, ['end-eof'], qr/never sleeps/ ],
	[ 'ends with a status', { END => 'exit 5;' }, ['end-eof'], qr/ended with status 5/ ],
	[ 'says goodbye', { END => 'print "bye\n";' }, ['end-eof'], qr/got:  bye/ ],
	[ 'stays without a handshake', { RAW => 'our $ready ||= $line eq "config|ready\n";',
	    END => 'sleep 60 if !our $ready;' }, ['end-early'] ],
	[ 'writes on and on', { START => '$SIG{PIPE} = "IGNORE";',
	    ANSWER => '1 until defined syswrite STDOUT, "lookup-result|$id|" '
	    . '. (defined $data{$key} ? "found|$data{$key}" : "not-found") . "\n"; next;' }, ['end-abrupt'],
	    qr/never sleeps/ ],
);

# Several at a time: most of each is waiting.
my (%running, @status);
my @todo = 0 .. $#cases;
while (@todo || %running) {
	while (@todo && keys %running < $AT_ONCE) {
		my $i = shift @todo;
		my ($name, $faults, undef, undef, undef, $more) = @{ $cases[$i] };
		my $text = $right;
		for my $mark (keys %$faults) {
			$text =~ s/#\Q$mark\E\n/$faults->{$mark}\n/ or die "no mark $mark";
		}
		open my $f, '>', "$dir/$i.pl" or die;
		print $f $text;
		close $f;
		my $pid = fork // die "fork: $!";
		if ($pid == 0) {
			open STDOUT, '>', "$dir/$i.tap" or die;
			exec "$build/tabmail-helper-test", '-t', $secs, '-s', 'alias:root=joe', @{ $more || [] },
			    $^X, "$dir/$i.pl" or exit 127;
		}
		$running{$pid} = $i;
	}
	my $pid = wait;
	$status[ delete $running{$pid} ] = $? >> 8;
}

for my $i (0 .. $#cases) {
	my ($name, undef, $want, $says, $level) = @{ $cases[$i] };
	my $tap = do { local (@ARGV, $/) = "$dir/$i.tap"; <> } // '';
	my @failed = $tap =~ /^not ok \d+ - (\S+)/mg;
	my ($plan) = $tap =~ /^1\.\.(\d+)$/m;
	my $ran = () = $tap =~ /^(?:not )?ok \d+ - \S+ \((?:must|should|may)\): /mg;
	my $good = is_deeply \@failed, $want, "a helper that $name: " . (join(', ', @$want) || 'passes');
	$good &= is $ran, $plan, '… and every test is printed once';
	$good &= is $status[$i], @$want && !$level ? 1 : 0, '… and the exit status says so';
	$good &= like $tap, $says, '… and it says why' if $says;
	$good &= like $tap, qr/^not ok \d+ - \Q$want->[0]\E .*# TODO/m, '… as a "should"' if $level;
	$good &= like $tap, qr/^#   do:   \S/m, '… and what to do' if @$want;
	diag $tap if !$good;
}

done_testing;
