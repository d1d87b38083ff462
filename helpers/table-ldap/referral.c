/* Follows referrals (referral.h).  Called by slot.c and side.c; its threads are attempt.c's. */
#include "referral.h"

#include <stdlib.h>
#include <string.h>

#include "pool.h"
#include "reach.h"
#include "ticks.h"

/* The question's search, and what came of it: the thread's until it is done. */
struct chase {
	struct question *search; /* a copy that is in no list */
	LDAPMessage **messages;
	size_t n;
	int code;
	char *diagnostic;
	const char *wrong;
};

static void free_chase(void *);
static void follow(LDAP *, int64_t, void *);
static void on_done(struct attempt_done *, void *);

bool
referral_wanted(const struct directory *d, const struct question *q)
{
	return d->reach->s.referrals &&
	       (q->code == LDAP_REFERRAL || (q->code == LDAP_SUCCESS && q->references > 0));
}

void
referral_ask(struct directory *d, struct question *q, size_t server)
{
	const struct attempt_work work = { follow, free_chase, q->deadline_us };
	const struct directory_search search = { .base = q->base,
		.scope = q->scope,
		.filter = q->filter,
		.attrs = (const char *const *)q->attrs,
		.max_entries = q->max_entries };
	struct chase *c = calloc(1, sizeof(*c));

	question_clear(q);
	q->directory = d;
	q->server = server;
	if (c != NULL)
		c->search = question_search(&search);
	if (c != NULL && c->search != NULL)
		c->messages = calloc(q->max_entries + 1, sizeof(LDAPMessage *));
	if (c != NULL && c->messages != NULL)
		q->chase = attempt_start_work(d->base, d->reach, server, &work, c, on_done, q);
	else if (c != NULL)
		free_chase(c);
	if (q->chase == NULL)
		directory_answer(
		    d, q, DIRECTORY_ERROR, "out of memory or descriptors", d->servers[server].url);
}

static void
free_chase(void *arg)
{
	struct chase *c = arg;

	for (size_t i = 0; i < c->n; i++)
		ldap_msgfree(c->messages[i]);
	free(c->messages);
	ldap_memfree(c->diagnostic);
	if (c->search != NULL)
		question_free(c->search);
	free(c);
}

/* In the thread: one search, with libldap following. */
static void
follow(LDAP *ld, int64_t deadline_us, void *arg)
{
	struct chase *c = arg;
	struct question *s = c->search;
	struct timeval left = ticks_left(deadline_us);
	int id, type = 0;

	ldap_set_option(ld, LDAP_OPT_REFERRALS, LDAP_OPT_ON);
	ldap_set_option(ld, LDAP_OPT_NETWORK_TIMEOUT, &left);
	c->code = ldap_search_ext(
	    ld, s->base, s->scope, s->filter, s->attrs, 0, NULL, NULL, &left, LDAP_NO_LIMIT, &id);
	while (c->code == LDAP_SUCCESS && c->wrong == NULL && type != LDAP_RES_SEARCH_RESULT) {
		LDAPMessage *m = NULL;

		left = ticks_left(deadline_us);
		type = ldap_result(ld, id, LDAP_MSG_ONE, &left, &m);
		if (type <= 0)
			c->wrong =
			    type == 0 ? "no answer in time" : "a referral leads to no answer";
		else if (type == LDAP_RES_SEARCH_ENTRY && c->n <= s->max_entries) {
			c->messages[c->n++] = m;
			continue;
		} else if (type == LDAP_RES_SEARCH_ENTRY)
			c->wrong = "too many entries";
		else if (type == LDAP_RES_SEARCH_REFERENCE)
			c->wrong = "a referral cannot be followed";
		else if (type == LDAP_RES_SEARCH_RESULT)
			ldap_parse_result(ld, m, &c->code, NULL, &c->diagnostic, NULL, NULL, 0);
		ldap_msgfree(m);
	}
}

static void
on_done(struct attempt_done *done, void *arg)
{
	struct question *q = arg;
	struct directory *d = q->directory;
	struct chase *c = done->data;
	const char *url = d->servers[q->server].url;
	const char *wrong = c == NULL ? done->error : c->wrong;

	q->chase = NULL;
	for (size_t i = 0; wrong == NULL && i < c->n; i++) {
		wrong = question_take(q, done->ld, c->messages[i]);
		c->messages[i] = NULL;
	}
	if (wrong == NULL) {
		q->code = c->code;
		q->diagnostic = c->diagnostic;
		c->diagnostic = NULL;
	}
	if (done->ld != NULL)
		ldap_unbind_ext(done->ld, NULL, NULL);
	directory_answer(d, q,
	    wrong == NULL && q->code == LDAP_SUCCESS ? DIRECTORY_OK : DIRECTORY_ERROR, wrong, url);
}
