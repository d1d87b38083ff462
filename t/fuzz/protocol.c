/*
 * libFuzzer: lines of the table protocol, both directions.  What parses is formatted and parsed
 * again: it must say the same.
 */
#include "tab.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LINE_LEN 16384

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* A question's time is put in when it is formatted, so fields are compared. */
static void
question(const uint8_t *data, size_t len)
{
	static char line[LINE_LEN], again[LINE_LEN];
	struct tab_question q, r;

	memcpy(line, data, len);
	line[len] = '\0';
	if (tab_parse_question(&q, line, len) != NULL)
		return;
	size_t n = tab_format_question(&q, again, sizeof(again));
	if (n == 0)
		return;
	if (tab_parse_question(&r, again, n - 1) != NULL || q.kind != r.kind)
		abort();
	if (q.kind == TAB_LINE_QUESTION &&
	    (q.op != r.op || strcmp(q.id, r.id) != 0 || strcmp(q.key, r.key) != 0 ||
		strcmp(q.table, r.table) != 0))
		abort();
}

static void
reply(const uint8_t *data, size_t len)
{
	static char line[LINE_LEN], again[LINE_LEN], second[LINE_LEN];
	struct tab_reply r;

	memcpy(line, data, len);
	line[len] = '\0';
	if (tab_parse_reply(&r, line, len) != NULL)
		return;
	size_t n = tab_format_reply(&r, again, sizeof(again));
	if (n == 0)
		return;
	memcpy(second, again, n);
	if (tab_parse_reply(&r, again, n - 1) != NULL)
		abort();
	if (tab_format_reply(&r, line, sizeof(line)) != n || memcmp(line, second, n) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len >= LINE_LEN)
		return 0;
	question(data, len);
	reply(data, len);
	return 0;
}
