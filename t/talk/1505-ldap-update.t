#!/usr/bin/perl
# table-ldap: an update reads the file again: a bad one changes nothing and says where it is wrong, a good one switches
# without losing a question; a file that is bad at the start serves after an update.
use strict;
use warnings;
use Slapd;
use Tabmail;
use TabHelper;
use Test::More;

plan skip_all => slapd_missing() if slapd_missing();
my $build = $ENV{BUILD} // 'build';
my $base = Slapd->base;
my $ldif = join '', map { Slapd->alias("u$_", "one$_") =~ s/mail: .*/mail: two$_/r } 1 .. 20;
my $s = Slapd->start(ldif => $ldif);
my $other = Slapd->start(ldif => $ldif =~ s/maildrop: one/maildrop: other/gr);
my $path = $s->dir . '/f';

sub file {
	my ($lines, $from) = @_;
	spew($path, ($from || $s)->settings . $lines);
	chmod 0600, $path;
}
my $filter = "alias_filter (&(objectClass=courierMailAlias)(uid=%u))\n";
file($filter . "alias_attributes maildrop\n");
my $h = TabHelper->start("$build/table-ldap", $path);
is_deeply [ $h->handshake ], ['alias'], 'alias';
is $h->ask('lookup', 'alias', 'u1'), 'found|one1', 'the first file';

file($filter . "alias_attributes maildrop\nfrob x\nscope all\n");
is $h->ask('update'), "error|$path:7: unknown keyword 'frob': see table-ldap(5)", 'a bad file: the first fault, with its line';
is $h->ask('lookup', 'alias', 'u1'), 'found|one1', 'the old file serves on';
like $h->stderr, qr/^\Q$path\E:8: 'all' is no scope: base, one or sub$/m, 'the log has all faults';
like $h->stderr, qr/^update failed, the old file stays in force$/m, 'and what that means';
unlink $path;
like $h->ask('update'), qr/^error\|\Q$path\E: No such file/, 'a file that is gone';
is $h->ask('lookup', 'alias', 'u1'), 'found|one1', 'the old one serves on';

# Updates in the middle of questions: every one is answered, by the old file or the new.
my (%kind, $answers, $updates);
for my $round (1 .. 20) {
	file($filter . 'alias_attributes ' . ($round % 2 ? 'mail' : 'maildrop') . "\n", $round % 3 ? $s : $other);
	my @lines = map { ($h->question('lookup', 'alias', 'u' . (1 + $_ % 20)))[1] } 1 .. 50;
	splice @lines, 25, 0, ($h->question('update'))[1];
	$h->put(@lines);
	for (1 .. 51) {
		my $line = $h->get // last;
		$updates++ if $line =~ /^update-result\|\w+\|ok$/;
		$answers++ if $line =~ /^lookup-result\|\w+\|found\|(one|two|other)\d+$/;
		$kind{$1 // $line}++;
	}
}
is $updates, 20, '20 updates in the middle of questions are fine';
is $answers, 1000, 'and none of 1,000 questions was lost or failed' or diag explain \%kind;
is_deeply [ sort grep { $kind{$_} } qw(one two other) ], [qw(one other two)], 'files, attributes and servers changed meanwhile';

# Several at once: all are answered.
file($filter . "alias_attributes mail\n");
$h->put(map { ($h->question('update'))[1] } 1 .. 10);
is +(grep { ($h->get // '') =~ /\|ok$/ } 1 .. 10), 10, 'ten updates at once';
is $h->ask('lookup', 'alias', 'u7'), 'found|two7', 'the last file counts';

# Services that come and go: the daemon was told of them at the start.
file("domain_filter (uid=%u)\n");
is $h->ask('update'), 'ok', 'another service';
is $h->ask('lookup', 'alias', 'u1'), 'error|the file has no filter for this service', 'what is gone is an error, not missing';
like $h->stderr, qr/: domain is new: it is served after a restart of the helper$/m, 'what is new needs a restart, and the log says so';
like $h->stderr, qr/: alias is gone: questions to it are answered with an error$/m, 'and what is gone';

# A password that changes.
file($filter . "alias_attributes mail\n");
$h->ask('update');
spew($path, $s->settings(password => 'wrong') . "query_timeout 1s\n${filter}alias_attributes mail\n");
is $h->ask('update'), 'ok', 'a file whose password the server refuses is a good file';
like $h->ask('lookup', 'alias', 'u1'), qr/^error\|/, 'but questions are errors';
file($filter . "alias_attributes mail\n");
$h->ask('update');
is $h->ask('lookup', 'alias', 'u1'), 'found|two1', 'until it is put right';
is $h->end, 0, 'ends well';

# Bad at the start.
spew($path, "url ldap://127.0.0.1:1\n");
$h = TabHelper->start("$build/table-ldap", $path);
is scalar(my @all = $h->handshake), 11, 'with a bad file it registers all that it could serve';
like $h->ask('lookup', 'alias', 'u1'), qr/^error\|not loaded: \Q$path\E: nothing can be asked/, 'answers error';
file("${filter}alias_attribtes maildrop\n");
is_deeply [ TabHelper->start("$build/table-ldap", $path)->handshake ], ['alias'], '… or, where it can be seen, all that it means to serve';
file($filter . "alias_attributes maildrop\n");
is $h->ask('update'), 'ok', 'an update with a good file';
is $h->ask('lookup', 'alias', 'u1'), 'found|one1', 'and it serves';
is $h->end, 0, 'ends well';

done_testing;
