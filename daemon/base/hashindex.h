/*
 * Positions in somebody's array, found by a hash of what lies there.  It only grows.
 *
 * A zeroed struct is empty.  Hashes come from hash_text(), which mixes in a number of this process's own,
 * so that nobody outside can choose texts that fall together.
 */
#ifndef TABMAIL_HASHINDEX_H
#define TABMAIL_HASHINDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hashindex {
	struct hashindex_slot *slots;
	size_t cap, n; /* cap: a power of two, or 0 */
};

#define HASHINDEX_NONE SIZE_MAX

/* Continues `hash`, 0 at first, with a text and its end. */
uint64_t hash_text(uint64_t hash, const char *text);

/* The position that was added with this hash and at which same(position, what) holds, or NONE. */
size_t hashindex_find(const struct hashindex *, uint64_t hash,
    bool (*same)(size_t position, const void *what), const void *what);
void hashindex_add(struct hashindex *, uint64_t hash, size_t position);
void hashindex_free(struct hashindex *);

#endif
