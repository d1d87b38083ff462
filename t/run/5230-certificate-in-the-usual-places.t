# `tls` without a pki: the host's certificate is found where tools for it put theirs; the first place counts, a renewal reads it again.
# As root: /etc/ssl, /etc/letsencrypt and /etc/mail are the test's own.
use strict;
use warnings;
use IO::Socket::SSL;
use Tabmail;
use Tabmail::Certs;
use Tabmail::Client;
use Test::More;

my @own = qw(/etc/ssl /etc/letsencrypt /etc/mail);
plan skip_all => 'only root may have an /etc of his own' if $> != 0;
unless ($ENV{TABMAIL_OWN_ETC}) {
	plan skip_all => 'no mount namespace is allowed here' if system('unshare -m true 2>/dev/null') != 0;
	$ENV{TABMAIL_OWN_ETC} = 1;
	my @there = grep { -d } @own;
	exec 'unshare', '-m', 'sh', '-c', 
	    join(' && ', 'cnf=$(cat /etc/ssl/openssl.cnf)', (map { "mount -t tmpfs own $_" } @there), 'printf "%s\n" "$cnf" >/etc/ssl/openssl.cnf', 'exec "$@"'), 'sh', $^X, (map { "-I$_" } grep { !ref } @INC), $0;
}
my $name = 'usual.example.org';
my @places = grep { my $p = $_->[0]; grep { -d $_ && $p =~ /^\Q$_\E/ } @own } (
	[ "/etc/letsencrypt/live/$name/fullchain.pem", "/etc/letsencrypt/live/$name/privkey.pem" ],
	[ "/etc/ssl/$name.fullchain.pem", "/etc/ssl/private/$name.key" ],
	[ "/etc/ssl/certs/$name.pem", "/etc/ssl/private/$name.key" ],
	[ "/etc/ssl/certs/$name.crt", "/etc/ssl/private/$name.key" ],
	[ "/etc/ssl/$name.crt", "/etc/ssl/private/$name.key" ],
	[ "/etc/mail/certs/$name.crt", "/etc/mail/certs/$name.key" ],
);
plan skip_all => 'none of the places is there' unless @places;
my $d = Tabmail::new('Tabmail', hostname => $name, config => "listen on 127.0.0.1 port \$PORT tls\n");
my $ca = Tabmail::Certs->new($d->dir);
$d->write_config;
my ($status, $out) = run("$d->{dir}/bin/tabmaild", '-n', '-f', "$d->{dir}/tabmail.conf");
is $status, 1, 'nothing anywhere: refused';
like $out, qr/no certificate for \Q$name\E.*\Q$places[0][0]\E.*openssl req -x509/s, 'where it was looked for, and how to make one';

sub put {
	my ($place) = @_;
	$ca->issue($name);
	for my $i (0, 1) {
		(my $folder = $place->[$i]) =~ s{/[^/]*$}{};
		run('mkdir', '-p', $folder);
		spew($place->[$i], slurp($i == 0 ? $ca->crt($name) : $ca->key($name)));
	}
	chmod 0600, $place->[1];
	return $ca->fingerprint($name);
}
sub shown {
	my $c = $d->client;
	$c->ehlo;
	$c->cmd('STARTTLS');
	$c->starttls;
	return $c->socket->get_fingerprint('sha256');
}
for my $place (@places) {
	my $mine = put($place);
	$d->boot;
	is shown(), $mine, "found at $place->[0]";
	if ($place == $places[-1]) {
		my $newer = put($place);
		is_deeply [ $d->ctl('update', 'pki') ], [ 0, '' ], 'renewed';
		wait_for { shown() eq $newer } 'the new one';
		pass 'and read again from there';
	}
	is $d->halt, '', 'ends well';
	unlink @$place;
}
$d->forget;
done_testing;
