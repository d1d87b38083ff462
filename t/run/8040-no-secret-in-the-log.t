# Security row 20: a canary password in every place that takes one is not in the log, in no command line and in no error.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $canary = 'Kanarienvogel7';
# A helper that says the key again in its error, and on its standard error nothing.
my $echo = <<'H';
#!/usr/bin/perl
use strict;
use warnings;
$| = 1;
while (<STDIN>) {
	chomp;
	if ($_ eq 'config|ready') { print "register|auth\nregister|ready\n"; next }
	my ($kind, undef, undef, undef, $op, undef, $id, $key) = split /\|/, $_, 8;
	print "$op-result|$id|error|cannot check $key\n" if $kind eq 'table';
}
H
my $d = Tabmail->start(users => ['bob'], flags => ['-v', '-v', '-v'], files => { creds => "bob: $canary\n", echo => $echo }, config => <<'C');
table users file:$D/users
table creds file:$D/creds
table echo command "$D/echo"
listen on 127.0.0.1 port $PORT
listen on 127.0.0.1 port $PORT2 auth <creds>
listen on 127.0.0.1 port $PORT3 auth <echo>
accept from any for domain example.org userbase <users> deliver to maildir
C
my $c = $d->client;
$c->ehlo;
require MIME::Base64;
my $plain = MIME::Base64::encode_base64("\0bob\0$canary", '');
like $c->cmd("AUTH PLAIN $plain"), qr/^5\d\d /, 'AUTH is not offered, and refused';
$c->cmd($_) for "AUTH LOGIN", MIME::Base64::encode_base64('bob', ''), MIME::Base64::encode_base64($canary, '');
for my $case ([ 2, $plain ], [ 2, MIME::Base64::encode_base64("\0bob\0wrong$canary", '') ], [ 3, $plain ], [ 2, MIME::Base64::encode_base64("$canary\0\0$canary\0", '') ]) {
	my $s = $d->client($case->[0]);
	$s->ehlo;
	like $s->cmd("AUTH PLAIN $case->[1]"), qr/^[45]\d\d /, "a login at listener $case->[0]";
	$s->cmd($_) for 'AUTH LOGIN', MIME::Base64::encode_base64('bob', ''), MIME::Base64::encode_base64($canary, '');
}
for my $pid ($d->pids('smtp'), $d->pids('lookup')) {
	like slurp("/proc/$pid/limits"), qr/^Max core file size\s+0\s/m, 'who sees it leaves no core';
}
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
