/* The text of a table file: what it says, and where it is wrong. */
#include "../../../helpers/table-file/parse.c"

#include "tap.h"

static struct tab_set *set;
static struct parse p;

/* NULL or "line: reason" */
static const char *
load(const char *text)
{
	static char error[300];
	const char *wrong = NULL;

	tab_set_free(set);
	set = tab_set_new();
	parse_start(&p, set);
	while (*text != '\0' && wrong == NULL) {
		size_t len = strcspn(text, "\n");
		char *copy = strndup(text, len);

		wrong = parse_line(&p, copy, len);
		free(copy);
		text += len + (text[len] == '\n');
	}
	if (wrong == NULL)
		wrong = parse_end(&p);
	snprintf(error, sizeof(error), "%u: %s", p.line, wrong == NULL ? "" : wrong);
	parse_free(&p);
	return wrong == NULL ? NULL : error;
}

static void
good(const char *text, unsigned n)
{
	is(load(text), NULL, "is taken: %.50s", text);
	is_int(tab_set_count(set), n, "entries");
}

static void
bad(const char *text, const char *want)
{
	is(load(text), want, "is refused: %.50s", text);
}

static void
has(const char *key, const char *want)
{
	const char *value = NULL;
	enum tab_answer a = tab_set_ask(set, TAB_LOOKUP, TAB_ALIAS, key, &value);

	is(a == TAB_FOUND ? value : NULL, want, "%s has its value", key);
}

static void
holds(const char *key)
{
	const char *value;

	is_int(tab_set_ask(set, TAB_CHECK, TAB_STRING, key, &value), TAB_FOUND, "holds '%s'", key);
}

static void
mappings(void)
{
	good("", 0);
	good("\n\n# a comment\n   \n\t# another\n", 0);
	good("key value\nk2: v2\nk3 : v3\nk4:v4\nk5\tv5\n  k6   v6  \n", 6);
	has("key", "value");
	has("k2", "v2");
	has("k3", "v3");
	has("k4", "v4");
	has("k5", "v5");
	has("k6", "v6");
	good("a: b", 1);
	has("a", "b");
	good("a: b\r\nc: d\r\n", 2);
	has("c", "d");
	good("a b c # no comment\n", 1);
	has("a", "b c # no comment");
	good("joe 1000:1000:/home/joe\nann: 1001:1001:/home/ann\n", 2);
	has("joe", "1000:1000:/home/joe");
	has("ann", "1001:1001:/home/ann");
	good("bob  $2b$10$abc\nlabel user:pass\n", 2);
	has("label", "user:pass");
	good("x@example.org: y\n@example.org z\n@ w\n", 3);
	has("@", "w");
	good("list :include:/etc/list\nl2: :include:/etc/l2\nl3::include:/x\n", 3);
	has("list", ":include:/etc/list");
	has("l2", ":include:/etc/l2");
	has("l3", ":include:/x");
	good("prog: \"|/bin/prog -a b, c\", /var/file\n", 1);
	has("prog", "\"|/bin/prog -a b, c\", /var/file");
	good("\"a key: here\": v\n\"b\\\"q\\\\\" w\n", 2);
	has("a key: here", "v");
	has("b\"q\\", "w");
	good("Key: Value\n", 1);
	has("key", "Value");
	good("a: 1\nA: 2\n", 1);
	has("a", "2");
	is_int(p.n_double, 1, "a key that came twice is counted");
	is_int(p.first_double, 2, "with its line");
}

static void
addresses(void)
{
	good("2001:db8::1 six.example\n192.0.2.1 four\n[2001:db8::2] two\n[2001:db8::3]: three\n"
	     "2001:db8::4: quad\n",
	    5);
	has("2001:db8::1", "six.example");
	has("192.0.2.1", "four");
	has("[2001:db8::2]", "two");
	has("[2001:db8::3]", "three");
	has("2001:db8::4", "quad");
	good("2001:db8::/32\n192.0.2.0/24\n[2001:db8::9]\n[2001:dba::]/32\n::1\n", 5);
	holds("2001:db8::/32");
	holds("[2001:dba::]/32");
	holds("::1");
	good("smtp://192.0.2.1:2525\nlmtp://[::1]\n", 2);
	holds("smtp://192.0.2.1:2525");
	good("example.org smtp://relay.example\n", 1);
	has("example.org", "smtp://relay.example");
}

static void
lists(void)
{
	good("one\n  two\nthree\n", 3);
	holds("two");
	good("# @list\nkey value\na: b\n", 2);
	holds("key value");
	holds("a: b");
	good("#@list\nx y\n", 1);
	holds("x y");
	good("# first\n\n#   @list  \nx y\n", 1);
	good("a b\n# @list\nc d\n", 2);
	has("c", "d");
	bad("one\ntwo words\n",
	    "2: a value in a list (say '# @list' first when this is one entry)");
	bad("one\n\nkey: value\n",
	    "3: a value in a list (say '# @list' first when this is one entry)");
}

static void
continuations(void)
{
	good("a: one,\n\ttwo,\n   three\nb: x\n", 2);
	has("a", "one, two, three");
	has("b", "x");
	good("a: one\n\t, two\nb: x\n", 2);
	has("a", "one, two");
	good("a:\n  one,\n# a comment\n\n  two\nb: x\n", 2);
	has("a", "one, two");
	good("a: one\n  b: two\n", 2);
	has("b", "two");
	good("a: one,\nb: two\n", 2);
	has("a", "one,");
	bad("a: one\n   two\n", "2: goes on with a value that has ended: a comma is missing?");
	bad("a:\nb: x\n", "1: a key without a value");
	bad("x: y\na:\n", "2: a key without a value");
	bad("x: y\na:\n\n# end\n", "2: a key without a value");
}

static void
wrongs(void)
{
	bad("a b\nc\n", "2: a key without a value");
	bad("a b\n: c\n", "2: no key");
	bad("a b\n\"\": c\n", "2: no key");
	bad("a b\n\"c: d\n", "2: a quote that does not end");
	bad("a b\n\"c\\", "2: a quote that does not end");
	bad("a b\n\"c\"d e\n", "2: no blank or colon behind the quoted key");
	bad("[2001:db8::1 x\n", "1: a bracket that does not end");
	bad("a b\nc d\1\n", "2: a control character");
	bad("a b\nc\rd e\n", "2: a control character");

	char line[4] = { 'a', '\0', 'b', 0 };
	parse_start(&p, set);
	is(parse_line(&p, line, 3), "a NUL byte", "a NUL is refused");

	size_t len = 5000;
	char *text = malloc(len + 3);
	memset(text, 'k', len);
	strcpy(text + len, " v");
	bad(text, "1: key longer than 4096 bytes");
	free(text);

	text = malloc(90000);
	strcpy(text, "a: ");
	for (int i = 0; i < 8000; i++)
		strcat(text + i * 9, i == 0 ? "123456,\n " : "1234567,\n ");
	ok(load(text) != NULL, "a value that grows without end is refused");
	free(text);
}

int
main(void)
{
	mappings();
	addresses();
	lists();
	continuations();
	wrongs();
	tab_set_free(set);
	return done();
}
