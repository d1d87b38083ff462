/*
 * Filters and DNs with places for the key: checked once, filled in for each question.  Pure.
 *
 *	%u %s  the key		%l  its local part	%d  its domain
 *	%h     the table	%%  a %
 *
 * What is filled in is escaped, RFC 4515 in a filter, RFC 4514 in a DN: it is one value there, whatever
 * its bytes are, and can never be more.
 */
#ifndef TABLE_LDAP_TEMPLATE_H
#define TABLE_LDAP_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#define TEMPLATE_WHY_LEN 160
#define TEMPLATE_OUT_MAX (64 * 1024) /* bytes of a filter or DN with all filled in, with its NUL */

enum template_kind { TEMPLATE_FILTER, TEMPLATE_DN };

struct template;

/* A key and its parts; domain and local are NULL where it has none. */
struct template_key {
	const char *text, *domain, *local;
	size_t local_len;
	const char *table;
};

/* is_domain: the whole key is a domain.  Points into key. */
void template_split(struct template_key *, const char *key, bool is_domain, const char *table);

/* NULL, and in why what is wrong with the text. */
struct template *template_new(enum template_kind, const char *text, char why[TEMPLATE_WHY_LEN]);
void template_free(struct template *); /* NULL is fine */

bool template_uses_key(const struct template *);
const char *template_text(const struct template *);

enum template_outcome {
	TEMPLATE_DONE,
	TEMPLATE_NO_MATCH, /* no entry can match: the key has no such part, or is no UTF-8 where a DN is */
	TEMPLATE_TOO_LONG,
	TEMPLATE_NO_MEMORY
};

/* On DONE, *out is the caller's to free. */
enum template_outcome template_fill(
    const struct template *, const struct template_key *, char **out);

#endif
