# Security rows 6 and 11, outgoing: servers that reset, hang up, talk garbage, stall or inject text at each step of TLS.
# Where TLS may be done without, the mail goes in plain text on a connection more; where it is required, it waits.
use strict;
use warnings;
use Tabmail;
use Tabmail::Certs;
use Tabmail::FakeMx;
use Test::More;

my $d = Tabmail::new('Tabmail', users => ['bob'], config => '');
my $ca = Tabmail::Certs->new($d->dir);
$ca->issue('mx', names => ['localhost']);
$ca->self_signed('lonely');
my $injected = "220 go\r\n250-mx\r\n250 AUTH PLAIN\r\n";
# name => the step, what happens there
my %faults = (
	(map { ("starttls-$_" => ['starttls', $_]) } qw(reset close garbage)),
	(map { ("handshake-$_" => ['handshake', $_]) } qw(reset close garbage)),
	(map { ("after-$_" => ['ehlo2', $_]) } qw(reset close)),
	'injected' => ['starttls', $injected],
	'injected-later' => ['handshake', "250 more plain text\r\n"],
	'shutting' => ['starttls', "421 4.7.0 no TLS and no more\r\n"],
	'long' => ['starttls', '220-' . 'x' x 65536 . "\r\n"],
);
$faults{'handshake-stall'} = ['handshake', 'stall'] if $ENV{TABMAIL_LONG};
my (%mx, %first, @config);
my $n = 0;
for my $name (sort keys %faults) {
	my ($step, $what) = @{ $faults{$name} };
	$mx{$name} = Tabmail::FakeMx->start(cert => $ca->crt('mx'), key => $ca->key('mx'),
	    fault => sub { $_[0] eq $step ? $what : undef });
	my $port = $mx{$name}->port;
	push @config, "accept from any for domain may-$name.example relay via smtp://127.0.0.1:$port";
	push @config, "accept from any for domain must-$name.example relay via smtp+tls://127.0.0.1:$port";
}
my $smtps = Tabmail::FakeMx->start(smtps => 1, cert => $ca->crt('lonely'), key => $ca->key('lonely'));
push @config, 'accept from any for domain garbage-smtps.example relay via smtps://127.0.0.1:' . $mx{'handshake-garbage'}->port;
push @config, 'accept from any for domain bad-smtps.example relay via smtps://127.0.0.1:' . $smtps->port . ' verify';
push @config, 'accept from any for domain mute-smtps.example relay via smtps://127.0.0.1:$PORT2';
$d->{config} = join "\n", 'table users file:$D/users', 'listen on 127.0.0.1 port $PORT',
    'accept from any for domain example.org userbase <users> deliver to maildir', @config, '';
$d->start;
my ($relay) = $d->pids('relay');
my @must = ((map { "must-$_" } sort keys %faults), qw(garbage-smtps bad-smtps mute-smtps));
my @may = map { "may-$_" } sort keys %faults;
like $d->mail('bob@example.org', "x\@$_.example", mail_text("to $_")), qr/^250 /, "$_ accepted" for @may, @must;

for my $name (sort keys %faults) {
	my $secs = $name =~ /stall/ ? 150 : 30;
	my $line = $d->await_log(qr/delivery event=relayed .*to="x\@may-$name\.example"/, $secs);
	unlike $line, qr/ tls=/, "$name: TLS may be: it went in plain text";
	is $mx{$name}->count(qr/mail-done plain to may-$name$/), 1, "$name: once";
	$line = $d->await_log(qr/delivery event=deferred .*to="x\@must-$name\.example"/, $secs);
	like $line, qr/ status=4\.\d+\.\d+ .*reason="/, "$name: TLS is required: it waits" or diag $line;
	is $mx{$name}->count(qr/ to must-$name$/), 0, "$name: nothing of it was sent";
	is $mx{$name}->count(qr/ other AUTH/), 0, "$name: what was injected was not believed";
}
for my $name (qw(garbage-smtps bad-smtps mute-smtps)) {
	my $line = $d->await_log(qr/delivery event=deferred .*to="x\@$name\.example"/, 30);
	like $line, qr/ status=4\./, "$name: waits";
}
like $d->log_text, qr/relay: host="127\.0\.0\.1:\d+" event=tls-failed then=plain reason="TLS: /, 'the log tells of the fallback';
# One fallback for a connection, and no more connections than that takes.
my @connects = map { $mx{'handshake-close'}->count(qr/ connect$/) } 1;
cmp_ok $connects[0], '>=', 3, 'two connections for the one, one for the other';

# Whoever stands between may do all that; relay has not noticed.
is +($d->pids('relay'))[0], $relay, 'the same relay process';
is $d->mail('bob@example.org', 'bob@example.org', mail_text('after')) =~ /^250 / ? 1 : 0, 1, 'mail goes on';
$d->await_mails('bob', 1);
is +($d->ctl('remove', 'all'))[0], 0, 'the rest is removed';
$d->stop;
$_->remove for values(%mx), $smtps;
done_testing;
