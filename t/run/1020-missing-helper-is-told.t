# A helper whose program is not there: tabmaild -n says so and fails, a start says so and goes on, whoever asks is
# told why, and the helper serves as soon as its program comes.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $d = Tabmail->new(users => ['bob'], files => { aliases => "info: bob\n" }, config => <<'C');
table users file:$D/users
table people later:$D/aliases
table others command "/no/such/program x"
listen on 127.0.0.1 port $PORT
accept from any for domain example.org alias <people> userbase <users> deliver to maildir
accept from any for domain example.com alias <others> userbase <users> deliver to maildir
C
$d->write_config;
my $bin = $d->dir . '/bin';
my ($status, $out) = run("$bin/tabmaild", '-n', '-f', $d->dir . '/tabmail.conf');
is $status, 1, 'tabmaild -n fails';
like $out, qr{table people: cannot run \Q$bin\E/table-later: No such file or directory; the setting "helpers" names its folder$}m,
    'and names the table, the program, and what to look at';
like $out, qr{table others: cannot run /no/such/program: No such file or directory$}m, 'a command, too';
unlike $out, qr/table users|configuration OK/, 'and no more';

$d->boot;
like $d->log_text, qr{table people: cannot run \Q$bin\E/table-later}, 'the daemon says so, and starts';
like $d->mail('a@example.net', ['info@example.org'], mail_text('x')), qr/^451 /, 'its questions are "try later"';
my $table = sub { my ($name) = @_; return (grep { $_->{table} eq $name } $d->ctl_rows('show', 'tables'))[0] };
like $table->('people')->{reason}, qr{^cannot run \Q$bin\E/table-later: No such}, 'show tables has the reason';
is $table->('users')->{reason}, '', 'and none where all is well';
wait_for { $table->('people')->{restarts} >= 5 } 'five tries', 30;
($status, $out) = $d->ctl('explain', 'info@example.org');
like $out, qr{the helper keeps failing: cannot run \Q$bin\E/table-later}, 'and so has explain';

symlink "$bin/table-file", "$bin/table-later" or die "symlink: $!";
$d->ctl('table', 'people', 'restart');
wait_for { $table->('people')->{state} eq 'ready' } 'the helper', 30;
like $d->mail('a@example.net', ['info@example.org'], mail_text('x')), qr/^250 /, 'once it is there mail goes';
$d->await_mails('bob', 1);
is $table->('people')->{reason}, '', 'and nothing is wrong with it any more';
$d->stop;
done_testing;
