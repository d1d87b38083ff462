/*
 * Questions to one reading of the file (backend.h): from a service and a key to a search, from its entries
 * to an answer.  Called by table-ldap.c and once.c; asks the directory; auth and groups go on in files of
 * their own.
 *
 * Invariant: every question is answered once; the backend is there for as long as one is open.
 */
#include "backend.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bsd/stdlib.h>

#include "compose.h"
#include "question.h"
#include "tab_helper.h"

struct backend {
	struct ldap_settings *settings;
	struct directory *directory;
	unsigned open; /* questions */
	bool retired, trace;
	unsigned turns[TAB_SERVICE_MAX]; /* of fetches */
	unsigned remarked;               /* bits of services */
};

static void on_entries(const struct directory_result *, void *);

struct backend *
backend_open(struct ldap_settings *settings, bool trace)
{
	struct backend *b = calloc(1, sizeof(*b));

	if (b == NULL) {
		settings_free(settings);
		return NULL;
	}
	b->settings = settings;
	b->trace = trace;
	b->directory = directory_open(tab_helper_base(), &settings->connection);
	return b;
}

static void
end_if_idle(struct backend *b)
{
	if (!b->retired || b->open > 0)
		return;
	directory_close(b->directory);
	settings_free(b->settings);
	free(b);
}

void
backend_retire(struct backend *b)
{
	if (b == NULL)
		return;
	b->retired = true;
	end_if_idle(b);
}

unsigned
backend_services(const struct backend *b)
{
	return settings_services(b->settings);
}

/* --- A question */

void
question_answer(struct question *q, enum tab_answer answer, const char *text)
{
	struct backend *b = q->backend;

	q->cb(answer, text, q->arg);
	free(q->user);
	free(q);
	b->open--;
	end_if_idle(b);
}

void
question_error(struct question *q, const char *why)
{
	question_answer(q, TAB_ERROR, why);
}

void
question_remark(struct question *q, const char *remark)
{
	struct backend *b = q->backend;

	if ((b->remarked & 1u << q->service) == 0)
		tab_log("%s: %s (said once)", tab_service_name(q->service), remark);
	b->remarked |= 1u << q->service;
}

bool
question_fill(struct question *q, const struct template *t, char **out)
{
	switch (template_fill(t, &q->parts, out)) {
	case TEMPLATE_DONE: return true;
	case TEMPLATE_NO_MATCH: question_answer(q, TAB_MISSING, NULL); break;
	case TEMPLATE_TOO_LONG: question_error(q, "the filter is too long with this key"); break;
	case TEMPLATE_NO_MEMORY: question_error(q, "out of memory"); break;
	}
	return false;
}

void
question_search(
    struct question *q, const char *const *attrs, size_t max, directory_cb cb, void *arg)
{
	const struct template *base = q->ask->basedn != NULL ? q->ask->basedn : q->settings->basedn;
	struct directory_search s = { .scope = q->ask->scope, .attrs = attrs, .max_entries = max };
	char *base_text, *filter;

	if (!question_fill(q, base, &base_text))
		return;
	if (question_fill(q, q->ask->filter, &filter)) {
		s.base = base_text;
		s.filter = filter;
		question_find(q, &s, cb, arg);
		free(filter);
	}
	free(base_text);
}

void
backend_ask(struct backend *b, enum tab_op op, enum tab_service service, const char *table,
    const char *key, backend_cb cb, void *arg)
{
	static const char *const none[] = { "1.1", NULL };
	struct question *q = calloc(1, sizeof(*q));

	if (q == NULL) {
		cb(TAB_ERROR, "out of memory", arg);
		return;
	}
	*q = (struct question){ .backend = b,
		.settings = b->settings,
		.ask = &b->settings->services[service],
		.op = op,
		.service = service,
		.table = table,
		.key = key,
		.cb = cb,
		.arg = arg };
	b->open++;
	template_split(&q->parts, key, service == TAB_DOMAIN || service == TAB_RELAYHOST, table);
	bool single = service == TAB_CREDENTIALS || service == TAB_USERINFO;
	bool follow = service == TAB_ALIAS && op == TAB_LOOKUP && b->settings->special.n > 0;
	if (q->ask->filter == NULL && q->ask->dn == NULL)
		question_error(q, "the file has no filter for this service");
	else if (service == TAB_AUTH)
		auth_ask(q);
	else if (op == TAB_FETCH && service != TAB_SOURCE && service != TAB_RELAYHOST)
		question_error(q, "this service has no fetch");
	else if (op == TAB_FETCH && template_uses_key(q->ask->filter))
		question_error(q, "the filter has a place for a key, and a fetch has none");
	else
		question_search(q,
		    op == TAB_CHECK ? none
		    : follow        ? group_attrs(b->settings)
				    : q->ask->attrs.names,
		    single ? 10 : b->settings->group_members, on_entries, q);
}

static void
on_entries(const struct directory_result *r, void *arg)
{
	struct question *q = arg;
	struct backend *b = q->backend;

	if (r->answer != DIRECTORY_OK) {
		question_error(q, r->error);
		return;
	}
	if (q->service == TAB_ALIAS && q->op == TAB_LOOKUP && b->settings->special.n > 0) {
		group_follow(q, r);
		return;
	}
	struct compose_ask ask = { .op = q->op,
		.service = q->service,
		.key = q->key,
		.attrs = &q->ask->attrs,
		.max = b->settings->group_members };
	struct composed c;
	if (q->op == TAB_FETCH)
		ask.turn = b->turns[q->service]++;
	compose(&c, &ask, r->entries, r->n);
	if (c.remark != NULL)
		question_remark(q, c.remark);
	question_answer(q, c.answer, c.answer == TAB_ERROR ? c.why : c.text);
	if (c.text != NULL)
		freezero(c.text, strlen(c.text));
}

/* --- What is put to the directory, and with a trace what it said */

struct traced {
	directory_cb cb;
	void *arg;
	char *what;
};

static void
on_traced(const struct directory_result *r, void *arg)
{
	static const char *const said[] = {
		[DIRECTORY_OK] = "ok", [DIRECTORY_REFUSED] = "refused", [DIRECTORY_ERROR] = "error"
	};
	struct traced *t = arg;

	tab_log("%s server=%s %s entries=%zu took=%.1fms%s%s", t->what,
	    r->server == NULL ? "none" : r->server, said[r->answer], r->n,
	    (double)r->took_us / 1000, r->error == NULL ? "" : ": ",
	    r->error == NULL ? "" : r->error);
	for (size_t i = 0; i < r->n; i++)
		tab_log("  dn=%s", r->entries[i].dn);
	t->cb(r, t->arg);
	free(t->what);
	free(t);
}

/* Puts itself between the directory and its callback; without memory it stays out of the way. */
static void trace(struct question *q, directory_cb *cb, void **arg, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static void
trace(struct question *q, directory_cb *cb, void **arg, const char *fmt, ...)
{
	struct traced *t = q->backend->trace ? malloc(sizeof(*t)) : NULL;
	va_list ap;

	if (t == NULL)
		return;
	va_start(ap, fmt);
	if (vasprintf(&t->what, fmt, ap) == -1)
		t->what = strdup("?");
	va_end(ap);
	t->cb = *cb;
	t->arg = *arg;
	*cb = on_traced;
	*arg = t;
}

void
question_find(struct question *q, const struct directory_search *s, directory_cb cb, void *arg)
{
	static const char *const scopes[] = { "base", "one", "sub" };

	trace(q, &cb, &arg, "search base=%s scope=%s filter=%s", s->base, scopes[s->scope],
	    s->filter);
	directory_find(q->backend->directory, s, cb, arg);
}

void
question_bind(struct question *q, const char *dn, const char *password, directory_cb cb, void *arg)
{
	trace(q, &cb, &arg, "bind dn=%s", dn);
	directory_bind(q->backend->directory, dn, password, cb, arg);
}
