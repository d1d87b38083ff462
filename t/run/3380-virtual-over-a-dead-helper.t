# Several keys are asked at once for a virtual recipient and for user+tag: while their helper is dead, its
# circuit open, or it lacks the service, each is 451, and no process ends over it.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $d = Tabmail->start(users => ['bob'], files => { dead => <<'H', lacks => <<'H2' }, config => <<'C');
#!/bin/sh
exit 1
H
#!/bin/sh
while read -r line; do
	case $line in 'config|ready') printf 'register|domain\nregister|ready\n' ;; esac
done
H2
table users file:$D/users
table dead command "$D/dead"
table lacks command "$D/lacks"
listen on 127.0.0.1 port $PORT
accept from any for domain v.dead.example virtual <dead> userbase <users> deliver to maildir
accept from any for domain a.dead.example alias <dead> userbase <users> deliver to maildir
accept from any for domain v.lacks.example virtual <lacks> userbase <users> deliver to maildir
accept from any for domain u.lacks.example userbase <lacks> deliver to maildir
accept from any for domain example.org userbase <users> deliver to maildir
C
my %before = map { $_ => join ' ', $d->pids($_) } qw(parent smtp lookup queue relay);
wait_for { (grep { $_->{table} eq 'dead' } $d->ctl_rows('show', 'tables'))[0]{restarts} >= 5 } 'the circuit to open', 30;
my $c = $d->client;
$c->greeting;
$c->ehlo;
$c->cmd('MAIL FROM:<a@example.net>');
for my $domain (qw(v.dead.example a.dead.example v.lacks.example u.lacks.example)) {
	like $c->cmd("RCPT TO:<$_\@$domain>"), qr/^451 /, "$_\@$domain: 451" for 'bob', 'bob+tag', "other+$domain";
}
like $c->cmd('RCPT TO:<bob+tag@example.org>'), qr/^250 /, 'another table serves';
is join(' ', $d->pids($_)), $before{$_}, "$_ is the same process" for sort keys %before;
$d->stop;
done_testing;
