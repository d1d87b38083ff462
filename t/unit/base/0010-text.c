/* text.h: durations, sizes, distance, JSON, growing strings; and how log.h quotes foreign text. */
#include "log.h"
#include "tap.h"
#include "text.h"

static void
durations(void)
{
	static const struct {
		const char *text;
		long long ms;
	} cases[] = { { "30", 30000 }, { "4h", 14400000 }, { "1d", 86400000 }, { "500ms", 500 },
		{ "1d12h", 129600000 }, { "2w", 1209600000 }, { "0", 0 }, { "", -1 }, { "h", -1 },
		{ "4x", -1 }, { "-1", -1 }, { "1h ", -1 }, { "99999999999999999999", -1 },
		{ "3660d", 316224000000 }, { "4000d", -1 }, { "1m30", 90000 } };
	char buf[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		is_int(
		    text_duration_ms(cases[i].text), cases[i].ms, "duration \"%s\"", cases[i].text);
	is(text_of_duration(0, buf, sizeof(buf)), "0s", "no time");
	is(text_of_duration(59, buf, sizeof(buf)), "59s", "seconds");
	is(text_of_duration(5400, buf, sizeof(buf)), "1h30m", "two units");
	is(text_of_duration(90061, buf, sizeof(buf)), "1d1h", "no more than two units");
}

static void
sizes(void)
{
	is_int(text_size("1024"), 1024, "bytes");
	is_int(text_size("35M"), 35 * 1024 * 1024, "mebibytes");
	is_int(text_size("1k"), 1024, "small k");
	is_int(text_size("1G"), 1 << 30, "gibibyte");
	is_int(text_size("M"), -1, "a unit alone");
	is_int(text_size("1Mb"), -1, "two letters");
	is_int(text_size("9223372036854775807G"), -1, "too large");
}

static void
words(void)
{
	is_int(text_distance("delivr", "deliver"), 1, "a letter missing");
	is_int(text_distance("acecpt", "accept"), 1, "two letters swapped");
	is_int(text_distance("", "abc"), 3, "empty");
	is_int(text_distance("kitten", "sitting"), 3, "three changes");
	ok(text_distance("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "b") > 1000,
	    "a word beyond the bound is near to nothing");
	char s[] = "AbC\xc4Z";
	is(text_lower(s), "abc\xc4z", "ASCII only is lower-cased");
	ok(text_has_control("a\nb") && text_has_control("\x7f") && !text_has_control("a b\xc3\xa4"),
	    "controls");
}

static void
json(void)
{
	struct text t = { 0 };

	text_put_json(&t, "a\"b\\c\n\x01\x7f");
	is(t.s, "\"a\\\"b\\\\c\\u000a\\u0001\\u007f\"", "escapes");
	t.len = 0;
	text_put_json(&t, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
	is(t.s, "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"", "UTF-8 stays");
	t.len = 0;
	text_put_json(&t, "\xff\xc3(\xed\xa0\x80\xc0\x80");
	is(t.s, "\"\\ufffd\\ufffd(\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\"",
	    "what is no UTF-8 is replaced");
	t.len = 0;
	for (int i = 0; i < 1000; i++)
		text_putf(&t, "%d,", i);
	is_int(t.len, 3890, "a long string grows");
	is_int(strlen(t.s), 3890, "and is terminated");
	text_free(&t);
}

static void
quotes(void)
{
	char longer[400], *end = longer + sizeof(longer) - 1;

	is(log_quote("a plain text, 100 %"), "\"a plain text, 100 %\"", "what is plain stays");
	is(log_quote(""), "\"\"", "nothing");
	is(log_quote(NULL), "\"\"", "no text");
	is(log_quote("a \"b\" \\ c"), "\"a \\\"b\\\" \\\\ c\"", "quotes and backslashes");
	is(log_quote("a\r\nevent=delivered"), "\"a\\r\\nevent=delivered\"", "line ends");
	is(log_quote("\x7f\xff"), "\"\\^?\\M^?\"", "what is no text");
	memset(longer, 'x', sizeof(longer));
	*end = '\0';
	is_int(strlen(log_quote(longer)), 302, "what is long is cut");
	longer[10] = '\n';
	is_int(strlen(log_quote(longer)), 303, "at the same place when it is not plain");
}

int
main(void)
{
	quotes();
	durations();
	sizes();
	words();
	json();
	return done();
}
