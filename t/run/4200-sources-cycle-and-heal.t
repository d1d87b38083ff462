# `source`: three addresses, of which one is not ours and one is refused by the destination: all mail leaves; what is
# refused is used again once it is accepted, and what was not ours once it is.
use strict;
use warnings;
use Tabmail::Veth;
use Tabmail;
use Test::More;

Tabmail::Veth->cable(here => [qw(10.77.0.1/24 10.77.0.2/24 fd77::1/64)], there => [qw(10.77.0.100/24 fd77::100/64)]);
my $flags = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $flags;
my $answer = sub {
	my ($stage, undef, undef, $peer) = @_;
	return '554 5.7.1 not from there' if $stage eq 'greeting' && -e "$flags/refused-$peer";
	return;
};
my $sink = Tabmail::Veth->there(sub { Tabmail::Sink->start(at => [qw(10.77.0.100:25 [fd77::100]:25)], answer => $answer) });
my $d = Tabmail->start(users => ['bob'], config => <<'C');
table users file:$D/users
table three { 10.77.0.1, 10.77.0.2, 10.77.0.3 }
table mixed { 10.77.0.1, fd77::1, 10.77.0.2 }
table four { 10.77.0.1, 10.77.0.2 }
table names { 10.77.0.1 = one.example.org, 10.77.0.2 = two.example.org, fd77::1 = six.example.org }
limit relay messages 1
listen on 127.0.0.1 port $PORT
accept for domain example.org userbase <users> deliver to maildir
accept for domain three.example relay via smtp://10.77.0.100:25 source <three> hostnames <names>
accept for domain v4.example relay via smtp://10.77.0.100 source <mixed> hostname out.example.org
accept for domain v6.example relay via "smtp://[fd77::100]" source <mixed> hostnames <names>
accept for domain only4.example relay via "smtp://[fd77::100]" source <four>
accept for domain as.example relay via smtp://10.77.0.100 source <four> as @rewritten.example
accept for domain none.example relay via smtp://10.77.0.100 source { 10.77.0.1, 10.77.0.2 }
accept for domain plain.example relay via smtp://10.77.0.100 hostnames <names>
C

my $sent = 0;
# n mails at once to a domain; what the sink got of them, by our address.
sub send_mails {
	my ($domain, $n) = @_;
	my $round = 'round' . ++$sent;
	my $c = $d->client;
	$c->cmd('EHLO client.example.org');
	for my $i (1 .. $n) {
		like $c->mail('bob@example.org', "u$i\@$domain", mail_text("$round $i")), qr/^250 /, "accepted" if $i == 1;
		$c->mail('bob@example.org', "u$i\@$domain", mail_text("$round $i")) if $i > 1;
	}
	$c->quit;
	my @mails;
	my $all = eval { wait_for { (@mails = grep { $_->{mail} =~ /^Subject: $round /m } $sink->mails) >= $n } "$n mails", 40; 1 };
	$d->show_log unless $all;
	my %by;
	push @{ $by{ $_->{peer} } }, $_ for @mails;
	is scalar(@mails), $n, "$domain: all $n left: " . join ', ', map { "$_: " . @{ $by{$_} } } sort keys %by;
	return \%by;
}
sub sources { return map { ("$_->{source} $_->{route}" => $_) } $d->ctl_rows('show', 'sources') }

# --- One is not ours, one is refused.
spew("$flags/refused-10.77.0.2", '');
my $by = send_mails('three.example', 12);
is_deeply [ keys %$by ], ['10.77.0.1'], 'all by the one that works';
is $by->{'10.77.0.1'}[0]{helo}, 'one.example.org', 'with its name in HELO';
unlike $d->log_text, qr/event=(?:deferred|failed)/, 'nothing was deferred';
$d->await_log(qr/source=10\.77\.0\.3 set-aside for=\d+ms route=all reason="cannot connect from 10\.77\.0\.3: Cannot assign/);
$d->await_log(qr/source=10\.77\.0\.2 set-aside for=\d+ms route="smtp:\S+ .*reason="554 5\.7\.1 not from there"/);
ok $d->await_log(qr/event=relayed .* source=10\.77\.0\.1 /), 'the outcome has the address';
my %s = sources();
like $s{'10.77.0.3 '}{reason}, qr/Cannot assign/, 'show sources: not ours, on all routes';
my ($route) = grep { /^10\.77\.0\.2 smtp/ } keys %s;
like $s{$route}{reason}, qr/^554 5\.7\.1 not from there/, 'show sources: refused on this route';
is $s{'10.77.0.1 '}{used} >= 12, 1, 'show sources: how often it was used';

# One mail after the other until an address is back: at the latest after as much time again as it has failed for.
sub await_back {
	my ($regex) = @_;
	my $mails = grep { $_->{mail} =~ /^Subject: again/m } $sink->mails;
	wait_for {
		my $n = grep { $_->{mail} =~ /^Subject: again/m } $sink->mails;
		$d->mail('bob@example.org', 'x@three.example', mail_text('again')) if $n >= $mails && ++$mails;
		$d->log_text =~ $regex
	} "the log to say $regex", 20 + 2 * (time - $^T);
	wait_for { (grep { $_->{mail} =~ /^Subject: again/m } $sink->mails) >= $mails } 'those mails';
}

# --- Accepted again: it comes back by itself, with its share.
unlink "$flags/refused-10.77.0.2";
await_back(qr/source=10\.77\.0\.2 back route="smtp/);
$by = send_mails('three.example', 20);
is_deeply [ sort keys %$by ], [qw(10.77.0.1 10.77.0.2)], 'both are used again';
cmp_ok scalar @{ $by->{$_} || [] }, '>=', 5, "$_ has its share" for qw(10.77.0.1 10.77.0.2);
is $by->{'10.77.0.2'}[0]{helo}, 'two.example.org', 'the other name, too';

# --- What was not ours is now.
Tabmail::Veth->add('10.77.0.3/24');
await_back(qr/source=10\.77\.0\.3 back route=all/);
$by = send_mails('three.example', 20);
is_deeply [ sort keys %$by ], [qw(10.77.0.1 10.77.0.2 10.77.0.3)], 'all three are used';
is $by->{'10.77.0.3'}[0]{helo}, 'mail.example.org', 'an address without a name is called as we are';

# --- Families
$by = send_mails('v4.example', 8);
is_deeply [ sort keys %$by ], [qw(10.77.0.1 10.77.0.2)], 'an IPv4 destination gets the IPv4 ones of a mixed list';
is $by->{'10.77.0.1'}[0]{helo}, 'out.example.org', 'hostname NAME is said';
$by = send_mails('v6.example', 6);
is_deeply [ keys %$by ], ['fd77::1'], 'an IPv6 destination the IPv6 one';
is $by->{'fd77::1'}[0]{helo}, 'six.example.org', 'with its name';
unlike $d->log_text, qr/event=(?:deferred|failed)/, 'nothing was deferred';
like $d->mail('bob@example.org', 'x@only4.example', mail_text('none')), qr/^250 /, 'an IPv6 destination and IPv4 addresses alone';
like $d->await_log(qr/event=deferred .*x\@only4\.example/), qr/table \\?"four\\?" has no IPv6 address to send from/, 'is deferred, and says why';
like $d->mail('bob@example.org', 'x@plain.example', mail_text('plain')), qr/^250 /, 'hostnames without source';
wait_for { grep { $_->{mail} =~ /^Subject: plain/m } $sink->mails } 'it';
my ($plain) = grep { $_->{mail} =~ /^Subject: plain/m } $sink->mails;
is $plain->{helo}, 'one.example.org', '… is by the address that the system chose';
is send_mails('as.example', 1)->{'10.77.0.1'}[0]{from} || 'bob@rewritten.example', 'bob@rewritten.example', 'as @DOMAIN';
my ($as) = grep { "@{ $_->{rcpts} }" =~ /as\.example/ } $sink->mails;
is $as->{from}, 'bob@rewritten.example', 'the sender is rewritten';

# --- None is left, of a route that has no connection yet.
spew("$flags/refused-10.77.0.$_", '') for 1 .. 3;
like $d->mail('bob@example.org', 'x@none.example', mail_text('none is left')), qr/^250 /, 'all are refused';
like $d->await_log(qr/event=deferred .*x\@none\.example/), qr/554 5\.7\.1 not from there/, 'deferred, with what the host says';
unlink "$flags/refused-10.77.0.$_" for 1 .. 3;
wait_for { $d->ctl('schedule', 'all'); grep { $_->{mail} =~ /^Subject: none is left/m } $sink->mails } 'it, once it is accepted', 60;
pass 'it leaves once they are accepted';
$d->ctl('remove', 'all');
$d->stop;
$sink->remove;
done_testing;
