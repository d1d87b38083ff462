/*
 * The daemon's part of the line protocol, as a tester plays it.  Called by the tests; talks through
 * run.c.
 *
 * Invariant: every line that comes is either taken (a service, the first answer to an open question) or
 * counted as an oddity with the first of its kind kept: a test looks at those that it is about.
 */
#include "local.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GRACE_SEC 0.2 /* after a wrong answer the right one may still come */

enum { LOOKUP = 1 << TAB_LOOKUP, CHECK = 1 << TAB_CHECK, FETCH = 1 << TAB_FETCH };

static const unsigned operations[TAB_SERVICE_MAX] = {
	[TAB_ALIAS] = LOOKUP,
	[TAB_DOMAIN] = CHECK,
	[TAB_AUTH] = CHECK,
	[TAB_CREDENTIALS] = LOOKUP,
	[TAB_NETADDR] = CHECK,
	[TAB_USERINFO] = LOOKUP,
	[TAB_SOURCE] = FETCH,
	[TAB_MAILADDR] = CHECK,
	[TAB_MAILADDRMAP] = LOOKUP,
	[TAB_ADDRNAME] = LOOKUP,
	[TAB_RELAYHOST] = LOOKUP | FETCH,
	[TAB_STRING] = CHECK,
	[TAB_REGEX] = CHECK,
};

static void take_line(struct talk *, char *, size_t);
static void take_answer(struct talk *, const struct tab_reply *, const char *line);

struct talk *
talk_new(struct run *run)
{
	struct talk *t = calloc(1, sizeof(*t));

	if (t == NULL)
		abort();
	t->run = run;
	return t;
}

bool
talk_offers(const struct talk *t, enum tab_op op, enum tab_service service)
{
	return (t->services & 1u << service) != 0 && (operations[service] & 1u << op) != 0;
}

const char *
talk_key(enum tab_service service, unsigned n, char *buf, size_t len)
{
	switch (service) {
	case TAB_ALIAS:
	case TAB_CREDENTIALS:
	case TAB_USERINFO:
	case TAB_MAILADDRMAP:
	case TAB_STRING:
	case TAB_REGEX: snprintf(buf, len, "no-such-user-%u", n); break;
	case TAB_AUTH: snprintf(buf, len, "no-such-user-%u:no-such-password", n); break;
	case TAB_DOMAIN:
	case TAB_RELAYHOST: snprintf(buf, len, "no-such-domain-%u.invalid", n); break;
	case TAB_MAILADDR: snprintf(buf, len, "no-such-user-%u@no-such-domain.invalid", n); break;
	case TAB_NETADDR:
	case TAB_ADDRNAME: snprintf(buf, len, "192.0.2.%u", n % 256); break;
	case TAB_SOURCE:
	case TAB_SOURCE_FOR:
	case TAB_SERVICE_MAX: *buf = '\0'; break;
	}
	return buf;
}

static void
remember(struct oddity *o, struct talk *t, const char *line, const char *why)
{
	if (o->n++ > 0)
		return;
	o->line = strdup(line);
	o->after = t->last == NULL ? NULL : strdup(t->last);
	o->why = why;
}

void
talk_put(struct talk *t, const char *fmt, ...)
{
	char *line = NULL;
	va_list ap;

	va_start(ap, fmt);
	int len = vasprintf(&line, fmt, ap);
	va_end(ap);
	if (len == -1)
		abort();
	free(t->last);
	t->last = line;
	run_put(t->run, line, (size_t)len);
	run_put(t->run, "\n", 1);
}

bool
talk_shake(struct talk *t, const char *config)
{
	double end = run_now() + options.secs;
	size_t len;
	char *line;

	if (config == NULL)
		config = "config|smtpd-version|7.8.0\nconfig|protocol|0.1\nconfig|tablename|" TABLE
			 "\nconfig|ready\n";
	run_put(t->run, config, strlen(config));
	free(t->last);
	t->last = strdup("config|ready");
	while (!t->ready && run_now() < end) {
		switch (run_line(t->run, end - run_now(), &line, &len)) {
		case RUN_LINE: take_line(t, line, len); break;
		case RUN_TOO_LONG: remember(&t->too_long, t, line, "64 KiB and no line end"); break;
		case RUN_NOTHING:
		case RUN_EOF: return t->ready;
		}
		free(line);
	}
	return t->ready;
}

struct asked *
talk_ask(struct talk *t, enum tab_op op, enum tab_service service, const char *id, const char *key)
{
	struct asked *a = calloc(1, sizeof(*a));
	static char line[TAB_LINE_MAX];

	if (t->n_asked == t->cap) {
		t->cap = t->cap == 0 ? 64 : t->cap * 2;
		t->asked = realloc(t->asked, t->cap * sizeof(t->asked[0]));
	}
	if (a == NULL || t->asked == NULL)
		abort();
	a->op = op;
	a->service = service;
	if (id != NULL)
		snprintf(a->id, sizeof(a->id), "%s", id);
	else
		snprintf(a->id, sizeof(a->id), "%08zx", 0x10000 + t->n_asked);
	const struct tab_question q = { .kind = TAB_LINE_QUESTION,
		.op = op,
		.service = service,
		.table = TABLE,
		.id = a->id,
		.key = key == NULL ? "" : key };
	size_t len = tab_format_question(&q, line, sizeof(line));
	if (len == 0)
		abort();
	line[len - 1] = '\0';
	a->line = strdup(line);
	t->asked[t->n_asked++] = a;
	t->n_open++;
	talk_put(t, "%s", line);
	return a;
}

struct asked *
talk_ask_known(struct talk *t, const struct known *k)
{
	struct asked *a = talk_ask(t, k->op, k->service, NULL, k->key);

	a->known = k;
	return a;
}

static void
take_line(struct talk *t, char *line, size_t len)
{
	struct tab_reply r;
	char *copy = malloc(len + 1);

	if (copy == NULL)
		abort();
	memcpy(copy, line, len + 1);
	const char *wrong = tab_parse_reply(&r, copy, len);
	if (wrong != NULL) {
		const char *end = len < 6 ? line : line + len - 6;
		bool empty = strcmp(end, "|found") == 0 ||
			     (len >= 7 && strcmp(line + len - 7, "|found|") == 0);
		remember(empty ? &t->empty : &t->garbage, t, line, wrong);
	} else if (r.kind == TAB_LINE_REPLY)
		take_answer(t, &r, line);
	else if (t->ready)
		remember(&t->garbage, t, line, "registers after register|ready");
	else if (r.kind == TAB_LINE_REGISTER_END)
		t->ready = true;
	else {
		enum tab_service service = tab_service_find(r.registered);
		t->n_registered++;
		if (service != TAB_SERVICE_MAX && !tab_service_is_ours(service))
			t->services |= 1u << service;
		else if (t->unknown_service == NULL)
			t->unknown_service = strdup(r.registered);
	}
	free(copy);
}

static void
take_answer(struct talk *t, const struct tab_reply *r, const char *line)
{
	size_t i;

	/* Most answers come in order. */
	for (i = t->next; i < t->n_asked && strcmp(t->asked[i]->id, r->id) != 0; i++)
		;
	if (i == t->n_asked)
		for (i = 0; i < t->n_asked && strcmp(t->asked[i]->id, r->id) != 0; i++)
			;
	if (i == t->n_asked) {
		remember(&t->strange, t, line, "an id that no question has");
		return;
	}
	struct asked *a = t->asked[i];
	if (a->answers++ > 0) {
		remember(&t->twice, t, line, "answered before");
		return;
	}
	if (r->op != a->op)
		remember(&t->other_op, t, line, "the result of another operation");
	if (i < t->answered_upto)
		t->out_of_order++;
	else
		t->answered_upto = i;
	t->next = i + 1;
	a->answer = r->answer;
	a->value = strdup(r->value);
	a->reply = strdup(line);
	a->at = run_now();
	t->n_open--;
}

static unsigned
n_odd(const struct talk *t)
{
	return t->garbage.n + t->empty.n + t->strange.n + t->too_long.n;
}

bool
talk_wait(struct talk *t, double secs)
{
	double end = run_now() + secs;
	size_t len;
	char *line;

	while (t->n_open > 0) {
		unsigned odd = n_odd(t);
		size_t open = t->n_open;

		switch (run_line(t->run, end - run_now(), &line, &len)) {
		case RUN_LINE: take_line(t, line, len); break;
		case RUN_TOO_LONG: remember(&t->too_long, t, line, "64 KiB and no line end"); break;
		case RUN_NOTHING:
		case RUN_EOF: return false;
		}
		free(line);
		if (t->n_open < open)
			end = run_now() + secs;
		else if (n_odd(t) > odd && end > run_now() + GRACE_SEC && t->n_open == 1)
			end = run_now() + GRACE_SEC;
	}
	return true;
}

void
talk_listen(struct talk *t, double secs)
{
	double end = run_now() + secs;
	size_t len;
	char *line;

	for (;;) {
		switch (run_line(t->run, end - run_now(), &line, &len)) {
		case RUN_LINE: take_line(t, line, len); break;
		case RUN_TOO_LONG: remember(&t->too_long, t, line, "64 KiB and no line end"); break;
		case RUN_NOTHING:
		case RUN_EOF: return;
		}
		free(line);
		if (run_now() > end)
			return; /* it never stops talking */
	}
}

const struct asked *
talk_unanswered(const struct talk *t)
{
	for (size_t i = 0; i < t->n_asked; i++)
		if (t->asked[i]->answers == 0)
			return t->asked[i];
	return NULL;
}

static void
forget(struct oddity *o)
{
	free(o->line);
	free(o->after);
	*o = (struct oddity){ 0 };
}

void
talk_clear(struct talk *t)
{
	forget(&t->garbage);
	forget(&t->empty);
	forget(&t->strange);
	forget(&t->twice);
	forget(&t->other_op);
	forget(&t->too_long);
}

void
talk_free(struct talk *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->n_asked; i++) {
		free(t->asked[i]->line);
		free(t->asked[i]->value);
		free(t->asked[i]->reply);
		free(t->asked[i]);
	}
	free(t->asked);
	free(t->last);
	free(t->unknown_service);
	talk_clear(t);
	run_free(t->run);
	free(t);
}
