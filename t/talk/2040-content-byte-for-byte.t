# What was sent is what arrives: the trace in front, nothing else changed.
use strict;
use warnings;
use FindBin;
use Tabmail;
use Test::More;
require "$FindBin::Bin/2-talk.pl";

my $d = talk_daemon();
my %messages = (
	'8-bit' => "Subject: d\xc3\xa9j\xc3\xa0\n\n\xff\xfe\x80 caf\xe9\n",
	'dots' => "Subject: dots\n\n.\n..\n...\n.x\nx.\n",
	'long lines' => "Subject: long\n\n" . 'x' x 998 . "\n" . 'y' x 20000 . "\n",
	'no header' => "hello\nworld\n",
	'empty' => '',
	'only a header' => "Subject: header\n",
	'empty lines' => "\n\n\n",
	'controls' => "Subject: c\n\n" . join('', map { chr } grep { $_ != 10 && $_ != 13 } 1 .. 31, 127) . "\n",
	'64 KiB' => "Subject: big\n\n" . ('z' x 70 . "\n") x 890,
);
my $n = 0;
for my $name (sort keys %messages) {
	for my $bytewise (0, 1) {
		next if $bytewise && length $messages{$name} > 30000;
		my $c = talk_at(sub { $d->client }, 'rcpt');
		$c->cmd('DATA');
		my $wire = Tabmail::Client::wire($messages{$name});
		$bytewise ? talk_bytewise($c, $wire) : $c->send($wire);
		like $c->reply, qr/^250 2\.0\.0 /, "$name is taken";
		$c->quit;
		my @mails = $d->await_mails('bob', ++$n);
		my @same = grep { my ($t) = trace_and_rest($_, $messages{$name}); defined $t && $t =~ /\A(?:[A-Z][\w-]*: .*\n(?:[ \t].*\n)*)+\z/ } @mails;
		ok @same >= 1 + $bytewise, "$name arrives as it was" . ($bytewise ? ', byte by byte' : '');
	}
}

# The first mail of bob's that matches, once it is there.
sub mail_like {
	my ($regex) = @_;
	return wait_for { (grep { $_ =~ $regex } $d->mails('bob'))[0] } "a mail like $regex";
}
my $mail = mail_like(qr/Subject: dots/);
like $mail, qr/^Received: from client\.example\.net \(unknown \[127\.0\.0\.1\]\)\n\tby mail\.example\.org \(tabmail\) with ESMTP id [0-9a-f]{12}\n\tfor <bob\@example\.org>;\n\t\w{3}, \d+ \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}\n/m,
    'the trace field';
my $c = $d->client(3);
$c->mail('a@example.net', 'bob@example.org', "Subject: masked\n\nx\n");
$mail = mail_like(qr/Subject: masked/);
like $mail, qr/^Received: by mail\.example\.org \(tabmail\)/m, 'mask-source';
$c = $d->client;
talk('HELO', $c, 'HELO old.example.net' => 250, 'MAIL FROM:<a@example.net>' => 250,
	'RCPT TO:<bob@example.org>' => 250, 'RCPT TO:<BOB@example.org>' => 250, 'DATA' => 354, "Subject: old\r\n\r\nx\r\n." => 250);
$mail = mail_like(qr/Subject: old/);
like $mail, qr/ with SMTP id \S+;\n/, 'HELO is SMTP, and several recipients are not told';

# Submitted on this machine: Date and Message-ID are added when they lack.
$c = Tabmail::Client->new(path => $d->dir . '/run/submit.sock');
like $c->mail('a@example.net', 'bob@example.org', "Subject: submitted\n\nx\n"), qr/^250/, 'the submission socket';
$mail = mail_like(qr/Subject: submitted/);
like $mail, qr/^Received: from localhost \(local, from uid $>\)/m, 'tells the uid';
like $mail, qr/^Date: .*\nMessage-ID: <[^@\s]+\@mail\.example\.org>\nSubject: submitted\n\nx\n\z/m, 'adds Date and Message-ID';
$d->stop;
done_testing;
