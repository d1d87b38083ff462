# Helpers of helpers/examples, in as many languages as are here, serve one daemon at once: the domain from Lua,
# aliases from awk, Python (SQL), Node and Lua, users from Perl.  Mail goes through all of them.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $path = '/usr/local/bin:/usr/bin:/bin';    # as the daemon's
my %needs = (awk => 'mawk', perl => 'perl', python => 'python3', node => 'node', lua => 'lua5.4');
my %have = map { my $p = $needs{$_}; ($_ => scalar grep { -x "$_/$p" } split /:/, $path) } keys %needs;
plan skip_all => 'fewer than three of the languages are here' if 3 > grep { $_ } values %have;
plan skip_all => 'no sqlite3 here' if $have{python} && system('sqlite3 -version >/dev/null') != 0;

my %example = (awk => 'aliases.awk', perl => 'users.pl', python => 'sql.py', node => 'aliases.mjs', lua => 'aliases.lua');
my %data = (
	awk => ['people', "domain awk.example\nteam: ann\n"],
	python => ['mail.sqlite', ''],
	node => ['site.json', '{ "domains": ["node.example"], "aliases": { "team@node.example": ["ann"] }, "senders": {} }'],
	lua => ['rules.lua', "domains = { '^lua%.example\$' }\naliases = { { '^te(am)\$', 'ann' } }\n"],
);
my %rule = (awk => 'alias', python => 'alias', node => 'virtual', lua => 'alias');
my @languages = grep { $have{$_} } sort keys %data;

my %files = map { ($example{$_} => slurp("helpers/examples/$example{$_}")) } @languages, 'perl';
$files{ $data{$_}[0] } = $data{$_}[1] for grep { $_ ne 'python' } @languages;
my $d = Tabmail->new(users => ['ann'], files => \%files);
my $ann = $d->{users}{ann};
$d->file('passwd', "ann:*:$ann->{uid}:$ann->{gid}:$ann->{home}\n");
my $db = "$d->{dir}/mail.sqlite";
if ($have{python}) {
	my ($status, $out) = run('sqlite3', $db, join('', $files{'sql.py'} =~ /^    (CREATE TABLE .*\n)/mg) .
	    "INSERT INTO domain VALUES ('python.example'); INSERT INTO alias VALUES ('team', 'ann');");
	is $status, 0, 'a database by the tables in sql.py' or diag $out;
	chmod 0644, $db;
}
my $config = "table users command \"\$D/users.pl \$D/passwd\"\nlisten on 127.0.0.1 port \$PORT\n";
for my $l (@languages) {
	$config .= "table $l command \"\$D/$example{$l} \$D/$data{$l}[0]\" timeout 10s\n"
	    . "accept from any for domain <$l> $rule{$l} <$l> userbase <users> deliver to maildir\n";
}
$d->write_config($config);
$d->start;

# The first question finds them starting; then many at once.
my $n = 0;
for my $l (@languages) {
	like $d->mail('a@example.net', "team\@$l.example", mail_text("by $l")), qr/^250 /, "mail by $example{$l}";
	$n++;
	my $c = $d->client;
	$c->ehlo;
	$c->cmd('MAIL FROM:<a@example.net>');
	like $c->cmd("RCPT TO:<nobody\@$l.example>"), qr/^550 /, '… and whom it does not know is refused';
	$c->quit;
}
like $d->mail('a@example.net', [map { "team\@$_.example" } @languages], mail_text('to all')), qr/^250 /, 'mail by all';
$n++;
my @mails = $d->await_mails('ann', $n);
for my $l (@languages) {
	is scalar(grep { /^Subject: by $l$/m } @mails), 1, "what came by $example{$l} has arrived";
}
$d->await_queue_empty;

# The back end goes: 451, never 550; it comes back, and so does the mail.
if ($have{python}) {
	rename $db, "$db.away" or die;
	is +($d->ctl('table', 'python', 'restart'))[0], 0, 'the database is gone, the helper new';
	my $c = $d->client;
	$c->ehlo;
	$c->cmd('MAIL FROM:<a@example.net>');
	like $c->cmd('RCPT TO:<nobody2@python.example>'), qr/^451 /, 'try later, not unknown';
	rename "$db.away", $db or die;
	like $c->cmd('RCPT TO:<nobody3@python.example>'), qr/^550 /, 'the database is back: unknown';
	like $c->cmd('RCPT TO:<team@python.example>'), qr/^250 /, 'and known';
	$c->quit;
}

for my $l (@languages, 'users') {
	is +($d->ctl('table', $l, 'update'))[0], 0, "tabmailctl table $l update";
}
my ($status, $out) = $d->ctl('show', 'tables');
is $status, 0, 'show tables';
like $out, qr/\b$_\b/, "lists $_" for @languages, 'users';
$d->stop;
done_testing;
