# A hundred connections wait for one answer of a slow table of addresses: each gets one of the few there are, and none is
# told that there is none.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $N = 100;
my $port = free_port;
my $sink = Tabmail::Sink->start(at => [ map { "127.0.1.$_:$port" } 1 .. $N ]);
my $d = Tabmail->start(files => { slow => <<'F' }, config => <<'C' . join '', map { "accept for domain d$_.example relay via smtp://127.0.1.$_:$port source <few>\n" } 1 .. $N);
#!/bin/sh
# Two addresses in turn; nothing is said for a second, then all.
n=0
while IFS='|' read -r kind word _ _ op service id; do
	case $kind/$word/$op in
	config/ready/) printf 'register|source\nregister|ready\n' ;;
	table/*/fetch)
		[ $n = 0 ] && sleep 1
		n=$((n + 1))
		echo "fetch-result|$id|found|127.0.0.$((n % 2 + 2))" ;;
	table/*/update) echo "update-result|$service|ok" ;;
	esac
done
F
table few command "$D/slow"
listen on 127.0.0.1 port $PORT
C
my $c = $d->client;
my $good = grep { $c->mail('a@example.org', "x\@d$_.example", mail_text("to $_")) =~ /^250 / } 1 .. $N;
is $good, $N, "$N mails to as many hosts";
my $all = eval { wait_for { $sink->count >= $N || $d->log_text =~ /event=deferred/ } 'them', 30; 1 };
unlike $d->log_text, qr/event=deferred/, 'none is put off' or diag $d->log_text =~ /(.*event=deferred.*)/;
is $sink->count, $N, 'all leave';
my %peers = map { $_->{peer} => 1 } $sink->mails;
is_deeply [ sort keys %peers ], [qw(127.0.0.2 127.0.0.3)], 'from both addresses';
$d->ctl('remove', 'all');
$d->stop;
$sink->remove;
done_testing;
