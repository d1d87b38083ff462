# testssl.sh finds no weakness in the defaults, neither over STARTTLS nor over smtps: all that it looks for, in a network namespace
# where it can ask nobody else.  Some ten minutes: with TABMAIL_LONG=1.
use strict;
use warnings;
use Test::More;
my $tool;
BEGIN {
	plan skip_all => 'TABMAIL_LONG=1 runs testssl.sh' unless $ENV{TABMAIL_LONG};
	($tool) = grep { -x } map { my $p = $_; map { "$p/$_" } qw(testssl testssl.sh) } split /:/, $ENV{PATH};
	plan skip_all => 'testssl.sh is not installed' unless $tool;
}
use Tabmail::Net;
use JSON::PP ();
use Tabmail;
use Tabmail::Certs;

my $d = Tabmail::new('Tabmail', config => <<'C');
pki mail.example.org certificate "$D/mail.example.org.crt" key "$D/mail.example.org.key"
listen on 127.0.0.1 port $PORT tls
listen on 127.0.0.1 port $PORT2 smtps
C
my $ca = Tabmail::Certs->new($d->dir);
$ca->issue('mail.example.org', days => 89);
$d->start;

my %runs = (starttls => [ '-t', 'smtp', '127.0.0.1:' . $d->port ], smtps => [ '127.0.0.1:' . $d->port(2) ]);
my %pids;
for my $name (sort keys %runs) {
	my $pid = fork // die "fork: $!";
	$pids{$name} = $pid and next if $pid;
	open STDIN, '<', '/dev/null';
	open STDOUT, '>', $d->dir . "/$name.out";
	open STDERR, '>&', \*STDOUT;
	exec $tool, qw(--quiet --color 0 --warnings off --nodns none --ip=127.0.0.1), '--add-ca', $ca->crt('ca'), '--jsonfile', $d->dir . "/$name.json",
	    @{ $runs{$name} } or POSIX::_exit(127);
}
for my $name (sort keys %runs) {
	waitpid $pids{$name}, 0;
	my $found = eval { JSON::PP->new->decode(slurp($d->dir . "/$name.json")) } || [];
	my %by = map { $_->{id} => $_ } @$found;
	# That its certificate is made for this test is no weakness of the defaults; newer ones make a grade of it.
	my @bad = grep { $_->{severity} =~ /^(?:LOW|MEDIUM|HIGH|CRITICAL|FATAL)$/ && $_->{id} !~ /^(?:cert|overall_grade|grade_cap)/ } @$found;
	is join("\n", map { "$_->{id} $_->{severity}: $_->{finding}" } @bad), '', "$name: no weakness among " . @$found . ' findings';
	for my $id (qw(SSLv2 SSLv3 TLS1 TLS1_1 TLS1_2 TLS1_3 cipherlist_NULL cipherlist_aNULL cipherlist_EXPORT cipherlist_LOW heartbleed CCS
		ROBOT secure_renego secure_client_renego CRIME_TLS POODLE_SSL SWEET32 FREAK DROWN LOGJAM BEAST LUCKY13 RC4)) {
		ok $by{$id} && $by{$id}{severity} =~ /^(?:OK|INFO)$/, "$name: $id was looked at" or diag $by{$id} ? "$by{$id}{severity}: $by{$id}{finding}" : 'it was not';
	}
}
$d->stop;
done_testing;
