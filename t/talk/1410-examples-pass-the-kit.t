#!/usr/bin/perl
# Every helper in helpers/examples passes tabmail-helper-test, and what it should do, it does.
use strict;
use warnings;
use AliasHttp;
use Cwd qw(abs_path);
use File::Temp qw(tempdir);
use POSIX ();
use Test::More;

my $build = abs_path($ENV{BUILD} // 'build');
my $examples = abs_path('helpers/examples');
my $kit = $ENV{HELPER_TEST} // "$build/tabmail-helper-test";
plan skip_all => 'tabmail-helper-test is not built' if !-x $kit;

my $dir = tempdir(CLEANUP => 1);
my $hash = crypt 'pass|wo:rd', '$6$rounds=1000$abcdefgh$';

sub spew {
	my ($name, $text) = @_;
	open my $f, '>', "$dir/$name" or die "$name: $!";
	print $f $text;
	close $f;
	return "$dir/$name";
}

sub have {
	my ($program) = @_;
	return (grep { -x "$_/$program" } split /:/, $ENV{PATH})[0];
}

my $http = AliasHttp->start;
my $people = spew('people', "domain example.org\npostmaster: ann\n");
my $rules = spew('rules.lua', "domains = { '^example%.org\$' }\naliases = { { '^te(am)\$', '%1\@example.org' } }\nsenders = { '\@spam%.example\$' }\n");
my $schema = do { local (@ARGV, $/) = "$examples/sql.py"; <> };
my $sql = join '', $schema =~ /^    (CREATE TABLE .*\n)/mg;
$sql .= "INSERT INTO alias VALUES ('team', 'ann'), ('team', 'bob'); INSERT INTO domain VALUES ('example.org');"
    . "INSERT INTO user VALUES ('ann', '$hash', 2001, 2002, '/home/ann');";
system 'sqlite3', "$dir/mail.sqlite", $sql if have('sqlite3');
my @san = $build =~ m{/san\b} ? '-fsanitize=address,undefined' : ();
system split(' ', $ENV{CC} || 'cc'), @san, '-Iproto', '-o', "$dir/static", "$examples/static.c",
    "$build/libproto.a", '-levent_core', '-lpthread';

# Name, what it needs, what it knows, its command.
my @kits = (
	['aliases.awk', ['mawk'], ['alias:postmaster=ann', 'domain:example.org'], "$examples/aliases.awk", $people],
	['aliases.awk by gawk', ['gawk'], ['alias:postmaster=ann', 'domain:example.org'],
		'gawk', '-bf', "$examples/aliases.awk", $people],
	['users.pl', [], ['userinfo:ann=2001:2002:/home/ann', 'auth:ann:pass|wo:rd', "credentials:ann=ann:$hash"],
		"$examples/users.pl", spew('users', "ann:$hash:2001:2002:/home/ann\n")],
	['aliases.py', ['python3'], ['alias:team=ann, bob'], "$examples/aliases.py", 'http://127.0.0.1:' . $http->port . '/alias/'],
	['sql.py', ['python3', 'sqlite3'], ['alias:team=ann, bob', 'domain:example.org', 'userinfo:ann=2001:2002:/home/ann',
		"credentials:ann=ann:$hash"], "$examples/sql.py", "$dir/mail.sqlite"],
	['aliases.mjs', ['node'], ['alias:info@example.org=ann, bob', 'domain:example.org'], "$examples/aliases.mjs",
		spew('site.json', '{ "domains": ["example.org"], "aliases": { "info@example.org": ["ann", "bob"] }, "senders": {} }')],
	['aliases.lua', ['lua5.4'], ['alias:team=am@example.org', 'domain:example.org', 'mailaddr:eve@spam.example'],
		"$examples/aliases.lua", $rules],
	['static.c', [], ['netaddr:127.0.0.1', 'source:=192.0.2.1'], "$dir/static"],
);

# All at the same time, each with its output in a file; the kit bounds its own waits.
my %pid;
for my $k (@kits) {
	my ($name, $needs, $knows, @command) = @$k;
	next if grep { !have($_) } @$needs;
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', "$dir/$name.out";
		open STDERR, '>&', \*STDOUT;
		exec $kit, '-S', '-t', $build =~ m{/san\b} ? 60 : 40, (map { ('-s', $_) } @$knows), @command or POSIX::_exit(127);
	}
	$pid{$name} = $pid;
}
for my $k (@kits) {
	my ($name, $needs) = @$k;
	SKIP: {
		skip "$name: no @$needs here", 2 if !$pid{$name};
		waitpid $pid{$name}, 0;
		my $status = $?;
		my $out = do { local (@ARGV, $/) = "$dir/$name.out"; <> } // '';
		is $status, 0, "$name passes" or diag $out =~ s/^ok .*\n//mgr;
		$out =~ s/^# +stderr: an operation that is not known here was ignored$//mg;
		$out =~ s/^# +stderr: [mg]awk: .*(reset by peer|Broken pipe).*$//mg;	# no awk can be told not to
		unlike $out, qr/^# +stderr: /m, "$name: nothing on stderr";
	}
}

done_testing;
