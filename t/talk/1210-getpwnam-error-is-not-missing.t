#!/usr/bin/perl
# A user database that fails is an error, whatever it says; a slow user holds up no other.
use strict;
use warnings;
use File::Temp qw(tempdir);
use Test::More;
use TabHelper;

my $build = $ENV{BUILD} // 'build';
plan skip_all => 'the sanitizer must be loaded first' if $build =~ m{/san\b};
my $dir = tempdir(CLEANUP => 1);

# A database of our own in the place of the system's.
open my $f, '>', "$dir/db.c" or die;
print $f <<'END';
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int
getpwnam_r(const char *name, struct passwd *pw, char *buf, size_t len, struct passwd **found)
{
	*found = NULL;
	if (strncmp(name, "errno-", 6) == 0)
		return atoi(name + 6);
	if (strcmp(name, "huge") == 0)
		return ERANGE;
	if (strcmp(name, "slow") == 0)
		while (access(getenv("GO"), F_OK) == -1)
			usleep(10000);
	if (strcmp(name, "large") == 0 && len < 20000)
		return ERANGE;
	if (strcmp(name, "none") == 0)
		return 0;
	memset(pw, 0, sizeof(*pw));
	pw->pw_uid = 4294967294u;
	pw->pw_gid = 100;
	pw->pw_dir = strcpy(buf, strcmp(name, "lf") == 0 ? "/home\n/x" : "/home/x|y");
	*found = pw;
	return 0;
}
END
close $f;
my $cc = $ENV{CC} || 'cc';
is system(split(' ', $cc), '-shared', '-fPIC', '-D_GNU_SOURCE', '-o', "$dir/db.so", "$dir/db.c"), 0,
    'the database compiles';
$ENV{GO} = "$dir/go";
local $ENV{LD_PRELOAD} = "$dir/db.so";
my $h = TabHelper->start("$build/table-getpwnam");
delete $ENV{LD_PRELOAD};
$h->handshake;

for my $errno (1, 2, 3, 5, 9, 11, 12, 24, 110, 111) {    # EPERM ENOENT ESRCH EIO EBADF EAGAIN …
	like $h->ask('lookup', 'userinfo', "errno-$errno"), qr/^error\|user database: \S/, "errno $errno";
}
like $h->ask('lookup', 'userinfo', 'huge'), qr/^error\|user database: /, 'an entry without end';
is $h->ask('lookup', 'userinfo', 'none'), 'not-found', 'none: not found';
is $h->ask('lookup', 'userinfo', 'x'), 'found|4294967294:100:/home/x|y', 'uids have 32 bits';
is $h->ask('lookup', 'userinfo', 'large'), 'found|4294967294:100:/home/x|y', 'a large entry';
like $h->ask('lookup', 'userinfo', 'lf'), qr/^error\|/, 'a home with a line feed';

my ($slow, $slow_line) = $h->question('lookup', 'userinfo', 'slow');
my ($quick, $quick_line) = $h->question('lookup', 'userinfo', 'none');
$h->put($slow_line, $quick_line);
is $h->get, "lookup-result|$quick|not-found", 'the quick one is answered first';
open $f, '>', "$dir/go" or die;
close $f;
is $h->get, "lookup-result|$slow|found|4294967294:100:/home/x|y", 'then the slow one';
is $h->end, 0, 'ends';

done_testing;
