# table-file is killed with SIGKILL again and again while mail flows: nothing is refused, everything arrives.
# Every message has an address of its own, so that no answer is remembered.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $N = 200;
my $d = Tabmail->start(users => ['bob'], files => { aliases => join '', map { "a$_: bob\n" } 1 .. 200 }, config => <<'C');
table users file:$D/users
table aliases file:$D/aliases
listen on 127.0.0.1 port $PORT
accept from any for domain example.org alias <aliases> userbase <users> deliver to maildir
C
my @replies;
my $killed = 0;
my $c = $d->client;
for my $n (1 .. $N) {
	$killed += $d->kill_role('table-file') if $n % 20 == 10 && $d->pids('table-file');
	push @replies, $c->mail('a@example.net', "a$n\@example.org", mail_text("number $n"));
}
$c->quit;
is scalar(grep { /^250 / } @replies), $N, "$N accepted while $killed helpers were killed" or
    diag join "\n", grep { !/^250 / } @replies;
cmp_ok $killed, '>=', 5, 'helpers were killed';
my @mails = $d->await_mails('bob', $N, 60);
my %got = map { /^Subject: number (\d+)$/m ? ($1 => 1) : () } @mails;
is scalar(keys %got), $N, 'all arrived';
is scalar(@mails), $N, 'each once';
$d->await_queue_empty;
$d->stop;
done_testing;
