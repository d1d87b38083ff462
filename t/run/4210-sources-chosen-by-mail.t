# table-source chooses our address by sender, domain and user; a helper that only fetches, a reply that is about the
# address, one from which there is no way, a helper that is dead.
use strict;
use warnings;
use Tabmail::Veth;
use Tabmail;
use MIME::Base64;
use Test::More;

Tabmail::Veth->cable(here => [map({ "10.77.0.$_/24" } 1 .. 5), 'fd77::1/64'], there => [qw(10.77.0.100/24 fd77::100/64)]);
my $sink = Tabmail::Veth->there(sub {
	Tabmail::Sink->start(at => [qw(10.77.0.100:25 [fd77::100]:25)], answer => sub {
		my ($stage, $arg, $n, $peer) = @_; # at the end $arg is RCPT's
		return "550 5.7.1 Client host [$peer] blocked using list.example"
		    if $stage eq 'rcpt' && $arg =~ /policy|alone/ && $peer =~ /\.[14]$/;
		return "421 4.7.0 too much from $peer" if $stage eq 'mail' && $arg =~ /hasty/ && $peer =~ /\.2$/;
		return "554 5.7.1 message from $peer refused" if $stage eq 'end' && $arg =~ /atdot/ && $peer =~ /\.2$/;
		return;
	});
});
my $hash = crypt 'secret', '$6$saltsalt$';
my $d = Tabmail->start(users => ['bob'], files => { sources => <<'S', secrets => "ann: $hash\n", fetcher => <<'F' }, config => <<'C');
10.77.0.1 helo=general.example.org
fd77::1
10.77.0.2 sender=@shop.example sender=sales@* helo=shop.example.org
10.77.0.3 to=special.example
10.77.0.4 user=ann helo=ann.example.org
S
#!/bin/sh
# One after the other, and nothing of tabmail's own.
n=0
while IFS='|' read -r kind word _ _ op service id; do
	case $kind/$word/$op in
	config/ready/) printf 'register|source\nregister|ready\n' ;;
	table/*/fetch) n=$((n % 2 + 1)); echo "fetch-result|$id|found|10.77.0.$((n + 2))" ;;
	table/*/update) echo "update-result|$service|ok" ;;
	esac
done
F
table users file:$D/users
table secrets file:$D/secrets
table out source:$D/sources
table fetched command "$D/fetcher"
table two { 10.77.0.1, 10.77.0.2 }
table dead command "/bin/false"
listen on 127.0.0.1 port $PORT
listen on 127.0.0.1 port $PORT2 auth-optional <secrets>
accept for domain { example.org, shop.example, home.example } userbase <users> deliver to maildir
accept for domain { any.example, special.example } relay via smtp://10.77.0.100 source <out> hostnames <out>
accept for domain six.example relay via "smtp://[fd77::100]" source <out> hostname six.example.org
accept for domain fetched.example relay via smtp://10.77.0.100 source <fetched>
accept for domain policy.example relay via smtp://10.77.0.100 source <two>
accept for domain hasty.example relay via smtp://10.77.0.100 source { 10.77.0.2, 10.77.0.1 }
accept for domain atdot.example relay via smtp://10.77.0.100 source { 10.77.0.2, 10.77.0.1 } hostname atdot.example
accept for domain alone.example relay via smtp://10.77.0.100 source { 10.77.0.1 }
accept for domain blocked.example relay via smtp://10.77.0.100 source { 10.77.0.5, 10.77.0.2 }
accept for domain dead.example relay via smtp://10.77.0.100 source <dead>
C
sub of { my ($subject) = @_; return grep { $_->{mail} =~ /^Subject: \Q$subject\E/m } $sink->mails }
sub await { my ($subject, $n) = @_; wait_for { of($subject) >= $n } "$n of $subject", 40; return of($subject) }
sub hand_in { my ($from, $to, $subject, $n) = @_; return like $d->mail($from, $to, mail_text($subject), $n || 1), qr/^250 /, "$subject: accepted" }

# --- By mail, mixed on one route.
for my $i (1 .. 10) {
	my $c = $d->client;
	$c->cmd('EHLO client.example.org');
	for (1 .. 2) {
		$c->mail("x$i\@shop.example", 'u@any.example', mail_text('mixed'));
		$c->mail("x$i\@home.example", 'u@any.example', mail_text('mixed'));
	}
	$c->mail("x$i\@home.example", 'u@special.example', mail_text('mixed'));
	$c->mail("sales\@home.example", 'u@any.example', mail_text('mixed'));
	$c->quit;
}
my %wrong;
for my $m (await('mixed', 60)) {
	my $want = $m->{from} =~ /shop|^sales/ ? '10.77.0.2 shop.example.org' : "@{ $m->{rcpts} }" =~ /special/ ? '10.77.0.3 mail.example.org'
	    : '10.77.0.1 general.example.org';
	$wrong{"$m->{from} from $m->{peer} $m->{helo}"}++ if "$m->{peer} $m->{helo}" ne $want;
}
is_deeply \%wrong, {}, 'each of 60 goes out from the address of its sender or domain, with its name';
is scalar(of('mixed')), 60, 'once';
hand_in('', 'u@any.example', 'bounce of somebody');
is((await('bounce of somebody', 1))[0]{peer}, '10.77.0.1', 'no sender: the others');
my $c = $d->client(2);
$c->cmd('EHLO client.example.org');
like $c->cmd('AUTH PLAIN ' . encode_base64("\0ann\0secret", '')), qr/^235/, 'ann says who she is';
like $c->mail('x@home.example', 'u@any.example', mail_text('by ann')), qr/^250/, 'and hands in';
my ($m) = await('by ann', 1);
is "$m->{peer} $m->{helo}", '10.77.0.4 ann.example.org', 'her mail has her address';
hand_in('x@home.example', 'u@six.example', 'by six');
($m) = await('by six', 1);
is "$m->{peer} $m->{helo}", 'fd77::1 six.example.org', 'by family; hostname says the name';
hand_in('x@shop.example', 'u@six.example', 'shop by six');
like $d->await_log(qr/event=deferred from="x\@shop/), qr/table \\?"out\\?" has no IPv6 address to send from/, 'the shop has none there: deferred, not sent from another';
$d->file('sources', "10.77.0.5 sender=\@shop.example\n10.77.0.1\n");
is +($d->ctl('table', 'out', 'update'))[0], 0, 'update';
hand_in('new@shop.example', 'u@any.example', 'after the update');
is((await('after the update', 1))[0]{peer}, '10.77.0.5', 'is seen at once');

# --- A helper that fetches only
hand_in('x@home.example', 'u@fetched.example', 'fetched') for 1 .. 6;
my %peers = map { $_->{peer} => 1 } await('fetched', 6);
is join(' ', sort grep { !/^10\.77\.0\.[34]$/ } keys %peers), '', 'fetch gives the addresses';
unlike $d->log_text, qr/table=fetched event=(?:error|failed)/, 'it was not asked for what it does not know';

# --- A reply about our address
hand_in('bob@example.org', 'u@policy.example', 'policy') for 1 .. 6;
is join(' ', map { $_->{peer} } await('policy', 6)), join(' ', ('10.77.0.2') x 6), 'all from the address that is not blocked';
$d->await_log(qr/source=10\.77\.0\.1 set-aside .*reason="550 5\.7\.1 Client host \[10\.77\.0\.1\] blocked/);
hand_in('hasty@example.org', "u\@$_.example", $_) for qw(hasty atdot);
is((await($_, 1))[0]{peer}, '10.77.0.1', "$_: a refusal of the session or of the message is about the address, too")
    for qw(hasty atdot);
hand_in('bob@example.org', 'alone@alone.example', 'alone');
my ($bounce) = $d->await_mails('bob', 1);
like $bounce, qr/Client host \[10\.77\.0\.1\] blocked/, 'with no other address the reply stands: bounced';
unlike $d->log_text, qr/event=(?:deferred|failed) .*\@policy\.example" rcpt="u\@policy\.example" .*550 5\.7\.1/, 'the others were neither deferred nor bounced';

# --- No way from one of them
Tabmail::Veth::ip(qw(rule add from 10.77.0.5 to 10.77.0.100 unreachable));
hand_in('bob@example.org', 'u@blocked.example', 'no way') for 1 .. 4;
is join(' ', map { $_->{peer} } await('no way', 4)), join(' ', ('10.77.0.2') x 4), 'all from the one that has a way';
$d->await_log(qr/source=10\.77\.0\.5 set-aside .*route="smtp:\S+ .*reason="cannot connect/);

# --- The helper is dead.
hand_in('x@home.example', 'u@dead.example', 'dead');
like $d->await_log(qr/event=deferred .*to="u\@dead\.example"/, 40), qr/table \\?"dead\\?" cannot be asked/, 'deferred, and says why';
hand_in('x@home.example', 'u@any.example', 'meanwhile');
is scalar(await('meanwhile', 1)), 1, 'other mail goes on';
$d->ctl('remove', 'all');
$d->stop;
$sink->remove;
done_testing;
