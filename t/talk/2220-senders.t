# senders: what a user may send as; masquerade: what his From says then.
use strict;
use warnings;
use FindBin;
use MIME::Base64 ();
use Test::More;
use Tabmail;
require "$FindBin::Bin/2-talk.pl";

my $hash = crypt('Richtig1', '$6$saltsalt$');
my $d = Tabmail->start(users => ['bob'], config => <<"END");
table users file:\$D/users
table creds { bob = "$hash", ann = "$hash", eve = "$hash" }
table senders { bob = "bob\@example.org, info\@example.org", ann = "\@example.net" }
table broken command "/bin/false"
listen on 127.0.0.1 port \$PORT auth <creds> senders <senders>
listen on 127.0.0.1 port \$PORT2 auth-optional <creds> senders <senders> masquerade
listen on 127.0.0.1 port \$PORT3 auth <creds> senders <broken>
accept from any for domain example.org userbase <users> deliver to maildir
END
sub login {
	my ($user, $n) = @_;
	my $c = $d->client($n);
	$c->ehlo;
	like $c->cmd('AUTH PLAIN ' . MIME::Base64::encode_base64("\0$user\0Richtig1", '')), qr/^235/, "$user logs in";
	return $c;
}
my %may = (
	bob => { 'bob@example.org' => 250, 'INFO@Example.ORG' => 250, 'bob+tag@example.org' => 250, 'ann@example.org' => 553, 'bob@example.net' => 553, '' => 250 },
	ann => { 'ann@example.net' => 250, 'x@example.net' => 250, 'x@sub.example.net' => 553, 'ann@example.org' => 553 },
	eve => { 'eve@example.org' => 553, '' => 250 },
);
for my $user (sort keys %may) {
	my $c = login($user);
	talk($user, $c, "MAIL FROM:<$_>" => $may{$user}{$_}, 'RSET' => 250) for sort keys %{ $may{$user} };
}
talk('the table is down', login('bob', 3), 'MAIL FROM:<bob@example.org>' => '451 4.3.0', 'NOOP' => 250);
talk('masquerade has no null sender', login('bob', 2), 'MAIL FROM:<>' => 553);
{
	my $c = $d->client(2);
	talk('who has not logged in is not asked', $c, 'EHLO x' => 250, 'MAIL FROM:<ann@example.org>' => 250);
}
# Pipelined: what follows MAIL waits for its answer.
{
	my $c = login('bob');
	$c->send("MAIL FROM:<ann\@example.org>\r\nRCPT TO:<bob\@example.org>\r\nDATA\r\nMAIL FROM:<bob\@example.org>\r\nRCPT TO:<bob\@example.org>\r\nQUIT\r\n");
	like $c->reply, qr/^$_/, "pipelined: $_" for 553, 503, 503, 250, 250, 221;
}

my $n = 0;
my @from = (
	[ "From: Bob <root\@example.com>\nSubject: 1\n", "From: Bob <info\@example.org>\n" ],
	[ "Subject: 2\nFrom: root\@example.com\n", "From: <info\@example.org>\n" ],
	[ "Subject: 3\nFROM : \"Bob\"\n <root\@example.com>\nFrom: x\@y\n", "From: <info\@example.org>\n" ],
	[ "Subject: 4\n", "From: <info\@example.org>\n" ],
	[ "Subject: 5\nFrom: \"ceo\@example.com\" <a\@b>\n", "From: <info\@example.org>\n" ],
	[ "Subject: 6\nFrom: a\@b, c\@d\nFromage: brie\n", "From: <info\@example.org>\n" ],
);
for my $case (@from) {
	my ($head, $want) = @$case;
	my $c = login('bob', 2);
	like $c->mail('info@example.org', ['bob@example.org'], "$head\nFrom: in the body\n"), qr/^250/, 'sent';
	my $mail = ($d->await_mails('bob', ++$n))[-1];
	my ($got, $body) = split /\n\n/, $mail, 2;
	my @fields = "$got\n" =~ /^(from[ \t]*:.*\n(?:[ \t].*\n)*)/mig;
	is_deeply \@fields, [$want], 'one From: ' . $want =~ s/\n//r;
	is $body, "From: in the body\n", 'the body is as it was';
	like $got, qr/^Fromage: brie$/m, 'and so is another field' if $head =~ /Fromage/;
}
# Readers disagree on where this header ends; the answer is one, wherever the input is cut.
for my $line ('Not a field', 'From bob Mon Nov', ' folded at the start', "N\xc3\xa4me: x") {
	my @parts = ("$line\r\n", "From: CEO <ceo\@victim.example>\r\nSubject: x\r\n\r\nx\r\n.\r\n");
	for my $cut (0, 1) {
		my $c = login('bob', 2);
		talk('begin', $c, 'MAIL FROM:<info@example.org>' => 250, 'RCPT TO:<bob@example.org>' => 250, 'DATA' => 354);
		$c->send($cut ? $parts[0] : join '', @parts);
		if ($cut) {
			select undef, undef, undef, 0.1;
			$c->send($parts[1]);
		}
		like $c->reply, qr/^550 5\.6\.0 /, ($cut ? 'in two segments: ' : 'in one: ') . 'a line that is no field is refused';
	}
}
{
	my $c = login('bob', 2);
	my $long = 'X-Long: ' . ('x' x 70 . "\n ") x 1200 . "x\n";
	like $c->mail('info@example.org', ['bob@example.org'], "${long}From: x\@y\n\nx\n"), qr/^250/, 'a header of 80 KiB';
	my $mail = ($d->await_mails('bob', ++$n))[-1];
	ok index($mail, "\n${long}From: <info\@example.org>\n") > 0, 'its author is replaced, and the rest stays';
	$c = login('bob', 2);
	like $c->mail('info@example.org', ['bob@example.org'], $long x 4 . "From: x\@y\n\nx\n"), qr/^552 5\.3\.4 /, 'one of 340 KiB is refused';
}
$d->stop;
done_testing;
