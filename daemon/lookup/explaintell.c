/*
 * What an explanation tells while match.c and expand.c are at work: rules, criteria, steps, and each
 * question with its answer, which passes through here on its way to who asked.  Called by them, and by
 * explain.c for its own rows.
 */
#include "explain.h"
#include "clock.h"
#include "row.h"
#include "text.h"

#include <bsd/string.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX  10000
#define VALUE_MAX 2000 /* bytes of a helper's answer that are shown */

static const char *const columns[SECTIONS][ROW_FIELDS_MAX] = {
	[REQUEST] = { "request", "rcpt", "sender", "client", "auth", "tag", NULL },
	[RULE] = { "rule", "at_us#", "rule#", "line#", "text", NULL },
	[CRITERION] = { "criterion", "at_us#", "criterion", "answer", "reason", NULL },
	[QUESTION] = { "question", "at_us#", "took_us#", "table", "operation", "service", "key",
	    "answer", "value", NULL },
	[STEP] = { "step", "at_us#", "depth#", "what", "name", "result", NULL },
	[DELIVERY] = { "delivery", "dest", "action", "user", "uid#", "gid#", "home", "route",
	    "expire%", "error", NULL },
	[HOP] = { "hop", "at_us#", "route", "preference#", "host", "addresses", "dane", "error",
	    NULL },
	[TRIP] = { "trip", "at_us#", "dest", "listener", "port#", "tag", "token", "action", "route",
	    "error", NULL },
	[VERDICT] = { "verdict", "at_us#", "verdict", "reply", "reason", "questions#", "rules#",
	    "omitted#", NULL },
};

/* A question on its way to whom it matters, by way of us. */
struct witness {
	struct explain *x;
	const struct conf_table *table;
	enum tab_op op;
	enum tab_service service;
	char *key;
	int64_t asked_us;
	struct question *question; /* NULL: answered */
	table_answer *answer;
	void *arg;
	struct jury *jury; /* one of several that are asked at once; else NULL */
	enum tab_answer known;
	char *value; /* NULL: not known yet */
};

/* table_ask_ranked()'s keys, each watched. */
struct jury {
	size_t n;
	struct witness *witnesses[TABLE_KEYS_MAX];
	table_answer *answer;
	void *arg;
};

static void on_answer(enum tab_answer, const char *, void *);
static void on_vote(struct jury *);
static void free_witness(struct witness *);

/* --- Rows.  A section's name and columns go before the first of its rows. */

bool
explain_begin_row(struct explain *x, enum section section, struct text *t)
{
	if (x->n_rows >= ROWS_MAX) {
		x->n_omitted++;
		return false;
	}
	x->n_rows++;
	if (x->section != section) {
		row_line(t, 'S', columns[section][0], NULL);
		explain_end_row(x, t);
		*t = (struct text){ 0 };
		row_begin(t, 'H');
		for (size_t i = 1; columns[section][i] != NULL; i++)
			row_put(t, columns[section][i]);
		explain_end_row(x, t);
		*t = (struct text){ 0 };
		x->section = section;
	}
	row_begin(t, 'R');
	return true;
}

void
explain_end_row(struct explain *x, struct text *t)
{
	ipc_send(x->ipc, MSG_CTL_ROW, &(struct msg_ctl_row){ .ask = x->ask, .row = t->s });
	text_free(t);
}

void
explain_put_when(struct explain *x, struct text *t)
{
	row_put_int(t, clock_mono_us() - x->began_us);
}

/* Long text is cut, and says so. */
void
explain_put_long(struct text *t, const char *s)
{
	char buf[VALUE_MAX + 8];

	if (strlcpy(buf, s, VALUE_MAX) >= VALUE_MAX)
		strlcat(buf, " ...", sizeof(buf));
	row_put(t, buf);
}

void
explain_rule(struct explain *x, const struct conf_rule *rule)
{
	struct text t = { 0 };

	x->n_rules++;
	if (!explain_begin_row(x, RULE, &t))
		return;
	explain_put_when(x, &t);
	row_put_int(&t, rule->index);
	row_put_int(&t, rule->line);
	explain_put_long(&t, rule->text);
	explain_end_row(x, &t);
}

void
explain_criterion(struct explain *x, const char *criterion, const char *answer, const char *reason)
{
	struct text t = { 0 };

	if (!explain_begin_row(x, CRITERION, &t))
		return;
	explain_put_when(x, &t);
	explain_put_long(&t, criterion);
	row_put(&t, answer);
	explain_put_long(&t, reason);
	explain_end_row(x, &t);
}

void
explain_step(struct explain *x, const char *what, const char *name, int depth, const char *fmt, ...)
{
	struct text t = { 0 };
	char result[VALUE_MAX];
	va_list ap;

	if (x == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(result, sizeof(result), fmt, ap);
	va_end(ap);
	if (strcmp(what, "later") == 0 && x->why == NULL)
		x->why = xstrdup(result);
	if (!explain_begin_row(x, STEP, &t))
		return;
	explain_put_when(x, &t);
	row_put_int(&t, depth);
	row_put(&t, what);
	row_put(&t, name);
	row_put(&t, result);
	explain_end_row(x, &t);
}

/* --- Questions */

static struct witness *
new_witness(struct explain *x, const struct conf_table *table, enum tab_op op,
    enum tab_service service, const char *key)
{
	struct witness *w = xcalloc(1, sizeof(*w));

	*w = (struct witness){ .x = x,
		.table = table,
		.op = op,
		.service = service,
		.key = xstrdup(key),
		.asked_us = clock_mono_us() };
	x->n_questions++;
	w->question = table_ask(table, op, service, key, on_answer, w);
	return w;
}

static void
free_witness(struct witness *w)
{
	free(w->key);
	free(w->value);
	free(w);
}

struct question *
explain_ask(struct explain *x, const struct conf_table *table, enum tab_op op,
    enum tab_service service, const char *key, table_answer *answer, void *arg)
{
	if (x == NULL)
		return table_ask(table, op, service, key, answer, arg);
	struct witness *w = new_witness(x, table, op, service, key);
	w->answer = answer;
	w->arg = arg;
	return w->question;
}

/* answer: "found", …; a password is in no row, wherever one might stand. */
static void
put_question(const struct witness *w, const char *answer, const char *value)
{
	struct explain *x = w->x;
	struct text t = { 0 };
	char user[LOCAL_MAX + 8];
	bool secret = w->service == TAB_AUTH || w->service == TAB_CREDENTIALS;

	if (!explain_begin_row(x, QUESTION, &t))
		return;
	explain_put_when(x, &t);
	row_put_int(&t, clock_mono_us() - w->asked_us);
	row_put(&t, w->table->name);
	row_put(&t, tab_op_name(w->op));
	row_put(&t, tab_service_name(w->service));
	if (w->service == TAB_AUTH) {
		snprintf(user, sizeof(user), "%.*s:...",
		    (int)(strcspn(w->key, ":") < LOCAL_MAX ? strcspn(w->key, ":") : 0), w->key);
		row_put(&t, user);
	} else {
		explain_put_long(&t, w->key);
	}
	row_put(&t, answer);
	explain_put_long(&t, secret && value[0] != '\0' ? "(not shown)" : value);
	explain_end_row(x, &t);
}

static const char *
answer_name(enum tab_answer answer)
{
	switch (answer) {
	case TAB_FOUND: return "found";
	case TAB_MISSING: return "not-found";
	case TAB_ERROR: return "try-later";
	}
	return "";
}

static void
on_answer(enum tab_answer answer, const char *value, void *arg)
{
	struct witness *w = arg;
	struct jury *jury = w->jury;

	put_question(w, answer_name(answer), value);
	w->question = NULL;
	if (jury == NULL) {
		w->answer(answer, value, w->arg);
		free_witness(w);
		return;
	}
	w->known = answer;
	w->value = xstrdup(value);
	on_vote(jury);
}

struct ranked *
explain_ask_ranked(struct explain *x, const struct conf_table *table, enum tab_service service,
    const char *const *keys, size_t n, table_answer *answer, void *arg)
{
	if (x == NULL)
		return table_ask_ranked(table, service, keys, n, answer, arg);
	struct jury *jury = xcalloc(1, sizeof(*jury));
	*jury = (struct jury){ .n = n, .answer = answer, .arg = arg };
	for (size_t i = 0; i < n; i++) {
		jury->witnesses[i] = new_witness(x, table, TAB_LOOKUP, service, keys[i]);
		jury->witnesses[i]->jury = jury;
	}
	return NULL;
}

/* As table.c settles it: what is still out then is not waited for. */
static void
on_vote(struct jury *jury)
{
	const struct witness *best = jury->witnesses[0];

	for (size_t i = 0; i < jury->n; i++) {
		best = jury->witnesses[i];
		if (best->value == NULL)
			return;
		if (best->known != TAB_MISSING)
			break;
	}
	for (size_t i = 0; i < jury->n; i++) {
		struct witness *w = jury->witnesses[i];
		if (w->question == NULL)
			continue;
		table_cancel(w->question);
		put_question(w, "not-needed", "");
	}
	jury->answer(best->known, best->value, jury->arg);
	for (size_t i = 0; i < jury->n; i++)
		free_witness(jury->witnesses[i]);
	free(jury);
}
