/* Rows as columns and as JSON; foreign bytes. */
#include "tap.h"

#include "ctl/local.h"
#include "row.h"

#define NOW  1700000000
#define TEN  "0123456789"
#define LONG TEN TEN TEN TEN TEN TEN TEN

/* Feeds lines as the daemon sends them ("!" lines excepted) and gives what is shown. */
static char *
show(bool json, const char *lines)
{
	char *out = NULL;
	size_t len;
	FILE *f = open_memstream(&out, &len);
	struct print *p = print_new(f, json, NOW);
	char *copy = xstrdup(lines), *rest = copy, *line;

	while ((line = strsep(&rest, "\n")) != NULL) {
		char *fields[ROW_FIELDS_MAX];
		size_t n = 0;
		if (*line == '\0')
			continue;
		if (line[1] == '\t')
			n = row_split(line + 2, fields, ROW_FIELDS_MAX);
		print_line(*line, fields, n, p);
	}
	print_free(p, true);
	fclose(f);
	free(copy);
	return out;
}

static void
shows(bool json, const char *lines, const char *want, const char *name)
{
	char *got = show(json, lines);

	is(got, want, "%s", name);
	free(got);
}

static void
test_safe(void)
{
	static const char *const cases[][3] = {
		{ "plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x93\xa7",
		    "plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x93\xa7",
		    "\"plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x93\xa7\"" },
		{ "a\x1b[31mb", "a\\x1b[31mb", "\"a\\u001b[31mb\"" },
		{ "\x7f\r\n\t", "\\x7f\\x0d\\x0a\\x09", "\"\\u007f\\u000d\\u000a\\u0009\"" },
		{ "\xc2\x9b"
		  "31m",
		    "\\xc2\\x9b31m", "\"\\u009b31m\"" },
		{ "\xe2\x80\xae"
		  "x",
		    "\\xe2\\x80\\xaex", "\"\\u202ex\"" },
		{ "\xff\xc3", "\\xff\\xc3", "\"\\ufffd\\ufffd\"" },
		{ "\xc0\xaf\xed\xa0\x80", "\\xc0\\xaf\\xed\\xa0\\x80",
		    "\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\"" },
		{ "q\"b\\", "q\"b\\", "\"q\\\"b\\\\\"" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text t = { 0 };
		safe_put(&t, cases[i][0]);
		is(t.s, cases[i][1], "for people: %zu", i);
		t.len = 0;
		safe_put_json(&t, cases[i][0]);
		is(t.s, cases[i][2], "as JSON: %zu", i);
		text_free(&t);
	}
	is_int(safe_width("a\xc3\xa4\xe2\x82\xac"), 3, "width");
}

int
main(void)
{
	test_safe();
	shows(false,
	    "H\tid\tsize#\tsince@\tnext@\ttook%\tfrom\n"
	    "R\t0001\t512\t1699999688\t1700000180\t90\tann@x.org\n"
	    "R\t00000002\t1536000\t0\t1699999999\t0\t\n",
	    "ID        SIZE  SINCE   NEXT   TOOK  FROM\n"
	    "0001       512  5m12s  in 3m  1m30s  ann@x.org\n"
	    "00000002  1.5M      -     1s     0s  -\n",
	    "columns fit their rows");
	shows(true,
	    "H\tid\tsize#\tsince@\ttook%\n"
	    "R\t00\\n1\t512\t1699999688\t90\nR\t2\tx\t0\t\xff\n",
	    "[\n{\"id\":\"00\\u000a1\",\"size\":512,\"since\":1699999688,\"took\":90},\n"
	    "{\"id\":\"2\",\"size\":\"x\",\"since\":null,\"took\":\"\\ufffd\"}\n]\n",
	    "JSON: numbers as numbers, always valid");
	shows(false, "S\tone\nH\ta\nR\t1\nS\ttwo\nH\tb#\nR\t22\nT\tthe\x1b end\n",
	    "one:\nA\n1\n\ntwo:\n B\n22\nthe\\x1b end\n", "sections and text");
	shows(false,
	    "S\tm\nH\ta\tb\tc\tlonger\nR\t" LONG "\t" LONG "\t" LONG "\t" LONG
	    "\nR\t1\t2\t3\t" LONG LONG "\n",
	    "m:\n* A       " LONG "\n  B       " LONG "\n  C       " LONG "\n  LONGER  " LONG
	    "\n* A       1\n  B       2\n  C       3\n  LONGER  " LONG LONG "\n",
	    "long rows of a section: a field a line");
	shows(false, "S\tm\nH\ta\tlonger\nR\t1\t" LONG LONG LONG "\n",
	    "m:\nA  LONGER\n1  " LONG LONG LONG "\n", "a long last column alone is none");
	shows(false, "T\ta\\tb\n", "a\tb\n", "a TAB in text");
	shows(true, "S\tone\nH\ta\nR\t1\nT\tend\n",
	    "[\n{\"section\":\"one\",\"a\":\"1\"},\n{\"section\":\"one\",\"text\":\"end\"}\n]\n",
	    "sections in JSON");
	shows(false, "R\tno\tnames\n", "no  names\n", "rows without names");
	shows(true, "R\tno\tnames\n", "[\n{\"column1\":\"no\",\"column2\":\"names\"}\n]\n",
	    "the same in JSON");
	shows(false, "H\ta\tb\nR\t1\n", "A  B\n1  -\n", "a row that is too short");
	shows(false, "H\ta\nR\t1\t2\n", "A  \n1  2\n", "a row that is too long");
	shows(false, "H\ta\n", "", "names alone show nothing");
	shows(true, "H\ta\n", "[]\n", "no rows are an empty array");
	shows(true, "T\ta\n", "[\n{\"text\":\"a\"}\n]\n", "text in JSON");
	shows(true, "H\ta\nR\n", "[\n{}\n]\n", "a row without fields");
	shows(false, "R\nT\nS\n", "\n\n\n:\n", "kinds without fields");
	shows(false, "H\tv\tsize#\nR\ta\t1023\nR\tb\t1024\nR\tc\t10240\nR\td\t1048575\n",
	    "V  SIZE\na  1023\nb  1.0K\nc   10K\nd  1.0M\n", "sizes");

	/* a long answer streams: the first rows are out before the last has come */
	char *out = NULL;
	size_t len;
	FILE *f = open_memstream(&out, &len);
	struct print *p = print_new(f, false, NOW);
	char name[] = "name", value[] = "v";
	char *fields[] = { name };
	print_line('H', fields, 1, p);
	fields[0] = value;
	for (int i = 0; i < 64; i++)
		print_line('R', fields, 1, p);
	ok(strncmp(out, "NAME\nv\nv\n", 9) == 0, "64 rows are shown");
	size_t before = len;
	print_line('R', fields, 1, p);
	print_flush(p);
	ok(len == before + 2, "a pause shows the next");
	is_int(print_rows(p), 65, "rows are counted");
	print_free(p, true);
	fclose(f);
	free(out);
	return done();
}
