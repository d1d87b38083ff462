# The commands of more users than there are workers hang; the next user's mail is delivered all the same, and soon.
use strict;
use warnings;
use POSIX 'mkfifo';
use Tabmail;
use Test::More;

plan skip_all => 'only root can deliver to many users' unless $> == 0;
my $USERS = 135;
my @users = map { "u$_" } 1 .. $USERS;
my $d = Tabmail->start(users => [ @users, 'bob' ], config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to maildir
accept from any for domain hang.example userbase <users> deliver to mda "exec cat $D/go"
C
my $go = "$d->{dir}/go";	# a command waits until somebody opens it for writing
mkfifo($go, 0644) && chmod 0644, $go or die "$go: $!\n";
is scalar(grep { $d->mail('a@example.net', "$_\@hang.example", mail_text('hang')) =~ /^250 / } @users), $USERS, 'mail for each is taken';
wait_for { $d->ctl('-j', 'show', 'queue', 'state', 'delivering') =~ tr/\n// >= 128 } 'the commands to hang';
my $began = time;
like $d->mail('a@example.net', 'bob@example.org', mail_text('soon')), qr/^250 /, 'so is that for one more';
$d->await_mails('bob', 1);
cmp_ok time - $began, '<', 15, 'and he has it in ' . (time - $began) . ' seconds';
open my $out, '>', $go or die "$go: $!\n";
close $out;
$d->await_queue_empty;
$d->stop;
done_testing;
