/* Questions to the directory (question.h).  Called by directory.c and link.c. */
#include "question.h"

#include <stdlib.h>
#include <string.h>

#define ENTRIES_DEFAULT 1000
#define ATTRS_MAX       1000               /* of one entry */
#define BYTES_MAX       (64 * 1024 * 1024) /* of one answer; a message is bounded by sockio.c */

static char **
copy_list(const char *const *from)
{
	size_t n = 0;

	while (from[n] != NULL)
		n++;
	char **to = calloc(n + 1, sizeof(*to));
	for (size_t i = 0; to != NULL && i < n; i++) {
		to[i] = strdup(from[i]);
		if (to[i] == NULL) {
			while (i > 0)
				free(to[--i]);
			free(to);
			return NULL;
		}
	}
	return to;
}

struct question *
question_search(const struct directory_search *s)
{
	struct question *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return NULL;
	q->base = strdup(s->base);
	q->filter = strdup(s->filter);
	q->scope = s->scope;
	q->max_entries = s->max_entries == 0 ? ENTRIES_DEFAULT : s->max_entries;
	if (s->attrs != NULL)
		q->attrs = copy_list(s->attrs);
	if (q->base != NULL && q->filter != NULL && (s->attrs == NULL || q->attrs != NULL))
		return q;
	question_free(q);
	return NULL;
}

struct question *
question_bind(const char *dn, const char *password)
{
	struct question *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return NULL;
	q->is_bind = true;
	q->base = strdup(dn);
	q->password = strdup(password);
	if (q->base != NULL && q->password != NULL)
		return q;
	question_free(q);
	return NULL;
}

void
question_free(struct question *q)
{
	question_clear(q);
	for (size_t i = 0; q->attrs != NULL && q->attrs[i] != NULL; i++)
		free(q->attrs[i]);
	free(q->attrs);
	if (q->password != NULL)
		explicit_bzero(q->password, strlen(q->password));
	free(q->password);
	free(q->base);
	free(q->filter);
	free(q);
}

void
question_clear(struct question *q)
{
	for (size_t i = 0; i < q->n; i++) {
		for (size_t j = 0; j < q->entries[i].n; j++)
			ber_memfree((void *)q->entries[i].attrs[j].values);
		free(q->entries[i].attrs);
		ldap_msgfree(q->messages[i]);
	}
	free(q->entries);
	free(q->messages);
	q->entries = NULL;
	q->messages = NULL;
	q->n = q->room = q->bytes = 0;
	q->references = 0;
	ldap_memfree(q->diagnostic);
	q->diagnostic = NULL;
	q->code = LDAP_SUCCESS;
	ber_bvfree(q->cookie);
	q->cookie = NULL;
}

static bool
make_room(struct question *q)
{
	size_t room = q->room == 0 ? 4 : 2 * q->room;

	LDAPMessage **messages = reallocarray(q->messages, room, sizeof(LDAPMessage *));
	if (messages == NULL)
		return false;
	q->messages = messages;
	struct directory_entry *entries = reallocarray(q->entries, room, sizeof(*entries));
	if (entries == NULL)
		return false;
	q->entries = entries;
	q->room = room;
	return true;
}

static bool
add_attr(struct directory_entry *e, const char *name, BerVarray values)
{
	/* Room doubles at 4, 8, 16 … */
	if (e->n == 0 || (e->n >= 4 && (e->n & (e->n - 1)) == 0)) {
		size_t room = e->n == 0 ? 4 : 2 * e->n;
		struct directory_attr *more =
		    room > ATTRS_MAX ? NULL : reallocarray(e->attrs, room, sizeof(*more));
		if (more == NULL)
			return false;
		e->attrs = more;
	}
	e->attrs[e->n++] = (struct directory_attr){ .name = name, .values = values };
	return true;
}

const char *
question_take(struct question *q, LDAP *ld, LDAPMessage *m)
{
	BerElement *ber = NULL;
	struct berval name;
	BerVarray values = NULL;

	if (q->n == q->max_entries || (q->n == q->room && !make_room(q))) {
		ldap_msgfree(m);
		return q->n == q->max_entries ? "too many entries" : "out of memory";
	}
	struct directory_entry *e = &q->entries[q->n];
	q->messages[q->n++] = m;
	*e = (struct directory_entry){ .dn = "" };
	if (ldap_get_dn_ber(ld, m, &ber, &name) != LDAP_SUCCESS) {
		ber_free(ber, 0);
		return "an entry that cannot be read";
	}
	e->dn = name.bv_val;
	q->bytes += name.bv_len;
	bool fits = true;
	while (fits && ldap_get_attribute_ber(ld, m, ber, &name, &values) == LDAP_SUCCESS &&
	       name.bv_val != NULL) {
		fits = add_attr(e, name.bv_val, values);
		if (!fits)
			ber_memfree(values);
		for (size_t i = 0; fits && values != NULL && values[i].bv_val != NULL; i++) {
			e->attrs[e->n - 1].n++;
			q->bytes += values[i].bv_len;
		}
		values = NULL;
	}
	ber_free(ber, 0);
	return fits && q->bytes <= BYTES_MAX ? NULL : "a result that is too large";
}
