/* A search or a bind on its way from directory_find() or directory_bind() to its one answer. */
#ifndef TABLE_LDAP_QUESTION_H
#define TABLE_LDAP_QUESTION_H

#include <bsd/sys/queue.h>
#include <ldap.h>
#include <stdbool.h>
#include <stdint.h>

#include "directory.h"

struct attempt;
struct link;

TAILQ_HEAD(questions, question);

struct question {
	TAILQ_ENTRY(question) age;   /* all that are open, oldest first */
	TAILQ_ENTRY(question) place; /* where it waits, or at its link in the order of sending */
	struct question *same_slot;  /* at its link */
	struct questions *queue;     /* whose place it has; NULL: at a link, or being answered */

	bool is_bind;
	char *base; /* the DN, of a bind */
	int scope;
	char *filter;
	char **attrs;
	size_t max_entries;
	char *password;

	directory_cb cb;
	void *arg;
	int64_t asked_us, sent_us, deadline_us;
	unsigned tries; /* how often it was sent */

	struct link *link; /* at which it is in flight */
	int id;            /* of its message there */

	unsigned page_size; /* 0: all at once */
	struct berval *cookie;
	unsigned references;         /* to other servers, that came among the entries */
	struct attempt *chase;       /* that asks them; NULL: none (referral.c) */
	struct directory *directory; /* then whose it is */
	size_t server;               /* and whom the chase began at */

	/* What has come so far */
	struct directory_entry *entries; /* into the bytes of messages */
	LDAPMessage **messages;
	size_t n, room, bytes;
	int code; /* the result's */
	char *diagnostic;
};

struct question *question_search(const struct directory_search *); /* NULL: out of memory */
struct question *question_bind(const char *dn, const char *password);
void question_free(struct question *);

/* Forgets what has come, to be asked anew. */
void question_clear(struct question *);

/* Takes an entry, the message with it.  NULL, or why the question cannot be answered any more. */
const char *question_take(struct question *, LDAP *, LDAPMessage *);

#endif
