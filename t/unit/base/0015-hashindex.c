/* Positions found by hash: all are found, none that is not there, also where hashes fall together. */
#include "hashindex.h"
#include "tap.h"

#include <stdio.h>
#include <string.h>

#define MANY 20000

static char names[MANY][16];

static bool
same(size_t position, const void *what)
{
	return strcmp(names[position], what) == 0;
}

static void
fill_and_find(const char *how, uint64_t mask, size_t n)
{
	struct hashindex h = { 0 };
	size_t found = 0, wrong = 0;

	is_int(hashindex_find(&h, hash_text(0, "x"), same, "x") == HASHINDEX_NONE, 1,
	    "%s: nothing in an empty one", how);
	for (size_t i = 0; i < n; i++)
		hashindex_add(&h, hash_text(0, names[i]) & mask, i);
	for (size_t i = 0; i < n; i++)
		found += hashindex_find(&h, hash_text(0, names[i]) & mask, same, names[i]) == i;
	for (size_t i = n; i < n + 1000; i++)
		wrong += hashindex_find(&h, hash_text(0, names[i]) & mask, same, names[i]) !=
			 HASHINDEX_NONE;
	is_int((long long)found, (long long)n, "%s: each is found where it was put", how);
	is_int((long long)wrong, 0, "%s: and no other", how);
	hashindex_free(&h);
}

int
main(void)
{
	for (size_t i = 0; i < MANY; i++)
		snprintf(names[i], sizeof(names[i]), "name%zu", i);
	fill_and_find("many", UINT64_MAX, MANY - 1000);
	fill_and_find("all of four hashes", 3, 200);
	ok(hash_text(hash_text(0, "ab"), "c") != hash_text(hash_text(0, "a"), "bc"),
	    "where one text ends counts");
	return done();
}
