/*
 * Format specifiers (format.h).  Called by deliver's workers, and by the grammar to check.  Pure.
 *
 * A value comes from outside: a letter of it that is not on the short list of harmless ones
 * becomes ':', so that none can end a word, name another path or begin an option.
 */
#include "format.h"
#include "text.h"
#include "utf8.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT_LEN_MAX 4096
#define SPEC_LEN_MAX   128

enum part { WHOLE, USER, DOMAIN };

static const struct spec {
	const char *name;
	size_t field;
	enum part part;
	bool trusted; /* not a mail address: "/" may stand in it */
} specs[] = {
#define F(f) offsetof(struct format_values, f)
	{ "sender", F(sender), WHOLE, false },
	{ "sender.user", F(sender), USER, false },
	{ "sender.domain", F(sender), DOMAIN, false },
	{ "rcpt", F(rcpt), WHOLE, false },
	{ "rcpt.user", F(rcpt), USER, false },
	{ "rcpt.domain", F(rcpt), DOMAIN, false },
	{ "dest", F(dest), WHOLE, false },
	{ "dest.user", F(dest), USER, false },
	{ "dest.domain", F(dest), DOMAIN, false },
	{ "user.username", F(user), WHOLE, false },
	{ "user.directory", F(directory), WHOLE, true },
	{ "id", F(id), WHOLE, false },
#undef F
};

/* A specifier, taken apart: name, [begin:end], modifiers. */
struct parsed {
	const struct spec *spec;
	bool range;
	long begin, end; /* end is the last one, as OpenSMTPD counts */
	bool to_end;     /* "[2:]" */
	bool single;     /* "[2]" */
	bool lower, upper, strip;
};

static const char *
parse_offset(const char **s, long *n)
{
	char *end;

	if (!isdigit((unsigned char)**s) && !(**s == '-' && isdigit((unsigned char)(*s)[1])))
		return "an offset in [ ] is not a number";
	*n = strtol(*s, &end, 10);
	if (*n > FORMAT_LEN_MAX || *n < -FORMAT_LEN_MAX)
		return "an offset in [ ] is too large";
	*s = end;
	return NULL;
}

/* "[N]", "[N:]", "[:N]", "[N:M]" */
static const char *
parse_range(struct parsed *p, const char **s)
{
	const char *wrong;

	(*s)++;
	p->range = true;
	if (**s != ':' && (wrong = parse_offset(s, &p->begin)) != NULL)
		return wrong;
	if (**s == ']') {
		p->single = true;
		(*s)++;
		return NULL;
	}
	if (**s != ':')
		return "\"[\" without \"]\"";
	(*s)++;
	if (**s == ']')
		p->to_end = true;
	else if ((wrong = parse_offset(s, &p->end)) != NULL)
		return wrong;
	if (**s != ']')
		return "\"[\" without \"]\"";
	(*s)++;
	return NULL;
}

static const char *
parse_modifiers(struct parsed *p, const char *s)
{
	if (*s != ':')
		return "unexpected text in %{ }";
	while (*s != '\0') {
		size_t len = strcspn(++s, ":|");
		if (len == 9 && strncmp(s, "lowercase", len) == 0)
			p->lower = true;
		else if (len == 9 && strncmp(s, "uppercase", len) == 0)
			p->upper = true;
		else if (len == 5 && strncmp(s, "strip", len) == 0)
			p->strip = true;
		else if (len == 3 && strncmp(s, "raw", len) == 0)
			return "the modifier \"raw\" is not offered: values are always made "
			       "harmless";
		else
			return "unknown modifier: lowercase, uppercase and strip are known";
		s += len;
	}
	return p->lower && p->upper ? "lowercase contradicts uppercase" : NULL;
}

/* What stands between %{ and }. */
static const char *
parse_spec(struct parsed *p, const char *text, size_t text_len)
{
	char buf[SPEC_LEN_MAX];
	const char *s = buf, *wrong;

	memset(p, 0, sizeof(*p));
	if (text_len >= sizeof(buf))
		return "a format specifier is too long";
	memcpy(buf, text, text_len);
	buf[text_len] = '\0';
	size_t len = strcspn(s, "[:");
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++)
		if (strlen(specs[i].name) == len && strncmp(s, specs[i].name, len) == 0)
			p->spec = &specs[i];
	if (p->spec == NULL)
		return "unknown format specifier";
	s += len;
	if (*s == '[' && (wrong = parse_range(p, &s)) != NULL)
		return wrong;
	return *s == '\0' ? NULL : parse_modifiers(p, s);
}

/* Octets that begin a character, or that are none of UTF-8. */
static bool
begins(const char *s)
{
	return ((unsigned char)*s & 0xc0) != 0x80;
}

static long
n_chars(const struct text *v)
{
	long n = 0;

	for (size_t i = 0; i < v->len; i++)
		n += begins(v->s + i);
	return n;
}

/* Where the character of this number begins; behind the last: the end. */
static size_t
char_at(const struct text *v, long number)
{
	size_t i = 0;

	for (; i < v->len; i++)
		if (begins(v->s + i) && number-- == 0)
			break;
	return i;
}

/* Keeps the characters of the value that [ ] names; outside of them there is nothing. */
static void
cut(struct text *v, const struct parsed *p)
{
	long len = n_chars(v), begin = p->begin, end = p->end;

	if (begin < 0)
		begin = begin + len < 0 ? 0 : begin + len;
	if (p->single && p->begin < -len)
		begin = len; /* before the first letter: nothing */
	if (p->single)
		end = begin;
	else if (p->to_end || end >= len)
		end = len - 1;
	else if (end < 0)
		end += len - 1;
	if (begin >= len || end < begin) {
		v->len = 0;
		v->s[0] = '\0';
		return;
	}
	size_t from = char_at(v, begin), to = char_at(v, end + 1);
	v->len = to - from;
	memmove(v->s, v->s + from, v->len);
	v->s[v->len] = '\0';
}

/* user+tag@domain, or user+tag: without the tag. */
static void
strip_tag(struct text *v)
{
	char *at = strrchr(v->s, '@'), *plus = strchr(v->s, '+');
	char *to = at == NULL ? v->s + v->len : at;

	if (plus == NULL || plus == v->s || plus > to)
		return;
	memmove(plus, to, strlen(to) + 1);
	v->len = strlen(v->s);
}

static bool
harmless(unsigned char c, const struct spec *spec)
{
	if (isalnum(c) || (c < 0x80 && c != '\0' && strchr("@._-+=,:", c) != NULL))
		return true;
	return spec->trusted && (c == '/' || c >= 0x80);
}

/* The length of a character beyond ASCII that stays; 0: none. */
static size_t
harmless_len(const char *s)
{
	uint32_t code;
	size_t len = utf8_char(s, &code);

	return len > 1 && utf8_is_plain(code) ? len : 0;
}

/* The value of a specifier, cut and changed, not yet made harmless. */
static void
take_value(struct text *v, const struct parsed *p, const struct format_values *values)
{
	const char *s = *(const char *const *)((const char *)values + p->spec->field);
	const char *at;

	text_put(v, "");
	if (s == NULL)
		s = "";
	at = strrchr(s, '@');
	switch (p->spec->part) {
	case WHOLE: text_put(v, s); break;
	case USER: text_putn(v, s, at == NULL ? strlen(s) : (size_t)(at - s)); break;
	case DOMAIN: text_put(v, at == NULL ? "" : at + 1); break;
	}
	if (v->s == NULL || v->len == 0)
		return;
	if (p->range)
		cut(v, p);
	if (p->strip)
		strip_tag(v);
	for (size_t i = 0; i < v->len; i++)
		if (p->lower)
			v->s[i] = (char)tolower((unsigned char)v->s[i]);
		else if (p->upper)
			v->s[i] = (char)toupper((unsigned char)v->s[i]);
}

/*
 * Makes a value harmless; true when it is.  A home directory is taken as it is or not at all: with
 * a letter changed it would be somebody else's.
 */
static bool
make_harmless(struct text *v, const struct spec *spec)
{
	for (size_t i = 0, len; i < v->len; i++) {
		if ((len = harmless_len(v->s + i)) > 0)
			i += len - 1;
		if (len > 0 || harmless((unsigned char)v->s[i], spec))
			continue;
		if (spec->trusted)
			return false;
		v->s[i] = ':';
	}
	if (v->len > 0 && v->s[0] == '-') /* would begin an option */
		v->s[0] = ':';
	return true;
}

static bool
between_names(char c)
{
	return c == '/' || isspace((unsigned char)c) || c == '"' || c == '\'' || c == '=';
}

/* "." and ".." as a whole name become ':' where a letter of them came from a value. */
static void
no_dots(struct text *out, const struct text *origin)
{
	for (size_t i = 0; i < out->len;) {
		size_t end = i;
		bool dots = true, foreign = false;
		for (; end < out->len && !between_names(out->s[end]); end++) {
			dots = dots && out->s[end] == '.';
			foreign = foreign || origin->s[end] == 'v';
		}
		if (dots && foreign && end - i <= 2)
			memset(out->s + i, ':', end - i);
		i = end + 1;
	}
}

static void
put(struct text *out, struct text *origin, const char *s, size_t len, char from)
{
	text_putn(out, s, len);
	for (size_t i = 0; i < len; i++)
		text_putn(origin, &from, 1);
}

/* Expands into out, noting for every byte whether it came from the format or a value. */
static const char *
expand(struct text *out, struct text *origin, const char *f, const struct format_values *values,
    bool sanitise)
{
	while (*f != '\0') {
		struct parsed p;
		struct text v = { 0 };
		const char *end, *wrong;

		if (f[0] != '%' || (f[1] != '{' && f[1] != '%')) {
			put(out, origin, f++, 1, 'f');
		} else if (f[1] == '%') {
			put(out, origin, "%", 1, 'f');
			f += 2;
		} else {
			if ((end = strchr(f, '}')) == NULL)
				return "\"%{\" without \"}\"";
			if ((wrong = parse_spec(&p, f + 2, (size_t)(end - f - 2))) != NULL)
				return wrong;
			f = end + 1;
			if (values == NULL)
				continue;
			take_value(&v, &p, values);
			bool fine = !sanitise || make_harmless(&v, p.spec);
			if (v.len > 0)
				put(out, origin, v.s, v.len, p.spec->trusted ? 'f' : 'v');
			text_free(&v);
			if (!fine)
				return "the home directory has an unusual character in its name";
		}
		if (out->len > FORMAT_LEN_MAX)
			return "the expanded text is too long";
	}
	return NULL;
}

char *
format_expand(
    const char *format, const struct format_values *values, bool sanitise, const char **error)
{
	struct text out = { 0 }, origin = { 0 };
	const char *wrong;

	text_put(&out, "");
	wrong = expand(&out, &origin, format, values, sanitise);
	if (wrong == NULL && sanitise && out.len > 0)
		no_dots(&out, &origin);
	text_free(&origin);
	if (wrong != NULL) {
		text_free(&out);
		*error = wrong;
		return NULL;
	}
	return out.s == NULL ? xstrdup("") : out.s;
}

const char *
format_check(const char *format)
{
	struct text out = { 0 }, origin = { 0 };
	const char *wrong = expand(&out, &origin, format, NULL, false);

	text_free(&out);
	text_free(&origin);
	return wrong;
}
