/* The lines of the control protocol; see row.h. */
#include "row.h"
#include "text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void
row_begin(struct text *t, char kind)
{
	text_putn(t, &kind, 1);
}

void
row_put(struct text *t, const char *field)
{
	text_put(t, "\t");
	for (const char *p = field; *p != '\0'; p++) {
		if (*p == '\\')
			text_put(t, "\\\\");
		else if (*p == '\t')
			text_put(t, "\\t");
		else if (*p == '\n')
			text_put(t, "\\n");
		else if ((unsigned char)*p < 0x20 || *p == 0x7f)
			text_putf(t, "\\x%02x", (unsigned)(unsigned char)*p);
		else
			text_putn(t, p, 1);
	}
}

void
row_put_int(struct text *t, int64_t n)
{
	text_putf(t, "\t%lld", (long long)n);
}

void
row_line(struct text *t, int kind, ...)
{
	const char *field;
	va_list ap;

	row_begin(t, (char)kind);
	va_start(ap, kind);
	while ((field = va_arg(ap, const char *)) != NULL)
		row_put(t, field);
	va_end(ap);
}

/* Removes the escapes of one field in place. */
static void
unescape(char *s)
{
	char *out = s;

	for (; *s != '\0'; s++) {
		if (*s != '\\' || s[1] == '\0') {
			*out++ = *s;
			continue;
		}
		s++;
		if (*s == 'x' && isxdigit((unsigned char)s[1]) && isxdigit((unsigned char)s[2])) {
			*out++ = (char)strtol((char[]){ s[1], s[2], '\0' }, NULL, 16);
			s += 2;
		} else {
			*out++ = *s == 't' ? '\t' : *s == 'n' ? '\n' : *s;
		}
	}
	*out = '\0';
}

size_t
row_split(char *fields, char **out, size_t max)
{
	size_t n = 0;

	while (fields != NULL && n < max) {
		char *field = strsep(&fields, "\t");
		unescape(field);
		out[n++] = field;
	}
	return n;
}
