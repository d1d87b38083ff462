/*
 * The characters of a configuration, for lex.c: joins continued lines, reads the marker lines of
 * conf_read() and the values of macros, and knows the place of every character.
 */
#include "local.h"

#include <stdlib.h>
#include <string.h>

/* Reads the marker lines that begin at p. */
static void
markers(struct lex *l)
{
	while (l->p < l->end && *l->p == MARKER) {
		const char *eol = memchr(l->p, '\n', (size_t)(l->end - l->p));
		char *rest;

		if (eol == NULL)
			eol = l->end;
		if (l->end - l->p > 3 && l->p[1] == 'F') {
			unsigned long line = strtoul(l->p + 3, &rest, 10);
			if (rest < eol && *rest == ' ') {
				l->at.line = (unsigned)line;
				l->at.file =
				    arena_strndup(l->arena, rest + 1, (size_t)(eol - rest - 1));
			}
		} else if (l->end - l->p > 3 && l->p[1] == 'D') {
			const char *equals = memchr(l->p, '=', (size_t)(eol - l->p));
			if (equals != NULL)
				lex_define(l, &(struct loc){ 0 },
				    arena_strndup(l->arena, l->p + 3, (size_t)(equals - l->p - 3)),
				    arena_strndup(
					l->arena, equals + 1, (size_t)(eol - equals - 1)));
		} else if (l->end - l->p > 3 && l->p[1] == 'H')
			l->hostname = arena_strndup(l->arena, l->p + 3, (size_t)(eol - l->p - 3));
		l->at.order++;
		l->at.column = 1;
		l->p = eol < l->end ? eol + 1 : eol;
	}
}

void
input_start(struct lex *l, const char *text, size_t len, const char *file)
{
	l->p = text;
	l->end = text + len;
	l->at = (struct loc){ .file = file, .line = 1, .column = 1, .order = 1 };
	l->line_start = true;
	markers(l);
}

/* Steps over the line end at p. */
static void
next_line(struct lex *l)
{
	l->p++;
	l->at.line++;
	l->at.order++;
	l->at.column = 1;
	markers(l);
}

/* How many bytes a continuation at p has, 0 when there is none. */
static size_t
continuation(const struct lex *l)
{
	size_t left = (size_t)(l->end - l->p);

	if (left >= 2 && l->p[0] == '\\' && l->p[1] == '\n')
		return 2;
	if (left >= 3 && l->p[0] == '\\' && l->p[1] == '\r' && l->p[2] == '\n')
		return 3;
	return 0;
}

/* The next character, not taken; INPUT_END at the end. */
int
input_peek(struct lex *l)
{
	size_t n;

	while (l->depth > 0) {
		if (l->expand[l->depth - 1].p < l->expand[l->depth - 1].end)
			return (unsigned char)*l->expand[l->depth - 1].p;
		l->depth--;
	}
	while ((n = continuation(l)) != 0) {
		l->p += n - 1;
		next_line(l);
	}
	return l->p < l->end ? (unsigned char)*l->p : INPUT_END;
}

void
input_take(struct lex *l)
{
	int c = input_peek(l);

	if (c == INPUT_END)
		return;
	if (l->depth > 0)
		l->expand[l->depth - 1].p++;
	else if (c == '\n')
		next_line(l);
	else {
		l->p++;
		if ((c & 0xc0) != 0x80) /* one column a character of UTF-8 */
			l->at.column++;
	}
}

struct loc
input_here(struct lex *l)
{
	(void)input_peek(l);
	return l->depth > 0 ? l->at_macro : l->at;
}
