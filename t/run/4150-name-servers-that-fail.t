# Name servers that are lame, refuse, are slow, dead or silent, behind a resolver: only mail for their
# domains waits, and none of it comes back.  When they answer again, it goes.
use strict;
use warnings;
use IO::Socket::INET;
use Tabmail::Net;
use Tabmail;
use Tabmail::Dns;
use Tabmail::Sink;
use Test::More;
use Time::HiRes qw(time);

my $dns = Tabmail::Dns->nsd(zone => "*.good.test. MX 10 mx.good.test.\nmx.good.test. A 10.25.1.1\n"
    . "hanging.test. MX 10 mx.silent.test.\n"
    . "*.hanging.test. MX 10 mx.silent.test.\n");
my $lame = Tabmail::Dns->nsd(zone => '', origin => 'elsewhere.example');	# REFUSED for all else
my $silent = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1') or die $!;
my $dead = Tabmail::free_port();
my $resolver = Tabmail::Dns->unbound(stubs => { '.' => $dns->port, 'lame.test' => $lame->port,
	'silent.test' => $silent->sockport, 'dead.test' => $dead });
my $sink = Tabmail::Sink->start(at => ['10.25.1.1:25']);
my $d = Tabmail->start(users => ['bob'], resolver => $resolver->resolver, config => <<'C');
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to maildir
accept for any relay
C
my $c = $d->client;
sub to { my ($domain) = @_; $c->mail("bob\@example.org", "x\@$domain", mail_text("to-$domain")) =~ /^250 / or die }
my @bad = qw(lame.test dead.test silent.test hanging.test);
for my $domain (@bad) {
	to($_ == 0 ? $domain : "n$_.$domain") for 0 .. 7;
}
my $began = time;
to("d$_.good.test") for 1 .. 40;
wait_for { $sink->count >= 40 } 'mail for the others', 20;
my $took = time - $began;
cmp_ok $took, '<', 15, sprintf 'mail for other domains goes meanwhile (%.1f s)', $took;
for my $domain (qw(lame.test dead.test), $ENV{TABMAIL_LONG} ? qw(silent.test hanging.test) : ()) {
	my $line = $d->await_log(qr/event=deferred.*x\@\Q$domain\E/, 60);
	like $line, qr/status=4\.4\.3 /, "$domain: put off with 4.4.3";
}
is +(() = $d->mails('bob')), 0, 'nothing comes back';
is +(() = $d->log_text =~ /event=failed/g), 0, 'nothing fails';

# It comes back to life on its port.
my $back = Tabmail::Dns->nsd(zone => "*.dead.test. MX 10 mx.good.test.\nmx.good.test. A 10.25.1.1\n"
    . "dead.test. MX 10 mx.good.test.\n", port => $dead);
wait_for { $d->ctl('schedule', 'all'); $sink->count >= 41 } 'the mail for dead.test, once it answers', 100;
pass 'mail goes once the name server answers again';
$d->stop;
$sink->remove;
$_->stop for $resolver, $dns, $lame, $back;
done_testing;
