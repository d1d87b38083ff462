/* row.h: the control protocol's lines. */
#include "row.h"
#include "tap.h"
#include "text.h"

int
main(void)
{
	struct text t = { 0 };
	char *f[4];

	row_line(&t, 'R', "a", "", "b\tc\\d\ne\x01", NULL);
	is(t.s, "R\ta\t\tb\\tc\\\\d\\ne\\x01", "a row with what must be escaped");
	is_int(row_split(t.s + 2, f, 4), 3, "three fields again");
	is(f[0], "a", "the first");
	is(f[1], "", "an empty one");
	is(f[2], "b\tc\\d\ne\x01", "the escapes removed");
	char many[] = "1\t2\t3\t4\t5\t6";
	is_int(row_split(many, f, 4), 4, "no more than there is room for");
	char odd[] = "a\\";
	is_int(row_split(odd, f, 4), 1, "a backslash at the end");
	is(f[0], "a\\", "stays");
	t.len = 0;
	row_begin(&t, 'R');
	row_put_int(&t, -5);
	row_put_int(&t, INT64_MAX);
	is(t.s, "R\t-5\t9223372036854775807", "numbers");
	text_free(&t);
	return done();
}
