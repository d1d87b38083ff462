# Damage in the spool: a body that is not what was written is set aside and told; a damaged page of the database is
# mended at a start, what could be read of it delivered, the old file kept.  It is never fatal: new mail flows.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $N = 200;
my $port = free_port;
my $config = <<'C';
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to maildir
accept from any for any relay via smtp://127.0.0.1:$SINK
C

sub text { my ($n) = @_; return mail_text("number $n", $n % 50 == 7 ? 150_000 : 300 + 97 * $n % 5000) }

# One value of the spool of a stopped daemon.
sub sql {
	my ($d, $sql) = @_;
	my ($status, $out) = run('sqlite3', $d->dir . '/spool/spool.db', $sql);
	die "sqlite3: $out" if $status != 0;
	chomp $out;
	return $out;
}

# Writes nonsense over a page.
sub spoil {
	my ($d, $page) = @_;
	open my $f, '+<:raw', $d->dir . '/spool/spool.db' or die $!;
	seek $f, ($page - 1) * 8192, 0;
	print $f "\xde\xad\xbe\xef" x 2048;
	close $f or die $!;
}

# A leaf in the middle of a table or index.
sub leaf { return sql($_[0], "SELECT pageno FROM dbstat WHERE name = '$_[1]' AND pagetype = 'leaf' ORDER BY path LIMIT 1 OFFSET 1") }

sub case {
	my ($name, $spoil, %o) = @_;
	my $d = Tabmail->start(users => ['bob'], vars => { SINK => $port }, config => $config);
	my $c = $d->client;
	$c->mail('s@example.net', "r$_\@example.com", text($_)) for 1 .. $N;
	$c->quit;
	wait_for { !grep { $_->{state} ne 'deferred' } $d->ctl_rows('show', 'queue') } 'all to be put off';
	is $d->halt, '', "$name: a queue of $N messages";
	sql($d, 'PRAGMA wal_checkpoint(TRUNCATE)');
	$spoil->($d);
	my $sink = Tabmail::Sink->start(port => $port);
	$d->boot;
	like $d->mail('a@example.net', 'bob@example.org', mail_text('new')), qr/^250 /, '… new mail is accepted';
	ok eval { $d->await_mails('bob', 1) }, '… and delivered' or diag $@;
	my @left;
	eval {
		wait_for {
			$d->ctl('schedule', 'all');
			select undef, undef, undef, 0.1;
			@left = eval { $d->ctl_rows('show', 'queue') } or return $@ ? 0 : 1;
			!grep { $_->{reason} !~ /^set aside/ } @left;
		} 'the old ones to go', 60;
	} or diag $@, $d->log_text =~ /(.{0,3000})\z/s;
	my (%got, $bad);
	for my $m ($sink->mails) {
		my ($n) = $m->{mail} =~ /^Subject: number (\d+)\r$/m or next;
		$got{$n}++;
		$m->{mail} =~ s/\r\n/\n/g;
		$bad .= " $n" unless defined trace_and_rest($m->{mail}, text($n));
	}
	is $bad, undef, '… what is delivered is whole';
	# a repair ends the process: what relay had in hand, and what was not yet written, comes again
	my $again = grep { $_ != 1 } values %got;
	cmp_ok $again, '<=', $o{kept} ? 20 + 64 + 16 : 0, "… $again come again";
	my $lost = $N - keys(%got) - @left;
	cmp_ok $lost, '<=', $o{lost}, '… ' . keys(%got) . ' of ' . "$N delivered, " . @left . " set aside, $lost lost";
	cmp_ok scalar(@left), '>=', $o{aside} || 0, '… set aside as it should be';
	like $d->log_text, $o{log}, '… the log tells' if $o{log};
	my @kept = glob $d->dir . '/spool/spool.db.damaged-*';
	is scalar(@kept), $o{kept}, $o{kept} ? '… the old file is kept' : '… no repair was needed';
	$d->ctl('remove', 'all');
	ok eval { $d->await_queue_empty; 1 }, '… what was set aside can be removed';
	is $d->halt, '', '… it ends well';
	is sql($d, 'PRAGMA integrity_check'), 'ok', '… and leaves a sound file';
	unlike $d->log_text, qr/ERROR: \w+Sanitizer|runtime error:|\bbug: /, '… no sanitizer spoke, no bug was logged';
	$d->forget;
	$sink->remove;
}

case('a body is changed', sub { sql($_[0], "UPDATE body SET data = replace(data, 'dull', 'DULL') WHERE id = (SELECT min(id) FROM body)") },
    lost => 0, aside => 1, kept => 0, log => qr/event=set-aside .*piece 1 of 1 of its body is damaged/);
case('a piece of a long one is gone', sub { sql($_[0], 'DELETE FROM body WHERE id & 4095 = 1 AND id = (SELECT min(id) FROM body WHERE id & 4095 = 1)') },
    lost => 0, aside => 1, kept => 0, log => qr/event=set-aside .*piece 2 of 3 of its body/);
case('a page of bodies', sub { spoil($_[0], leaf($_[0], 'body')) }, lost => 0, aside => 1, kept => 1, log => qr/queue repair done kept=/);
case('a page of envelopes', sub { spoil($_[0], leaf($_[0], 'envelope')) }, lost => 60, kept => 1, log => qr/repair table="?envelope"? rows=\d+ gaps=1/);
case('a page of messages', sub { spoil($_[0], leaf($_[0], 'message')) }, lost => 0, aside => 1, kept => 1, log => qr/set-aside=[1-9]/);
case('the root of the schedule', sub { spoil($_[0], sql($_[0], "SELECT rootpage FROM sqlite_master WHERE name = 'schedule'")) }, lost => 0, kept => 1);
case('the root of the bodies', sub { spoil($_[0], sql($_[0], "SELECT rootpage FROM sqlite_master WHERE name = 'body'")) }, lost => 0, aside => 1, kept => 1);
case('the first page', sub { spoil($_[0], 1) }, lost => $N, kept => 1, log => qr/nothing of the damaged spool can be read/);
case('the second half of the file', sub { my $f = $_[0]->dir . '/spool/spool.db'; truncate $f, int((-s $f) / 16384) * 8192 }, lost => $N, kept => 1);
case('one of version 4', sub { # its upgrade meets the damage, so that the repair has the old tables before it
	sql($_[0], 'DROP INDEX unreached; ALTER TABLE body DROP COLUMN sum; ALTER TABLE attempt DROP COLUMN tls; ALTER TABLE message DROP COLUMN utf8;'
	    . 'PRAGMA user_version=4; VACUUM; PRAGMA wal_checkpoint(TRUNCATE)');
	spoil($_[0], leaf($_[0], 'envelope'));
}, lost => 60, kept => 1, log => qr/\A(?!.*table=attempt lost).*queue repair done/s);
done_testing;
