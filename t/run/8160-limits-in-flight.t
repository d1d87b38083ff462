# Limits in flight: of a route, of a user, of all; a slow server and a slow command hold no more than theirs, the others
# have their turn, and all is delivered in the end.
use strict;
use warnings;
use File::Spec;
use Tabmail;
use Test::More;

my $go = File::Spec->tmpdir . "/tm-go.$$";
my $slow = Tabmail::Sink->start(answer => sub { select undef, undef, undef, 0.02 while $_[0] eq 'rcpt' && !-e $go; undef });
my $quick = Tabmail::Sink->start;
my $d = Tabmail->start(users => [ 'bob', 'ann' ], vars => { SLOW => $slow->port, QUICK => $quick->port, GO => $go }, config => <<'C');
limit deliveries 2 route-deliveries 3 all-deliveries 6
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org recipient "bob@example.org" userbase <users> deliver to mda "until test -e $GO; do sleep 0.1; done"
accept from any for domain example.org userbase <users> deliver to maildir
accept from any for domain slow.example relay via smtp://127.0.0.1:$SLOW
accept from any for any relay via smtp://127.0.0.1:$QUICK
C

sub flying { my %n; $n{$_}++ for map { $_->{route} || 'local' } $d->ctl_rows('show', 'queue', 'state', 'delivering'); return \%n }

my $route = 'smtp://127.0.0.1:' . $slow->port;
for my $i (1 .. 4) {
	like $d->mail('', [ 'bob@example.org', map { "r$i.$_\@slow.example" } 1 .. 5 ], mail_text("slow $i")), qr/^250 /, "message $i";
}
my ($local, $relay) = (0, 0);
wait_for { my $n = flying(); ($local, $relay) = ($n->{local} || 0, $n->{$route} || 0); $local == 2 && $relay == 3 } 'as many as may be in flight';
is "$local $relay", '2 3', 'two of a user, three of a route';
my @ann = root() ? 'ann@example.org' : ();	# without root all users are one
like $d->mail('', [ @ann, 'x@quick.example' ], mail_text('quick')), qr/^250 /, 'one for another user and another route';
$d->await_mails('ann', 1) if @ann;
wait_for { $quick->count == 1 } 'the other route to have it';
pass 'they go in the room that is left';
my $n = flying();
cmp_ok $n->{local} || 0, '<=', 2, 'no more than two of a user';
cmp_ok $n->{$route} || 0, '<=', 3, 'no more than three of a route';
spew($go, '');
$d->await_queue_empty;
is_deeply [ sort map { @{ $_->{rcpts} } } $slow->mails ], [ sort map { my $i = $_; map { "r$i.$_\@slow.example" } 1 .. 5 } 1 .. 4 ],
    'in the end all is delivered, each once';
$d->stop;
unlink $go;
$_->remove for $slow, $quick;
done_testing;
