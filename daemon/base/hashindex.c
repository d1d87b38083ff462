/* Positions found by hash; see hashindex.h.  Open addressing, at most half full. */
#include "hashindex.h"
#include "text.h"

#include <bsd/stdlib.h>
#include <stdlib.h>

struct hashindex_slot {
	uint64_t hash;
	size_t position_1; /* and one; 0: free */
};

uint64_t
hash_text(uint64_t hash, const char *text)
{
	static uint64_t own;

	if (own == 0)
		arc4random_buf(&own, sizeof(own));
	hash ^= own;
	for (const char *p = text;; p++) {
		hash = (hash ^ (unsigned char)*p) * 0x9e3779b97f4a7c15u;
		hash ^= hash >> 32;
		if (*p == '\0')
			return hash;
	}
}

size_t
hashindex_find(const struct hashindex *h, uint64_t hash,
    bool (*same)(size_t position, const void *what), const void *what)
{
	if (h->n == 0)
		return HASHINDEX_NONE;
	for (size_t i = hash & (h->cap - 1);; i = (i + 1) & (h->cap - 1)) {
		const struct hashindex_slot *s = &h->slots[i];
		if (s->position_1 == 0)
			return HASHINDEX_NONE;
		if (s->hash == hash && same(s->position_1 - 1, what))
			return s->position_1 - 1;
	}
}

static void
put(struct hashindex *h, struct hashindex_slot slot)
{
	size_t i = slot.hash & (h->cap - 1);

	while (h->slots[i].position_1 != 0)
		i = (i + 1) & (h->cap - 1);
	h->slots[i] = slot;
}

static void
grow(struct hashindex *h)
{
	struct hashindex bigger = { .cap = h->cap == 0 ? 16 : h->cap * 2, .n = h->n };

	bigger.slots = xcalloc(bigger.cap, sizeof(*bigger.slots));
	for (size_t i = 0; i < h->cap; i++)
		if (h->slots[i].position_1 != 0)
			put(&bigger, h->slots[i]);
	free(h->slots);
	*h = bigger;
}

void
hashindex_add(struct hashindex *h, uint64_t hash, size_t position)
{
	if (h->n * 2 >= h->cap)
		grow(h);
	put(h, (struct hashindex_slot){ .hash = hash, .position_1 = position + 1 });
	h->n++;
}

void
hashindex_free(struct hashindex *h)
{
	free(h->slots);
	*h = (struct hashindex){ 0 };
}
