# The folder of the sockets is open to users whatever the umask was, and only a socket is replaced there.
use strict;
use warnings;
use File::Path ();
use Tabmail;
use Test::More;

my $before = umask 077;
my $d = Tabmail->new(config => <<'END');
listen on 127.0.0.1 port $PORT
accept from any for domain example.org relay via smtp://127.0.0.1:$PORT2
END
$d->write_config;
File::Path::remove_tree($d->dir . '/run');
$d->boot;
umask $before;
is sprintf('%o', (stat $d->dir . '/run')[2] & 07777), '755', 'the folder';
is sprintf('%o', (stat $d->dir . "/run/$_.sock")[2] & 0777), '666', $_ for qw(control submit);
is sprintf('%o', (stat $d->dir . '/spool')[2] & 07777), '700', 'the spool is not';
is $d->halt, '', 'it ends';

my $path = $d->dir . '/run/submit.sock';
spew($path, "precious\n");
ok !eval { $d->boot; 1 }, 'it does not start where a file stands in the place of a socket';
like $@, qr/\Q$path\E: something else has this name/, 'and says so';
is slurp($path), "precious\n", 'which stays';
$d->forget;
done_testing;
