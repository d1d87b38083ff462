# Power cuts at random moments under load: the page cache is lost, and a disk keeps what it likes of what no sync has
# returned for: nothing, all, single sectors, half of a write.  What was answered 250 before is there, whole, in the
# mailbox or in the spool, and nothing is damaged.  5 cuts, or 60 with TABMAIL_LONG=1 (`make crash`).
#
# t/fault/record.c writes down what the daemon writes and syncs; t/lib/Tabmail/PowerCut.pm makes of that the disk as of a
# moment, most of them those at which a client had just read its 250; and a real daemon starts on it.
use strict;
use warnings;
use File::Temp ();
use Tabmail;
use Tabmail::PowerCut;
use Tabmail::Storm;
use Test::More;

my $cuts = $ENV{TABMAIL_LONG} ? 60 : 5;
my $messages = $ENV{TABMAIL_LONG} ? 800 : 200;
my $dir = File::Temp->newdir;
my $cut = Tabmail::PowerCut->new("$dir/log", $ENV{TABMAIL_LONG} ? 2 << 30 : 1 << 30);
chmod 0755, $dir;
my $storm = Tabmail::Storm->new(clients => 4, record => $cut, sink_port => 1);	# nothing is relayed: it waits
my $d = $storm->daemon;
my %owner = map { $_ => [(stat $d->home($_))[4, 5]] } $storm->users;
make_spool($d);
$cut->root($d->dir . '/spool', 'spool');
$cut->root($d->home($_), $_) for $storm->users;
$storm->begin;
wait_for { $storm->accepted >= $messages } "$messages messages to be accepted", 300;
$storm->calm;
my $last = $d->client;	# one more, alone
like $last->mail('', ['x@example.com'], Tabmail::Storm::text('9-2', 694)), qr/^250 /, 'mail is accepted';
my $at = $cut->len;
$d->crash;
my @kept = map { /^(\d.*) at=(\d+)$/ ? [$2, $1] : () } $storm->notes;
push @kept, [$at, '9-2 694 x@example.com'];
@kept = sort { $a->[0] <=> $b->[0] } @kept;
note sprintf '%d messages answered 250, %.0f MiB of writes', scalar @kept, $at / (1 << 20);

my $before = $cut->sync_of('spool', 'spool.db-wal', '9-2 line 0 of', $at);
ok $before, 'the spool was synced' or BAIL_OUT('nothing is recorded');
my $lost = after_cut($before, 'none', $at);
is_deeply $lost->{missing}, ['9-2 x@example.com'], 'one sync less, and just that mail would be missing: this test sees it';

my @moments = sort { $a <=> $b } $at, map { $kept[rand @kept][0] + (rand() > 0.8 ? int rand 100_000 : 0) } 2 .. $cuts;
my @how = qw(none some first some all);
my ($n, $recipients, $again, @missing, @broken, @odd) = (0, 0, 0);
for my $moment (@moments) {
	my $how = $moment == $at ? 'none' : $how[$n % @how];
	$n++;
	my $r = after_cut($moment, $how, $moment);
	push @missing, map { "cut $n ($how): $_" } @{ $r->{missing} };
	push @broken, map { "cut $n ($how): $_" } @{ $r->{broken} };
	push @odd, map { "cut $n ($how): $_" } @{ $r->{odd} };
	$recipients += $r->{recipients};
	$again += $r->{again};
	diag "$n of $cuts cuts, $recipients recipients looked for" if $n % 20 == 0;
}
is $n, $cuts, "$cuts power cuts; $recipients recipients were looked for, $again had their mail again";
is_deeply \@missing, [], 'none is missing';
is_deeply \@broken, [], 'each came whole, also what lies in the mailboxes unasked';
is_deeply \@odd, [], 'no damage, no mail set aside, the queue drains';
$storm->{d}->forget;
$storm->{sink}->remove;
done_testing;

sub make_spool {
	my ($daemon) = @_;
	my $spool = $daemon->dir . '/spool';
	mkdir $spool, 0700 or die "$spool: $!\n";
	chown((getpwnam '_tabmailq')[2, 3], $spool) if root;
	return $spool;
}

# A daemon on what is left at that moment; of the mail that was answered 250 until then, what becomes of it.
sub after_cut {
	my ($moment, $how, $answered) = @_;
	my $s = Tabmail::Storm->new;
	my $new = $s->daemon;
	my $spool = make_spool($new);
	$cut->upto($moment);
	$cut->rebuild('spool', $spool, $how, sub { chown((getpwnam '_tabmailq')[2, 3], $_[0]) if root });
	for my $user ($s->users) {
		$cut->rebuild($user, $new->home($user), $how, sub { chown @{ $owner{$user} }, $_[0] });
	}
	spew($new->dir . '/kept.1', join '', map { "$_->[1]\n" } grep { $_->[0] <= $answered } @kept);
	$new->write_config;
	$s->boot;
	$new->ctl('reroute', 'all');	# its configuration relays to another place
	my $r = $s->reckon;
	$r->{odd} = [grep { /damaged=[1-9]| damaged (?:reason|rcpt|file)=|event=set-aside|malformed|ERROR: \w+Sanitizer|runtime error:|bug:/ } split /\n/, $new->log_text];
	push @{ $r->{odd} }, 'the queue does not drain' if !$r->{dry};
	my $wrong = $new->halt;
	push @{ $r->{odd} }, $wrong if $wrong;
	$new->forget;
	$s->{sink}->remove;
	return $r;
}
