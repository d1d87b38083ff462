/* Foreign text for a terminal and for JSON.  Pure, but for safe_warn(). */
#include "local.h"
#include "utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void
safe_put(struct text *t, const char *s)
{
	text_putn(t, "", 0);
	while (*s != '\0') {
		uint32_t c;
		size_t len = utf8_char(s, &c);
		if (len != 0 && utf8_is_plain(c)) {
			text_putn(t, s, len);
			s += len;
			continue;
		}
		for (len = len == 0 ? 1 : len; len > 0; len--)
			text_putf(t, "\\x%02x", (unsigned)(unsigned char)*s++);
	}
}

void
safe_put_json(struct text *t, const char *s)
{
	text_put(t, "\"");
	while (*s != '\0') {
		uint32_t c;
		size_t len = utf8_char(s, &c);
		if (len == 0) {
			text_put(t, "\\ufffd");
			len = 1;
		} else if (c == '"' || c == '\\') {
			text_putf(t, "\\%c", (int)c);
		} else if (!utf8_is_plain(c)) {
			text_putf(t, "\\u%04x", (unsigned)c);
		} else {
			text_putn(t, s, len);
		}
		s += len;
	}
	text_put(t, "\"");
}

size_t
safe_width(const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

void
safe_warn(const char *fmt, ...)
{
	struct text shown = { 0 };
	va_list ap;
	char *s;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) == -1)
		abort();
	va_end(ap);
	safe_put(&shown, s);
	fprintf(stderr, "%s: %s\n", program_invocation_short_name, shown.s);
	text_free(&shown);
	free(s);
}
