# bounce-cleared: who was told that his mail is late is told, too, when it goes; double-bounce: what cannot be delivered and
# has no sender goes to postmaster, and what cannot be delivered to him ends there.
use strict;
use warnings;
use Tabmail;
use Tabmail::Report;
use Test::More;

$ENV{TABMAIL_TEST_CLOCK} = 1;
my $H = 3600;
my $open = "/tmp/tm-open.$$";
my $sink = Tabmail::Sink->start(ehlo => "250-sink.example.com\r\n250 8BITMIME",
	answer => sub { $_[0] eq 'rcpt' && !-e $open ? '450 4.2.1 mailbox is busy' : undef });
my $d = Tabmail->start(users => [ 'bob', 'ann', 'chief' ], vars => { SINK => $sink->port, DEAD => free_port },
	files => { aliases => "postmaster: chief\n" }, config => <<'C');
bounce-warn 4h
bounce-cleared yes
double-bounce postmaster
expire 2d
table users file:$D/users
table aliases file:$D/aliases
listen on 127.0.0.1 port $PORT
accept from any for local alias <aliases> userbase <users> deliver to maildir
accept from any for domain example.org userbase <users> deliver to maildir
accept from any for domain dead.example relay via smtp://127.0.0.1:$DEAD
accept from any for any relay via smtp://127.0.0.1:$SINK
C

sub clock { $d->clock(@_) }
sub settled { wait_for { $d->ctl('remove', '000000000000'); !grep { $_->{state} ne 'deferred' } $d->ctl_rows('show', 'queue') } 'the queue to be at rest' }
# What was found out is written first (remove does that), so that reports of it are there, too.
sub drained { wait_for { $d->ctl('remove', '000000000000'); $d->queue_empty } 'an empty queue', 30 }
sub send_mail { $d->mail_with(@_) }
my %seen;
sub reports { my ($user) = @_; return map { Tabmail::Report::read($d, slurp($_)) } grep { !$seen{$_}++ } $d->mail_files($user) }

send_mail('late', 'bob@example.org', ' ENVID=E1', 'one@x.example', ' ORCPT=rfc822;first@x.example', 'two@x.example', '');
send_mail("late, notify $_", 'ann@example.org', '', 'n@x.example', " NOTIFY=$_") for 'DELAY', 'FAILURE', 'NEVER', 'SUCCESS,DELAY';
settled();
clock(5 * $H);
settled();
my @r = reports('bob');
is_deeply [ map { $_->{action} || '' } map { @{ $_->{fields} }[1, 2] } @r ], [ ('delayed') x 2 ], 'a warning';
is scalar(@r = reports('ann')), 2, 'and to those who asked';
spew($open, '');
$d->ctl('schedule', 'all');
drained();
@r = reports('bob');
is scalar(@r), 1, 'delivered after all: one note for both recipients';
is $r[0]{subject}, 'Your delayed message was delivered', '… its subject';
like $r[0]{text}, qr/You were told that this message is delayed/, '… its text';
is_deeply [ map { "$_->{'final-recipient'} $_->{action} $_->{status}" } @{ $r[0]{fields} }[1, 2] ],
    [ map { "rfc822; $_\@x.example relayed 2.0.0" } 'one', 'two' ], '… its recipients';
is $r[0]{fields}[0]{'original-envelope-id'}, 'E1', '… Original-Envelope-Id';
is $r[0]{fields}[1]{'original-recipient'}, 'rfc822;first@x.example', '… Original-Recipient';
is $r[0]{auto}, 'auto-replied', '… automatic';
is_deeply $r[0]{defects}, [], '… without a defect';
@r = reports('ann');
is_deeply [ sort map { ($_->{original} =~ /^Subject: late, notify (\S+)$/m)[0] . " $_->{subject}" } @r ],
    [ 'DELAY Your delayed message was delivered', 'SUCCESS,DELAY Your message was delivered' ],
    'to those who asked for DELAY; one report for who asked for success, too' or diag explain \@r;
send_mail('quick', 'bob@example.org', '', 'one@x.example', '');
drained();
is scalar(reports('bob')), 0, 'no note where there was no warning';

# --- What has no sender
unlink $open;
send_mail('a bounce', '', '', 'lost@dead.example', '');
settled();
is scalar(reports('chief')), 0, 'while it is tried nobody is told';
clock(30 * $H);
settled();
is scalar(reports('chief')), 0, 'no warning either';
clock(20 * $H);
drained();
@r = reports('chief');
is scalar(@r), 1, 'it goes to postmaster when it has expired';
is $r[0]{subject}, 'A bounce could not be delivered', '… its subject';
like $r[0]{to}, qr/^<?postmaster\@mail\.example\.org>?$/, '… its recipient';
is $r[0]{return}, '<>', '… from the null sender';
is "$r[0]{fields}[1]{action} $r[0]{fields}[1]{'final-recipient'}", 'failed rfc822; lost@dead.example', '… what failed';
like $r[0]{original}, qr/^Subject: a bounce$/m, '… with it';
like $r[0]{original}, qr/All work and no play/, '… as a whole';

# postmaster himself cannot be reached
$d->file('aliases', "postmaster: lost\@dead.example\n");
$d->ctl('table', 'aliases', 'update');
send_mail('another bounce', '', '', 'lost@dead.example', '');
settled();
clock(50 * $H);
settled();
is_deeply [ map { $_->{rcpt} } $d->ctl_rows('show', 'queue') ], ['postmaster@mail.example.org'], 'a note for postmaster waits';
clock(50 * $H);
drained();
like $d->log_text, qr/dropped rcpt="?postmaster\@mail\.example\.org/, 'what he cannot be sent ends there';
$d->stop;
unlink $open;
$sink->remove;
done_testing;
