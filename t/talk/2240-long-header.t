# A header longer than a piece to queue (64 KiB) is held until it is whole: what is looked for in a
# header is found in it.  There is a bound.
use strict;
use warnings;
use FindBin;
use Test::More;
use Tabmail;
require "$FindBin::Bin/2-talk.pl";

my $d = Tabmail->start(users => ['bob'], config => <<'END');
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to maildir
END
my $long = 'X-Long: ' . ('x' x 70 . "\n ") x 1000 . "x\n";
my $ours = "Received: from x (y [192.0.2.1])\n\tby mail.example.org (tabmail) with SMTP id 1;\n\tx\n";
sub sent {
	my ($c, $head) = @_;
	return $c->mail('a@example.net', ['bob@example.org'], "$head\nbody\n");
}

like sent($d->client, $long x 3), qr/^250/, 'a header of 210 KiB';
my ($mail) = $d->await_mails('bob', 1);
ok index($mail, $long x 3 . "\nbody\n") > 0, 'comes octet for octet';
like sent($d->client, $long . $ours x 8), qr/^250/, 'here 8 times before';
like sent($d->client, $long . $ours x 9), qr/^554 5\.4\.6 mail loop: /, 'here 9 times before, below 70 KiB of header: a loop';
{
	my $c = $d->client;
	like sent($c, $long x 4), qr/^552 5\.3\.4 the header is too big/, 'a header of 280 KiB is refused';
	like $c->cmd('RSET'), qr/^250/, 'and the session goes on';
	like $c->mail('a@example.net', ['bob@example.org'], "Subject: x\n\n" . "body\n" x 60_000), qr/^250/, 'a body of 300 KB is not';
}
my $c = Tabmail::Client->new(path => $d->dir . '/run/submit.sock');
like sent($c, $long), qr/^250/, 'a submission';
my @whole = grep { /^Message-ID: <.*\nX-Long: /m && /^Date: /m } $d->await_mails('bob', 4);
is scalar @whole, 1, 'gets the Date and the Message-ID that its long header lacks';
$d->stop;
done_testing;
