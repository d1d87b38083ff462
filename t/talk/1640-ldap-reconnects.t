# table-ldap and a slapd that is not there yet, is restarted, killed, gone, frozen: each question is answered
# once, with what is true or with an error; never with "not found".
use strict;
use warnings;
use LdapStream;
use Slapd;
use Tabmail;
use Test::More;
use Time::HiRes qw(time);

plan skip_all => slapd_missing if slapd_missing;
my $LONG = $ENV{TABMAIL_LONG};
my $s = Slapd->new(entries => \&fifty);

# The directory is down at the start
my $h = table($s, $s->url);
like $h->ask('lookup', 'alias', 'a1'), qr/^error\|/, 'directory down: an error';
$s->boot;
my $up = time;
wait_for { $h->ask('lookup', 'alias', 'a1') eq 'found|box1@example.org' } 'the first answer', 20;
note sprintf 'first answer %.2f s after slapd came up', time - $up;
is $h->ask('lookup', 'alias', 'nobody'), 'not-found', 'what the directory does not have is not found';

# Ended, killed, and started again at once while questions flow; then gone for longer than questions wait
my $back;
for my $how (qw(TERM KILL)) {
	my $got = stream($h, 1, 0.3 => sub { $s->stop($how); $back = time; $s->boot });
	only_true($got, "slapd is restarted by SIG$how");
	cmp_ok $got->{found} // 0, '>', 0, 'questions were answered';
	note sprintf 'first answer %.2f s after slapd was started again', $got->{after} - $back if $got->{after};
}
my $got = stream($h, $LONG ? 12 : 4, 0.3 => sub { $s->kill });
only_true($got, 'slapd is gone');
cmp_ok $got->{error}, '>', 0, 'then there are errors';
$back = time;
$s->boot;
wait_for { $h->ask('lookup', 'alias', 'a1') eq 'found|box1@example.org' } 'an answer', 20;
note sprintf 'first answer %.2f s after slapd was started again', time - $back;

# Frozen: nothing is lost, what was asked meanwhile is answered when it goes on
my $frozen = $LONG ? 10 : 1.5;
$got = stream($h, $frozen + 1, 0.3 => sub { $s->freeze }, 0.3 + $frozen => sub { $s->thaw });
only_true($got, "slapd is frozen for $frozen s");
cmp_ok $got->{found} // 0, '>', 0, 'and answers after it';
unlike $h->stderr, qr/mailpw/, 'no password in the log';
like $h->stderr, qr/^lost server=\S+ reason="[^"]+" in-flight=\d+/m, 'a loss is a line';
like $h->stderr, qr/^connected server=\S+ took=\d+ms/m, 'a connection is a line';
is $h->end, 0, 'ends with 0';
diag $h->stderr if !Test::More->builder->is_passing;
$s->forget;
done_testing;
