# Security row 8: what a client writes into a local part, quoted or not, reaches a helper as one line with the
# right fields, or not at all: LF, CR, NUL, a forged request, 2 KiB.  The helper notes every line as it came.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $d = Tabmail->start(users => ['bob'], files => { notes => <<'H' }, config => <<'C');
#!/usr/bin/perl
# Keeps each line as it came, and tells them as hex.
$| = 1;
my $n = 0;
while (<STDIN>) {
	chomp(my $line = $_);
	if ($line =~ /^config\|/) {
		print "register|alias\nregister|userinfo\nregister|mailaddr\nregister|domain\nregister|ready\n" if $line eq 'config|ready';
		next;
	}
	my @f = split /\|/, $line, 8;
	$lines{ ++$n } = unpack 'H*', $line;
	if (($f[7] || '') =~ /^lines (\d+)$/) {	# the test's own
		delete $lines{ $n-- };
		print "lookup-result|$f[6]|found|", join(',', $n, map { $lines{$_} } $1 + 1 .. $n), "\n";
		next;
	}
	print $f[4], '-result|', $f[6] || 0, '|', $f[4] eq 'check' ? 'not-found' : 'found|bob', "\n";
}
H
table users file:$D/users
table notes command "$D/notes"
listen on 127.0.0.1 port $PORT
accept from any sender <notes> for domain never.example alias <notes> deliver to maildir
accept from any for domain virtual.example virtual <notes> userbase <users> deliver to maildir
accept from any for domain user.example userbase <notes> deliver to maildir
accept from any for domain example.org alias <notes> userbase <users> deliver to maildir
C

my $seen = 0;
# The lines that the helper had since it was last looked.
sub lines {
	my ($status, $out) = $d->ctl('table', 'notes', 'lookup', 'alias', "lines $seen");
	($seen, my @lines) = split /,/, $out =~ /^found +(\S+)$/m ? $1 : die $out;
	return map { pack 'H*', $_ } @lines;
}

my $forged = 'table|0.1|1713795082.354255|notes|lookup|alias|00010001|forged';
my %parts = (
	'LF' => "a\nb", 'CR' => "a\rb", 'CR LF' => "a\r\nb", 'NUL' => "a\0b", 'a quoted LF' => "a\\\nb", 'a quoted CR' => "a\\\rb",
	'a quoted NUL' => "a\\\0b", 'VT, FF, ESC, DEL' => "a\x0b\x0c\x1b\x7fb", 'NEL as UTF-8' => "a\xc2\x85b", 'LS as UTF-8' => "a\xe2\x80\xa8b",
	'a forged request' => $forged, 'a forged request behind LF' => "a\n$forged", 'a forged request behind CR' => "a\r$forged",
	'a forged request behind NUL' => "a\0$forged", 'a forged request between LFs' => "a\n$forged\nb",
	'a forged answer' => 'lookup-result|00010001|found|eve', 'bars' => '|||||||', 'a bar at the end' => 'a|',
	'2 KiB' => 'x' x 2048, '2 KiB of bars' => '|' x 2048, '2 KiB with LF' => ('x' x 1024) . "\n" . ('y' x 1024), '64 KiB' => 'x' x 65536,
	'backslashes' => '\\\\' x 30, 'quotes' => '\\"' x 30, 'blanks' => ' a ', 'percent' => '%0a%0d%00', 'entity' => '&#10;\\n\\r',
);
my ($taken, $refused, $all) = (0, 0, 0);
for my $name (sort keys %parts) {
	for my $quoted (1, 0) {
		my $part = $quoted ? "\"$parts{$name}\"" : $parts{$name};
		for my $command ("MAIL FROM:<$part\@example.net>", map { "RCPT TO:<$part\@$_>" } qw(example.org virtual.example user.example never.example)) {
			my $c = $d->client;
			$c->{secs} = 5 * $d->{slow};
			$c->ehlo;
			$c->cmd('MAIL FROM:<a@example.net>') if $command =~ /^RCPT/;
			$c->send("$command\r\n");
			my $reply = $c->reply;
			if ($reply =~ /^250/) { $taken++ } else { $refused++ }
			# so that a sender is asked for, too
			$c->cmd('RCPT TO:<a@never.example>') if $command =~ /^MAIL/ && $reply =~ /^250/;
			$c->close;
		}
	}
	my @lines = lines();
	$all += @lines;
	my @wrong = grep { !/\Atable\|0\.1\|\d+\.\d+\|notes\|(?:lookup\|(?:alias|userinfo)|check\|mailaddr)\|[0-9a-f]{12}\|[^\r\n\0]*\z/
		|| /\Atable\|0\.1\|1713795082\.354255\|/ } @lines;
	is scalar(@wrong), 0, sprintf '%s: %d requests, each a line of its own', $name, scalar @lines or diag explain \@wrong;
}
cmp_ok $taken, '>', 20, "$taken commands were taken";
cmp_ok $refused, '>', 50, "and $refused refused";
cmp_ok $all, '>', $taken / 2, "the helper had $all requests";
# By the control socket, too, where no address is parsed.
for my $name (sort keys %parts) {
	next if $parts{$name} =~ /\0/ || length $parts{$name} > 60_000;	# no argument holds it
	$d->ctl('table', 'notes', $_, 'alias', $parts{$name}) for 'lookup', 'check';
	my @wrong = grep { !/\Atable\|0\.1\|\d+\.\d+\|notes\|(?:lookup|check)\|alias\|[0-9a-f]{12}\|[^\r\n\0]*\z/
		|| /\Atable\|0\.1\|1713795082\.354255\|/ } lines();
	is scalar(@wrong), 0, "tabmailctl with $name: likewise" or diag explain \@wrong;
}
my ($row) = grep { $_->{table} eq 'notes' } $d->ctl_rows('show', 'tables');
is $row->{restarts}, 0, 'the helper was never started again';
like $d->mail('a@example.net', 'bob@example.org', mail_text('x')), qr/^250 /, 'and mail flows';
$d->await_mails('bob', 1);
$d->stop;
done_testing;
