/*
 * The lexer: text to tokens, for parse.y.
 *
 * Knows quotes, comments and macros: the value of $name is read as if it stood there, but its words
 * keep the place of $name.  "name = value" at the start of a statement is read
 * here, so that a mistyped statement is shown as one.  A fault inside a token is reported here.
 */
#include "local.h"
#include "parse.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define EXPANDED_MAX (1024 * 1024) /* bytes of macro values in one file */
#define TOKEN_MAX    8192

static bool
is_blank(int c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Whether a character ends a word. */
static bool
ends_word(int c)
{
	return c == INPUT_END || c == '\n' || is_blank(c) ||
	       (c > 0 && c < 0x80 && strchr("{}<>,=\"'#", c) != NULL);
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
	input_take(l);
	return 0;
}

static int expand(struct lex *, const struct loc *);

static bool
is_macro_letter(int c)
{
	return c != INPUT_END && (isalnum(c) || c == '_');
}

/* Whether "$name" begins at p. */
static bool
is_macro(const struct lex *l)
{
	const char *p = l->depth > 0 ? l->expand[l->depth - 1].p : l->p;
	const char *end = l->depth > 0 ? l->expand[l->depth - 1].end : l->end;

	return end - p >= 2 && *p == '$' && is_macro_letter((unsigned char)p[1]);
}

/* A word, up to what ends it; "%{...}" inside is a part of it. */
static int
read_word(struct lex *l, struct text *t, const struct loc *loc)
{
	int c, last = 0;

	while (!ends_word(c = input_peek(l)) || (c == '{' && last == '%')) {
		if (c == '$' && is_macro(l)) {
			if (expand(l, loc) == -1)
				return -1;
			continue;
		}
		if (c == '{') {
			while ((c = input_peek(l)) != '}' && c != '\n' && c != INPUT_END)
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
	int quote = input_peek(l), c;

	input_take(l);
	while ((c = input_peek(l)) != quote) {
		if (c == INPUT_END || c == '\n') {
			fault_add(l->faults, loc, "a quote is not closed on its line");
			return -1;
		}
		if (c == '\\') {
			input_take(l);
			c = input_peek(l);
			if (c != quote && c != '\\') {
				text_put(t, "\\");
				continue;
			}
		}
		if (put(l, t, c, loc) == -1)
			return -1;
	}
	input_take(l);
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

	for (const char *s = name; *s != '\0'; s++)
		if (!is_macro_letter((unsigned char)*s)) {
			fault_add(l->faults, loc, "macro \"%s\": letters, digits and \"_\" only",
			    fault_shown(name, shown));
			return;
		}
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

	input_take(l);
	while (is_macro_letter(c = input_peek(l)))
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

	while (is_blank(c = input_peek(l)))
		input_take(l);
	return c;
}

/* "name = value", up to the end of the line, comment left out; quotes around all of it too. */
static int
define(struct lex *l, const char *name, const struct loc *loc)
{
	struct text t = { 0 };
	int c, quote = 0, rc = -1;

	input_take(l); /* the "=" */
	(void)skip_blanks(l);
	while ((c = input_peek(l)) != '\n' && c != INPUT_END) {
		if (c == '#' && quote == 0 && (t.len == 0 || is_blank(t.s[t.len - 1])))
			break;
		if (c == quote)
			quote = 0;
		else if (quote == 0 && (c == '"' || c == '\''))
			quote = c;
		if (c == '\r')
			input_take(l);
		else if (put(l, &t, c, loc) == -1)
			goto out;
	}
	while (c != '\n' && c != INPUT_END) {
		input_take(l);
		c = input_peek(l);
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
		input_take(l);
		(void)skip_blanks(l);
	}
	int rc = kind == CONFYY_STRING ? read_string(l, &t, loc) : read_word(l, &t, loc);
	if (rc == 0 && kind == CONFYY_TABLE_NAME) {
		if (skip_blanks(l) != '>' || t.len == 0) {
			fault_add(l->faults, loc, "a table is written \"<name>\"");
			rc = -1;
		} else
			input_take(l);
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
		*loc = input_here(l);
		if (c == '#') {
			while ((c = input_peek(l)) != '\n' && c != INPUT_END)
				input_take(l);
			*loc = input_here(l);
		}
		if (c != '$')
			break;
		if (expand(l, loc) == -1)
			return bad(l);
	}
	if (c == INPUT_END && !l->newline_last && !l->end_given) {
		l->end_given = true; /* a last line without its end */
		return '\n';
	}
	switch (c) {
	case INPUT_END: return CONFYY_YYEOF;
	case '\n': input_take(l); return '\n';
	case '{':
		if (l->braces++ == 0)
			l->brace_line = loc->line;
		input_take(l);
		return c;
	case '}':
		l->braces -= l->braces > 0;
		input_take(l);
		return c;
	case '!':
	case ',':
	case '=':
	case '>': input_take(l); return c;
	default: break;
	}
	int kind = word(l, c, text, loc);
	if (kind != CONFYY_CONFYYUNDEF)
		return kind;
	*text = ""; /* a macro was set: nothing that the grammar needs to know */
	c = skip_blanks(l);
	*loc = input_here(l);
	if (c == INPUT_END)
		return CONFYY_YYEOF;
	input_take(l);
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
		while (!at_line && (c = input_peek(l)) != '\n' && c != INPUT_END) {
			if (c == '{')
				l->braces++;
			else if (c == '}' && l->braces > 0)
				l->braces--;
			input_take(l);
		}
		if (l->braces == 0 || input_peek(l) == INPUT_END)
			break;
		if (!at_line)
			input_take(l);
		at_line = false;
		if (statement_here(l)) {
			l->newline_due = !l->newline_last;
			break;
		}
	}
	l->braces = 0;
	l->line_start = true;
}
