/*
 * What a recipient expands to: the result of expand.c, shared between those who asked and the cache
 * of verdict.c.  Counted references; it does not change once it is answered.
 */
#include "local.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

struct expansion *
expansion_new(void)
{
	struct expansion *e = xcalloc(1, sizeof(*e));

	e->refs = 1;
	return e;
}

static struct item *
append(struct expansion *e)
{
	if (e->n_items == e->cap_items) {
		e->cap_items = e->cap_items == 0 ? 1 : e->cap_items * 2;
		e->items = xrealloc(e->items, e->cap_items, sizeof(struct item));
	}
	return &e->items[e->n_items++];
}

struct sought {
	const struct expansion *expansion;
	const char *dest, *action;
};

static bool
same(size_t position, const void *what)
{
	const struct sought *s = what;
	const struct item *item = &s->expansion->items[position];

	return strcmp(item->dest, s->dest) == 0 && strcmp(item->action, s->action) == 0;
}

struct item *
expansion_add(struct expansion *e, const char *dest, const char *user, const struct conf_rule *rule)
{
	char *action = conf_action_text(&rule->action);
	uint64_t hash = hash_text(hash_text(0, dest), action);

	if (hashindex_find(&e->seen, hash, same, &(struct sought){ e, dest, action }) !=
	    HASHINDEX_NONE) {
		free(action);
		return NULL;
	}
	hashindex_add(&e->seen, hash, e->n_items);
	const char *at = strrchr(dest, '@');
	char *route =
	    conf_action_route(&rule->action, at == NULL ? process.conf->hostname : at + 1);
	struct item *item = append(e);
	*item = (struct item){ .dest = xstrdup(dest),
		.action = action,
		.user = xstrdup(user),
		.home = xstrdup(""),
		.route = route == NULL ? xstrdup("") : route,
		.expire_sec = rule->expire_sec,
		.warn = rule->bounce_warn };
	text_lower(item->user);
	char *plus = strchr(item->user, '+');
	if (plus != NULL && plus != item->user)
		*plus = '\0';
	return item;
}

void
expansion_add_failure(struct expansion *e, const char *dest, const char *reply)
{
	*append(e) = (struct item){ .dest = xstrdup(dest),
		.error = xstrdup(reply),
		.action = xstrdup(""),
		.user = xstrdup(""),
		.home = xstrdup(""),
		.route = xstrdup("") };
}

void
expansion_drop_items(struct expansion *e)
{
	for (size_t i = 0; i < e->n_items; i++) {
		struct item *item = &e->items[i];
		free(item->dest);
		free(item->action);
		free(item->user);
		free(item->home);
		free(item->route);
		free(item->error);
	}
	free(e->items);
	e->items = NULL;
	e->n_items = e->cap_items = 0;
	hashindex_free(&e->seen);
}

void
expansion_release(struct expansion *e)
{
	if (--e->refs > 0)
		return;
	expansion_drop_items(e);
	free(e->reply);
	free(e);
}
