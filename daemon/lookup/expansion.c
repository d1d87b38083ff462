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
	e->items = xrealloc(e->items, e->n_items + 1, sizeof(struct item));
	return &e->items[e->n_items++];
}

struct item *
expansion_add(struct expansion *e, const char *dest, const char *user, const struct conf_rule *rule)
{
	char *action = conf_action_text(&rule->action);

	for (size_t i = 0; i < e->n_items; i++)
		if (e->items[i].error == NULL && strcmp(e->items[i].dest, dest) == 0 &&
		    strcmp(e->items[i].action, action) == 0) {
			free(action);
			return NULL;
		}
	char *route = conf_action_route(&rule->action);
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
	e->n_items = 0;
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
