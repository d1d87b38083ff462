# mbox: one file, "From " quoted, readable by others' tools.  mda: the command gets the mail, its
# environment and its arguments; its exit code decides.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $boxuser = "tabmail-test-$$";
my $pid = $$;
# A user of the system with a home, whose uid is not that of a test's user.
my ($as) = root() ? (grep { my @p = getpwnam $_; @p && $p[2] && $p[3] && -d $p[7] } qw(games man mail news)) : scalar getpwuid $>;
my @as = getpwnam $as;
END { unlink grep { !-s } map { "/var/mail/$_" } $boxuser, 'alice' if $$ == $pid && Tabmail::root() }
my $d = Tabmail->start(users => [$boxuser, 'alice'], files => { as => <<'A', mda => <<'M' }, vars => { AS => $as, FIRST_UID => $as[2] }, config => <<'C');
#!/bin/sh
cat >/dev/null
echo "$1 $2 $(id -u) $HOME $(pwd)" >"${0%/*}/shared/.out" && mv "${0%/*}/shared/.out" "${0%/*}/shared/out"
A
#!/bin/sh
cat >"$HOME/mda.mail"
env >"$HOME/mda.env"
pwd >"$HOME/mda.cwd"
id -u >"$HOME/mda.uid"
printf '%s\n' "$@" >"$HOME/mda.args"
case "$1" in
*+temp@*) echo 'come back later' >&2; exit 75;;
*+perm@*) echo 'never again' >&2; exit 77;;
esac
M
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain mbox.example userbase <users> deliver to mbox
accept from any for domain mda.example userbase <users> deliver to mda "$D/mda '%{rcpt}' %{user.username} %{sender}"
accept from any for domain as.example deliver to mda "exec $D/as '%{dest.user}' %{user.username}" as $AS
accept from any for domain known.example userbase <users> deliver to mda "exec $D/as '%{dest.user}' %{user.username}" as $AS
accept from any for domain nobody.example deliver to mda "exec $D/as" as no-such-user-here
C
my $text = mail_text('a box') . "From here on\n>From there\nend\n";
my $box = "/var/mail/$boxuser";
SKIP: {
	skip 'only root can make a box in /var/mail', 8 unless root && -d '/var/mail';
	like $d->mail('a@example.net', "$boxuser\@mbox.example", $text), qr/^250 /, "to an mbox, $_" for 1, 2;
	eval { $d->await_queue_empty };
	my $bytes = slurp($box);
	my @st = stat $box;
	unlink $box;
	is_deeply [ $st[2] & 07777, @st[4, 5] ], [ 0600, @{ $d->{users}{$boxuser} }{qw(uid gid)} ],
	    'the box was made, and is its user\'s alone';
	is scalar(my @from = $bytes =~ /^From \S+ /mg), 2, 'two mails, each behind its From line';
	like $bytes, qr/^From a\@example\.net /, 'with the sender';
	is scalar(my @quoted = $bytes =~ /^>From here on$/mg), 2, 'a From in the text is quoted';
	my $file = $d->file('box', $bytes);
	my ($status, $out) = run('python3', '-c', 'import mailbox,sys; print([m["subject"] for m in mailbox.mbox(sys.argv[1])])', $file);
	is $out, "['a box', 'a box']\n", "Python's mailbox reads both";
	$d->ctl('remove', 'all');
}

my $home = $d->home('alice');
$text = mail_text('to a command');
like $d->mail('a@example.net', 'alice@mda.example', $text), qr/^250 /, 'to a command';
$d->await_queue_empty;
is +(trace_and_rest(slurp("$home/mda.mail"), $text))[1], $text, 'it gets the mail on its standard input';
is slurp("$home/mda.uid"), "$d->{users}{alice}{uid}\n", 'and runs as the user';
is slurp("$home/mda.cwd"), "$home\n", 'in his home';
my @args = split /\n/, slurp("$home/mda.args");
is_deeply \@args, ['alice@mda.example', 'alice', 'a@example.net'], 'with its arguments';
my %env = map { split /=/, $_, 2 } split /\n/, slurp("$home/mda.env");
is $env{HOME}, $home, 'HOME';
is $env{USER}, 'alice', 'USER';
is $env{SENDER}, 'a@example.net', 'SENDER';
is $env{RECIPIENT}, 'alice@mda.example', 'RECIPIENT';
ok !exists $env{SUDO_USER} && !exists $env{BUILD}, 'and nothing of our environment';

# as USER: the command's own user, who need not know the recipient
my $shared = "$d->{dir}/shared";
mkdir $shared;
chmod 0777, $shared;
sub ran_as {
	my ($rcpt) = @_;
	unlink "$shared/out";
	like $d->mail('a@example.net', $rcpt, $text), qr/^250 /, "$rcpt is taken";
	wait_for { -s "$shared/out" } "the command for $rcpt";
	return slurp("$shared/out");
}
is ran_as('anybody@as.example'), "anybody $as $as[2] $as[7] $as[7]\n", 'as USER: the command has his uid and his home';
is ran_as('alice@known.example'), "alice $as $as[2] $as[7] $as[7]\n", 'with a userbase, too';
like $d->mail('a@example.net', 'nobody@known.example', $text), qr/^550 5\.1\.1 /, 'which must know the recipient';
like $d->mail('a@example.net', 'x@nobody.example', $text), qr/^451 /, 'a user that does not exist is a fault of the configuration';
$d->await_queue_empty;

# security row 1: nothing of an address is run by a shell
for my $local ('`touch$IFS~/pwned`', '$(touch$IFS~/pwned)', '|touch~/pwned', "'touch~/pwned'", '{touch,pwned}', '&touch&') {
	my $reply = $d->mail("$local\@example.net", 'alice@mda.example', $text);
	ok $reply =~ /^(?:250|5)/, "sender $local: refused or harmless" or diag $reply;
	$reply = $d->mail('a@example.net', "alice+$local\@mda.example", $text);
	ok $reply =~ /^(?:250|5)/, "recipient alice+$local: refused or harmless" or diag $reply;
}
$d->await_queue_empty;
is_deeply [grep { -e } "$home/pwned", "$home/~", '/pwned'], [], 'no command of an address was run';

like $d->mail('', 'alice+temp@mda.example', $text), qr/^250 /, 'to a command that ends with 75';
$d->await_log(qr/later|temp/i);
wait_for { !$d->queue_empty && slurp("$home/mda.args") =~ /temp/ } 'the first try';
ok !$d->queue_empty, 'the mail waits';
is +($d->ctl('remove', 'all'))[0], 0, 'and is removed';
like $d->mail('alice@mda.example', 'alice+perm@mda.example', mail_text('bounce me')), qr/^250 /, 'to a command that ends with 77';
wait_for { slurp("$home/mda.mail") =~ /^From: .*MAILER-DAEMON/mi } 'a bounce';
like slurp("$home/mda.mail"), qr/never again/, 'which quotes what the command said';
$d->stop;
done_testing;
