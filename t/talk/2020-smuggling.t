# Security row 10: nothing but CRLF.CRLF ends a message.  Every fake end, followed by a second mail, is
# one message and refused, on every listener, whole and byte by byte.
use strict;
use warnings;
use FindBin;
use MIME::Base64 ();
use Tabmail::Certs;
use Test::More;
require "$FindBin::Bin/2-talk.pl";

my $d = talk_daemon();
my @fakes = ("\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\r\r\n.\r\r\n", "\r\n.\r\r\n",
	"\n.\r", "\r.\n", "\r\n\0.\r\n", "\r\n.\0\r\n", "\r\n.\r\0\n", "\n\n.\n\n", "\r\n..\n.\r\n.\n", "\r\r.\r\r");
my $second = join '', map { "$_\r\n" } 'MAIL FROM:<evil@example.net>', 'RCPT TO:<bob@example.org>', 'DATA',
    'Subject: smuggled', '', 'smuggled';

sub smuggle {
	my ($name, $connect) = @_;
	for my $bytewise (0, 1) {
		for my $fake (@fakes) {
			my $c = talk_at($connect, 'rcpt');
			like $c->cmd('DATA'), qr/^354/, "$name: DATA";
			my $bytes = "Subject: first\r\n\r\nfirst" . $fake . $second . ".\r\nQUIT\r\n";
			$bytewise ? talk_bytewise($c, $bytes) : $c->send($bytes);
			my @got = map { substr $_, 0, 9 } talk_rest($c);
			(my $shown = $fake) =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ge;
			is "@got", '550 5.6.0 221 2.0.0',
			    "$name: '$shown' " . ($bytewise ? 'byte by byte' : 'whole') . ': one message, refused';
		}
	}
}
smuggle(@$_) for talk_listeners($d), [ 'reentry', sub { $d->client(4) } ];

# What is well-formed goes through, and a message after a refused one too.
my $c = talk_at(sub { $d->client }, 'rcpt');
$c->cmd('DATA');
$c->send("x\ny\r\n.\r\n");
like $c->reply, qr/^550 5\.6\.0 /, 'a bare LF';
is $c->mail('a@example.net', 'bob@example.org', "Subject: good\n\n.\n..\ngood.\n") =~ /^250/, 1, 'then a good one';
my @mails = $d->await_mails('bob', 1);
is scalar(@mails), 1, 'one message has come';
like $mails[0], qr/\n\nReceived|Subject: good\n\n\.\n\.\.\ngood\.\n\z/, 'the good one, its dots as they were';
unlike join('', @mails), qr/smuggled|first/, 'and nothing else';
unlike $mails[0], qr/\r/, 'stored without CR';
$d->stop;

# The other kinds: over TLS, behind a proxy, for one who has logged in.
my $hash = crypt('Richtig1', '$6$saltsalt$');
$d = Tabmail::new('Tabmail', users => ['bob'], config => <<"C");
table users file:\$D/users
table creds { bob = "$hash" }
pki mail.example.org certificate "\$D/mail.example.org.crt" key "\$D/mail.example.org.key"
listen on 127.0.0.1 port \$PORT tls
listen on 127.0.0.1 port \$PORT2 smtps
listen on 127.0.0.1 port \$PORT3 proxy-v2 from 127.0.0.1
listen on 127.0.0.1 port \$PORT4 auth <creds>
accept from any for domain example.org userbase <users> deliver to maildir
C
Tabmail::Certs->new($d->dir)->issue('mail.example.org');
$d->start;
smuggle('STARTTLS', sub {
	my $s = $d->client;
	talk('STARTTLS', $s, 'EHLO x' => 250, 'STARTTLS' => 220);
	is $s->starttls, '', 'TLS';
	return $s;
});
smuggle('smtps', sub { Tabmail::Client->new(port => $d->port(2), tls => {}) });
smuggle('a proxy', sub {
	my $s = Tabmail::Client->new(port => $d->port(3), quiet => 1);
	$s->send("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc6\x33\x64\x07\xc0\0\x02\x01\x12\x34\0\x19");
	like $s->reply, qr/^220/, 'a proxy';
	return $s;
});
smuggle('after a login', sub {
	my $s = $d->client(4);
	talk('AUTH', $s, 'EHLO x' => 250, 'AUTH PLAIN ' . MIME::Base64::encode_base64("\0bob\0Richtig1", '') => 235);
	return $s;
});
is $d->queue_empty && !$d->mail_files('bob'), 1, 'no message at all has come of these';
$d->stop;
done_testing;
