# "tabmailctl schedule" tries, though the route and its server are set aside for a while: who mended the server need not wait.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $port = free_port;
my $d = Tabmail->start(users => ['bob'], vars => { SERVER => $port }, config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for any relay via "smtp://127.0.0.1:$SERVER"
C
like $d->mail('a@example.net', 'x@example.com', mail_text('waits')), qr/^250 /, 'mail for a server that is down';
my $row = sub { ($d->ctl_rows('show', 'queue'))[0] || {} };
my $aside = sub { my ($what) = @_; my ($r) = $d->ctl_rows('show', $what); return $r ? $r->{'set-aside'} || 0 : 0 };

# Each try of a person's is one: the server is asked, and is set aside for twice as long.
wait_for { ($row->()->{attempts} || 0) >= 1 && $row->()->{state} eq 'deferred' } 'the first try';
for my $try (1 .. 8) {
	my $before = $row->()->{attempts};
	$d->ctl('schedule', $try % 3 == 0 ? $row->()->{id} : $try % 3 == 1 ? ('recipient', 'x@*') : 'all');
	wait_for { my $r = $row->(); $r->{attempts} > $before && $r->{state} eq 'deferred' } 'a try';
	like $row->()->{reason}, qr/cannot connect/, "try $try went to the server";
}
cmp_ok $aside->('routes'), '>', 10, 'the route is set aside for a while';
cmp_ok $aside->('hosts'), '>', 10, 'and so is the server';

my $sink = Tabmail::Sink->start(port => $port);
my $left = $aside->('routes');
$d->ctl('schedule', 'all');
ok eval { wait_for { $sink->count == 1 } 'the mail', 8 }, "the server is back, and gets the mail, $left s before its time" or diag $@;
$d->stop;
$sink->remove;
done_testing;
