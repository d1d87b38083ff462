# AUTH PLAIN and LOGIN: against a table that checks (auth), one that has hashes (credentials), and a
# list of the configuration; every way to put it, right and wrong.
use strict;
use warnings;
use FindBin;
use MIME::Base64 ();
use Test::More;
use Tabmail;
require "$FindBin::Bin/2-talk.pl";

sub b64 { return MIME::Base64::encode_base64($_[0], '') }
my %hash = (
	bob => crypt('Richtig1', '$6$saltsalt$'),
	ann => crypt('Richtig2', '$2b$05$abcdefghijklmnopqrstuu'),
	eve => crypt('Richtig3', '$y$j75$abcdefgh$'),
);
my $creds = join '', map { "$_: $hash{$_}\n" } sort keys %hash;
my $list = join ', ', map { "$_ = \"$hash{$_}\"" } sort keys %hash;
# hashes only: the helper does not offer `auth`
my $helper = <<'H';
#!/usr/bin/perl
use strict;
use warnings;
$| = 1;
my %hash = map { chomp; split /: /, $_, 2 } do { open my $f, '<', $ARGV[0] or die; <$f> };
while (<STDIN>) {
	chomp;
	if ($_ eq 'config|ready') { print "register|credentials\nregister|ready\n"; next }
	my ($kind, undef, undef, undef, $op, $service, $id, $key) = split /\|/, $_, 8;
	next unless $kind eq 'table';
	sleep 2, print "lookup-result|$id|error|down\n" and next if $key eq 'trouble';
	print "lookup-result|$id|", defined $hash{$key} ? "found|$key:$hash{$key}" : 'not-found', "\n";
}
H
my $d = Tabmail->start(users => ['bob'], files => { creds => "$creds", 'hashes' => $helper }, config => <<"END");
table users file:\$D/users
table creds file:\$D/creds
table hashes command "\$D/hashes \$D/creds"
table list { $list, plain = "plain:Klartext1", locked = "locked:!\$6\$x", "a)b(c" = "$hash{bob}" }
limit smtp auth-failures 1000
listen on 127.0.0.1 port \$PORT auth <creds>
listen on 127.0.0.1 port \$PORT2 auth <hashes>
listen on 127.0.0.1 port \$PORT3 auth-optional <list> received-auth
listen on 127.0.0.1 port \$PORT4
accept from any authenticated for domain example.com userbase <users> deliver to maildir
accept from any for domain example.org userbase <users> deliver to maildir
END

for my $n (1 .. 3) {
	my $via = (undef, 'check', 'hashes', 'a list')[$n];
	my $c = $d->client($n);
	like $c->ehlo, qr/^250-AUTH PLAIN LOGIN$/m, "$via: AUTH is offered";
	for my $case ([ 'bob', 'Richtig1' ], [ 'ann', 'Richtig2' ], [ 'eve', 'Richtig3' ]) {
		my ($user, $password) = @$case;
		my $login = sub { my $s = $d->client($n); $s->ehlo; return $s };
		talk("$via, PLAIN", $login->(), 'AUTH PLAIN ' . b64("\0$user\0$password") => 235);
		talk("$via, PLAIN for himself", $login->(), 'AUTH PLAIN ' . b64("$user\0$user\0$password") => 235);
		talk("$via, PLAIN asked", $login->(), 'AUTH PLAIN' => '334 ', b64("\0$user\0$password") => 235);
		talk("$via, LOGIN", $login->(), 'auth login' => '334 VXNlcm5hbWU6', b64($user) => '334 UGFzc3dvcmQ6', b64($password) => 235);
		talk("$via, LOGIN with the user", $login->(), 'AUTH LOGIN ' . b64($user) => '334 UGFzc3dvcmQ6', b64($password) => 235,
			'AUTH PLAIN ' . b64("\0$user\0$password") => 503);
		talk("$via: wrong", $login->(), 'AUTH PLAIN ' . b64("\0$user\0falsch") => '535 5.7.8');
		talk("$via: the case counts", $login->(), 'AUTH PLAIN ' . b64("\0$user\0" . lc $password) => 535);
		talk("$via: for another", $login->(), 'AUTH PLAIN ' . b64("root\0$user\0$password") => 535);
	}
	my $s = $d->client($n);
	$s->ehlo;
	talk("$via", $s, 'AUTH PLAIN ' . b64("\0nobody\0x") => 535, 'AUTH GSSAPI' => 504, 'AUTH PLAIN =' => 501,
		'AUTH PLAIN ***' => 501, 'AUTH PLAIN YQ' => 501, 'AUTH PLAIN ' . b64("\0bob") => 501, 'AUTH LOGIN' => 334, '*' => 501,
		'NOOP' => 250, 'AUTH LOGIN' => 334, 'NOOP!' => 501, 'AUTH' => 501, 'MAIL FROM:<a@example.net>' => $n == 3 ? 250 : 530,
		'RSET' => 250, 'AUTH PLAIN ' . b64("\0bob\0Richtig1") => 235, 'MAIL FROM:<a@example.net> AUTH=<>' => 250,
		'AUTH PLAIN ' . b64("\0bob\0Richtig1") => 503);
}

# What is no password and no user is refused before anybody is asked (security rows 8 and 15).
my $answers = sub { my ($row) = grep { $_->{table} eq 'creds' } $d->ctl_rows('show', 'tables'); return $row->{found} + $row->{missing} + $row->{errors} };
my $before = $answers->();
cmp_ok $before, '>', 0, 'the helper was asked before';
my @odd = ("\0bob\0", "\0bob\0\0", "\0bob\0\0Richtig1", "\0bob\0Richtig1\0", "\0\0Richtig1", "\0bob\0Rich\ntig1", "\0bob\0Richtig1\r",
	"\0bob\nx\0Richtig1", "\0bob\0x\ntable|0.1|1|creds|check|auth|1|bob:Richtig1", "\0b:ob\0Richtig1", "\0" . 'b' x 300 . "\0x", "\0bob\0" . 'p' x 1100);
for my $message (@odd) {
	my $c = $d->client;
	$c->ehlo;
	(my $shown = substr $message, 0, 30) =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ge;
	like $c->cmd('AUTH PLAIN ' . b64($message)), qr/^535 /, "refused: $shown";
}
{
	my $c = $d->client;
	$c->ehlo;
	talk('LOGIN, nothing', $c, 'AUTH LOGIN' => 334, b64('bob') => 334, '' => 535);
	talk('LOGIN, a NUL', $c, 'AUTH LOGIN' => 334, b64('bob') => 334, b64("\0Richtig1") => 535);
	$c = $d->client;
	$c->ehlo;
	talk('a line too long', $c, 'AUTH PLAIN ' . b64("\0bob\0" . 'x' x 2048) => 500, 'NOOP' => 250);
	$c = $d->client;
	$c->ehlo;
	talk('its answer too long', $c, 'AUTH LOGIN' => 334, b64('b' x 2048) => 500, 'NOOP' => 250);
}
is $answers->(), $before, 'and the helper was asked nothing of it';
{
	my $c = $d->client;
	$c->ehlo;
	talk('no mechanism takes a bar for more than a bar', $c, 'AUTH PLAIN ' . b64("\0bob\0Rich|tig1") => 535);
	talk('three failures end the session', $c, 'AUTH PLAIN ' . b64("\0bob\0a") => 535, 'AUTH PLAIN ' . b64("\0bob\0b") => 535);
	like $c->reply, qr/^421 4\.7\.0 /, 'with 421';
}
{
	my $c = $d->client(3);
	$c->ehlo;
	talk('a password in clear in the table is no hash', $c, 'AUTH PLAIN ' . b64("\0plain\0Klartext1") => 454);
	talk('a locked user', $c, 'AUTH PLAIN ' . b64("\0locked\0x") => 535);
	$c = $d->client(2);
	$c->ehlo;
	talk('the helper is in trouble', $c, 'AUTH PLAIN ' . b64("\0trouble\0x") => 454, 'NOOP' => 250);
	$c = $d->client(4);
	unlike $c->ehlo, qr/AUTH/, 'a listener without auth offers none';
	talk('and has none', $c, 'AUTH PLAIN ' . b64("\0bob\0Richtig1") => 502);
	$c = $d->client(3);
	talk('nor has who says HELO', $c, 'HELO x' => 250, 'AUTH PLAIN ' . b64("\0bob\0Richtig1") => 503);
}

# An answer that is no line ends the login: what follows is a command.
for my $case ([ 'a bare LF', "Ym9i\n\r\n" ], [ 'a CR in it', "Ym9\ri\r\n" ], [ 'a NUL in it', "Ym9\0i\r\n" ]) {
	my $c = $d->client;
	$c->ehlo;
	talk($case->[0], $c, 'AUTH LOGIN' => 334);
	$c->send($case->[1]);
	like $c->reply, qr/^500 /, "$case->[0]: refused";
	talk($case->[0], $c, 'QUIT' => 221);
}

# Byte by byte, and in one piece.
{
	my $c = $d->client;
	$c->ehlo;
	talk_bytewise($c, 'AUTH PLAIN ' . b64("\0bob\0Richtig1") . "\r\nNOOP\r\n");
	like $c->reply, qr/^235/, 'byte by byte';
	like $c->reply, qr/^250/, 'and what follows';
	$c = $d->client;
	$c->ehlo;
	$c->send("AUTH LOGIN\r\n" . b64('ann') . "\r\n" . b64('Richtig2') . "\r\nMAIL FROM:<ann\@example.net>\r\n");
	like $c->reply, qr/^$_/, "in one piece: $_" for 334, 334, 235, 250;
}

# What it is good for: rules, and the trace.
{
	my $c = $d->client(3);
	$c->ehlo;
	talk('without a login', $c, 'MAIL FROM:<a@example.net>' => 250, 'RCPT TO:<bob@example.com>' => 550, 'RCPT TO:<bob@example.org>' => 250, 'RSET' => 250);
	talk('with one', $c, 'AUTH PLAIN ' . b64("\0bob\0Richtig1") => 235);
	like $c->mail('bob@example.net', ['bob@example.com'], "Subject: auth\n\nx\n"), qr/^250/, 'accept authenticated';
	my ($mail) = $d->await_mails('bob', 1);
	like $mail, qr/^\tby mail\.example\.org \(tabmail\) with ESMTPA id \w+\n\t\(authenticated as bob\)/m, 'ESMTPA and the user, with received-auth';
	like $mail, qr/^Date: /m, 'Date is added to what was submitted';
	like $mail, qr/^Message-ID: </m, 'and Message-ID';
	$c = $d->client(3);
	$c->ehlo;
	talk('an odd name', $c, 'AUTH PLAIN ' . b64("\0a)b(c\0Richtig1") => 235);
	like $c->mail('bob@example.net', ['bob@example.org'], "Subject: odd\n\nx\n"), qr/^250/, 'sends';
	($mail) = grep { /^Subject: odd/m } $d->await_mails('bob', 2);
	like $mail, qr/^\t\(authenticated as a\+29b\+28c\)$/m, 'in Received no name ends the comment that it stands in';
}

my $log = $d->log_text;
like $log, qr/ [0-9a-f]{16} smtp event=authenticated address=127\.0\.0\.1 user="bob" mechanism=PLAIN$/m, 'a login is logged';
like $log, qr/ [0-9a-f]{16} smtp event=failed-command address=127\.0\.0\.1 host=unknown command="AUTH PLAIN \(user="bob"\)" result="535 Authentication failed"$/m,
	'a failure too, in the form of OpenSMTPD';
unlike $log, qr/Richtig|falsch|Klartext/i, 'no password is';
for my $form (map { b64($_) } "\0bob\0Richtig1", 'Richtig1', "\0ann\0falsch") {
	unlike $log, qr/\Q$form\E/, 'in no form';
}
$d->stop;
done_testing;
