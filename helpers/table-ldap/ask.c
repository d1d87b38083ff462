/*
 * What every question needs (ask.h): its templates filled in, the directory asked, its answer given.
 * Called by backend.c, auth.c and group.c; asks the directory.
 */
#include "ask.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tab_helper.h"

void
ask_answer(struct ask *q, enum tab_answer answer, const char *text)
{
	struct backend *b = q->backend;

	q->cb(answer, text, q->arg);
	free(q->user);
	free(q);
	b->open--;
	backend_end_if_idle(b);
}

void
ask_error(struct ask *q, const char *why)
{
	ask_answer(q, TAB_ERROR, why);
}

void
ask_remark(struct ask *q, const char *remark)
{
	struct backend *b = q->backend;
	size_t max = sizeof(b->remarked) / sizeof(b->remarked[0]), i = 0;

	while (i < max && b->remarked[i] != NULL && b->remarked[i] != remark)
		i++;
	if (i == max || b->remarked[i] == remark)
		return;
	b->remarked[i] = remark;
	tab_log("%s: %s (said once)", tab_service_name(q->service), remark);
}

bool
ask_fill(struct ask *q, const struct template *t, char **out)
{
	switch (template_fill(t, &q->parts, out)) {
	case TEMPLATE_DONE: return true;
	case TEMPLATE_NO_MATCH: ask_answer(q, TAB_MISSING, NULL); break;
	case TEMPLATE_TOO_LONG: ask_error(q, "the filter is too long with this key"); break;
	case TEMPLATE_NO_MEMORY: ask_error(q, "out of memory"); break;
	}
	return false;
}

void
ask_search(struct ask *q, const char *const *attrs, size_t max, directory_cb cb, void *arg)
{
	const struct template *base =
	    q->part->basedn != NULL ? q->part->basedn : q->settings->basedn;
	struct directory_search s = { .scope = q->part->scope, .attrs = attrs, .max_entries = max };
	char *base_text, *filter;

	if (!ask_fill(q, base, &base_text))
		return;
	if (ask_fill(q, q->part->filter, &filter)) {
		s.base = base_text;
		s.filter = filter;
		ask_find(q, &s, cb, arg);
		free(filter);
	}
	free(base_text);
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
static void trace(struct ask *q, directory_cb *cb, void **arg, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static void
trace(struct ask *q, directory_cb *cb, void **arg, const char *fmt, ...)
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
ask_find(struct ask *q, const struct directory_search *s, directory_cb cb, void *arg)
{
	static const char *const scopes[] = { "base", "one", "sub" };

	trace(q, &cb, &arg, "search base=%s scope=%s filter=%s", s->base, scopes[s->scope],
	    s->filter);
	directory_find(q->backend->directory, s, cb, arg);
}

void
ask_bind(struct ask *q, const char *dn, const char *password, directory_cb cb, void *arg)
{
	trace(q, &cb, &arg, "bind dn=%s", dn);
	directory_bind(q->backend->directory, dn, password, cb, arg);
}
