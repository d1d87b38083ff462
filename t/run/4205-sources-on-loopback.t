# The same without a network of our own: loopback's addresses cycle, one that is not ours and one that is refused are
# set aside; names for HELO; the history has the address.
use strict;
use warnings;
use File::Temp ();
use Tabmail;
use Test::More;

my $flags = File::Temp::tempdir(CLEANUP => 1);
spew("$flags/refuse", '');
my $sink = Tabmail::Sink->start(answer => sub {
	my ($stage, $arg, $n, $peer) = @_;
	return '421 4.7.0 go away' if $stage eq 'greeting' && $peer eq '127.0.0.3' && -e "$flags/refuse";
	return '450 4.2.0 later' if $stage eq 'rcpt' && $arg =~ /later/;
	return;
});
my $d = Tabmail->start(vars => { SINK => $sink->port }, config => <<'C');
table ours "source:127.0.0.2 helo=two.example.org, 127.0.0.3 helo=three.example.org, 127.0.0.4 weight=2, 192.0.2.9"
limit relay messages 1
listen on 127.0.0.1 port $PORT
accept for any relay via smtp://127.0.0.1:$SINK source <ours> hostnames <ours>
C
sub send_mails {
	my ($n, $subject) = @_;
	$d->mail('a@example.org', 'b@example.net', mail_text($subject)) for 1 .. $n;
	my @mails;
	wait_for { (@mails = grep { $_->{mail} =~ /^Subject: \Q$subject\E\r$/m } $sink->mails) >= $n } "$n of $subject", 40;
	my %by;
	$by{"$_->{peer} $_->{helo}"}++ for @mails;
	is scalar(@mails), $n, "$subject: all left: " . join ', ', map { "$_: $by{$_}" } sort keys %by;
	return \%by;
}
my $by = send_mails(24, 'at first');
is_deeply [ sort keys %$by ], [ '127.0.0.2 two.example.org', '127.0.0.4 mail.example.org' ], 'by the two that work';
unlike $d->log_text, qr/event=(?:deferred|failed) /, 'none was put off';
unlink "$flags/refuse";
my $try = 0;
wait_for { send_mails(1, 'try ' . ++$try); $d->log_text =~ /source=127\.0\.0\.3 back/ } 'the refused one to come back', 40;
$by = send_mails(24, 'afterwards');
is_deeply [ sort keys %$by ], [ '127.0.0.2 two.example.org', '127.0.0.3 three.example.org', '127.0.0.4 mail.example.org' ],
    'all three of ours';
cmp_ok $by->{'127.0.0.4 mail.example.org'}, '>', $by->{$_}, 'by their weights' for '127.0.0.2 two.example.org', '127.0.0.3 three.example.org';
like $d->mail('a@example.org', 'later@example.net', mail_text('later')), qr/^250 (?:\S+ )?(\w+)/, 'one that is put off';
my $line = $d->await_log(qr/event=deferred .*later\@example\.net/);
my ($source) = $line =~ / source=(127\.0\.0\.[234]) / or diag $line;
ok $source, 'the log has the address';
my ($id) = $line =~ /(\w{12})\.1 delivery/;
wait_for { grep { ($_->{source} // '') eq $source } $d->ctl_rows('show', 'message', $id) } 'the history to have it';
pass 'the history has it';
my %s = map { ("$_->{source} $_->{route}" => $_) } $d->ctl_rows('show', 'sources');
like $s{'192.0.2.9 '}{reason}, qr/Cannot assign/, 'show sources: the one that is not ours';
$d->ctl('remove', 'all');
$d->stop;
$sink->remove;
done_testing;
