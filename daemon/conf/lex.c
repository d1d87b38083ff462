/*
 * The lexer: text to tokens, for parse.y.
 *
 * Knows the marker lines of conf_read() (so that a token's place is that of its own file), the
 * continuation "\", quotes, comments and macros: the value of $name is read as if it stood there,
 * but its words keep the place of $name.  "name = value" at the start of a statement is read
 * here, so that a mistyped statement is shown as one.  A fault inside a token is reported here.
 */
#include "local.h"
#include "parse.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define EXPANDED_MAX (1024 * 1024) /* bytes of macro values in one file */
#define TOKEN_MAX    8192
#define END          (-1)

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
lex_start(struct lex *l, const char *text, size_t len, const char *file)
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

/* The next character, not taken; END at the end. */
static int
peek(struct lex *l)
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
	return l->p < l->end ? (unsigned char)*l->p : END;
}

static void
take(struct lex *l)
{
	int c = peek(l);

	if (c == END)
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

static struct loc
here(struct lex *l)
{
	(void)peek(l);
	return l->depth > 0 ? l->at_macro : l->at;
}

static bool
is_blank(int c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Whether a character ends a word. */
static bool
ends_word(int c)
{
	return c == END || c == '\n' || is_blank(c) ||
	       (c < 0x80 && strchr("{}<>,=\"'#", c) != NULL);
}

/* A fault in a token: the parser recovers as from one of its own. */
static int
bad(struct lex *l)
{
	lex_recover(l);
	return CONFYY_CONFYYerror;
}

static int
put(struct lex *l, struct text *t, int c, const struct loc *loc)
{
	char byte = (char)c;

	if (t->len >= TOKEN_MAX || (c < 0x20 && c != '\t') || c == 0x7f) {
		if (t->len >= TOKEN_MAX)
			fault_add(l->faults, loc, "a word is longer than %d bytes", TOKEN_MAX);
		else
			fault_add(l->faults, loc, "control character %d", c);
		return -1;
	}
	text_putn(t, &byte, 1);
	take(l);
	return 0;
}

/* A word, up to what ends it; "%{...}" inside is a part of it. */
static int
read_word(struct lex *l, struct text *t, const struct loc *loc)
{
	int c, last = 0;

	while (!ends_word(c = peek(l)) || (c == '{' && last == '%')) {
		if (c == '{') {
			while ((c = peek(l)) != '}' && c != '\n' && c != END)
				if (put(l, t, c, loc) == -1)
					return -1;
			if (c != '}') {
				fault_add(l->faults, loc, "\"%%{\" without \"}\"");
				return -1;
			}
		}
		if (put(l, t, c, loc) == -1)
			return -1;
		last = c;
	}
	return 0;
}

/* A quoted string; \" and \\ stand for themselves, any other \ is kept. */
static int
read_string(struct lex *l, struct text *t, const struct loc *loc)
{
	int quote = peek(l), c;

	take(l);
	while ((c = peek(l)) != quote) {
		if (c == END || c == '\n') {
			fault_add(l->faults, loc, "a quote is not closed on its line");
			return -1;
		}
		if (c == '\\') {
			take(l);
			c = peek(l);
			if (c != quote && c != '\\') {
				text_put(t, "\\");
				continue;
			}
		}
		if (put(l, t, c, loc) == -1)
			return -1;
	}
	take(l);
	return 0;
}

static const struct macro *
macro(const struct lex *l, const char *name)
{
	for (const struct macro *m = l->macros; m != NULL; m = m->next)
		if (strcmp(m->name, name) == 0)
			return m;
	return NULL;
}

void
lex_define(struct lex *l, const struct loc *loc, const char *name, const char *value)
{
	const struct macro *old = macro(l, name);
	char shown[FAULT_SHOWN_LEN];

	if (old != NULL && old->fixed)
		return;
	if (old != NULL) {
		fault_add(l->faults, loc, "macro \"%s\" is set twice, first at line %u",
		    fault_shown(name, shown), old->line);
		return;
	}
	struct macro *m = arena_alloc(l->arena, sizeof(*m));
	m->name = name;
	m->value = value;
	m->line = loc->line;
	m->fixed = loc->line == 0;
	m->next = l->macros;
	l->macros = m;
}

/* $name at p: its value is read next. */
static int
expand(struct lex *l, const struct loc *loc)
{
	struct text t = { 0 };
	char shown[FAULT_SHOWN_LEN];
	struct nearest nearest = { 0 };
	int c, rc = -1;

	take(l);
	while (isalnum(c = peek(l)) || c == '_' || c == '-')
		if (put(l, &t, c, loc) == -1)
			goto out;
	const struct macro *m = t.len == 0 ? NULL : macro(l, t.s);
	if (m == NULL) {
		for (const struct macro *o = l->macros; t.len != 0 && o != NULL; o = o->next)
			fault_nearer(&nearest, t.s, o->name);
		fault_add(l->faults, loc, "macro \"$%s\" is not set%s%s%s",
		    t.len == 0 ? "" : fault_shown(t.s, shown),
		    nearest.word == NULL ? "" : "; did you mean \"$",
		    nearest.word == NULL ? "" : nearest.word, nearest.word == NULL ? "" : "\"?");
		goto out;
	}
	l->expanded += strlen(m->value);
	if (l->depth == LEX_DEPTH_MAX || l->expanded > EXPANDED_MAX) {
		fault_add(l->faults, loc,
		    "macro \"$%s\" has itself in it, or its value is too long",
		    fault_shown(m->name, shown));
		goto out;
	}
	if (l->depth == 0)
		l->at_macro = *loc;
	l->expand[l->depth].p = m->value;
	l->expand[l->depth].end = m->value + strlen(m->value);
	l->depth++;
	rc = 0;
out:
	text_free(&t);
	return rc;
}

static int
skip_blanks(struct lex *l)
{
	int c;

	while (is_blank(c = peek(l)))
		take(l);
	return c;
}

/* "name = value", up to the end of the line, comment left out; quotes around all of it too. */
static int
define(struct lex *l, const char *name, const struct loc *loc)
{
	struct text t = { 0 };
	int c, quote = 0, rc = -1;

	take(l); /* the "=" */
	(void)skip_blanks(l);
	while ((c = peek(l)) != '\n' && c != END) {
		if (c == '#' && quote == 0 && (t.len == 0 || is_blank(t.s[t.len - 1])))
			break;
		if (c == quote)
			quote = 0;
		else if (quote == 0 && (c == '"' || c == '\''))
			quote = c;
		if (c == '\r')
			take(l);
		else if (put(l, &t, c, loc) == -1)
			goto out;
	}
	while (c != '\n' && c != END) {
		take(l);
		c = peek(l);
	}
	while (t.len > 0 && is_blank(t.s[t.len - 1]))
		t.len--;
	if (t.len == 0 || quote != 0) {
		fault_add(l->faults, loc,
		    t.len == 0 ? "macro \"%.64s\" has no value"
			       : "the value of macro \"%.64s\" has an open quote",
		    name);
		goto out;
	}
	t.s[t.len] = '\0';
	const char *value = t.s;
	size_t len = t.len;
	if (len >= 2 && (*value == '"' || *value == '\'') &&
	    strchr(value + 1, *value) == value + len - 1) {
		value++;
		len -= 2;
	}
	lex_define(l, loc, name, arena_strndup(l->arena, value, len));
	rc = 0;
out:
	text_free(&t);
	return rc;
}

/* A word, string or <table>. */
static int
word(struct lex *l, int c, const char **text, const struct loc *loc)
{
	struct text t = { 0 };
	int kind = c == '<'                ? CONFYY_TABLE_NAME
		   : c == '"' || c == '\'' ? CONFYY_STRING
					   : CONFYY_WORD;
	bool start = l->line_start;

	l->line_start = false;
	if (kind == CONFYY_TABLE_NAME) {
		take(l);
		(void)skip_blanks(l);
	}
	int rc = kind == CONFYY_STRING ? read_string(l, &t, loc) : read_word(l, &t, loc);
	if (rc == 0 && kind == CONFYY_TABLE_NAME) {
		if (skip_blanks(l) != '>' || t.len == 0) {
			fault_add(l->faults, loc, "a table is written \"<name>\"");
			rc = -1;
		} else
			take(l);
	}
	*text = l->token = arena_strndup(l->arena, t.s == NULL ? "" : t.s, t.len);
	text_free(&t);
	if (rc == -1)
		return bad(l);
	if (kind != CONFYY_WORD)
		return kind;
	if (start && l->depth == 0 && skip_blanks(l) == '=')
		return define(l, *text, loc) == -1 ? bad(l) : CONFYY_CONFYYUNDEF;
	return keyword_token(*text);
}

static int
token(struct lex *l, const char **text, struct loc *loc)
{
	int c;

	for (;;) {
		c = skip_blanks(l);
		*loc = here(l);
		if (c == '#') {
			while ((c = peek(l)) != '\n' && c != END)
				take(l);
			*loc = here(l);
		}
		if (c != '$')
			break;
		if (expand(l, loc) == -1)
			return bad(l);
	}
	if (c == END && !l->newline_last && !l->end_given) {
		l->end_given = true; /* a last line without its end */
		return '\n';
	}
	switch (c) {
	case END: return CONFYY_YYEOF;
	case '\n': take(l); return '\n';
	case '{':
		if (l->braces++ == 0)
			l->brace_line = loc->line;
		take(l);
		return c;
	case '}':
		l->braces -= l->braces > 0;
		take(l);
		return c;
	case '!':
	case ',':
	case '=':
	case '>': take(l); return c;
	default: break;
	}
	int kind = word(l, c, text, loc);
	if (kind != CONFYY_CONFYYUNDEF)
		return kind;
	*text = ""; /* a macro was set: nothing that the grammar needs to know */
	c = skip_blanks(l);
	*loc = here(l);
	if (c == END)
		return CONFYY_YYEOF;
	take(l);
	return '\n';
}

int
lex_next(struct lex *l, const char **text, struct loc *loc)
{
	static const char *const marks[] = { "{", "}", "!", ",", "=", ">" };
	int kind;

	*text = "";
	l->token = NULL;
	if (l->newline_due) {
		l->newline_due = false;
		*loc = l->at;
		kind = '\n';
	} else
		kind = token(l, text, loc);
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (kind == marks[i][0])
			l->token = marks[i];
	l->newline_last = kind == '\n';
	if (l->newline_last)
		l->line_start = l->braces == 0;
	return kind;
}

/* Whether the line at p begins with a statement's word, not indented. */
static bool
statement_here(const struct lex *l)
{
	char name[32];
	size_t n = 0;

	while (l->p + n < l->end && n < sizeof(name) - 1 &&
	       (islower((unsigned char)l->p[n]) || l->p[n] == '-')) {
		name[n] = l->p[n];
		n++;
	}
	name[n] = '\0';
	return keyword_begins(name);
}

/*
 * A statement ends with its line, or with the "}" that closes its list: an unclosed list ends
 * where a line begins like a statement, so that one missing brace does not hide the rest.
 */
void
lex_recover(struct lex *l)
{
	bool at_line = l->newline_last;
	int c;

	l->depth = 0;
	if (at_line && l->braces == 0)
		return;
	for (;;) {
		while (!at_line && (c = peek(l)) != '\n' && c != END) {
			if (c == '{')
				l->braces++;
			else if (c == '}' && l->braces > 0)
				l->braces--;
			take(l);
		}
		if (l->braces == 0 || peek(l) == END)
			break;
		if (!at_line)
			take(l);
		at_line = false;
		if (statement_here(l)) {
			l->newline_due = !l->newline_last;
			break;
		}
	}
	l->braces = 0;
	l->line_start = true;
}
