# user+tag reaches user, unless an alias has the whole of it.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $d = Tabmail->start(users => [qw(bob alice)], files => { virtual => <<'V', aliases => "bob+shop: alice\n" }, config => <<'C');
bob@virtual.example: alice
bob+own@virtual.example: bob
@catch.example: bob
V
table users file:$D/users
table aliases file:$D/aliases
table virtual file:$D/virtual
listen on 127.0.0.1 port $PORT
accept from any for domain example.org alias <aliases> userbase <users> deliver to maildir
accept from any for domain { virtual.example, catch.example } virtual <virtual> userbase <users> deliver to maildir
C
my %want = (bob => 0, alice => 0);
for (['bob+news@example.org', 'bob'], ['bob+shop@example.org', 'alice'], ['bob+a+b@example.org', 'bob'],
    ['bob+x@virtual.example', 'alice'], ['bob+own@virtual.example', 'bob'], ['any.one@catch.example', 'bob']) {
	my ($rcpt, $user) = @$_;
	like $d->mail('a@example.net', $rcpt, mail_text($rcpt)), qr/^250 /, "$rcpt is accepted";
	$d->await_mails($user, ++$want{$user});
	is scalar(grep { /^Subject: \Q$rcpt\E$/m } $d->mails($user)), 1, "$rcpt reaches $user";
}
$d->stop;
done_testing;
