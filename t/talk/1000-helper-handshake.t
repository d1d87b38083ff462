#!/usr/bin/perl
# The handshake, and the ways a helper ends.
use strict;
use warnings;
use File::Temp qw(tempdir);
use Test::More;
use TabHelper;

my $build = $ENV{BUILD} // 'build';
my $dir = tempdir(CLEANUP => 1);
my @all = qw(alias domain auth credentials netaddr userinfo source mailaddr mailaddrmap addrname
    relayhost string regex);

open my $f, '>', "$dir/t" or die;
print $f "root: joe\n";
close $f;
my @helper = ("$build/table-file", "$dir/t");

for my $how (0, 1) {
	my $name = $how ? 'pipes' : 'socket pair';
	my $h = TabHelper->start({ pipes => $how }, @helper);
	ok $h->silent(0.2), "$name: silent before the configuration";
	$h->put('config|smtpd-version|7.8.0', 'config|protocol|0.1', 'config|unheard-of|x|y');
	ok $h->silent(0.2), "$name: silent before config|ready";
	is_deeply [sort $h->handshake], [sort @all], "$name: all services are registered";
	is $h->ask('lookup', 'alias', 'root'), 'found|joe', "$name: serves";
	$h->put('config|late|x', 'config|ready');
	is $h->ask('lookup', 'alias', 'root'), 'found|joe', "$name: a late config line does no harm";
	is $h->end, 0, "$name: exit status 0 when the daemon closes";
	is $h->stderr, '', "$name: nothing on stderr";
}

my $h = TabHelper->start("$build/table-getpwnam");
is_deeply [$h->handshake], ['userinfo'], 'table-getpwnam registers userinfo';
is $h->end, 0, 'exit status 0';

$h = TabHelper->start(@helper);
is $h->end, 0, 'closed before anything was said: exit status 0';

$h = TabHelper->start(@helper);
$h->raw("config|protocol|0.1\nconfig|rea");
is $h->end, 0, 'closed in the middle of a line: exit status 0';

# Half closed with questions pending: they are answered first.
$h = TabHelper->start(@helper);
$h->handshake;
$h->put(map { ($h->question('lookup', 'alias', 'root'))[1] } 1 .. 100);
$h->shut;
my $n = 0;
$n++ while defined $h->get;
is $n, 100, 'what was asked before the end is answered';
is $h->wait, 0, 'then it exits';

# Breaches.
for (
	[ 'a question before config|ready', 0, "table|0.1|1.1|t|update|1\n" ],
	[ 'garbage', 1, "hello\n" ],
	[ 'an empty line', 1, "\n" ],
	[ 'a NUL', 1, "config|a|b\0c\n" ],
	[ 'a CR', 1, "table|0.1|1.1|t|lookup|alias|1|root\r\n" ],
	[ 'another version', 1, "table|0.9|1.1|t|lookup|alias|1|root\n" ],
	[ 'no id', 1, "table|0.1|1.1|t|lookup|alias||root\n" ],
	[ 'an endless line', 1, 'x' x 200_000 ],
) {
	my ($what, $shake, $bytes) = @$_;
	$h = TabHelper->start(@helper);
	$h->handshake if $shake;
	$h->raw($bytes);
	is $h->wait, 1, "$what: exit status 1";
	like $h->stderr, qr/^protocol: [^\n]+\n\z/, "$what: one line on stderr";
}

for my $args ([], [''], ['a', 'b']) {
	$h = TabHelper->start("$build/table-file", @$args);
	is $h->wait, 1, 'table-file with ' . @$args . ' argument(s): exit status 1';
	like $h->stderr, qr/^usage: /, 'and says how';
}
$h = TabHelper->start("$build/table-getpwnam", 'x');
is $h->wait, 1, 'table-getpwnam takes no argument';

done_testing;
