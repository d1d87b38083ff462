# Security row 25: what a table says of uid, gid and home is not trusted.
use strict;
use warnings;
use Tabmail;
use Test::More;

my @me = root ? (2001, 2001) : ($>, (split ' ', $))[0]);
my %users = (
	root => '0:0:/root', daemon => '1:1:$D/home/x', negative => "-1:$me[1]:\$D/home/x", huge => "4294967296:$me[1]:\$D/home/x",
	max => "4294967295:$me[1]:\$D/home/x", zerogid => "$me[0]:0:\$D/home/x", octal => "0x7d1:$me[1]:\$D/home/x", empty => ':::',
	relative => "$me[0]:$me[1]:home/x", dots => "$me[0]:$me[1]:\$D/home/../../etc", few => "$me[0]:$me[1]", letters => "abc:def:\$D/home/x",
	space => "$me[0] :$me[1]:\$D/home/x",
);
delete $users{zerogid} unless root;
my $d = Tabmail->start(users => ['bob'], files => { bad => join '', map { "$_: $users{$_}\n" } sort keys %users }, config => <<'C');
table users file:$D/users
table bad file:$D/bad
listen on 127.0.0.1 port $PORT
accept from any for domain bad.example userbase <bad> deliver to maildir
accept from any for domain mda.example userbase <bad> deliver to mda "id -u >$D/ran"
accept from any for domain example.org userbase <users> deliver to maildir
C
for my $domain (qw(bad.example mda.example)) {
	for my $user (sort keys %users) {
		my $reply = $d->mail('', "$user\@$domain", mail_text('x'));
		ok $reply =~ /^(?:250|4\d\d|5\d\d) /, "$user\@$domain ($users{$user}): refused, or not delivered" or diag $reply;
	}
}
like $d->mail('a@example.net', 'bob@example.org', mail_text('good')), qr/^250 /, 'others are served';
$d->await_mails('bob', 1);
my ($status, $out) = $d->ctl('show', 'queue');
is_deeply [grep { -e } '/root/Maildir', $d->dir . '/ran', $d->dir . '/home/x', '/etc/Maildir', $d->dir . '/spool/home'],
    [], 'nothing was written anywhere';
like $d->log_text, qr/uid|home|user/i, 'and it is logged';
is scalar(grep { /[0-9]/ && 1 } $d->pids('deliver')) <= 1, 1, 'no worker runs but for bob';
$d->ctl('remove', 'all');
$d->stop;
done_testing;
