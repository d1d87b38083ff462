# tabmailctl explain: the rule that takes a recipient and why those before did not, every question, the
# expansion, where it goes, and the reply that SMTP gives; without a mail sent and without the verdicts' cache.
use strict;
use warnings;
use JSON::PP;
use Tabmail;
use Test::More;

my $d = Tabmail->new(users => ['bob', 'alice'], files => {
	aliases => "info: bob, alice\@example.org, carol\@far.example, gone\nloop: pool\npool: loop\nwrong: impossible\nbob+vip: alice\n",
	vmap => "sales\@virtual.example: bob\n\@virtual.example: alice\n",
	down => <<'H', slow => <<'S' }, config => <<'C');
#!/usr/bin/perl
$| = 1;
while (<STDIN>) { last if /^config\|ready/ }
print "register|alias\nregister|mailaddr\nregister|ready\n";
while (<STDIN>) { chomp; my @f = split /\|/; print "$f[4]-result|$f[6]|error|the directory is down\n" }
H
#!/usr/bin/perl
$| = 1;
while (<STDIN>) { last if /^config\|ready/ }
print "register|alias\nregister|ready\n";
while (<STDIN>) { chomp; my @f = split /\|/; select undef, undef, undef, 0.2; print "$f[4]-result|$f[6]|found|bob\n" }
S
table users file:$D/people
table aliases file:$D/aliases
table vmap file:$D/vmap
table down command "$D/down"
table slow command "$D/slow"
table mine { example.org }
table friends { 192.0.2.1, 192.0.2.2 }
listen on 127.0.0.1 port $PORT
reject from any sender { spam@example.net } for any
accept tagged DKIM for any relay via smtp://127.0.0.1:$PORT2
accept authenticated from any for domain members.example relay via smtp://127.0.0.1:$PORT2
accept from source ! <friends> for domain closed.example relay via smtp://127.0.0.1:$PORT2
accept from any for domain <mine> alias <aliases> userbase <users> deliver to maildir
accept from any for domain virtual.example virtual <vmap> userbase <users> deliver to mbox
accept from any for domain down.example alias <down> userbase <users> deliver to maildir
accept from any for domain slow.example alias <slow> userbase <users> deliver to maildir
accept from any sender <down> for domain asked.example relay via smtp://127.0.0.1:$PORT2
reject from any for domain refused.example
accept for any relay via smtp://127.0.0.1:$PORT2
C
$d->file('people', slurp($d->dir . '/users') . "impossible: 0:0:/root\n");
$d->start;

# The rows by section.
sub told {
	my %rows;
	push @{ $rows{ $_->{section} } }, $_ for $d->ctl_rows('explain', @_);
	return \%rows;
}
sub verdict { return $_[0]{verdict}[0] }
sub criteria { return join ', ', map { "$_->{criterion}=$_->{answer}" } @{ $_[0]{criterion} } }
sub step { my ($e, $what) = @_; return join ', ', map { "$_->{name}: $_->{result}" } grep { $_->{what} eq $what } @{ $e->{step} } }
sub reply_of {
	my ($to, $from) = @_;
	my $c = $d->client;
	$c->ehlo;
	$c->cmd('MAIL FROM:<' . ($from || 'a@example.net') . '>');
	my $reply = $c->cmd("RCPT TO:<$to>");
	$c->quit;
	return $reply =~ s/\s+$//r;
}

# --- Order, criteria, the rule that takes it
my $e = told('info@example.org', from => 'a@example.net', client => '198.51.100.7');
is_deeply [@{ $e->{request}[0] }{qw(rcpt sender client auth tag)}], ['info@example.org', 'a@example.net', '198.51.100.7', '', ''], 'what was asked';
is join(' ', map { $_->{rule} } grep { $_->{at_us} <= 10**7 } @{ $e->{rule} }[0 .. 4]), '1 2 3 4 5', 'rules in order up to the one that takes it';
like $e->{rule}[4]{text}, qr/^accept from any for domain <mine> alias <aliases> userbase <users> deliver to maildir/, 'as text';
cmp_ok $e->{rule}[4]{line}, '>', $e->{rule}[0]{line}, 'with its line';
my @first = grep { $_->{at_us} <= $e->{rule}[4]{at_us} } @{ $e->{criterion} };
is join(', ', map { "$_->{criterion}=$_->{answer}" } @first),
    'from any=yes, for any=yes, sender { ... }=no, tagged DKIM=no, authenticated=no, from source ! <friends>=yes, for domain { ... }=no',
    'each rule before says why not';
is +(grep { $_->{criterion} =~ /^sender/ } @first)[0]{reason}, "a\@example.net is not in the rule's list", 'in words';
is +(grep { $_->{criterion} =~ /^tagged/ } @first)[0]{reason}, 'there is no tag', 'a tag';
my $at = -1;
my $sorted = 1;
for my $row ($d->ctl_rows('explain', 'info@example.org')) {
	next unless defined $row->{at_us};
	$sorted = 0 if $row->{at_us} < $at;
	$at = $row->{at_us};
}
ok $sorted, 'in the order of time';

# --- Questions
my ($q) = grep { $_->{table} eq 'aliases' && $_->{key} eq 'info' } @{ $e->{question} };
is_deeply [@$q{qw(operation service answer)}], [qw(lookup alias found)], 'a question with its service and answer';
like $q->{value}, qr/^bob, ?alice/, 'and value';
cmp_ok $q->{took_us}, '>', 0, 'and time';
cmp_ok $q->{took_us}, '<=', $q->{at_us}, 'in microseconds';
is verdict($e)->{questions}, scalar @{ $e->{question} }, 'all are counted';
cmp_ok told('x@slow.example')->{question}[-2]{took_us}, '>=', 200_000, 'a slow one has its time';

# --- Expansion and delivery
like step($e, 'alias'), qr/^info: bob, ?alice/, 'the alias';
like step($e, 'user'), qr{\bbob: \d+:\d+:/}, 'the user';
like step($e, 'address'), qr/alice\@example\.org: taken by rule 5, .*carol\@far\.example: taken by rule 11/s, 'addresses go through the rules again';
my %to = map { $_->{dest} => $_ } @{ $e->{delivery} };
is join(' ', sort keys %to), 'alice@example.org bob@example.org carol@far.example gone@example.org', 'where it goes';
is $to{'bob@example.org'}{action}, 'deliver to maildir "~/Maildir"', 'the action';
is_deeply [@{ $to{'bob@example.org'} }{qw(user uid home)}], ['bob', $d->{users}{bob}{uid}, $d->home('bob')], 'the user, uid and home';
is $to{'carol@far.example'}{route}, 'smtp://127.0.0.1:' . $d->port(2), 'the route';
is $to{'carol@far.example'}{uid}, undef, 'which has no uid';
like $to{'gone@example.org'}{error}, qr/^550 5\.1\.1 /, 'one that fails alone';
is verdict($e)->{verdict}, 'accept', 'the verdict';
is verdict($e)->{reply}, reply_of('info@example.org'), 'and the reply are those of SMTP';
is verdict($e)->{rules}, scalar @{ $e->{rule} }, 'rules looked at';

$e = told('bob+vip@example.org');
like step($e, 'alias'), qr/alice/, 'an alias of a whole sub-address';
is $e->{delivery}[0]{dest}, 'alice@example.org', 'wins';
$e = told('loop@example.org');
like step($e, 'again'), qr/^loop:/, 'a loop is met again';
is verdict($e)->{reply}, reply_of('loop@example.org'), 'and ends';
$e = told('Sales+x@virtual.example');
is join(' ', sort map { $_->{key} } grep { $_->{table} eq 'vmap' } @{ $e->{question} }),
    '@ @virtual.example sales sales+x sales+x@virtual.example sales@virtual.example', 'virtual: candidates are asked at once';
is +(grep { $_->{key} eq 'sales@virtual.example' } @{ $e->{question} })[0]{answer}, 'found', 'one is found';
like join(' ', map { $_->{answer} } @{ $e->{question} }), qr/found not-needed/, 'those behind it are not waited for';
is $e->{delivery}[0]{user}, 'bob', 'and taken by rank';

# --- Tags, authentication, clients, negation
is told('x@y.example', tag => 'DKIM')->{rule}[-1]{rule}, 2, 'with a tag';
is told('x@y.example', tag => 'dkim')->{rule}[-1]{rule}, 11, 'another tag';
is verdict(told('x@members.example', client => '198.51.100.7'))->{verdict}, 'refuse', 'unauthenticated';
$e = told('x@members.example', client => '198.51.100.7', auth => 'bob');
is $e->{rule}[-1]{rule}, 3, 'authenticated';
like criteria($e), qr/authenticated=yes/, 'is a criterion';
is told('x@closed.example', client => '198.51.100.7')->{rule}[-1]{rule}, 4, 'a negated criterion takes who is not in the table';
$e = told('x@closed.example', client => '192.0.2.2');
is verdict($e)->{verdict}, 'refuse', 'and not who is';
is +(grep { $_->{criterion} =~ /^from source/ } @{ $e->{criterion} })[0]{reason}, '192.0.2.2 is in <friends>', 'for this reason';
is +(grep { $_->{criterion} eq 'from local' } @{ $e->{criterion} })[-1]{reason}, 'the client is 192.0.2.2, and has not authenticated', 'nor is it from here';
is verdict($e)->{reply}, '550 5.7.1 No rule accepts mail for this recipient from you', 'so no rule is left';
is verdict(told('x@refused.example'))->{reply}, reply_of('x@refused.example'), 'a rule that rejects';
is verdict(told('info@example.org', from => 'spam@example.net'))->{reply}, reply_of('info@example.org', 'spam@example.net'), 'a refused sender';
is verdict(told('gone@example.org'))->{reply}, reply_of('gone@example.org'), 'no such user';
is verdict(told('<bob@example.org>', from => '<>'))->{verdict}, 'accept', 'angle brackets, and the null sender';

# --- Errors are "try later", with the helper's reason
$e = told('x@down.example');
($q) = grep { $_->{table} eq 'down' } @{ $e->{question} };
is_deeply [@$q{qw(answer value)}], ['try-later', 'the directory is down'], 'a helper that fails';
is verdict($e)->{verdict}, 'try-later', 'makes it "try later"';
is verdict($e)->{reason}, 'the directory is down', 'for its reason';
is verdict($e)->{reply}, reply_of('x@down.example'), 'with the reply of SMTP';
is $e->{delivery}, undef, 'and no delivery';
$e = told('x@asked.example');
is +(grep { $_->{criterion} =~ /^sender <down>/ } @{ $e->{criterion} })[0]{answer}, 'try-later', 'in a criterion, too';
is verdict($e)->{verdict}, 'try-later', 'which ends it';
$e = told('wrong@example.org');
is step($e, 'user'), 'impossible: uid below first-uid', 'a user that cannot be';
is verdict($e)->{reply}, reply_of('wrong@example.org'), 'is "try later", as SMTP says';

# --- Nothing is kept, nothing is sent
told('bob@example.org');
my ($before) = map { $_->{found} } grep { $_->{table} eq 'users' } $d->ctl_rows('show', 'tables');
told('bob@example.org');
told('bob@example.org');
my ($after) = map { $_->{found} } grep { $_->{table} eq 'users' } $d->ctl_rows('show', 'tables');
cmp_ok $after, '>', $before, 'the questions are put each time';
ok $d->queue_empty, 'nothing waits';
is scalar(my @none = $d->mail_files('bob')), 0, 'nothing was delivered';
unlike $d->log_text, qr/\bdelivery\b/, 'nothing was tried';

# --- For people
my ($status, $out) = $d->ctl('explain', 'info@example.org', 'client', '198.51.100.7');
is $status, 0, 'for people';
like $out, qr/^info\@example\.org from <>, client 198\.51\.100\.7$/m, 'what was asked';
like $out, qr/^ +\d+  rule 2 \(line \d+\): accept tagged DKIM from local for any relay via /m, 'a rule';
like $out, qr/^ +\d+    no         tagged DKIM: there is no tag$/m, 'why not';
like $out, qr/^ +\d+    found      <aliases> lookup alias info = bob.*  \(\d+ us\)$/m, 'a question';
like $out, qr/^delivery  bob\@example\.org\n  action  deliver to maildir .*\n  user    bob, uid \d+, gid \d+, home \S+\n/m, 'a delivery';
like $out, qr/^accept    250 2\.1\.5 ok$/m, 'the verdict';
for (['nonsense@'], ['a@b', 'client', 'nobody'], ['a@b', 'from', 'not an address']) {
	($status, $out) = $d->ctl('explain', @$_);
	is $status, 1, "explain @$_: no";
	like $out, qr/^tabmailctl: the \w+ is no (?:IP )?address/, 'and says which';
}
is +($d->ctl('explain'))[0], 64, 'a recipient is needed';
is +($d->ctl('explain', 'a@b', 'sender', 'c@d'))[0], 64, 'words are checked';

# --- A long alias: bounded, and the daemon stays with it
$d->file('aliases', 'many: ' . join(', ', map { "u$_\@example.org" } 1 .. 2500) . "\n");
is +($d->ctl('table', 'aliases', 'update'))[0], 0, 'an alias of 2500';
$e = told('many@example.org');
is verdict($e)->{verdict}, 'refuse', 'is told, and has its verdict';
my $rows = 0;
$rows += @$_ for values %$e;
cmp_ok $rows, '<=', 10_001, 'in a bounded number of rows';
cmp_ok verdict($e)->{omitted}, '>', 1000, 'and says how many are not shown';
is +($d->ctl('show', 'status'))[0], 0, 'the daemon goes on';
$d->stop;
done_testing;
