/* Foreign text for a terminal and for JSON.  Pure, but for safe_warn(). */
#include "local.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/*
 * Decodes the UTF-8 character that starts here (RFC 3629); returns its length, 0 when it is none.
 */
static size_t
decode(const unsigned char *s, uint32_t *out)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	uint32_t c = len == 1 ? s[0] : len == 2 ? s[0] & 0x1f : len == 3 ? s[0] & 0xf : s[0] & 7;

	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (len == 0 || c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*out = c;
	return len;
}

/* What acts on a terminal, or on how the text beside it reads, instead of being shown. */
static bool
is_unsafe(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

void
safe_put(struct text *t, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	text_putn(t, "", 0);
	while (*p != '\0') {
		uint32_t c;
		size_t len = decode(p, &c);
		if (len != 0 && !is_unsafe(c)) {
			text_putn(t, p, len);
			p += len;
			continue;
		}
		for (len = len == 0 ? 1 : len; len > 0; len--)
			text_putf(t, "\\x%02x", (unsigned)*p++);
	}
}

void
safe_put_json(struct text *t, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	text_put(t, "\"");
	while (*p != '\0') {
		uint32_t c;
		size_t len = decode(p, &c);
		if (len == 0) {
			text_put(t, "\\ufffd");
			len = 1;
		} else if (c == '"' || c == '\\') {
			text_putf(t, "\\%c", (int)c);
		} else if (is_unsafe(c)) {
			text_putf(t, "\\u%04x", (unsigned)c);
		} else {
			text_putn(t, p, len);
		}
		p += len;
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
