/*
 * What entries of the directory say to a question, as the line protocol wants it.  Pure: given the
 * same entries it gives the same answer.
 */
#ifndef TABLE_LDAP_COMPOSE_H
#define TABLE_LDAP_COMPOSE_H

#include <stdbool.h>
#include <stddef.h>

#include "tab.h"

struct directory_entry;
struct ldap_attrs;

struct compose_ask {
	enum tab_op op;
	enum tab_service service;
	const char *key;
	const struct ldap_attrs *attrs;
	bool
	    is_list; /* the entries are a list that the key is matched with, not what was found for it */
	size_t max;    /* values, at most */
	unsigned turn; /* of a fetch: which of them */
};

struct composed {
	enum tab_answer answer;
	char *text;      /* FOUND by a lookup or fetch: the value; the caller's to wipe and free */
	const char *why; /* ERROR: a static text */
	const char
	    *remark; /* what the log should say, once for that service; a static text, or NULL */
};

/* Puts the entries in order first. */
void compose(struct composed *, const struct compose_ask *, struct directory_entry *, size_t n);

#endif
