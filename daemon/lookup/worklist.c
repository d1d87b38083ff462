/*
 * The work list of an expansion (expand.c): nodes in the order in which they were met, each once, so
 * that loops end.  All stay, for what was worked off must be known again.
 */
#include "local.h"
#include "text.h"

#include <bsd/string.h>
#include <stdlib.h>
#include <string.h>

#define NODES_MAX 20000 /* destinations of one recipient, at all depths */

struct sought {
	const struct worklist *list;
	const struct node *node;
};

static bool
same(size_t position, const void *what)
{
	const struct sought *s = what;
	const struct node *a = &s->list->nodes[position], *b = s->node;

	return a->kind == b->kind && a->rule == b->rule && strcasecmp(a->name, b->name) == 0 &&
	       strcasecmp(a->addr.local, b->addr.local) == 0 &&
	       strcmp(a->addr.domain, b->addr.domain) == 0;
}

static uint64_t
hash_lower(uint64_t hash, const char *text)
{
	char lower[LOCAL_MAX + 1];

	strlcpy(lower, text, sizeof(lower));
	text_lower(lower);
	return hash_text(hash, lower);
}

enum worklist_result
worklist_add(struct worklist *w, const struct node *n)
{
	uint64_t hash = hash_text(
	    hash_lower(hash_lower((uint64_t)n->kind, n->name), n->addr.local), n->addr.domain);

	if (hashindex_find(&w->seen, hash, same, &(struct sought){ w, n }) != HASHINDEX_NONE)
		return WORKLIST_MET;
	if (w->n == NODES_MAX)
		return WORKLIST_FULL;
	if (w->n == w->cap) {
		w->cap = w->cap == 0 ? 4 : w->cap * 2;
		w->nodes = xrealloc(w->nodes, w->cap, sizeof(struct node));
	}
	hashindex_add(&w->seen, hash, w->n);
	w->nodes[w->n++] = *n;
	return WORKLIST_ADDED;
}

void
worklist_free(struct worklist *w)
{
	free(w->nodes);
	hashindex_free(&w->seen);
}
