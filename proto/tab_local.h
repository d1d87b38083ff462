/* Private to proto/: the parts of a tab_set. */
#ifndef TABMAIL_TAB_LOCAL_H
#define TABMAIL_TAB_LOCAL_H

#include <regex.h>
#include <stdint.h>

#include "tab_set.h"

struct tab_entry {
	const char *key, *value; /* value NULL: of a list */
	uint32_t hash;
};

struct tab_set {
	struct tab_entry *entries; /* in the order added */
	uint32_t n, cap;
	uint32_t *slots; /* hash of the entries: index + 1, 0 free; n_slots a power of 2 */
	uint32_t n_slots;
	struct tab_chunk *chunks; /* where the strings live */
	uint32_t turn;            /* the next one to fetch */
	char *scratch;            /* a composed value, or a reason */

	/* Indexes, made when first asked for, dropped by an addition. */
	struct tab_nets *nets;
	struct tab_globs *globs;
	struct tab_regexes *regexes;
};

void *tab_alloc(size_t n, size_t size); /* zeroed, or the process ends */
char *tab_set_print(struct tab_set *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The entry with that key, or NULL. */
const struct tab_entry *tab_set_find(const struct tab_set *, const char *key, size_t len);

/* tab_net.c: the narrowest network that the address is in, or only an entry for that very address. */
const struct tab_entry *tab_net_match(struct tab_set *, const char *address, bool exact);
void tab_net_free(struct tab_nets *);

/* tab_match.c */
const struct tab_entry *tab_match_domain(struct tab_set *, const char *domain);
const struct tab_entry *tab_match_mailaddr(struct tab_set *, const char *addr);
enum tab_answer tab_match_regex(
    struct tab_set *, const char *key, const struct tab_entry **, const char **reason);
void tab_match_free(struct tab_globs *, struct tab_regexes *);

#endif
