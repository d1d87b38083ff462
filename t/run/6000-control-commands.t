# tabmailctl against the running daemon: each command's answer, its exit status, and its wrong words.
use strict;
use warnings;
use JSON::PP;
use Tabmail;
use Test::More;

my $d = Tabmail->start(users => ['bob'], files => { aliases => "info: bob\n" }, config => <<'C');
table users file:$D/users
table aliases file:$D/aliases
table friends { 192.0.2.1, 192.0.2.2 }
listen on 127.0.0.1 port $PORT
accept from any for domain example.org alias <aliases> userbase <users> deliver to maildir
accept from any for any relay via smtp://127.0.0.1:$PORT2
C
my $ctl = $d->dir . '/bin/tabmailctl';

my ($status, $out) = $d->ctl('show', 'queue');
is $status, 0, 'show queue';
is $out, "The queue is empty.\n", 'nothing waits';
is +($d->ctl('-j', 'show', 'queue'))[1], "[]\n", 'in JSON: []';

# nobody listens on PORT2, so this waits
like $d->mail('a@example.net', ['c@example.com', 'd@example.com'], mail_text('waits', 5000)), qr/^250 /,
    'a message for a server that is down';
my @rows;
wait_for { (@rows = $d->ctl_rows('show', 'queue')) == 2 } 'two recipients in the queue';
is ref $rows[0], 'HASH', 'rows are objects';
like encode_json($rows[0]), qr/"[cd]\@example\.com"/, 'with the recipient';
my ($id) = map { $rows[0]{$_} } grep { /^(?:id|message|envelope)$/ } sort keys %{ $rows[0] };
like $id, qr/^[0-9a-f]+(?:\.\d+)?$/, 'and an id in hex';
($status, $out) = $d->ctl('show', 'queue');
my @lines = split /\n/, $out;
is scalar(@lines), 3, 'for people: names and two rows' or diag $out;
like $lines[0], qr/^[A-Z0-9\- ]+$/, 'names in capitals';
is length($lines[1] =~ s/\S+@.*//r), length($lines[2] =~ s/\S+@.*//r), 'columns are aligned';

(my $message = $id) =~ s/\..*//;
($status, $out) = $d->ctl('show', 'message', $message);
is $status, 0, 'show message';
like $out, qr/a\@example\.net/, 'names the sender';
is +($d->ctl('-j', 'show', 'message', $message))[0], 0, 'in JSON';
ok eval { $d->ctl_rows('show', 'message', $message) }, 'which is valid';
($status, $out) = $d->ctl('show', 'message', 'fffffffffff');
is $status, 1, 'a message that does not exist is an error';
like $out, qr/^tabmailctl: \S/, 'and says so';
is +($d->ctl('schedule', 'fffffffffff'))[0], 1, 'it cannot be scheduled';
is +($d->ctl('remove', 'fffffffffff'))[0], 1, 'nor removed';

for my $what (qw(tables stats status)) {
	($status, $out) = $d->ctl('show', $what);
	is $status, 0, "show $what";
	like $out, qr/\S/, 'says something';
	ok eval { $d->ctl_rows('show', $what) }, 'in JSON too' or diag $@;
}
is_deeply [sort map { $_->{table} } $d->ctl_rows('show', 'tables')], [qw(aliases users)], 'the tables with a helper';
is_deeply [sort map { $_->{process} } $d->ctl_rows('show', 'status')], [qw(lookup queue relay smtp)], 'the processes';

is +($d->ctl('schedule', $message))[0], 0, 'schedule ID';
is +($d->ctl('schedule', 'all'))[0], 0, 'schedule all';
is +($d->ctl('remove', $message))[0], 0, 'remove ID';
wait_for { !$d->ctl_rows('show', 'queue') } 'the message to be gone';
pass 'it is gone';
$d->mail('a@example.net', 'c@example.com', mail_text('waits too'));
wait_for { scalar(my @r = $d->ctl_rows('show', 'queue')) } 'another to wait';
is +($d->ctl('remove', 'all'))[0], 0, 'remove all';
wait_for { !$d->ctl_rows('show', 'queue') } 'all to be gone';

($status, $out) = $d->ctl('table', 'aliases', 'lookup', 'alias', 'info');
is $status, 0, 'table lookup';
like $out, qr/\bbob\b/, 'shows the value';
($status, $out) = $d->ctl('table', 'friends', 'check', 'netaddr', '192.0.2.2');
like "$status $out", qr/^0 .*\bfound\b/s, 'table check of a list';
($status, $out) = $d->ctl('table', 'friends', 'check', 'netaddr', '192.0.2.3');
like "$status $out", qr/^0 .*not-found/s, 'which does not hold another';
my ($row) = $d->ctl_rows('table', 'aliases', 'lookup', 'alias', 'info');
is $row->{value}, 'bob', 'the value in JSON';

($status, $out) = $d->ctl('table', 'nosuch', 'update');
is $status, 1, 'a table that does not exist is an error';
like $out, qr/nosuch|no such table/, 'and says so';
is +($d->ctl('table', 'friends', 'update'))[0], 1, 'a list of the configuration has nothing to update';
my ($helper) = map { $_->{pid} } grep { $_->{table} eq 'aliases' } $d->ctl_rows('show', 'tables');
is +($d->ctl('table', 'aliases', 'restart'))[0], 0, 'table restart';
wait_for {
	my ($pid) = map { $_->{pid} } grep { $_->{table} eq 'aliases' } $d->ctl_rows('show', 'tables');
	$pid && $pid != $helper;
} 'another helper';
($status, $out) = $d->ctl('table', 'aliases', 'lookup', 'alias', 'info');
like "$status $out", qr/^0 .*\bbob\b/s, 'which answers';

for ([64, 'shwo'], [64, 'show'], [64, 'show', 'qeue'], [64, 'show', 'queue', 'now'], [64, 'table', 'aliases'],
    [64, 'table', 'aliases', 'lookup', 'alais', 'x'], [64, 'remove', 'everything'], [64, '-x']) {
	my ($want, @words) = @$_;
	($status, $out) = $d->ctl(@words);
	is $status, $want, "@words: a wrong word";
	like $out, qr/\S/, 'with a message';
}
like +($d->ctl('show', 'qeue'))[1], qr/did you mean "queue"/, 'the nearest word is proposed';

my ($plain, $hash) = ('correct horse');
($status, $hash) = run([input => "$plain\n"], $ctl, 'encrypt');
chomp $hash;
is $status, 0, 'encrypt';
is crypt($plain, $hash), $hash, 'the hash is of the password';
like $hash, qr/^\$(?:y|6)\$/, 'and of a strong kind';
isnt +(run([input => "\n"], $ctl, 'encrypt'))[0], 0, 'an empty password is refused';

my $sock = $d->dir . '/run/control.sock';
is +(run([env => { TABMAIL_SOCKET => $sock }], $ctl, 'show', 'queue'))[0], 0, 'the socket from the environment';
is +(run([env => { TABMAIL_SOCKET => $sock }], $d->dir . '/bin/mailq'))[1], "The queue is empty.\n", 'mailq';
($status, $out) = run([env => { TABMAIL_SOCKET => $sock }], $d->dir . '/bin/newaliases');
is $status, 0, 'newaliases' or diag $out;
is join('', sort split /^/, $out), "aliases: updated\nusers: updated\n", 'has the tables with a helper updated' or diag $out;
$d->file('aliases', "a: b\n\x00: \x01\nkey without colon and value is fine in no alias file,,,\n:\n");
($status, $out) = run([env => { TABMAIL_SOCKET => $sock }], $d->dir . '/bin/newaliases');
is $status, 1, 'newaliases fails when one fails';
like $out, qr/^aliases: NOT updated$/m, 'and says which';

($status, $out) = run($ctl, '-s', $d->dir . '/run/nothing.sock', 'show', 'queue');
is $status, 75, 'nobody listens';
like $out, qr{tabmaild is not running\? .*/run/nothing\.sock: No such file}, 'and it says so';
$d->stop;
done_testing;
