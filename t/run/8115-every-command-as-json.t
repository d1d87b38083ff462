# Every command of tabmailctl with -j: by message, by recipient, by filter and for all, with rows and without, the answer is
# one JSON array of objects; what fails says so on the standard error, with a status, and gives no half an answer.
use strict;
use warnings;
use JSON::PP ();
use Tabmail;
use Test::More;

my $dead = free_port;
my $d = Tabmail->start(users => ['ann'], vars => { DEAD => $dead }, files => { keys => "ann\nnone\n" }, config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to maildir
accept from any for any relay via smtp://127.0.0.1:$DEAD
C
# What is foreign has all that JSON minds.
$d->mail('s@example.net', [qq("q\\\\\\"$_"\@dead.example)], mail_text(qq(q "$_" \\ \t \xff \xc3\xa9))) for 1 .. 6;
wait_for { 6 == grep { $_->{state} eq 'deferred' } $d->ctl_rows('show', 'queue') } 'all to be put off';
my @q = map { $_->{id} } $d->ctl_rows('show', 'queue');
(my $message = $q[0]) =~ s/\..*//;
my $route = "smtp://127.0.0.1:$dead";

# rows: how many; undef: any number; -1: it fails
sub says {
	my ($rows, @words) = @_;
	my ($status, $out) = $d->ctl('-j', @words);
	if (defined $rows && $rows == -1) {
		ok $status != 0 && $out =~ /^tabmailctl: \S/ && $out !~ /^\[/m, "@words: fails, and says why" or diag "$status $out";
		return;
	}
	my $value = eval { JSON::PP->new->utf8->decode($out) };
	my $good = $status == 0 && ref $value eq 'ARRAY' && !(grep { ref ne 'HASH' } @$value) && (!defined $rows || @$value == $rows);
	ok $good, "@words: " . (ref $value eq 'ARRAY' ? scalar(@$value) : 'no') . ' rows' or diag "$status $out $@";
}

says(6, qw(show queue));
says(6, qw(show queue state deferred));
says(6, 'show', 'queue', 'route', 'smtp*', 'sender', 's@*');
says(0, 'show', 'queue', 'sender', 'nobody');
says(undef, 'show', 'message', $_) for $message, $q[0];
says(-1, 'show', 'message', '0000');
says(0, 'show', 'paused');
says(undef, 'show', $_) for qw(tables routes hosts sources stats status);
for my $by ([ $message, $q[1], 'all' ], [ [ 'recipient', '*3*' ], [ 'state', 'deferred', 'route', 'smtp*' ], [ 'sender', 'nobody' ] ]) {
	for my $what (map { ref $_ ? @$_ : $_ } map { [$_] } @$by) {
		my @what = ref $what ? @$what : ($what);
		says(1, $_, @what) for qw(schedule hold release reroute);
	}
}
for my $what ('local', 'relay', 'smtp', $route) {
	says(undef, 'pause', $what);
	says(1, 'show', 'paused');
	says(undef, 'resume', $what);
}
says(-1, 'pause', 'nonsense');
says(1, 'queue', 'backup', $d->dir . '/backup.db');
says(-1, 'queue', 'backup', $d->dir . '/none/backup.db');
says(undef, qw(table users update));
says(undef, qw(table users lookup userinfo), $_) for 'ann', 'none';
says(undef, qw(table users bench userinfo), $d->dir . '/keys');
says(undef, 'explain', $_) for 'ann@example.org', 'none@example.org', 'x@dead.example';
says(1, 'remove', $_) for $message, $q[1];
says(1, 'remove', 'recipient', '*3*');
says(1, 'remove', 'all');
says(0, qw(show queue));
says(-1, 'remove', 'zz');
says(-1, 'frob');
$d->stop;
done_testing;
