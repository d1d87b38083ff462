/* That a message was here before; see passage.h. */
#include "passage.h"
#include "text.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define FIELD_MAX 1000 /* bytes of a field that are looked at */

/* The length of the field at p with its folded lines; 0: the header is over. */
static size_t
field_len(const char *p, size_t len)
{
	size_t n = 0;

	if (len == 0 || *p == '\n' || *p == ' ' || *p == '\t')
		return 0;
	do {
		const char *lf = memchr(p + n, '\n', len - n);
		n = lf == NULL ? len : (size_t)(lf - p) + 1;
	} while (n < len && (p[n] == ' ' || p[n] == '\t'));
	return memchr(p, ':', n) == NULL ? 0 : n;
}

/* A Received field's value, each run of blanks and folds one blank; false: it is another field. */
static bool
unfold(const char *p, size_t len, char value[FIELD_MAX])
{
	size_t n = 0;

	if (len < 9 || strncasecmp(p, "received:", 9) != 0)
		return false;
	for (size_t i = 9; i < len && n < FIELD_MAX - 1; i++)
		if (!isspace((unsigned char)p[i]))
			value[n++] = p[i];
		else if (n > 0 && value[n - 1] != ' ')
			value[n++] = ' ';
	value[n] = '\0';
	return true;
}

void
passage_put_token(struct text *t, const char *host, const char *token, const char *date)
{
	text_putf(t, "Received: by %s (tabmail) with reentry id %s;\n\t%s\n", host, token, date);
}

/* Whether it is a field of passage_put_token(), whatever its folding is now. */
static bool
has_token(const char *value, const char *host, char token[PASSAGE_TOKEN_LEN])
{
	char begin[300];
	size_t n =
	    (size_t)snprintf(begin, sizeof(begin), "by %.200s (tabmail) with reentry id ", host);

	if (strncasecmp(value, begin, n) != 0)
		return false;
	size_t len = strspn(value + n, "0123456789abcdef.");
	if (value[n + len] != ';' || len >= PASSAGE_TOKEN_LEN)
		len = 0;
	memcpy(token, value + n, len);
	token[len] = '\0';
	return true;
}

size_t
passage_take_token(char *text, size_t len, const char *host, char token[PASSAGE_TOKEN_LEN])
{
	char value[FIELD_MAX], found[PASSAGE_TOKEN_LEN];
	size_t at = 0, n;

	token[0] = '\0';
	while ((n = field_len(text + at, len - at)) > 0) {
		if (!unfold(text + at, n, value) || !has_token(value, host, found)) {
			at += n;
			continue;
		}
		if (token[0] == '\0')
			memcpy(token, found, sizeof(found));
		memmove(text + at, text + at + n, len - at - n);
		len -= n;
	}
	return len;
}

/* "from … by HOST (tabmail) with …": the name may be written in any case. */
static bool
is_ours(const char *value, const char *host)
{
	char by[300], token[PASSAGE_TOKEN_LEN];
	size_t n = (size_t)snprintf(by, sizeof(by), "by %.200s (tabmail) with ", host);

	if (has_token(value, host, token))
		return false;
	for (const char *p = value; *p != '\0'; p++)
		if ((p == value || p[-1] == ' ') && strncasecmp(p, by, n) == 0)
			return true;
	return false;
}

unsigned
passage_count(const char *text, size_t len, const char *host)
{
	char value[FIELD_MAX];
	size_t at = 0, n;
	unsigned count = 0;

	while ((n = field_len(text + at, len - at)) > 0) {
		count += unfold(text + at, n, value) && is_ours(value, host);
		at += n;
	}
	return count;
}
