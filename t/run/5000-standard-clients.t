# The clients that people use each deliver a message: swaks, msmtp, curl, Python, Perl, sendmail.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $d = Tabmail->start(users => ['bob'], config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to maildir
C
my $dir = $d->dir;
my $port = $d->port;
my @common = ('--server', '127.0.0.1', '--port', $port);
my $text = "From: Ann <a\@example.net>\nTo: bob\@example.org\nDate: Mon, 01 Jan 2024 00:00:00 +0000\n"
    . "Message-ID: <1\@example.net>\nSubject: from %s\n\nHello Bob,\n.\n..two dots\nand good bye.\n";
sub message { return $d->file("mail-$_[0]", sprintf $text, $_[0]) }

my %clients = (
	swaks => sub { run('swaks', @common, '--from', 'a@example.net', '--to', 'bob@example.org', '--silent', 2,
	    '--data', '@' . message('swaks')) },
	'swaks-pipelining' => sub { run('swaks', @common, '--pipeline', '--from', 'a@example.net', '--to', 'bob@example.org',
	    '--silent', 2, '--data', '@' . message('swaks-pipelining')) },
	msmtp => sub { run([input => slurp(message('msmtp'))], 'msmtp', '-C', '/dev/null', '--host=127.0.0.1', "--port=$port",
	    '--from=a@example.net', 'bob@example.org') },
	curl => sub { run('curl', '-sS', "smtp://127.0.0.1:$port/client.example.net", '--mail-from', 'a@example.net', '--mail-rcpt',
	    'bob@example.org', '--crlf', '--upload-file', message('curl')) },
	python => sub { run('python3', '-c', <<'P', $port, message('python')) },
import smtplib, sys
with smtplib.SMTP('127.0.0.1', int(sys.argv[1])) as s:
    s.ehlo()
    assert s.has_extn('size') and s.has_extn('8bitmime') and s.has_extn('pipelining') and s.has_extn('dsn'), s.esmtp_features
    refused = s.sendmail('a@example.net', ['bob@example.org'], open(sys.argv[2]).read(), mail_options=['BODY=8BITMIME'])
    assert refused == {}, refused
P
	perl => sub { run('perl', '-MNet::SMTP', '-e', <<'P', $port, message('perl')) },
my ($port, $file) = @ARGV;
my $s = Net::SMTP->new('127.0.0.1', Port => $port, Hello => 'client.example.net') or die "connect: $@";
$s->mail('a@example.net') or die $s->message;
$s->to('bob@example.org') or die $s->message;
$s->data or die $s->message;
open my $f, '<', $file or die $!;
$s->datasend($_) while <$f>;
$s->dataend or die $s->message;
$s->quit or die $s->message;
P
	'sendmail-t' => sub { run([input => slurp(message('sendmail-t'))], "$dir/bin/sendmail",
	    '-t', '-i', '-f', 'a@example.net') },
);
# sendmail finds the socket by -S or by the environment; see tabmailctl(8)
$ENV{TABMAIL_SOCKET} = "$dir/run/control.sock";

my $n = 0;
for my $name (sort keys %clients) {
	my ($status, $out) = $clients{$name}->();
	is $status, 0, "$name delivers" or diag $out;
	next if $status != 0;
	my ($mail) = eval { grep { /^Subject: from $name$/m } $d->await_mails('bob', ++$n) };
	ok $mail, "$name: it arrived" or next;
	my $want = sprintf($text, $name) . ($name =~ /swaks/ ? "\n" : '');	# swaks ends with an empty line
	is +(trace_and_rest($mail, $want))[1], $want, "$name: unchanged";
}
$d->stop;
done_testing;
