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
my $warm_secs = $secs > 10 ? 12 : 1.5;	# verdicts are kept for 10 s
my $grows_kb = $secs > 10 ? 2048 : 4096;	# what a heap may gain by chance
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
my $d = Tabmail->start(users => ['bob'], files => { works => "\@example.org: bob\n", broken => <<'H' }, config => <<"C");
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
table works file:\$D/works
$tables
limit recipients 100000
listen on 127.0.0.1 port \$PORT
$rules
accept from any for domain example.org virtual <works> userbase <users> deliver to maildir
C

sub rss_kb {
	my ($pid) = @_;
	return slurp("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m ? $1 : die "no RssAnon of $pid\n";
}
my @roles = qw(lookup queue relay smtp);
my %before = map { $_ => join ' ', $d->pids($_) } @roles;

my (@sessions, %of);
my $select = IO::Select->new;
my $asked = 0;
sub open_session {
	my ($s) = @_;
	my $c = $s->{client} = $d->client;
	$c->ehlo;
	$c->cmd('MAIL FROM:<a@example.net>');
	$of{ $c->socket } = $s;
	$select->add($c->socket);
	$s->{next} = time;
}
sub ask {
	my ($s) = @_;
	$s->{sent} = time;
	$s->{next} = undef;
	$s->{client}->send(sprintf "RCPT TO:<a%d\@%s>\r\n", ++$asked, $s->{way} ? $domain{ $s->{way} } : 'example.org');
}
open_session($_), push @sessions, $_ for map { { way => $_ } } (@ways, @ways, (undef) x 6);

my (%count, @bad, @took, $warm_kb, $warm_at);
my $began = time;
my $end = $began + $warm_secs + $secs;
while (time < $end) {
	my $now = time;
	for my $s (@sessions) {
		ask($s) if defined $s->{next} && $s->{next} <= $now;
	}
	for my $socket ($select->can_read(0.005)) {
		my $s = $of{$socket};
		my $way = $s->{way};
		my $reply = $s->{client}->reply;
		my ($code) = $reply =~ /^(\d{3})/;
		$code ||= $reply;
		if ($way && $code =~ /^(?:421|closed)/) {	# refused too often: the next session
			$select->remove($socket);
			$s->{client}->close;
			delete $of{$socket};
			open_session($s);
			next;
		}
		$count{ $way || 'works' }{$code}++;
		if ($way) {
			push @bad, "$way: $reply" unless $code eq $ways{$way};
		} else {
			push @bad, "works: $reply" unless $code eq '250';
			push @took, time - $s->{sent};
		}
		$s->{next} = time + ($way ? 0.02 : 0.01);
	}
	if (!$warm_at && time > $began + $warm_secs) {
		$warm_at = time;
		$warm_kb = rss_kb($before{lookup});
	}
}
my $end_kb = rss_kb($before{lookup});

is scalar(@bad), 0, 'every answer is right' or diag join "\n", @bad[0 .. ($#bad < 9 ? $#bad : 9)];
for my $way (@ways) {
	my $n = $count{$way}{ $ways{$way} } || 0;
	cmp_ok $n, '>', 0, "a helper that does $way: $n times $ways{$way}";
}
@took = sort { $a <=> $b } @took;
cmp_ok scalar(@took), '>', 20 * $secs / $d->{slow}, 'meanwhile the one that works answers ' . @took . ' times';
cmp_ok $took[-1], '<', 1, sprintf 'the slowest after %.0f ms', $took[-1] * 1000;
is join(' ', $d->pids($_)), $before{$_}, "$_ is the same process" for @roles;
is kill(0, $d->pid), 1, 'and so is parent';
diag sprintf 'lookup: RssAnon %d kB after a warm-up, %d kB %d s later; %d questions, %.1f ms median of the one that works',
    $warm_kb, $end_kb, $secs, $asked, $took[@took / 2] * 1000;
SKIP: {
	skip 'a sanitizer keeps what is freed', 1 if $d->{slow} > 1;
	cmp_ok $end_kb - $warm_kb, '<', $grows_kb, "lookup's memory is flat";
}
my $log = $d->log_text;
for my $way ('floods-stderr', 'floods-stderr-without-end') {
	my %second;
	$second{$1}++ while $log =~ /^(\S+ ?\d\d:\d\d:\d\d|\S+).*table=$way event=stderr text=/mg;
	my $lines = () = $log =~ /table=$way event=stderr text=/g;
	my $dropped = 0;
	$dropped += $1 while $log =~ /table=$way event=stderr dropped=(\d+)/g;
	cmp_ok $lines, '<=', 20 * ($secs + $warm_secs + 3), "$way: $lines lines in the log";
	cmp_ok $dropped, '>', 1000, "and the others are counted: $dropped";
}
cmp_ok length $log, '<', 300_000 * ($secs + $warm_secs), 'the log is ' . int(length($log) / 1024) . ' KiB';
for my $row ($d->ctl_rows('show', 'tables')) {
	next unless ($ways{ $row->{table} } || '') eq '451' && $row->{table} !~ /other-service|wrong-id|unasked|floods/;
	cmp_ok $row->{restarts}, '>', 0, "$row->{table} was started again, $row->{restarts} times";
	cmp_ok $row->{restarts}, '<', 20 + 2 * $secs, 'with a back-off';
}
$_->{client}->close for @sessions;
$d->stop;
done_testing;
