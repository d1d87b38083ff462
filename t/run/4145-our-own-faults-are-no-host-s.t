# What is our own fault, or our own wish: a server without TLS is set aside for nobody else by a rule that demands TLS, and
# mail for which the credentials are wrong is put off, however many connections find that out one after the other.
use strict;
use warnings;
use IO::Socket::INET;
use POSIX ();
use Tabmail;
use Test::More;
use Time::HiRes qw(time);

# A server that takes half a second to say that a password is wrong, for each connection in a process of its own.
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 128) or die "$!\n";
my $slow = fork;
die "fork: $!\n" unless defined $slow;
if ($slow == 0) {
	setpgrp;
	$SIG{$_} = 'DEFAULT' for qw(INT TERM HUP);
	$SIG{CHLD} = 'IGNORE';
	while (my $s = $listener->accept) {
		next if fork;
		$s->autoflush(1);
		alarm 60;
		print $s "220 slow\r\n";
		while (<$s>) {
			select undef, undef, undef, 0.5 if /^AUTH/;
			print $s /^EHLO/ ? "250-slow\r\n250 AUTH PLAIN\r\n" : /^AUTH/ ? "535 5.7.8 wrong\r\n" : "221 bye\r\n";
			last if /^QUIT/;
		}
		POSIX::_exit(0);
	}
	POSIX::_exit(0);
}
my $owner = $$;
END { kill 'KILL', -$slow if $slow && $$ == $owner }
my $plain = Tabmail::Sink->start;
my $d = Tabmail->start(files => { secrets => "me: joe:wrong\n" }, vars => { SLOW => $listener->sockport, PLAIN => $plain->port },
    config => <<'C');
table secrets file:$D/secrets
listen on 127.0.0.1 port $PORT
accept for domain auth.example relay via smtp+auth://me@127.0.0.1:$SLOW auth <secrets>
accept for domain tls.example relay via smtp+tls://127.0.0.1:$PLAIN
accept for domain rule.example relay via smtp://127.0.0.1:$PLAIN tls verify
accept for domain plain.example relay via smtp://127.0.0.1:$PLAIN
C

# --- TLS, which one rule demands and another does without
like $d->mail('a@example.org', "x\@$_.example", mail_text($_)), qr/^250 /, "$_: accepted" for qw(tls rule);
like $d->await_log(qr/event=deferred .*x\@$_\.example/), qr/status=4\.7\.4 .*does not offer it/, "$_: waits, and says why" for qw(tls rule);
unlike $d->log_text, qr/host="127\.0\.0\.1:$d->{vars}{PLAIN}" (?:set-aside|slowed)/, 'its host is set aside for nobody';
is +(map { $_->{failed} } grep { $_->{host} =~ /:$d->{vars}{PLAIN}$/ } $d->ctl_rows('show', 'hosts'))[0], 0, 'and has not failed';
like $d->mail('a@example.org', 'x@plain.example', mail_text('plain')), qr/^250 /, 'mail that needs no TLS';
wait_for { $plain->count == 1 } 'it there';
unlike $d->log_text, qr/event=deferred .*x\@plain\.example/, 'goes at once';

# --- Connections that fail by turns
my $began = time;
for (1 .. 4) { # so that there is always one on its way
	like $d->mail('a@example.org', "x$_\@auth.example", mail_text("auth $_")), qr/^250 /, "mail $_ with a wrong password" if $_ == 1;
	$d->mail('a@example.org', "x$_\@auth.example", mail_text("auth $_")) if $_ > 1;
	select undef, undef, undef, 0.3;
}
my $line = eval { $d->await_log(qr/event=deferred .*x1\@auth\.example/, 15) } || '';
like $line, qr/535 5\.7\.8 wrong/, sprintf 'is put off after %.1f s', time - $began or $d->show_log;
my $tries = () = $d->log_text =~ /failed to=\S+:$d->{vars}{SLOW} /g;
cmp_ok $tries, '<=', 12, "and after few connections ($tries)";
wait_for { (() = $d->log_text =~ /event=deferred .*x\d\@auth\.example/g) >= 4 } 'the others to be put off';
like $d->log_text, qr/route="[^"]*:$d->{vars}{SLOW}(?: [^"]*)?" set-aside/, 'its route is set aside';
unlike $d->log_text, qr/host="127\.0\.0\.1:$d->{vars}{SLOW}" set-aside/, 'its host is not';
$d->ctl('remove', 'all');
$d->stop;
$plain->remove;
done_testing;
