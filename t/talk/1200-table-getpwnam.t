#!/usr/bin/perl
# table-getpwnam: the system's users.
use strict;
use warnings;
use Test::More;
use TabHelper;

my $build = $ENV{BUILD} // 'build';
my $h = TabHelper->start("$build/table-getpwnam");
is_deeply [$h->handshake], ['userinfo'], 'handshake';
my %want;
for my $name ('root', 'daemon', 'nobody', scalar getpwuid $>) {
	my ($uid, $gid, $home) = (getpwnam $name)[2, 3, 7];
	next if !defined $uid;
	is $h->ask('lookup', 'userinfo', $name), "found|$uid:$gid:$home", "$name";
}
is $h->ask('lookup', 'userinfo', $_), 'not-found', "no user '$_'"
    for 'no-such-user-here', '', 'root|x', '../etc/passwd', 'x' x 300, "\xff\xfe";
is $h->ask('check', 'userinfo', 'root'), 'error|no such operation here', 'check is not offered';
is $h->ask('lookup', 'alias', 'root'), 'error|no such service here', 'alias is not served';
is $h->ask('update'), 'ok', 'an update has nothing to do';

my @lines;
for my $i (1 .. 500) {
	my ($id, $line) = $h->question('lookup', 'userinfo', $i % 2 ? 'root' : 'no-such-user-here');
	$want{$id} = $i % 2 ? qr/^found\|0:0:/ : qr/^not-found$/;
	push @lines, $line;
}
$h->put(@lines);
my $right = 0;
for (1 .. 500) {
	my $line = $h->get // last;
	$right++ if $line =~ /^lookup-result\|(\w+)\|(.*)$/ && $2 =~ delete $want{$1};
}
is $right, 500, '500 at once, each answered right';
is $h->end, 0, 'ends';
is $h->stderr, '', 'nothing on stderr';

done_testing;
