/*
 * The text of a table file, line by line, into a set: table(5) and aliases(5) as OpenSMTPD reads
 * them.  Called by load.c.  Pure.
 *
 *	key value     key: value     "a key": value     [2001:db8::1] value     2001:db8::1 value
 *	entry                                           a list, when the first entry has no value
 *	# @list                                         a list, whatever its entries look like
 *	key: one,                                       an indented line goes on after a comma,
 *		two                                     or where the value has yet to come
 *
 * Invariant: a line that is not understood is an error, never skipped.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "local.h"
#include "tab_set.h"

#define VALUE_MAX (TAB_LINE_MAX - TAB_KEY_MAX - 200)

static const char *open_entry(struct parse *, char *, bool);
static const char *close_entry(struct parse *);

void
parse_start(struct parse *p, struct tab_set *set)
{
	*p = (struct parse){ .set = set };
}

void
parse_free(struct parse *p)
{
	free(p->key);
	free(p->value);
	p->key = p->value = NULL;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static char *
skip_blanks(char *s)
{
	return s + strspn(s, " \t");
}

static void
set_kind(struct parse *p, bool is_list)
{
	p->kind = is_list ? PARSE_LIST : PARSE_MAPPING;
}

static const char *
add(struct parse *p, const char *key, const char *value)
{
	if (*key == '\0')
		return "no key";
	if (strlen(key) > TAB_KEY_MAX)
		return "key longer than 4096 bytes";
	if (value != NULL && strlen(value) > VALUE_MAX)
		return "value too long";
	if (!tab_set_add(p->set, key, value) && p->n_double++ == 0)
		p->first_double = p->line;
	return NULL;
}

/* Whether an indented line belongs to the open entry. */
static bool
goes_on(const struct parse *p, const char *text)
{
	if (p->entry_line == 0)
		return false;
	size_t len = strlen(p->value);
	return len == 0 || p->value[len - 1] == ',' || *text == ',';
}

static const char *
continue_entry(struct parse *p, const char *text)
{
	char *joined = NULL;
	const char *gap = *p->value == '\0' || *text == ',' ? "" : " ";

	if (strlen(p->value) + strlen(text) > VALUE_MAX)
		return "value too long";
	if (asprintf(&joined, "%s%s%s", p->value, gap, text) == -1)
		return "out of memory";
	free(p->value);
	p->value = joined;
	return NULL;
}

const char *
parse_line(struct parse *p, char *line, size_t len)
{
	p->line++;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)line[i];

		if (c == '\0')
			return "a NUL byte";
		if (c < ' ' && c != '\t' && !(c == '\r' && i == len - 1))
			return "a control character";
	}
	while (len > 0 && (is_blank(line[len - 1]) || line[len - 1] == '\r'))
		len--;
	line[len] = '\0';

	char *text = skip_blanks(line);
	if (*text == '\0')
		return NULL;
	if (*text == '#') {
		if (p->kind == PARSE_UNKNOWN && strcmp(skip_blanks(text + 1), "@list") == 0) {
			set_kind(p, true);
			p->marked = true;
		}
		return NULL;
	}
	if (text != line && goes_on(p, text))
		return continue_entry(p, text);

	const char *wrong = close_entry(p);
	return wrong != NULL ? wrong : open_entry(p, text, text != line);
}

/* Cuts the word in quotes out in place; the byte after it, or NULL when it does not end. */
static char *
unquote(char *text)
{
	char *to = text, *from = text + 1;

	for (; *from != '"'; from++) {
		if (*from == '\\' && from[1] != '\0')
			from++;
		if (*from == '\0')
			return NULL;
		*to++ = *from;
	}
	*to = '\0';
	return from + 1;
}

/* Where an unquoted key ends.  The colons of IPv6 addresses and of URLs are part of it. */
static char *
key_end(char *text)
{
	size_t word = strcspn(text, " \t");
	char *bracket = *text == '[' ? strchr(text, ']') : NULL;

	if (bracket != NULL)
		return bracket + strcspn(bracket, " \t:");
	char *colon = strchr(text, ':');
	if (colon == NULL || colon >= text + word)
		return text + word;
	if (strncmp(colon, "://", 3) == 0)
		return text + word;

	/* 2001:db8::1, or 2001:db8::1: with the colon that parts */
	for (size_t less = 0; less < 2; less++) {
		size_t n = word - less;
		char after = text[n];

		if (less == 1 && text[n] != ':')
			break;
		text[n] = '\0';
		bool is_net = tab_net_is(text);
		text[n] = after;
		if (is_net)
			return text + n;
	}
	return colon;
}

static const char *
open_entry(struct parse *p, char *text, bool indented)
{
	char *key = text, *after;

	if (p->kind == PARSE_LIST && p->marked)
		return add(p, text, NULL);
	if (*text == '"') {
		after = unquote(text);
		if (after == NULL)
			return "a quote that does not end";
	} else if (*text == '[' && strchr(text, ']') == NULL)
		return "a bracket that does not end";
	else
		after = key_end(text);
	if (*after != '\0' && *after != ':' && !is_blank(*after))
		return "no blank or colon behind the quoted key";

	bool bare = *after == '\0';
	if (p->kind == PARSE_UNKNOWN)
		set_kind(p, bare);
	if (p->kind == PARSE_LIST)
		return bare ? add(p, key, NULL)
			    : "a value in a list (say '# @list' first when this is one entry)";
	if (bare)
		return indented ? "goes on with a value that has ended: a comma is missing?"
				: "a key without a value";

	char *value = skip_blanks(after);
	if (*value == ':' && (value == after || value[1] == '\0' || is_blank(value[1])))
		value = skip_blanks(value + 1);
	*after = '\0';
	if (*key == '\0')
		return "no key";
	p->key = strdup(key);
	p->value = strdup(value);
	p->entry_line = p->line;
	return p->key == NULL || p->value == NULL ? "out of memory" : NULL;
}

static const char *
close_entry(struct parse *p)
{
	if (p->entry_line == 0)
		return NULL;
	unsigned here = p->line;
	p->line = p->entry_line;
	const char *wrong = *p->value == '\0' ? "a key without a value" : add(p, p->key, p->value);
	if (wrong == NULL)
		p->line = here;
	p->entry_line = 0;
	parse_free(p);
	return wrong;
}

const char *
parse_end(struct parse *p)
{
	return close_entry(p);
}
