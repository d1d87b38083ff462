# `cache`: what was found is not asked again; `negative`; `stale`: while the helper fails, what was last found
# serves; errors are never kept, an update empties it, equal questions in flight are one; the circuit.
use strict;
use warnings;
use Tabmail;
use Test::More;
use Time::HiRes qw(time);

# Says what it is asked in a file; its behaviour is read from another at each question.
my $d = Tabmail->start(users => ['bob'], files => { helper => <<'H', mode => 'good', fails => <<'H2' }, config => <<'C');
#!/usr/bin/perl
use Time::HiRes 'sleep';
(my $dir = $0) =~ s,/[^/]*$,,;
$| = 1;
while (<STDIN>) {
	chomp;
	my @f = split /\|/;
	if ($f[0] eq 'config') { print "register|alias\nregister|ready\n" if $f[1] eq 'ready'; next }
	if ($f[4] eq 'lookup' && $f[7] eq 'crossing') {	# the first answer comes behind the second
		print STDERR "asked $f[7]\n";
		push @crossing, $f[6];
		print map { "lookup-result|$crossing[$_]|found|" . ($_ ? 'new' : 'old') . "\n" } 1, 0 if @crossing == 2;
		next;
	}
	if ($f[4] eq 'update') { print "update-result|$f[5]|ok\n"; next }
	print STDERR "asked $f[7]\n";
	open my $m, '<', "$dir/mode";
	my $mode = <$m>;
	exit 1 if $mode eq 'dies';
	sleep 0.3 if $f[7] eq 'shared';
	print "lookup-result|$f[6]|", $mode eq 'error' ? 'error|down' : $f[7] eq 'nobody' ? 'not-found' : 'found|bob', "\n";
}
H
#!/bin/sh
exit 1
H2
table kept command "$D/helper" cache 3s negative 3s stale 1h
table fails command "$D/fails" timeout 20s
listen on 127.0.0.1 port $PORT
accept for any relay via smtp://127.0.0.1:$PORT8
C

# What tabmailctl is answered; -j would do, but a person reads this.
sub lookup { my ($status, $out) = $d->ctl('table', 'kept', 'lookup', 'alias', $_[0]); return $out }
my $seen = sub { my ($key) = @_; return scalar(() = $d->log_text =~ /text="asked \Q$key\E"/g) };
sub row { my ($table) = @_; return (grep { $_->{table} eq $table } $d->ctl_rows('show', 'tables'))[0] }

like lookup('one'), qr/found.*bob/s, 'an answer';
like lookup('one'), qr/found.*bob/s, 'again' for 1 .. 5;
is $seen->('one'), 1, 'asked once';
is row('kept')->{cached}, 5, 'five from the cache';
like lookup('nobody'), qr/not-found/, 'one that is not there' for 1 .. 3;
is $seen->('nobody'), 1, 'asked once';
is(($d->ctl('table', 'kept', 'update'))[0], 0, 'an update');
like lookup('one'), qr/bob/, 'asked';
is $seen->('one'), 2, 'again';

sub lookup_beside {
	my ($key) = @_;
	my $pid = fork // die;
	exec "$d->{dir}/bin/tabmailctl", '-s', "$d->{dir}/run/control.sock", qw(table kept lookup alias), $key if $pid == 0;
	return $pid;
}
my @pids = map { lookup_beside('shared') } 1 .. 10;
waitpid $_, 0 for @pids;
is $seen->('shared'), 1, 'ten at once were one question';

# Asked before an update, answered after it: whoever comes behind the update does not get that answer.
my $old = lookup_beside('crossing');
wait_for { $seen->('crossing') == 1 } 'it to be asked';
is(($d->ctl('table', 'kept', 'update'))[0], 0, 'an update while a question is in flight');
like lookup('crossing'), qr/new/, 'who comes then asks anew';
waitpid $old, 0;
like lookup('crossing'), qr/new/, 'and that answer is kept, not the old one';
is $seen->('crossing'), 2, 'two questions in all';
lookup('one');

$d->file('mode', 'error');
wait_for { lookup('fresh') =~ /down/ } 'the helper to answer errors';
my $before = row('kept')->{stale};
wait_for { lookup('one') =~ /bob/ && row('kept')->{stale} > $before } 'a kept answer that is past its time to serve all the same';
unlike lookup('fresh'), qr/found/, 'but not one that was never found';
$d->file('mode', 'dies');
my $from = time;
like lookup('one'), qr/bob/, 'while it dies at every question, too';
$d->file('mode', 'good');
wait_for { lookup('fresh') =~ /bob/ } 'its answers to come back', 40;
is row('kept')->{state}, 'ready', 'it is up';

# The circuit: one that never works answers "try later" at once, not after its 20 s.
wait_for { row('fails')->{restarts} >= 5 } 'the other helper to have failed five times', 30;
$from = time;
my ($status, $out) = $d->ctl('table', 'fails', 'lookup', 'alias', 'x');
isnt $status, 0, 'it has no answer';
like $out, qr/keeps failing/, 'and says so';
cmp_ok time - $from, '<', 5, 'at once';
$d->stop;
done_testing;
