# Security row 9: helpers that are broken in every way, a table each, all at once, while many sessions ask
# them and a healthy one.  The healthy one's questions are answered all along; the broken ones' are never
# taken for "no such user"; no process of the daemon is started again, lookup's memory stays flat, and the
# log is not flooded.  3 s, or 30 with TABMAIL_LONG=1.
use strict;
use warnings;
use IO::Select;
use Tabmail;
use Test::More;
use Time::HiRes qw(time);

my $secs = $ENV{TABMAIL_LONG} ? 30 : 3;
my $grows_kb = 4096;	# what a heap may gain by chance
my %ways = (	# what the reply to RCPT may be
	'exits-at-once' => '451', 'exits-midway' => '451', 'hangs' => '451', 'silent' => '451',
	'wrong-id' => '451', 'empty-value' => '451', 'endless-line' => '451', 'nul' => '451',
	'other-service' => '451', 'garbage' => '451', 'registers-twice' => '451', 'floods-stdout' => '451',
	'unasked-answers' => '451', 'no-program' => '451',
	'answers-twice' => '250', 'floods-stderr' => '250', 'floods-stderr-without-end' => '250',
);
my @ways = sort keys %ways;
my $i = 0;
my %domain = map { $_ => 'h' . ++$i . '.example' } @ways;
my $tables = join '', map {
	my $program = $_ eq 'no-program' ? '$D/nothing' : '$D/broken';
	"table $_ command \"$program $_\" timeout 1s\n"
} @ways;
my $rules = join '', map { "accept from any for domain $domain{$_} alias <$_> userbase <users> deliver to maildir\n" } @ways;
my $d = Tabmail->start(users => ['bob'], files => { broken => <<'H' }, config => <<"C");
#!/usr/bin/perl
use IO::Select;
my ($way) = @ARGV;
$| = 1;
exit 1 if $way eq 'exits-at-once';
sleep 1000 if $way eq 'silent';
while (<STDIN>) { last if /^config\|ready/ }
print 'register|', $way eq 'other-service' ? 'frobnicate' : 'alias', "\nregister|ready\n";
print "register|alias\nregister|ready\n" if $way eq 'registers-twice';
print "lookup-result|00010001|found|eve\nlookup-result|0|found|eve\n" if $way eq 'unasked-answers';
my $stdin = IO::Select->new(\*STDIN);
my $in = '';
for (;;) {
	if ($way eq 'floods-stdout') {	# and reads nothing
		print "lookup-result|ffffffff|found|eve\n" x 2000;
		select undef, undef, undef, 0.01;
		next;
	}
	if ($way =~ /floods-stderr/) {
		syswrite STDERR, $way =~ /without/ ? 'x' x 65536 : "y\n" x 32768;
		$stdin->can_read(0.01) or next;
	}
	sysread STDIN, $in, 65536, length $in or exit;
	while ($in =~ s/^(.*)\n//) {
		my @f = split /\|/, $1, 8;
		my ($id, $good) = ($f[6], "lookup-result|$f[6]|found|bob\n");
		exit if $way eq 'exits-midway';
		sleep 1000 if $way eq 'hangs';
		if ($way eq 'endless-line') { print 'x' x 1_000_000; sleep 1000 }
		print $way eq 'wrong-id' ? "lookup-result|x$id|found|bob\n"
		    : $way eq 'empty-value' ? "lookup-result|$id|found|\n"
		    : $way eq 'nul' ? "lookup-result|$id|found|b\0ob\n"
		    : $way eq 'garbage' ? "\x01\xff no protocol of yours\n"
		    : $way eq 'unasked-answers' ? "lookup-result|$id|not-found|\x7f\nupdate-result|$id\n"
		    : $way eq 'answers-twice' ? $good . "lookup-result|$id|not-found\n" : $good;
	}
}
H
table users file:\$D/users
table healthy { "\@example.org" = "bob" }
table works file:\$D/works
$tables
limit recipients 1000000
listen on 127.0.0.1 port \$PORT
$rules
accept from any for domain example.org virtual <works> userbase <users> deliver to maildir
C
$d->stop;
done_testing;
