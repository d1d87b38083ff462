# A struct secret given to the log, or to any printf, does not compile; its own accessor does.
use strict;
use warnings;
use File::Temp ();
use Test::More;

my $dir = File::Temp::tempdir(CLEANUP => 1);
sub compiles {
	my ($statement) = @_;
	open my $f, '>', "$dir/x.c" or die;
	print $f qq(#include "log.h"\n#include "secret.h"\nvoid f(struct secret s);\nvoid f(struct secret s) { $statement }\n);
	close $f;
	return system("cc -std=gnu11 -Idaemon/base -Wall -Wformat=2 -Werror -fsyntax-only $dir/x.c 2>/dev/null") == 0;
}
ok compiles('(void)secret_reveal(s);'), 'who checks a password can';
ok !compiles(qq(log_info("%s", $_);)), "log_info(\"%s\", $_) does not compile" for 's', 'log_quote(s)';
ok compiles('log_info("%s", "text");'), 'a text does';
done_testing;
