#!/usr/bin/perl
# Every helper in helpers/examples does what its first lines promise, in the daemon's words: each is started
# over a socket pair and over pipes, and again without its data, when it has to say error and never not-found.
use strict;
use warnings;
use AliasHttp;
use Cwd qw(abs_path);
use File::Temp qw(tempdir);
use Test::More;
use TabHelper;
use Time::HiRes qw(time);

my $build = $ENV{BUILD} // 'build';
my $examples = abs_path('helpers/examples');
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

sub handshake_only { my ($h) = @_; my @services = sort $h->handshake; return "@services" }

# What all have in common.  `good` are pairs of a question and its answer.
sub try {
	my ($name, %o) = @_;
	my @command = @{ $o{command} };

	for my $how (0, 1) {
		my $h = TabHelper->start({ pipes => $how }, @command);
		my $n = $how ? "$name over pipes" : $name;
		ok $h->silent(0.1), "$n: silent before config|ready" if !$how;
		$h->put('config|unheard-of|x|y');
		is handshake_only($h), join(' ', sort @{ $o{services} }), "$n: registers";
		my @good = @{ $o{good} };
		while (my ($question, $answer) = splice @good, 0, 2) {
			is $h->ask(@$question), $answer, "$n: @{$question}[0, 1]: "
			    . ($question->[1] eq 'auth' ? 'user:password' : substr $question->[2] // '', 0, 50);
		}
		like $h->ask('lookup', 'nonsense', 'x'), qr/^error/, "$n: a service that is not there: error";
		like $h->ask('fetch', $o{services}[0]), qr/^error/, "$n: an operation that is not there: error"
		    if !$o{fetches};
		is $h->ask('update'), 'ok', "$n: update";
		$h->put('table|0.1|1.1|t|dance|x|1|2', 'config|late|x');

		# All at once, in odd pieces; each answered once.
		my ($question, $answer) = @{ $o{good} }[0, 1];
		my (%open, @lines);
		for (1 .. 300) {
			my ($id, $line) = $h->question(@$question);
			$open{$id} = 1;
			push @lines, "$line\n";
		}
		my $text = join '', @lines;
		my $size = 0;
		while (length $text) {
			$size = ($size * 7 + 3) % 1000 + 1;
			$h->raw(substr $text, 0, $size, '');
		}
		my $right = 0;
		for (1 .. 300) {
			my $line = $h->get // last;
			$right++ if $line =~ /^\w+-result\|(\w+)\|(.*)$/ && delete $open{$1} && ($o{fetches} || $2 eq $answer);
		}
		is $right, 300, "$n: 300 at once, in pieces";

		# What was asked before the end is answered.
		$h->put(map { ($h->question(@$question))[1] } 1 .. 3);
		$h->shut;
		my $n_last = 0;
		$n_last++ while defined $h->get;
		is $n_last, 3, "$n: answers what was asked before the end";
		is $h->wait, 0, "$n: then ends, status 0";
		unlike $h->stderr, qr/pass\|wo|\$6\$/, "$n: no secret in the log";
		like $h->stderr, qr/\A(an operation that is not known here was ignored\n)?\z/, "$n: nothing on stderr";
	}

	my $h = TabHelper->start(@command);
	is $h->end, 0, "$name: ends at once when the daemon does";

	# The daemon is killed, with answers that it has not read.
	$h = TabHelper->start(@command);
	$h->handshake;
	$h->put(map { ($h->question(@{ $o{good}[0] }))[1] } 1 .. 300);
	select undef, undef, undef, 0.05 * rand;
	close $h->{in};
	ok defined $h->wait, "$name: ends when the daemon is gone";
	like $h->stderr, qr/\A([mg]awk: .*(?:reset by peer|Broken pipe)[^\n]*\n)*\z/, "$name: without a word, but for awk's";
}

# Started without its data: error for everything, then, with the data there, an update mends it.
sub try_without {
	my ($name, $command, $file, $text, @good) = @_;
	my $h = TabHelper->start(@$command);
	ok handshake_only($h), "$name without its data: shakes hands";
	my @ask = @good;
	while (my ($question, $answer) = splice @ask, 0, 2) {
		like $h->ask(@$question), qr/^error\|./, "$name without its data: error and a reason, never not-found";
	}
	like $h->ask('update'), qr/^error\|./, "$name without its data: so the update says";
	spew($file, $text);
	is $h->ask('update'), 'ok', "$name: updated";
	@ask = @good;
	while (my ($question, $answer) = splice @ask, 0, 2) {
		is $h->ask(@$question), $answer, "$name: and answers";
	}
	is $h->end, 0, "$name: ends";
	return $h->stderr;
}

# A bad file changes nothing.
sub try_bad {
	my ($name, $command, $file, $bad, $question, $answer) = @_;
	my $h = TabHelper->start(@$command);
	$h->handshake;
	is $h->ask(@$question), $answer, "$name: answers";
	spew($file, $bad);
	like $h->ask('update'), qr/^error\|./, "$name: the update of a bad file fails";
	is $h->ask(@$question), $answer, "$name: and the old data stays";
	is $h->end, 0, "$name: ends";
}

my $odd = "a|b'\"\\%\$`" . ('x' x 4000);

# --- awk
for my $awk (qw(mawk gawk)) {
	SKIP: {
		skip "no $awk here", 1 if !have($awk);
		my $text = "# people\n\ndomain Example.org\npostmaster: ann\nTeam :\tann, bob\r\n$odd: ann\n";
		my $file = spew('people', $text);
		my @command = $awk eq 'mawk' ? ("$examples/aliases.awk", $file)
		    : ($awk, '-bf', "$examples/aliases.awk", $file);
		my @good = (
			['lookup', 'alias', 'postmaster'], 'found|ann',
			['lookup', 'alias', 'team'], 'found|ann, bob',
			['lookup', 'alias', 'nobody'], 'not-found',
			['lookup', 'alias', 'a|b'], 'not-found',
			['lookup', 'alias', $odd], 'found|ann',
			['lookup', 'alias', ''], 'not-found',
			['check', 'domain', 'example.org'], 'found',
			['check', 'domain', 'example.net'], 'not-found',
		);
		try("aliases.awk ($awk)", command => \@command, services => [qw(alias domain)], good => \@good);
		unlink $file;
		try_without("aliases.awk ($awk)", \@command, 'people', $text, @good);
		try_bad("aliases.awk ($awk)", \@command, 'people', "a: b\nwhat is this\n", @good[0, 1]);
	}
}

# --- Perl
{
	my $text = "# users\nann:$hash:2001:2002:/home/ann\nlocked:!:2003:2003:/home/x\nnone::2004:2004:/home/n\n"
	    . "odd:\$9\$rubbish:2005:2005:/home/o\n";
	my @good = (
		['lookup', 'userinfo', 'ann'], 'found|2001:2002:/home/ann',
		['lookup', 'userinfo', 'joe'], 'not-found',
		['lookup', 'credentials', 'ann'], "found|ann:$hash",
		['lookup', 'credentials', 'none'], 'not-found',
		['check', 'auth', 'ann:pass|wo:rd'], 'found',
		['check', 'auth', 'Ann:pass|wo:rd'], 'found',
		['check', 'auth', 'ann:pass|WO:rd'], 'not-found',
		['check', 'auth', 'joe:pass|wo:rd'], 'not-found',
		['check', 'auth', 'locked:!'], 'not-found',
		['check', 'auth', 'none:'], 'not-found',
		['check', 'auth', 'ann'], 'not-found',
		['check', 'auth', 'odd:x'], 'error|a hash that crypt(3) does not know',
	);
	my $file = spew('users', $text);
	my @command = ("$examples/users.pl", $file);
	try('users.pl', command => \@command, services => [qw(userinfo credentials auth)], good => \@good);
	unlink $file;
	unlike try_without('users.pl', \@command, 'users', $text, @good[0 .. 9]), qr/pass|\$6\$/, 'users.pl: no secret in the log';
	try_bad('users.pl', \@command, 'users', "ann:x:y\n", @good[0, 1]);
}

# --- Python over HTTP
SKIP: {
	skip 'no python3 here', 1 if !have('python3');
	my $http = AliasHttp->start;
	my $port = $http->port;
	my @command = ("$examples/aliases.py", "http://127.0.0.1:$port/alias/");
	try('aliases.py', command => \@command, services => ['alias'], good => [
		['lookup', 'alias', 'team'], 'found|ann, bob',
		['lookup', 'alias', 'joe'], 'not-found',
		['lookup', 'alias', "a|b/..\xff"], 'found|odd',
		['lookup', 'alias', 'empty'], 'error|no list of destinations',
		['lookup', 'alias', 'broken'], 'error|HTTP Error 500: Oops',
	]);

	my $h = TabHelper->start(@command);
	$h->handshake;
	my @slow = map { [$h->question('lookup', 'alias', 'slow')] } 1 .. 8;
	my $began = time;
	$h->put(map { $_->[1] } @slow);
	is $h->ask('lookup', 'alias', 'team'), 'found|ann, bob', 'aliases.py: a quick answer overtakes slow ones';
	cmp_ok time - $began, '<', 1.4, 'aliases.py: at once';
	my %open = map { $_->[0] => 1 } @slow;
	for (1 .. 8) {
		my $line = $h->get // last;
		delete $open{$1} if $line =~ /^lookup-result\|(\w+)\|found\|late\@example\.org$/;
	}
	is scalar(keys %open), 0, 'aliases.py: then the slow ones come';
	cmp_ok time - $began, '<', 1.5 * 8, 'aliases.py: they were asked together';
	is $h->end, 0, 'aliases.py: ends';

	$h = TabHelper->start("$examples/aliases.py", "http://127.0.0.1:$port/elsewhere/");
	$h->handshake;
	like $h->ask('lookup', 'alias', 'team'), qr/^error\|HTTP Error 404/, 'aliases.py: 404 is an error';
	is $h->end, 0, 'aliases.py: ends';
	$http->stop;
	$h = TabHelper->start(@command);
	$h->handshake;
	like $h->ask('lookup', 'alias', 'team'), qr/^error\|./, 'aliases.py: the service is down: error, not not-found';
	is $h->end, 0, 'aliases.py: ends';
}

# --- SQL
SKIP: {
	skip 'no python3 or sqlite3 here', 1 if !have('python3') || !have('sqlite3');
	my $schema = do { local (@ARGV, $/) = "$examples/sql.py"; <> };
	my $sql = join '', $schema =~ /^    (CREATE TABLE .*\n)/mg;
	is $sql =~ tr/\n//, 4, 'sql.py: its comment has the tables';
	$sql .= <<"S";
INSERT INTO alias VALUES ('team', 'ann'), ('Team', 'bob'), ('empty', ''), ('b\xc3\xa4r', 'ann');
INSERT INTO domain VALUES ('Example.org');
INSERT INTO user VALUES ('ann', '$hash', 2001, 2002, '/home/ann'), ('none', NULL, 1, 1, '/');
INSERT INTO sender VALUES ('ann', 'ann\@example.org'), ('ann', 'info\@example.org');
S
	my $db = "$dir/mail ?%.sqlite";
	my $make = sub { system 'sqlite3', $db, $sql };
	$make->();
	my @good = (
		['lookup', 'alias', 'team'], 'found|ann, bob',
		['lookup', 'alias', "b\xc3\xa4r"], 'found|ann',
		['lookup', 'alias', "b\xff"], 'not-found',
		['lookup', 'alias', "x' OR '1'='1"], 'not-found',
		['lookup', 'alias', 'x|y'], 'not-found',
		['lookup', 'alias', 'empty'], 'error|the database holds a value that cannot be sent',
		['check', 'domain', 'example.org'], 'found',
		['check', 'domain', 'example.net'], 'not-found',
		['lookup', 'userinfo', 'ann'], 'found|2001:2002:/home/ann',
		['lookup', 'userinfo', 'joe'], 'not-found',
		['lookup', 'credentials', 'ann'], "found|ann:$hash",
		['lookup', 'credentials', 'none'], 'not-found',
		['lookup', 'mailaddrmap', 'ann'], 'found|ann@example.org, info@example.org',
	);
	my @command = ("$examples/sql.py", $db);
	try('sql.py', command => \@command, services => [qw(alias domain userinfo credentials mailaddrmap)],
		good => \@good, samples => ['alias:team=ann, bob', 'domain:example.org', 'userinfo:ann=2001:2002:/home/ann']);
	unlink $db;
	my $h = TabHelper->start(@command);
	$h->handshake;
	like $h->ask('lookup', 'alias', 'team'), qr/^error\|./, 'sql.py: no database: error';
	like $h->ask('check', 'domain', 'example.net'), qr/^error\|./, 'sql.py: for all services';
	like $h->ask('update'), qr/^error\|./, 'sql.py: and for an update';
	ok !-e $db, 'sql.py: it made no empty one';
	$make->();
	is $h->ask('lookup', 'alias', 'team'), 'found|ann, bob', 'sql.py: the database is back, and so are the answers';
	is $h->ask('update'), 'ok', 'sql.py: update';
	is $h->end, 0, 'sql.py: ends';
}

# --- Node
SKIP: {
	skip 'no node here', 1 if !have('node');
	my $text = <<"J";
{ "domains": ["Example.org"],
  "aliases": { "Info\@example.org": ["ann", "bob"], "\@example.org": ["ann"], "b\xc3\xa4r": ["ann"], "a|b\xe2\x80\xa8c": ["odd"] },
  "senders": { "ann": ["ann\@example.org"] } }
J
	my @good = (
		['lookup', 'alias', 'info@example.org'], 'found|ann, bob',
		['lookup', 'alias', '@example.org'], 'found|ann',
		['lookup', 'alias', "b\xc3\xa4r"], 'found|ann',
		['lookup', 'alias', "a|b\xe2\x80\xa8c"], 'found|odd',
		['lookup', 'alias', "b\xff"], 'not-found',
		['lookup', 'alias', 'constructor'], 'not-found',
		['check', 'domain', 'example.org'], 'found',
		['check', 'domain', 'example.net'], 'not-found',
		['lookup', 'mailaddrmap', 'ann'], 'found|ann@example.org',
	);
	my $file = spew('site.json', $text);
	my @command = ("$examples/aliases.mjs", $file);
	try('aliases.mjs', command => \@command, services => [qw(alias domain mailaddrmap)], good => \@good);
	unlink $file;
	try_without('aliases.mjs', \@command, 'site.json', $text, @good);
	try_bad('aliases.mjs', \@command, 'site.json', '{ "domains": [] ', @good[0, 1]);
}

# --- Lua
SKIP: {
	skip 'no lua5.4 here', 1 if !have('lua5.4');
	my $script = do { local (@ARGV, $/) = "$examples/aliases.lua"; <> };
	my ($text) = $script =~ /^(--\tdomains = .*?^--\tsenders.*?\n)/ms;
	$text =~ s/^--\t//mg;
	my @good = (
		['lookup', 'alias', 'team-red-1'], 'found|red-1@lists.example.org',
		['lookup', 'alias', 'team-a,eve@example.net'], 'not-found',
		['lookup', 'alias', 'postmaster'], 'found|ann, bob',
		['lookup', 'alias', 'a|b'], 'not-found',
		['check', 'domain', 'example.org'], 'found',
		['check', 'domain', 'a.example.org'], 'found',
		['check', 'domain', 'exampleXorg'], 'not-found',
		['check', 'mailaddr', 'eve@spam.example'], 'found',
		['check', 'mailaddr', 'ann@example.net'], 'not-found',
	);
	my $file = spew('rules.lua', $text);
	my @command = ("$examples/aliases.lua", $file);
	try('aliases.lua', command => \@command, services => [qw(alias domain mailaddr)], good => \@good);
	unlink $file;
	try_without('aliases.lua', \@command, 'rules.lua', $text, @good);
	try_bad('aliases.lua', \@command, 'rules.lua', "domains = { 'a' }\naliases = { { '(', 'x' } }\n", @good[0, 1]);
	try_bad('aliases.lua', \@command, 'rules.lua', "os.execute('true')\n", @good[0, 1])
	    if spew('rules.lua', $text);
}

# --- C
{
	my $source = do { local (@ARGV, $/) = "$examples/static.c"; <> };
	cmp_ok $source =~ tr/\n//, '<', 40, 'static.c has under 40 lines';
	my @san = $build =~ m{/san\b} ? '-fsanitize=address,undefined' : ();
	is system(split(' ', $ENV{CC} || 'cc'), '-Wall', '-Wextra', '-Werror', @san, '-Iproto', '-o', "$dir/static",
		"$examples/static.c", "$build/libproto.a", '-levent_core', '-lpthread'), 0, 'static.c compiles';
	my @good = (
		['fetch', 'source'], 'found|192.0.2.1',
		['fetch', 'source'], 'found|192.0.2.2',
		['fetch', 'source'], 'found|192.0.2.1',
		['check', 'netaddr', '127.1.2.3'], 'found',
		['check', 'netaddr', '192.0.2.1'], 'not-found',
		['check', 'netaddr', '2001:db8::99'], 'found',
	);
	try('static.c', command => ["$dir/static"], services => [qw(source netaddr)], good => \@good, fetches => 1);
}

# --- What the README says to try
SKIP: {
	skip 'not all of it is here', 6 if grep { !have($_) } qw(mawk openssl python3 sqlite3 node lua5.4);
	my $readme = do { local (@ARGV, $/) = "$examples/README.md"; <> };
	my ($script) = $readme =~ /^```sh\n(.*?)^```$/ms;
	my @want = ('lookup-result|1|found|ann, bob', 'check-result|1|found', qr/^lookup-result\|1\|error\|.*refused/,
		'check-result|1|found', 'lookup-result|1|found|ann, bob', 'check-result|1|found');
	mkdir "$dir/try";
	spew('try/script', "set -e\n" . $script =~ s{ \./(?=\w)}{ $examples/}gr =~ s{ sql\.py\)}{ $examples/sql.py)}r);
	my @got = grep { /-result/ } split /\n/, qx(cd \Q$dir\E/try && sh script 2>&1);
	for my $want (@want) {
		my $got = shift @got;
		ref $want ? like $got, $want, 'README: an error' : is $got, $want, 'README: an answer';
	}
}

done_testing;
