/*
 * The recipients of a message's header (RFC 5322 3.4 and 4.4): comments, groups, quoted names,
 * folded lines, source routes.  Called by sendmail.c, for its arguments too.  Pure: foreign text in,
 * addresses or a complaint out; no recursion, so nesting costs nothing.
 *
 * What stands before a "<" is a name, whatever it holds; everything else must be an address, or the
 * whole list is refused: a message that goes to some of its recipients only is worse than an error.
 */
#include "local.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SHOWN_LEN 60

enum token { END, ATOM, QUOTED, LITERAL, SPECIAL, BAD };

struct lexer {
	const char *p, *end;
	enum token token;
	char special;      /* of SPECIAL */
	struct text text;  /* of ATOM, QUOTED (without quotes), LITERAL (with brackets) */
	const char *wrong; /* of BAD */
};

/* The address that is being put together. */
struct parts {
	struct text local, domain;
	bool quoted, at, after_dot;
	unsigned words; /* of the local part, adjacent without a dot: no address */
};

static void next(struct lexer *);
static const char *parse_list(struct rcpts *, struct lexer *);
static const char *parse_address(struct rcpts *, struct lexer *, bool *in_group);
static const char *take_addr_spec(struct lexer *, struct parts *);
static const char *add(struct rcpts *, const struct parts *);
static void parts_free(struct parts *);

char *
rcpts_add_list(struct rcpts *r, const char *text, size_t len)
{
	struct lexer l = { .p = text, .end = text + len };
	const char *wrong = parse_list(r, &l);
	char *message = NULL;

	if (wrong != NULL) {
		size_t shown = len < SHOWN_LEN ? len : SHOWN_LEN;
		message =
		    xasprintf("%s: \"%.*s%s\"", wrong, (int)shown, text, shown < len ? "…" : "");
	}
	text_free(&l.text);
	return message;
}

/* A comment ends at its matching parenthesis; the next token's first byte follows. */
static bool
skip_cfws(struct lexer *l)
{
	unsigned depth = 0;

	for (; l->p < l->end; l->p++) {
		char c = *l->p;
		if (c == '(') {
			depth++;
		} else if (c == ')' && depth > 0) {
			depth--;
		} else if (c == '\\' && depth > 0) {
			if (l->p + 1 < l->end)
				l->p++;
		} else if (depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n') {
			return true;
		}
	}
	if (depth == 0)
		return true;
	l->wrong = "a comment that does not end";
	return false;
}

/* A quoted string or a literal, from behind its first byte to its last.  A folded line's end goes. */
static bool
take_until(struct lexer *l, char last)
{
	for (l->p++; l->p < l->end && *l->p != last; l->p++) {
		if (*l->p == '\r' || *l->p == '\n')
			continue;
		if (*l->p == '\\' && l->p + 1 < l->end)
			l->p++;
		text_putn(&l->text, l->p, 1);
	}
	if (l->p == l->end)
		return false;
	l->p++;
	return true;
}

static void
next(struct lexer *l)
{
	static const char specials[] = "<>@,;:.";

	l->text.len = 0;
	text_putn(&l->text, "", 0);
	l->token = BAD;
	if (!skip_cfws(l))
		return;
	if (l->p == l->end) {
		l->token = END;
	} else if (*l->p == '"') {
		l->token = take_until(l, '"') ? QUOTED : BAD;
		l->wrong = "a quote that does not end";
	} else if (*l->p == '[') {
		text_put(&l->text, "[");
		l->token = take_until(l, ']') ? LITERAL : BAD;
		text_put(&l->text, "]");
		l->wrong = "a [ without its ]";
	} else if (*l->p != '\0' && strchr(specials, *l->p) != NULL) {
		l->token = SPECIAL;
		l->special = *l->p++;
	} else {
		const char *start = l->p;
		while (l->p < l->end && (unsigned char)*l->p > ' ' && *l->p != 0x7f &&
		       strchr("<>@,;:.\"[]()\\", *l->p) == NULL)
			l->p++;
		text_putn(&l->text, start, (size_t)(l->p - start));
		l->token = l->p > start ? ATOM : BAD;
		l->wrong = "a character that may not stand there";
	}
}

static bool
at_special(const struct lexer *l, char c)
{
	return l->token == SPECIAL && l->special == c;
}

static const char *
parse_list(struct rcpts *r, struct lexer *l)
{
	const char *wrong;
	bool in_group = false;

	next(l);
	while (l->token != END) {
		if (l->token == BAD)
			return l->wrong;
		if (at_special(l, ',')) { /* empty members are allowed (RFC 5322 4.4) */
			next(l);
			continue;
		}
		if (at_special(l, ';')) {
			if (!in_group)
				return "a ; outside a group";
			in_group = false;
			next(l);
			continue;
		}
		if ((wrong = parse_address(r, l, &in_group)) != NULL)
			return wrong;
	}
	return in_group ? "a group without its ;" : NULL;
}

static const char *
parse_angle(struct rcpts *r, struct lexer *l)
{
	struct parts parts = { 0 };
	const char *wrong;

	next(l);
	if (at_special(l, '@')) { /* a source route: "@a,@b:" */
		while (!at_special(l, ':')) {
			if (l->token == END || l->token == BAD || at_special(l, '>'))
				return "a source route without its colon";
			next(l);
		}
		next(l);
	}
	if (at_special(l, '>'))
		return "an empty address";
	wrong = take_addr_spec(l, &parts);
	if (wrong == NULL && !at_special(l, '>'))
		wrong = l->token == BAD ? l->wrong : "a < without its >";
	if (wrong == NULL) {
		wrong = add(r, &parts);
		next(l);
	}
	parts_free(&parts);
	return wrong;
}

/* One member, with what follows it up to the comma: a mailbox, or the beginning of a group. */
static const char *
parse_address(struct rcpts *r, struct lexer *l, bool *in_group)
{
	struct parts parts = { 0 };
	const char *wrong = take_addr_spec(l, &parts);

	if (wrong != NULL || (l->token != END && !at_special(l, ',') && !at_special(l, ';'))) {
		/* No address as it stands.  It is a name if a < or : comes before the comma. */
		while (l->token == ATOM || l->token == QUOTED || l->token == LITERAL ||
		       at_special(l, '.') || at_special(l, '@'))
			next(l);
		if (at_special(l, '<')) {
			wrong = parse_angle(r, l);
		} else if (at_special(l, ':') && !*in_group && !parts.at) {
			*in_group = true;
			next(l);
			parts_free(&parts);
			return NULL;
		} else if (l->token == BAD) {
			wrong = l->wrong;
		} else if (wrong == NULL) {
			wrong = "no address";
		}
	} else {
		wrong = add(r, &parts);
	}
	parts_free(&parts);
	if (wrong == NULL && l->token == BAD)
		wrong = l->wrong;
	if (wrong == NULL && l->token != END && !at_special(l, ',') && !at_special(l, ';'))
		wrong = "something else after an address";
	return wrong;
}

/*
 * local-part ["@" domain], white space and comments between their words allowed (RFC 5322 4.4).
 * Stops at the first token that cannot go on.
 */
static const char *
take_addr_spec(struct lexer *l, struct parts *a)
{
	struct text *side = &a->local;
	bool word = false; /* the last token was one, so a dot or the end must follow */

	for (;; next(l)) {
		if (at_special(l, '@') && !a->at) {
			if (!word)
				return "no local part before the @";
			a->at = true;
			side = &a->domain;
			word = false;
		} else if (at_special(l, '.')) {
			if (!word)
				return "a dot where none may be";
			text_put(side, ".");
			word = false;
		} else if (l->token == ATOM || (l->token == QUOTED && !a->at) ||
			   (l->token == LITERAL && a->at && side->len == 0)) {
			if (word)
				return "two words where an address is expected";
			a->quoted = a->quoted || l->token == QUOTED;
			text_putn(side, l->text.s, l->text.len);
			word = true;
		} else {
			break;
		}
	}
	if (!word)
		return side->len > 0 ? "a dot where none may be" : "no address";
	return NULL;
}

/* Adds an address if it is not there yet. */
static const char *
add(struct rcpts *r, const struct parts *parts)
{
	struct text whole = { 0 };
	struct addr a;
	const char *wrong;

	if (parts->local.len > 0 && strlen(parts->local.s) != parts->local.len)
		return "a NUL in an address";
	text_put(&whole, "\"");
	for (size_t i = 0; i < parts->local.len; i++) {
		if (strchr("\"\\", parts->local.s[i]) != NULL)
			text_put(&whole, "\\");
		text_putn(&whole, &parts->local.s[i], 1);
	}
	text_put(&whole, "\"@");
	if (parts->at)
		text_putn(&whole, parts->domain.s, parts->domain.len);
	else
		text_put(&whole, "localhost");
	wrong = addr_parse(&a, whole.s, whole.len);
	text_free(&whole);
	if (wrong != NULL)
		return wrong;
	if (!parts->at)
		a.domain[0] = '\0';
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->addrs[i].local, a.local) == 0 &&
		    strcmp(r->addrs[i].domain, a.domain) == 0)
			return NULL;
	if (r->n == RCPTS_MAX)
		return "too many recipients";
	if ((r->n & (r->n - 1)) == 0)
		r->addrs = xrealloc(r->addrs, r->n == 0 ? 1 : 2 * r->n, sizeof(*r->addrs));
	r->addrs[r->n++] = a;
	return NULL;
}

static void
parts_free(struct parts *a)
{
	text_free(&a->local);
	text_free(&a->domain);
}

void
rcpts_free(struct rcpts *r)
{
	free(r->addrs);
	*r = (struct rcpts){ 0 };
}

/*
 * Where the field at p ends: behind the LF of its last line, folded ones included.
 */
static const char *
field_end(const char *p, const char *end)
{
	do {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		p = lf == NULL ? end : lf + 1;
	} while (p < end && (*p == ' ' || *p == '\t'));
	return p;
}

/* The field's body when its name is this one, in any case; NULL if not. */
static const char *
field_body(const char *p, const char *end, const char *name)
{
	size_t len = strlen(name);

	if ((size_t)(end - p) <= len || strncasecmp(p, name, len) != 0)
		return NULL;
	for (p += len; p < end && (*p == ' ' || *p == '\t'); p++) /* RFC 5322 4.5 */
		continue;
	return p < end && *p == ':' ? p + 1 : NULL;
}

bool
rcpts_header_has(const char *header, size_t len, const char *name)
{
	const char *end = header + len, *next_field;

	for (const char *p = header; p < end; p = next_field) {
		next_field = field_end(p, end);
		if (field_body(p, next_field, name) != NULL)
			return true;
	}
	return false;
}

char *
rcpts_add_header(struct rcpts *r, const char *header, size_t len)
{
	static const char *const names[2][3] = { { "To", "Cc", "Bcc" },
		{ "Resent-To", "Resent-Cc", "Resent-Bcc" } };
	const char *end = header + len, *next_field, *body;
	bool resent = false;

	for (size_t i = 0; i < 3; i++)
		resent = resent || rcpts_header_has(header, len, names[1][i]);
	for (const char *p = header; p < end; p = next_field) {
		next_field = field_end(p, end);
		for (size_t i = 0; i < 3; i++) {
			if ((body = field_body(p, next_field, names[resent][i])) == NULL)
				continue;
			char *wrong = rcpts_add_list(r, body, (size_t)(next_field - body));
			if (wrong == NULL)
				continue;
			char *message = xasprintf("%s: %s", names[resent][i], wrong);
			free(wrong);
			return message;
		}
	}
	return NULL;
}

size_t
rcpts_strip_bcc(char *header, size_t len)
{
	const char *end = header + len, *next_field;
	char *out = header;

	for (const char *p = header; p < end; p = next_field) {
		next_field = field_end(p, end);
		if (field_body(p, next_field, "Bcc") != NULL ||
		    field_body(p, next_field, "Resent-Bcc") != NULL)
			continue;
		memmove(out, p, (size_t)(next_field - p));
		out += next_field - p;
	}
	return (size_t)(out - header);
}
