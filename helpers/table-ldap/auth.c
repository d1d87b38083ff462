/*
 * check|auth: user:password, by a bind as the user, on a connection for binds.  Called by backend.c.
 *
 *	auth_filter   a search for the entry, then a bind as its DN
 *	auth_dn       a bind as the DN that the template makes of the user
 *
 * Invariant: FOUND only where the server accepted a bind with a DN and a password that are both not empty
 * (RFC 4513 5.1.2: one without a password always succeeds, and proves nothing).  MISSING only where no such
 * entry is there or the server said invalidCredentials; whatever else it said is an ERROR.
 */
#include <stdlib.h>
#include <string.h>

#include "ask.h"

static void on_entry(const struct directory_result *, void *);
static void try_password(struct ask *, const char *dn);
static void on_bind(const struct directory_result *, void *);

void
auth_ask(struct ask *q)
{
	static const char *const none[] = { "1.1", NULL }; /* RFC 4511 4.5.1.8: no attributes */
	const char *colon = strchr(q->key, ':');
	char *dn;

	if (q->op != TAB_CHECK) {
		ask_error(q, "auth is checked, not looked up");
		return;
	}
	if (colon == NULL || colon == q->key || colon[1] == '\0') {
		ask_answer(q, TAB_MISSING, NULL);
		return;
	}
	q->user = strndup(q->key, (size_t)(colon - q->key));
	if (q->user == NULL) {
		ask_error(q, "out of memory");
		return;
	}
	template_split(&q->parts, q->user, false, q->table);
	if (q->part->filter != NULL)
		ask_search(q, none, 10, on_entry, q);
	else if (ask_fill(q, q->part->dn, &dn)) {
		try_password(q, dn);
		free(dn);
	}
}

static void
on_entry(const struct directory_result *r, void *arg)
{
	struct ask *q = arg;

	if (r->answer != DIRECTORY_OK)
		ask_error(q, r->error);
	else if (r->n == 0)
		ask_answer(q, TAB_MISSING, NULL);
	else if (r->n > 1)
		ask_error(q, "several entries match auth_filter: who is meant?");
	else if (*r->entries[0].dn == '\0')
		ask_error(q, "an entry without a DN");
	else
		try_password(q, r->entries[0].dn);
}

static void
try_password(struct ask *q, const char *dn)
{
	ask_bind(q, dn, strchr(q->key, ':') + 1, on_bind, q);
}

static void
on_bind(const struct directory_result *r, void *arg)
{
	struct ask *q = arg;

	switch (r->answer) {
	case DIRECTORY_OK: ask_answer(q, TAB_FOUND, NULL); break;
	case DIRECTORY_REFUSED: ask_answer(q, TAB_MISSING, NULL); break;
	case DIRECTORY_ERROR: ask_error(q, r->error); break;
	}
}
