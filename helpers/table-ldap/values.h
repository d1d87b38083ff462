/*
 * Values of entries, gathered: each once, in an order that is the same for the same directory, within
 * limits.  Pure.
 */
#ifndef TABLE_LDAP_VALUES_H
#define TABLE_LDAP_VALUES_H

#include <stdbool.h>
#include <stddef.h>

struct berval;
struct directory_entry;
struct ldap_attrs;
struct values;

#define VALUES_LINE_MAX 60000              /* bytes of all that go into one line of the protocol */
#define VALUES_KEPT_MAX (16 * 1024 * 1024) /* of others */

struct values *values_new(size_t max, size_t bytes_max); /* NULL: out of memory */
void values_free(struct values *);                       /* NULL is fine */

size_t values_count(const struct values *);
const char *values_at(const struct values *, size_t); /* in the order added */

/*
 * Each adds what is not there yet (regardless of case) and not empty.  NULL, or what is wrong, a static
 * text: a value that no line can hold, too many.
 */
const char *values_add(struct values *, const struct berval *);
const char *values_add_all(struct values *, const struct values *);

/*
 * Active Directory gives long lists in parts, "member;range=0-1499" of "member".  *part is then that name,
 * which points into the entry, else NULL; values_rest() makes of it what to ask for next.  Where part is
 * NULL, or with two such attributes at once, that is something wrong.
 */
const char *values_add_attrs(
    struct values *, const struct directory_entry *, const struct ldap_attrs *, const char **part);
bool values_rest(const char *part, char *buf, size_t len);

char *values_join(
    const struct values *, const char *between); /* the caller's; NULL: out of memory */

/* Puts entries in the order of their DNs, whatever order the server has. */
void values_sort_entries(struct directory_entry *, size_t);

/* Whether the attribute that the server calls `got` (it may add options, "mail;lang-de") is `asked`. */
bool values_same_attr(const char *got, const char *asked);

#endif
