/* Text; see text.h. */
#include "text.h"
#include "utf8.h"

#include <bsd/stdlib.h>

#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DURATION_MAX_MS (10LL * 366 * 86400 * 1000)
#define WORD_MAX        40

void *
xcalloc(size_t n, size_t size)
{
	void *p = calloc(n == 0 ? 1 : n, size == 0 ? 1 : size);

	if (p == NULL)
		err(1, "memory for %zu times %zu bytes", n, size);
	return p;
}

void *
xrealloc(void *p, size_t n, size_t size)
{
	void *q = reallocarray(p, n, size);

	if (q == NULL)
		err(1, "memory for %zu times %zu bytes", n, size);
	return q;
}

char *
xstrdup(const char *s)
{
	return xstrndup(s, strlen(s));
}

char *
xstrndup(const char *s, size_t len)
{
	char *copy = xcalloc(len + 1, 1);

	memcpy(copy, s, len);
	return copy;
}

char *
xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	int n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n == -1)
		err(1, "memory for a string");
	return s;
}

void
text_putn(struct text *t, const void *data, size_t len)
{
	if (t->len + len + 1 > t->cap) {
		size_t cap = t->cap == 0 ? 64 : t->cap;
		while (cap < t->len + len + 1)
			cap *= 2;
		t->s = xrealloc(t->s, cap, 1);
		t->cap = cap;
	}
	if (len > 0)
		memcpy(t->s + t->len, data, len);
	t->len += len;
	t->s[t->len] = '\0';
}

void
text_put(struct text *t, const char *s)
{
	text_putn(t, s, strlen(s));
}

void
text_putf(struct text *t, const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	int n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n == -1)
		err(1, "memory for a string");
	text_putn(t, s, (size_t)n);
	free(s);
}

void
text_free(struct text *t)
{
	free(t->s);
	*t = (struct text){ 0 };
}

char *
text_lower(char *s)
{
	for (char *p = s; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p + ('a' - 'A'));
	return s;
}

bool
text_has_control(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	return false;
}

int64_t
text_duration_ms(const char *s)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = { { "", 1000 }, { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 },
		{ "d", 86400000 }, { "w", 7LL * 86400000 } };
	int64_t total = 0;

	if (!isdigit((unsigned char)*s))
		return -1;
	while (*s != '\0') { /* "1d12h" too */
		char *end;
		char unit[3] = "";
		size_t n = 0, i;

		errno = 0;
		long long v = strtoll(s, &end, 10);
		if (errno != 0 || end == s || v < 0 || v > DURATION_MAX_MS)
			return -1;
		while (n < 2 && isalpha((unsigned char)end[n])) {
			unit[n] = end[n];
			n++;
		}
		for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
			if (strcmp(unit, units[i].unit) == 0)
				break;
		if (i == sizeof(units) / sizeof(units[0]) || v > DURATION_MAX_MS / units[i].ms)
			return -1;
		total += v * units[i].ms;
		if (total > DURATION_MAX_MS)
			return -1;
		s = end + n;
		if (*s != '\0' && !isdigit((unsigned char)*s))
			return -1;
	}
	return total;
}

int64_t
text_size(const char *s)
{
	char *end;

	errno = 0;
	if (!isdigit((unsigned char)*s))
		return -1;
	long long v = strtoll(s, &end, 10);
	if (errno != 0 || v < 0)
		return -1;
	int64_t unit = 1;
	switch (tolower((unsigned char)*end)) {
	case '\0': return v;
	case 'b': unit = 1; break;
	case 'k': unit = 1024; break;
	case 'm': unit = 1024 * 1024; break;
	case 'g': unit = 1024 * 1024 * 1024; break;
	default: return -1;
	}
	if (end[1] != '\0' || v > INT64_MAX / unit)
		return -1;
	return v * unit;
}

const char *
text_of_duration(int64_t sec, char *buf, size_t len)
{
	static const struct {
		int64_t sec;
		char unit;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
	size_t used = 0;
	int parts = 0;

	snprintf(buf, len, "0s");
	for (size_t i = 0; i < 4 && parts < 2; i++) {
		if (sec < units[i].sec)
			continue;
		used += (size_t)snprintf(buf + used, len - used, "%lld%c",
		    (long long)(sec / units[i].sec), units[i].unit);
		sec %= units[i].sec;
		parts++;
	}
	return buf;
}

unsigned
text_distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b);
	unsigned d[WORD_MAX + 1][WORD_MAX + 1];

	if (la > WORD_MAX || lb > WORD_MAX)
		return UINT32_MAX;
	for (size_t i = 0; i <= la; i++)
		d[i][0] = (unsigned)i;
	for (size_t j = 0; j <= lb; j++)
		d[0][j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++)
		for (size_t j = 1; j <= lb; j++) {
			unsigned cost = a[i - 1] != b[j - 1];
			unsigned best = d[i - 1][j - 1] + cost;
			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	return d[la][lb];
}

void
text_put_json(struct text *t, const char *s)
{
	uint32_t code;

	text_put(t, "\"");
	while (*s != '\0') {
		size_t len = utf8_char(s, &code);
		if (len == 0) {
			text_put(t, "\\ufffd");
			len = 1;
		} else if (*s == '"' || *s == '\\') {
			text_putf(t, "\\%c", *s);
		} else if ((unsigned char)*s < 0x20 || *s == 0x7f) {
			text_putf(t, "\\u%04x", (unsigned)(unsigned char)*s);
		} else {
			text_putn(t, s, len);
		}
		s += len;
	}
	text_put(t, "\"");
}
