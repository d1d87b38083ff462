/*
 * The codec of the line protocol: lines cut apart in place, lines put together.  Called by the
 * helpers' runtime (tab_helper.c) and by the daemon's broker.  No I/O, no allocation.
 *
 * Invariant: what it accepts is a whole line of the protocol with every field in its place;
 * everything else is refused with a reason.  '|' parts fields; only a line's last may hold one.
 */
#include "tab.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define S(NAME, text) [TAB_##NAME] = text,
static const char *const service_names[] = { TAB_SERVICES(S) };
#undef S

static const char *const op_names[] = {
	[TAB_UPDATE] = "update",
	[TAB_CHECK] = "check",
	[TAB_LOOKUP] = "lookup",
	[TAB_FETCH] = "fetch",
};
#define OP_MAX (sizeof(op_names) / sizeof(op_names[0]))

/* A line that grows in the caller's buffer; len 0 once something did not fit. */
struct out {
	char *buf;
	size_t len, size;
	bool bad;
};

static const char *parse_table(struct tab_question *, char *);
static const char *parse_result(struct tab_reply *, char *);
static const char *parse_outcome(struct tab_reply *, char *);

const char *
tab_service_name(enum tab_service service)
{
	return service < TAB_SERVICE_MAX ? service_names[service] : "unknown";
}

enum tab_service
tab_service_find(const char *name)
{
	for (int i = 0; i < TAB_SERVICE_MAX; i++)
		if (strcmp(service_names[i], name) == 0)
			return (enum tab_service)i;
	return TAB_SERVICE_MAX;
}

bool
tab_service_is_ours(enum tab_service service)
{
	return service == TAB_SOURCE_FOR;
}

const char *
tab_op_name(enum tab_op op)
{
	return op < OP_MAX ? op_names[op] : "unknown";
}

/* Cuts the next field off; NULL when there is none.  The last one takes no '|' from the rest. */
static char *
next(char **rest)
{
	char *field = *rest;

	if (field == NULL)
		return NULL;
	char *bar = strchr(field, '|');
	if (bar != NULL)
		*bar++ = '\0';
	*rest = bar;
	return field;
}

/* What no line may hold, wherever; then ends the line with a NUL. */
static const char *
seal(char *line, size_t len)
{
	if (len >= TAB_LINE_MAX)
		return "line too long";
	if (memchr(line, '\0', len) != NULL)
		return "NUL in the line";
	if (memchr(line, '\r', len) != NULL)
		return "CR in the line";
	if (memchr(line, '\n', len) != NULL)
		return "LF in the line";
	line[len] = '\0';
	return NULL;
}

const char *
tab_parse_question(struct tab_question *q, char *line, size_t len)
{
	const char *wrong = seal(line, len);
	if (wrong != NULL)
		return wrong;

	*q = (struct tab_question){ .service = TAB_SERVICE_MAX, .service_name = "", .key = "" };
	char *rest = line;
	const char *word = next(&rest);

	if (strcmp(word, "table") == 0)
		return parse_table(q, rest);
	if (strcmp(word, "config") != 0)
		return "neither config nor table";
	if (rest == NULL || *rest == '\0' || *rest == '|')
		return "config without a key";
	if (strcmp(rest, "ready") == 0) {
		q->kind = TAB_LINE_CONFIG_END;
		return NULL;
	}
	q->kind = TAB_LINE_CONFIG;
	q->config_key = next(&rest);
	q->config_value = rest == NULL ? "" : rest;
	return NULL;
}

/* VERSION|TIME|TABLE|OP[|SERVICE]|ID[|KEY] */
static const char *
parse_table(struct tab_question *q, char *rest)
{
	const char *version = next(&rest);
	const char *when = next(&rest);
	q->table = next(&rest);
	const char *op = next(&rest);

	if (op == NULL)
		return "question too short";
	if (strcmp(version, TAB_VERSION) != 0)
		return "another version of the protocol";
	if (*when == '\0' || *q->table == '\0')
		return "empty field in a question";
	size_t i = 0;
	while (i < OP_MAX && strcmp(op_names[i], op) != 0)
		i++;
	if (i == OP_MAX) {
		q->kind = TAB_LINE_OTHER;
		return *op == '\0' ? "empty operation" : NULL;
	}
	q->kind = TAB_LINE_QUESTION;
	q->op = (enum tab_op)i;
	if (q->op != TAB_UPDATE) {
		q->service_name = next(&rest);
		if (q->service_name == NULL || *q->service_name == '\0')
			return "question without a service";
		q->service = tab_service_find(q->service_name);
	}
	q->id = next(&rest);
	if (q->id == NULL || *q->id == '\0')
		return "question without an id";
	if (strlen(q->id) >= TAB_ID_MAX)
		return "id too long";
	if (q->op == TAB_UPDATE || q->op == TAB_FETCH)
		return rest == NULL ? NULL : "question too long";
	if (rest == NULL)
		return "question without a key";
	q->key = rest;
	return NULL;
}

const char *
tab_parse_reply(struct tab_reply *r, char *line, size_t len)
{
	const char *wrong = seal(line, len);
	if (wrong != NULL)
		return wrong;

	*r = (struct tab_reply){ .registered = "", .id = "", .answer = TAB_ERROR, .value = "" };
	if (strncmp(line, "register|", 9) != 0)
		return parse_result(r, line);
	if (strcmp(line + 9, "ready") == 0) {
		r->kind = TAB_LINE_REGISTER_END;
		return NULL;
	}
	r->kind = TAB_LINE_REGISTER;
	r->registered = line + 9;
	if (*r->registered == '\0')
		return "register without a service";
	return strchr(r->registered, '|') == NULL ? NULL : "'|' in a service's name";
}

/* OP-result|ID|outcome */
static const char *
parse_result(struct tab_reply *r, char *line)
{
	char *rest = line;
	char *word = next(&rest);
	char *dash = strrchr(word, '-');

	if (dash == NULL || strcmp(dash, "-result") != 0)
		return "neither register nor a result: anything else belongs on the standard error";
	*dash = '\0';
	size_t i = 0;
	while (i < OP_MAX && strcmp(op_names[i], word) != 0)
		i++;
	if (i == OP_MAX)
		return "the result of no operation";
	r->kind = TAB_LINE_REPLY;
	r->op = (enum tab_op)i;
	r->id = next(&rest);
	if (r->id == NULL || *r->id == '\0')
		return "result without an id";
	if (rest == NULL)
		return "result without an outcome";
	return parse_outcome(r, rest);
}

/* ok | found[|VALUE] | not-found | error[|REASON], each only where it may stand. */
static const char *
parse_outcome(struct tab_reply *r, char *rest)
{
	const char *outcome = next(&rest);
	bool valued = r->op == TAB_LOOKUP || r->op == TAB_FETCH;

	if (strcmp(outcome, "error") == 0) {
		r->answer = TAB_ERROR;
		r->value = rest == NULL ? "" : rest;
		return NULL;
	}
	if (strcmp(outcome, r->op == TAB_UPDATE ? "ok" : "found") == 0) {
		r->answer = TAB_FOUND;
		if (!valued)
			return rest == NULL ? NULL : "a value where none may be";
		if (rest == NULL || *rest == '\0')
			return "found without a value";
		r->value = rest;
		return NULL;
	}
	if (strcmp(outcome, "not-found") == 0 && r->op != TAB_UPDATE) {
		r->answer = TAB_MISSING;
		return rest == NULL ? NULL : "a value where none may be";
	}
	return "no such outcome";
}

static void
put_bytes(struct out *o, const char *s, size_t n)
{
	if (o->bad || n > o->size - o->len) {
		o->bad = true;
		return;
	}
	memcpy(o->buf + o->len, s, n);
	o->len += n;
}

/* Puts s as it is: our own words. */
static inline void
put(struct out *o, const char *s)
{
	put_bytes(o, s, strlen(s));
}

/* Puts a field after a '|'.  The last one of a line may hold '|'. */
static void
put_field(struct out *o, const char *s, bool last)
{
	size_t n = s == NULL ? 0 : strcspn(s, last ? "\r\n" : "\r\n|");

	if (s == NULL || s[n] != '\0') {
		o->bad = true;
		return;
	}
	put(o, "|");
	put_bytes(o, s, n);
}

static void
put_name(struct out *o, const char *s)
{
	if (s == NULL || *s == '\0')
		o->bad = true;
	put_field(o, s, false);
}

static size_t
finish(struct out *o)
{
	put(o, "\n");
	return o->bad || o->len > TAB_LINE_MAX ? 0 : o->len;
}

/* "|SECONDS.MICROSECONDS"; printf() for the seconds only, once in each of them. */
static void
put_time(struct out *o)
{
	static time_t second = -1;
	static char when[40];
	static size_t dot;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (now.tv_sec != second) {
		second = now.tv_sec;
		dot = (size_t)snprintf(when, sizeof(when), "|%lld.000000", (long long)second) - 7;
	}
	long us = now.tv_nsec / 1000;
	for (size_t i = 6; i > 0; i--, us /= 10)
		when[dot + i] = (char)('0' + us % 10);
	put(o, when);
}

size_t
tab_format_question(const struct tab_question *q, char *buf, size_t len)
{
	struct out o = { .buf = buf, .size = len };

	switch (q->kind) {
	case TAB_LINE_CONFIG:
		put(&o, "config");
		put_name(&o, q->config_key);
		put_field(&o, q->config_value, true);
		return finish(&o);
	case TAB_LINE_CONFIG_END: put(&o, "config|ready"); return finish(&o);
	case TAB_LINE_OTHER: return 0;
	case TAB_LINE_QUESTION: break;
	}
	put(&o, "table|" TAB_VERSION);
	put_time(&o);
	put_name(&o, q->table);
	put_name(&o, tab_op_name(q->op));
	if (q->op != TAB_UPDATE)
		put_name(
		    &o, q->service < TAB_SERVICE_MAX ? service_names[q->service] : q->service_name);
	put_name(&o, q->id);
	if (q->id != NULL && strlen(q->id) >= TAB_ID_MAX)
		return 0;
	if (q->op == TAB_CHECK || q->op == TAB_LOOKUP)
		put_field(&o, q->key, true);
	return finish(&o);
}

size_t
tab_format_reply(const struct tab_reply *r, char *buf, size_t len)
{
	struct out o = { .buf = buf, .size = len };
	const char *value = r->value == NULL ? "" : r->value;

	switch (r->kind) {
	case TAB_LINE_REGISTER:
		put(&o, "register");
		put_name(&o, r->registered);
		return finish(&o);
	case TAB_LINE_REGISTER_END: put(&o, "register|ready"); return finish(&o);
	case TAB_LINE_REPLY: break;
	}
	put(&o, tab_op_name(r->op));
	put(&o, "-result");
	put_name(&o, r->id);
	switch (r->answer) {
	case TAB_FOUND:
		put(&o, r->op == TAB_UPDATE ? "|ok" : "|found");
		if (r->op == TAB_LOOKUP || r->op == TAB_FETCH) {
			o.bad |= *value == '\0';
			put_field(&o, value, true);
		}
		break;
	case TAB_MISSING:
		o.bad |= r->op == TAB_UPDATE;
		put(&o, "|not-found");
		break;
	case TAB_ERROR:
		put(&o, "|error");
		if (*value != '\0')
			put_field(&o, value, true);
		break;
	}
	return finish(&o);
}

bool
tab_key_ok(const char *key)
{
	/* The rest of a question is its table's name, its id and 60 bytes of frame. */
	return strpbrk(key, "\r\n") == NULL && strlen(key) <= TAB_KEY_MAX;
}
