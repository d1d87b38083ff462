# What a person does to queued mail: held, released, tried now, removed (in flight, too), routed again; one message, one
# recipient, what patterns choose, or all. What is held stays so over a restart; mail follows the configuration.
use strict;
use warnings;
use File::Spec;
use Tabmail;
use Test::More;

my $go = File::Spec->tmpdir . "/tm-go.$$";
my $slow = Tabmail::Sink->start(answer => sub {
	select undef, undef, undef, 0.02 while $_[0] eq 'rcpt' && !-e $go;
	return $_[0] eq 'rcpt' ? '450 4.2.1 not now' : undef;
});
my $late = Tabmail::Sink->start(answer => sub { select undef, undef, undef, 0.02 while $_[0] eq 'rcpt' && !-e $go; undef });
my $good = Tabmail::Sink->start;
my %ports = (DEAD => free_port, SLOW => $slow->port, LATE => $late->port, GOOD => $good->port);
my $config = <<'C';
table users file:$D/users
table aliases file:$D/aliases
listen on 127.0.0.1 port $PORT
accept from any for domain example.org alias <aliases> userbase <users> deliver to maildir
accept from any for domain slow.example relay via smtp://127.0.0.1:$SLOW
accept from any for domain late.example relay via smtp://127.0.0.1:$LATE
accept from any for any relay via smtp://127.0.0.1:$DEAD
C
my $d = Tabmail->start(users => [ 'bob', 'ann' ], vars => \%ports, files => { aliases => "both: bob, ann\nmixed: bob, far\@far.example\n" },
    config => $config);

sub queue { return $d->ctl_rows('show', 'queue', @_) }
sub states { return join ' ', sort map { "$_->{rcpt}=$_->{state}" } queue(@_) }
sub rcpts { return join ' ', sort map { $_->{rcpt} } queue(@_) }
sub settled { my $n = shift; wait_for { my @q = queue(); @q == $n && !grep { $_->{state} ne 'deferred' } @q } "$n deferred" }
sub says { my ($what, @words) = @_; my ($status, $out) = $d->ctl(@words); is "$status $out", "0 $what\n", "@words: $what" }

$d->mail('a@example.net', [ 'one@x.example', 'two@x.example' ], mail_text('first'));
$d->mail('b@example.net', 'three@y.example', mail_text('second'));
$d->mail('', 'four@y.example', mail_text('third'));
settled(4);

# --- Chosen by patterns
is rcpts('sender', 'a@example.net'), 'one@x.example two@x.example', 'by sender';
is rcpts('sender', '*@EXAMPLE.net'), 'one@x.example three@y.example two@x.example', '… with a star, in any case';
is rcpts('sender', '<>'), 'four@y.example', '… the null sender';
is rcpts('recipient', '*@y.example'), 'four@y.example three@y.example', 'by recipient';
is rcpts('recipient', 't?o@*'), 'two@x.example', '… with a question mark';
is rcpts('route', "smtp://127.0.0.1:$ports{DEAD}"), 'four@y.example one@x.example three@y.example two@x.example', 'by route';
is rcpts('route', 'local'), '', '… local';
is rcpts('state', 'deferred', 'sender', 'b@*', 'recipient', '*@y.example', 'route', 'smtp:*'), 'three@y.example', 'by all of them';
is rcpts('state', 'held'), '', 'by state';
is +($d->ctl('show', 'queue', 'state', 'held'))[1], "Nothing in the queue is like that.\n", 'for people: nothing is like that';

# --- Hold and release
my ($one) = grep { $_->{rcpt} eq 'one@x.example' } queue();
(my $first = $one->{id}) =~ s/\..*//;
says('1 held', 'hold', $one->{id});
says('1 held', 'hold', 'recipient', 'three@*');
says('1 held', 'hold', $first);
says('0 held', 'hold', $first);
is states(), 'four@y.example=deferred one@x.example=held three@y.example=held two@x.example=held', 'one recipient, a pattern, a message';
says('1 held', 'hold', 'all');
says('0 scheduled', 'schedule', 'all');
says('0 scheduled', 'schedule', 'state', 'held');
my ($held) = queue('recipient', 'one@*');
is $held->{next}, undef, 'what is held has no next try';
is $d->halt, '', 'the daemon ends';
$d->boot;
is rcpts('state', 'held'), 'four@y.example one@x.example three@y.example two@x.example', 'it is held after a restart';
my ($told) = grep { ($_->{section} || '') eq 'envelopes' } $d->ctl_rows('show', 'message', $one->{id});
ok abs($told->{held} - time) < 120, 'show message: since when' or diag explain $told;
says('2 released', 'release', 'sender', '*@example.net', 'recipient', '*@x.example');
wait_for { states('recipient', '*@x.example') eq 'one@x.example=deferred two@x.example=deferred' } 'the released to be tried';
is +(queue('recipient', 'one@*'))[0]{attempts}, 2, 'what is released is tried at once';
says('2 released', 'release', 'all');
settled(4);
says('1 scheduled', 'schedule', 'recipient', 'four@*');
wait_for { (queue('recipient', 'four@*'))[0]{attempts} == 3 } 'a scheduled one to be tried';
pass 'scheduled by a pattern: tried';
settled(4);

# --- Remove
says('1 removed', 'remove', $one->{id});
says('1 removed', 'remove', 'sender', '<>');
is rcpts(), 'three@y.example two@x.example', 'the others stay';
my $log = $d->log_text;
$d->mail('a@example.net', [ 'in@slow.example', 'flight@slow.example' ], mail_text('in flight'));
wait_for { states('state', 'delivering') =~ /in\@slow.*delivering/ } 'a recipient to be in flight';
says('1 removed', 'remove', 'recipient', 'in@slow.example');
is rcpts('recipient', '*@slow.example'), 'flight@slow.example', 'in flight: gone at once';
says('1 held', 'hold', 'recipient', 'flight@*');
is states('recipient', 'flight@*'), 'flight@slow.example=delivering', 'what is in flight is held when it comes back';
$d->mail('a@example.net', 'big@late.example', mail_text('big in flight', 500_000));
wait_for { states('recipient', 'big@*') =~ /delivering/ } 'a big one to be in flight';
says('1 removed', 'remove', 'recipient', 'big@*');
spew($go, '');
wait_for { states('recipient', 'flight@*') eq 'flight@slow.example=held' } 'it to be held';
like $d->await_log(qr/ job event=after-removal outcome=/), qr/outcome=later/, 'what came of the removed one is logged';
is +(queue('recipient', 'flight@*'))[0]{attempts}, 1, 'the other was tried once';
wait_for { 2 == (() = $d->log_text =~ / job event=after-removal outcome=later/g) } 'the end of the big one';
is $late->count, 0, 'of a long message that is removed in flight the rest is not sent';
unlike $d->log_text, qr/ damaged /, '… and nobody takes it for damaged';
says('1 removed', 'remove', 'state', 'held');

# --- Mail follows the configuration
$d->mail('c@example.net', [ 'both@example.org', 'mixed@example.org' ], mail_text('list'));
$d->await_mails($_, 1) for 'bob', 'ann';
settled(3);
$config =~ s/^(accept from any for any relay via smtp:.*):\$DEAD$/$1:\$GOOD/m or die;
is $d->halt, '', 'the daemon ends';
$d->write_config($config);
$d->boot;
$d->ctl('schedule', 'all');
wait_for { !grep { $_->{reason} !~ /no rule with this action/ } queue() } 'the queue to say that the action is gone';
is rcpts('state', 'deferred'), 'mixed@example.org three@y.example two@x.example', 'mail whose action is gone waits and says so';
is $good->count, 0, '… and goes nowhere';
like +(queue())[0]{reason}, qr/tabmailctl reroute/, '… and how to go on';
says('1 rerouted', 'reroute', 'sender', 'b@*');
wait_for { $good->count == 1 } 'it to go by the new rule';
is +($good->mails)[0]{rcpts}[0], 'three@y.example', 'routed again, it goes by the rules of now';
says('2 rerouted', 'reroute', 'all');
$d->await_queue_empty;
is_deeply [ sort map { @{ $_->{rcpts} } } $good->mails ], [ 'far@far.example', 'three@y.example', 'two@x.example' ], 'all';
is scalar($d->mails('bob')), 1, 'of a list only who still waited: no doubles';

# --- One local recipient is routed again to where his alias leads now
$config =~ s/(smtp:\/\/127.0.0.1):\$GOOD/$1:\$DEAD/;
is $d->halt, '', 'the daemon ends';
$d->write_config($config);
$d->boot;
$d->mail('a@example.net', 'lost@z.example', mail_text('lost'));
settled(1);
$config =~ s/for domain example.org alias/for domain { example.org, z.example } alias/;
$d->file('aliases', "both: bob, ann\nlost: ann\n");
is $d->halt, '', 'the daemon ends';
$d->write_config($config);
$d->boot;
says('1 rerouted', 'reroute', 'all');
$d->await_mails('ann', 2);
$d->await_queue_empty;
pass 'relayed before, local now';

# --- Every kind of action is known again when its mail comes from the spool
my @actions = ('deliver to mda "exit 75"', 'deliver to lmtp 127.0.0.1:$DEAD rcpt-to', 'deliver to lmtp /nowhere/lmtp',
    'relay via "smtp://127.0.0.1:$DEAD" source { 127.0.0.1 }', 'relay via smtp+notls://localhost:$DEAD hostname me.example.org',
    'relay via { smtp://127.0.0.1:$DEAD, smtp://127.0.0.2:$DEAD }', 'relay', 'deliver to mbox "/nowhere/%{user.username}"');
my $kinds = 0;
is $d->halt, '', 'the daemon ends';
$d->write_config("table users file:\$D/users\nlisten on 127.0.0.1 port \$PORT\n" . join '', map {
	my $domain = 'k' . ++$kinds . '.example';
	"accept from any for domain $domain" . (/mda|mbox/ ? ' userbase <users>' : '') . " $_\n" } @actions);
$d->boot;
$d->mail('', "bob\@k$_.example", mail_text("kind $_")) for 1 .. $kinds;
wait_for { $kinds == grep { $_->{attempts} == 1 } queue() } 'each to be put off' or diag explain [ queue() ];
$d->ctl('schedule', 'all');
wait_for { $kinds == grep { $_->{attempts} == 2 } queue() } 'each to be tried again';
is_deeply [ map { "$_->{rcpt} $_->{reason}" } grep { $_->{reason} =~ /no rule/ } queue() ], [], 'every kind of action is known again';
$d->ctl('remove', 'all');

# --- What is wrong is said
for ([ 64, 'hold' ], [ 64, 'hold', 'this' ], [ 64, 'hold', 'sender' ], [ 64, 'remove', 'state', 'heldd' ], [ 64, 'release', 'form', 'x' ],
    [ 1, 'hold', 'fff' ], [ 1, 'reroute', 'fff.2' ], [ 1, 'release', 'fff' ], [ 64, 'show', 'queue', 'sender' ], [ 64, 'reroute', 'all', 'all' ]) {
	my ($want, @words) = @$_;
	my ($status, $out) = $d->ctl(@words);
	is $status, $want, "@words: $want";
	like $out, qr/^tabmailctl: \S/, '… with a message';
	($status, $out) = $d->ctl('-j', @words);
	is $status, $want, '… in JSON, too';
}
is_deeply [ $d->ctl_rows('hold', 'sender', 'nobody') ], [ { text => '0 held' } ], 'nothing fits: nothing done, no error';
$d->stop;
unlink $go;
$_->remove for $slow, $late, $good;
done_testing;
