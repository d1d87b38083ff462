/*
 * Where mail goes when a proxy on this host hands it back: for each listener with a tag that it may come
 * back by, what the rules say of it then.  Called by explain.c.
 *
 * That it comes back there is not known here, only that it goes out to loopback, and that a listener
 * waits with a tag that it does not have yet.
 */
#include "local.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

struct trip {
	struct facts facts;
	struct addr rcpt;
	const char *came_tag;
	const struct conf_listener *listener;
	trip_answer *answer;
	void *arg;
};

static void on_expanded(struct expansion *, void *);

static bool
is_on_loopback(const struct conf_listener *l)
{
	static const char *const names[] = { "lo", "lo0", "localhost", "::1" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && l->where != NULL; i++)
		if (strcmp(l->where, names[i]) == 0)
			return true;
	return l->reentry || (l->where != NULL && strncmp(l->where, "127.", 4) == 0);
}

static const struct conf_listener *
next_listener(const struct trip *t, const struct conf_listener *l)
{
	for (; l != NULL; l = STAILQ_NEXT(l, entry))
		if (l->tag != NULL && strcmp(l->tag, t->came_tag) != 0 && is_on_loopback(l))
			return l;
	return NULL;
}

bool
trip_start(const struct facts *facts, const struct item *item, trip_answer *answer, void *arg)
{
	const struct conf_action *a = conf_action_find(process.conf, item->action);
	struct trip look = {
		.facts = *facts, .came_tag = facts->tag, .answer = answer, .arg = arg
	};

	if (a == NULL || !conf_action_is_proxy(a) ||
	    verdict_parse_address(&look.rcpt, item->dest) != NULL)
		return false;
	look.listener = next_listener(&look, STAILQ_FIRST(&process.conf->listeners));
	if (look.listener == NULL)
		return false;
	look.facts.client = "127.0.0.1";
	look.facts.auth = "";
	look.facts.local = true;
	look.facts.explain = NULL;
	look.facts.tag = look.listener->tag;
	struct trip *t = xcalloc(1, sizeof(*t));
	*t = look;
	expand_start(&t->facts, &t->rcpt, on_expanded, t);
	return true;
}

static void
on_expanded(struct expansion *e, void *arg)
{
	struct trip *t = arg;

	t->answer(t->listener, e, t->arg);
	expansion_release(e);
	t->listener = next_listener(t, STAILQ_NEXT(t->listener, entry));
	if (t->listener != NULL) {
		t->facts.tag = t->listener->tag;
		expand_start(&t->facts, &t->rcpt, on_expanded, t);
		return;
	}
	t->answer(NULL, NULL, t->arg);
	free(t);
}
