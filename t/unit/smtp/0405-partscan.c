/* Headers of a body's parts: which of them are not all ASCII, wherever the input is cut. */
#include "smtp/local.h"
#include "tap.h"

static void
check(const char *text, bool want, const char *name)
{
	size_t len = strlen(text);

	for (size_t step = 1; step < 100; step += 33) {
		struct partscan s = { 0 };
		for (size_t at = 0; at < len; at += step)
			partscan_feed(&s, text + at, len - at < step ? len - at : step);
		ok(s.high == want, "%s (%zu bytes at a time)", name, step);
	}
}

int
main(void)
{
	check("", false, "nothing");
	check("Gr\xc3\xbc\xc3\x9f\n", false, "text");
	check("\n--b\nContent-Type: text/plain\n\nGr\xc3\xbc\n--b--\n", false, "a text in a part");
	check(
	    "\n--b\nContent-Type: text/plain; name=\xc3\xbc\n\nx\n--b--\n", true, "a part's field");
	check(
	    "\n--b\nX: y\nContent-Disposition: x;\n\tname=\xc3\xbc\n\n", true, "in a folded line");
	check("--b\n\nx\n--b\nA: \xc3\xbc\n", true, "the second part");
	check("--b\n--c\nA: \xc3\xbc\n", true, "a part within, at once");
	check("--b\nA: b\n\n--c\nA: \xc3\xbc\n", true, "a part within");
	check("--b\nHello \xc3\xbc:\n", false, "a line that is no field");
	check("--b\nHello\nA: \xc3\xbc\n", false, "text below what looks like a boundary");
	check("-- \nA: \xc3\xbc\n", false, "a signature");
	check("--\nA: \xc3\xbc\n", false, "two dashes");
	check("-b\nA: \xc3\xbc\n", false, "one dash");
	check("x\n--b\xc3\xbc\nA: b\n", false, "the boundary itself is no field");
	check("--b\nA:\n \xc3\xbc\n", true, "an empty line of a field");
	return done();
}
