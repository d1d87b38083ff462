# Security row 20: a canary password in every place that takes one is not in the log, in no command line and in no error.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $canary = 'Kanarienvogel7';
my $d = Tabmail->start(users => ['bob'], flags => ['-v', '-v', '-v'], files => { creds => "bob: $canary\n" }, config => <<'C');
table users file:$D/users
table creds file:$D/creds
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to maildir
C
my $c = $d->client;
$c->ehlo;
require MIME::Base64;
my $plain = MIME::Base64::encode_base64("\0bob\0$canary", '');
like $c->cmd("AUTH PLAIN $plain"), qr/^5\d\d /, 'AUTH is not offered, and refused';
$c->cmd($_) for "AUTH LOGIN", MIME::Base64::encode_base64('bob', ''), MIME::Base64::encode_base64($canary, '');
my ($status, $out) = $d->ctl('table', 'creds', 'lookup', 'credentials', 'bob');
($status, $out) = $d->ctl('table', 'creds', 'check', 'auth', "bob:$canary");
($status, $out) = $d->ctl('table', 'creds', 'check', 'auth', "bob:wrong$canary");
my $all = join "\n", map { $_->{title} } $d->processes;
for my $form ($canary, $plain, MIME::Base64::encode_base64($canary, '')) {
	unlike $d->log_text, qr/\Q$form\E/, 'it is not in the log';
	unlike $all, qr/\Q$form\E/, 'nor in a process title';
}
($status, $out) = run([input => "$canary\n"], $d->dir . '/bin/tabmailctl', 'encrypt');
is $status, 0, 'tabmailctl encrypt' or diag $out;
chomp $out;
$out =~ s/^.*\n//s;
is crypt($canary, $out), $out, 'makes a hash that crypt(3) knows';
$d->stop;
done_testing;
