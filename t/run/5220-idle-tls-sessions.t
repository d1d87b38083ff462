# What an idle session over TLS costs the smtp process: under 40 KiB, OpenSSL's part included; new ones are served meanwhile.
# 200 of them; 2,500 with TABMAIL_LONG=1.
use strict;
use warnings;
use IO::Socket::SSL;
use Tabmail;
use Tabmail::Certs;
use Test::More;

my $n = $ENV{TABMAIL_LONG} ? 2500 : 200;
my $d = Tabmail::new('Tabmail', users => ['bob'], config => <<'C');
table users file:$D/users
pki mail.example.org certificate "$D/mail.example.org.crt" key "$D/mail.example.org.key"
listen on 127.0.0.1 port $PORT tls
accept from any for domain example.org userbase <users> deliver to maildir
C
my $ca = Tabmail::Certs->new($d->dir);
$ca->issue('mail.example.org');
$d->start;
my ($smtp) = $d->pids('smtp');

sub rss_kib { return slurp("/proc/$smtp/status") =~ /^VmRSS:\s+(\d+)/m ? $1 : 0 }
my $context = IO::Socket::SSL::SSL_Context->new(SSL_verify_mode => 0);
sub secure {
	my $c = $d->client;
	$c->ehlo;
	$c->cmd('STARTTLS');
	my $why = $c->starttls(SSL_reuse_ctx => $context);
	die "TLS: $why\n" if $why;
	$c->ehlo;
	return $c;
}
my @warm = map { secure() } 1 .. 20;
my $before = rss_kib();
my @idle = map { secure() } 1 .. $n;
my $each = (rss_kib() - $before) / $n;
note sprintf '%d idle sessions over TLS: %.1f KiB each', $n, $each;
SKIP: {
	skip 'the address sanitizer has memory of its own', 1 if $d->{slow} > 1;
	cmp_ok $each, '<', 40, sprintf 'an idle session over TLS costs %.1f KiB', $each;
}
like secure()->mail('a@example.net', 'bob@example.org', mail_text('beside')), qr/^250 /, 'a new one is served';
is $idle[$_]->cmd('NOOP'), '250 2.0.0 ok', "session $_ is there" for 0, $n / 2, $n - 1;
my $all = rss_kib();
$_->close for splice @idle;
wait_for { ($d->log_text =~ tr/\n//) && (() = $d->log_text =~ /event=disconnected/g) >= $n } 'the sessions to end';
@idle = map { secure() } 1 .. $n;
my $again = rss_kib();
note "all: $all KiB; as many again: $again KiB";
SKIP: {
	skip 'the address sanitizer has memory of its own', 1 if $d->{slow} > 1;
	cmp_ok $again, '<', $before + 44 * $n, 'as many again in the place of those need not much more';
}
$d->stop;
done_testing;
