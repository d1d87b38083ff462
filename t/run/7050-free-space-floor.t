# `spool-free`: with less than that free on the spool's file system mail is answered 452; with more it is taken.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $config = <<'C';
spool-free $FREE
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org userbase <users> deliver to maildir
C
my $d = Tabmail->start(users => ['bob'], vars => { FREE => '1k' }, config => $config);
like $d->mail('a@example.net', 'bob@example.org', mail_text('room')), qr/^250 /, 'more than 1k is free: accepted';
$d->await_mails('bob', 1);
is $d->halt, '', 'the daemon stops';
$d->{vars}{FREE} = '900000G';
$d->write_config($config);
$d->boot;
like $d->mail('a@example.net', 'bob@example.org', mail_text('none')), qr/^452 4\.3\.1 /, 'less than 900000G is: 452';
like $d->log_text, qr/intake refused reason="the file system of the spool is full"/, 'and the log tells';
$d->stop;
done_testing;
