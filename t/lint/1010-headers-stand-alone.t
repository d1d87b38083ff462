# Every header compiles alone, and again when it is included twice.
use strict;
use warnings;
use File::Temp;
use Test::More;

my $build = $ENV{BUILD} || 'build';
for my $path (glob 'daemon/*.h daemon/*/*.h proto/*.h helpers/*/*.h') {
	my $c = File::Temp->new(SUFFIX => '.c');
	print $c qq{#include "$path"\n#include "$path"\ntypedef int not_empty;\n};
	close $c;
	my $out = `\${CC:-cc} -std=gnu11 -Wall -Wextra -Werror -D_GNU_SOURCE -DLIBBSD_OPENBSD_VIS -I. -Idaemon/conf -Idaemon/base -Iproto -I$build/daemon/conf -fsyntax-only $c 2>&1`;
	is $out, '', "$path stands alone";
	next if $path =~ m{/local\.h$};
	open my $f, '<', $path or die;
	local $/;
	like scalar <$f>, qr{\A/\*.*?\*/\s*#ifndef (\w+)\n#define \1\n}s, "$path says what it is, and has a guard";
}
done_testing;
