/*
 * Filters and DNs with places for the key (template.h).  Called by settings.c, which makes them, and by
 * those who ask the directory.
 *
 * Invariant: a template's text has been checked; filling in needs no second look at it.  The structure of
 * a filter is the same before and after: places are in values only, and what goes there has no byte left
 * that means anything.
 */
#include "template.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEST_MAX 50

struct template
{
	enum template_kind kind;
	bool uses_key;
	char text[];
};

struct out {
	char *p; /* NULL: only to count */
	size_t len;
};

static const char *check_filter(const char **, int);
static const char *check_item(const char **);

void
template_split(struct template_key *k, const char *key, bool is_domain, const char *table)
{
	const char *at = strrchr(key, '@');

	*k = (struct template_key){ .text = key, .table = table };
	if (is_domain) {
		k->domain = at == NULL ? key : at + 1;
		return;
	}
	k->local = key;
	k->local_len = at == NULL ? strlen(key) : (size_t)(at - key);
	k->domain = at == NULL ? NULL : at + 1;
}

/* --- Checking */

static bool
is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static const char *
check_places(const char *text, bool *uses_key)
{
	for (const char *p = strchr(text, '%'); p != NULL; p = strchr(p + 2, '%')) {
		if (p[1] == '\0' || strchr("suhdl%", p[1]) == NULL)
			return "% stands only before u, s (the key), l (its local part), d (its "
			       "domain), "
			       "h (the table) or %";
		*uses_key = *uses_key || (p[1] != 'h' && p[1] != '%');
	}
	return NULL;
}

static const char *
skip_blanks(const char *p)
{
	return p + strspn(p, " ");
}

/* filter = "(" ( "&" / "|" filters, "!" filter, item ) ")" */
static const char *
check_filter(const char **at, int depth)
{
	const char *wrong, *p = skip_blanks(*at);

	if (depth > NEST_MAX)
		return "the filter nests too deep";
	if (*p != '(')
		return "a filter begins with (";
	p = skip_blanks(p + 1);
	if (*p == '&' || *p == '|') {
		for (p = skip_blanks(p + 1); *p == '('; p = skip_blanks(p))
			if ((wrong = check_filter(&p, depth + 1)) != NULL)
				return wrong;
	} else if (*p == '!') {
		p++;
		if ((wrong = check_filter(&p, depth + 1)) != NULL)
			return wrong;
		p = skip_blanks(p);
	} else if ((wrong = check_item(&p)) != NULL)
		return wrong;
	if (*p != ')')
		return "the filter lacks a )";
	*at = p + 1;
	return NULL;
}

/* item = attribute ( "=" / "~=" / ">=" / "<=" / ":" … ":=" ) value */
static const char *
check_item(const char **at)
{
	const char *p = *at;
	size_t len =
	    strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.;:");

	if (p[len] == '%')
		return "% may stand in values only, not in the name of an attribute";
	if (len == 0)
		return "the filter lacks the name of an attribute";
	p += len;
	if (*p == '~' || *p == '>' || *p == '<')
		p++;
	if (*p != '=')
		return "the filter lacks a = behind the name of an attribute";
	for (p++; *p != ')'; p++) {
		if (*p == '\0')
			return "the filter lacks a )";
		if (*p == '(')
			return "a ( in a value is written \\28";
		if (*p == '\\' && (!is_hex(p[1]) || !is_hex(p[2])))
			return "\\ in a value is followed by two hexadecimal digits; itself it is "
			       "\\5c";
		if (*p == '%')
			p++;
	}
	*at = p;
	return NULL;
}

struct template *
template_new(enum template_kind kind, const char *text, char why[TEMPLATE_WHY_LEN])
{
	bool bare = kind == TEMPLATE_FILTER && *skip_blanks(text) != '(', uses_key = false;
	size_t size = strlen(text) + 3;
	const char *wrong = size > TEMPLATE_OUT_MAX ? "too long" : check_places(text, &uses_key);
	struct template *t = wrong != NULL ? NULL : malloc(sizeof(*t) + size);

	if (t != NULL) {
		*t = (struct template){ .kind = kind, .uses_key = uses_key };
		snprintf(t->text, size, bare ? "(%s)" : "%s", text);
		if (kind == TEMPLATE_FILTER) {
			const char *end = t->text;

			wrong = check_filter(&end, 0);
			if (wrong == NULL && *skip_blanks(end) != '\0')
				wrong = "the filter goes on behind its last )";
		}
		if (wrong == NULL)
			return t;
		free(t);
	}
	snprintf(why, TEMPLATE_WHY_LEN, "%s", wrong == NULL ? "out of memory" : wrong);
	return NULL;
}

void
template_free(struct template *t)
{
	free(t);
}

bool
template_uses_key(const struct template *t)
{
	return t->uses_key;
}

const char *
template_text(const struct template *t)
{
	return t->text;
}

/* --- Filling in */

static void
put(struct out *o, char c)
{
	if (o->p != NULL)
		o->p[o->len] = c;
	o->len++;
}

/* More is escaped than must be: both grammars take any byte as \XX. */
static bool
is_plain(enum template_kind kind, unsigned char c)
{
	if (c <= ' ' || c >= 0x7f)
		return false;
	return strchr(kind == TEMPLATE_FILTER ? "*()\\" : "\"+,;<>\\#=", c) == NULL;
}

static void
put_value(struct out *o, enum template_kind kind, const char *value, size_t len)
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)value[i];

		if (is_plain(kind, c))
			put(o, (char)c);
		else {
			put(o, '\\');
			put(o, hex[c >> 4]);
			put(o, hex[c & 15]);
		}
	}
}

/* The length of the UTF-8 character at p (RFC 3629), or 0. */
static size_t
utf8_len(const unsigned char *p)
{
	size_t n = *p < 0x80   ? 1
		   : *p < 0xc2 ? 0
		   : *p < 0xe0 ? 2
		   : *p < 0xf0 ? 3
		   : *p < 0xf5 ? 4
			       : 0;

	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) ||
	    (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

static bool
is_utf8(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	while (*p != '\0') {
		size_t n = utf8_len(p);

		if (n == 0)
			return false;
		p += n;
	}
	return true;
}

/* What stands for %c; NULL when the key has no such part. */
static const char *
value_of(char c, const struct template_key *k, size_t *len)
{
	const char *value = NULL;

	switch (c) {
	case 'u':
	case 's': value = k->text; break;
	case 'h': value = k->table; break;
	case 'd': value = k->domain; break;
	case 'l': *len = k->local_len; return k->local_len == 0 ? NULL : k->local;
	}
	if (value == NULL)
		return NULL;
	*len = strlen(value);
	return *len == 0 ? NULL : value;
}

static enum template_outcome
fill(struct out *o, const struct template *t, const struct template_key *k)
{
	for (const char *p = t->text; *p != '\0'; p++) {
		if (*p != '%') {
			put(o, *p);
			continue;
		}
		size_t len = 0;
		if (*++p == '%') {
			put(o, '%');
			continue;
		}
		const char *value = value_of(*p, k, &len);
		if (value == NULL)
			return TEMPLATE_NO_MATCH;
		put_value(o, t->kind, value, len);
		if (o->len >= TEMPLATE_OUT_MAX)
			return TEMPLATE_TOO_LONG;
	}
	return o->len >= TEMPLATE_OUT_MAX ? TEMPLATE_TOO_LONG : TEMPLATE_DONE;
}

enum template_outcome
template_fill(const struct template *t, const struct template_key *k, char **out)
{
	struct out o = { .p = NULL };

	*out = NULL;
	if (t->kind == TEMPLATE_DN && t->uses_key && !is_utf8(k->text))
		return TEMPLATE_NO_MATCH;
	enum template_outcome outcome = fill(&o, t, k);
	if (outcome != TEMPLATE_DONE)
		return outcome;
	o.p = malloc(o.len + 1);
	if (o.p == NULL)
		return TEMPLATE_NO_MEMORY;
	o.len = 0;
	fill(&o, t, k);
	o.p[o.len] = '\0';
	*out = o.p;
	return TEMPLATE_DONE;
}
