/*
 * The runtime for helpers: handshake, reading, writing, matching of answers to questions.  The author
 * names the services and gives callbacks; each query is answered exactly once, by tab_found(),
 * tab_missing() or tab_error(), from within the callback or later from the loop, in any order.
 *
 *	static void
 *	lookup(struct tab_query *q)
 *	{
 *		strcmp(q->key, "root") == 0 ? tab_found(q, "admin@example.org") : tab_missing(q);
 *	}
 *
 *	int
 *	main(void)
 *	{
 *		struct tab_helper helper = { .services = TAB_OFFER(ALIAS), .lookup = lookup };
 *
 *		return tab_helper_run(&helper);
 *	}
 *
 * What has no callback, or no service of that name, is answered with an error by the runtime; an update
 * without a callback with ok, for then nothing is kept that could grow old.  Link with -levent_core.
 */
#ifndef TABMAIL_TAB_HELPER_H
#define TABMAIL_TAB_HELPER_H

#include "tab.h"

struct event_base;

#define TAB_OFFER(NAME) (1u << TAB_##NAME)
#define TAB_OFFER_ALL   (TAB_OFFER(SOURCE_FOR) - 1) /* that every daemon knows */

/* A question that waits for its answer, and is freed by it. */
struct tab_query {
	enum tab_op op;
	enum tab_service service; /* TAB_SERVICE_MAX for an update */
	const char *table;
	const char *key; /* as it came; "" for update and fetch */
	void *data;      /* the author's */
};

struct tab_helper {
	unsigned services; /* TAB_OFFER(ALIAS) | TAB_OFFER(DOMAIN); ours go to tabmail only */
	void (*update)(struct tab_query *); /* NULL: always fine */
	void (*check)(struct tab_query *);
	void (*lookup)(struct tab_query *);
	void (*fetch)(struct tab_query *);
	void (*config)(const char *key, const char *value); /* a config line; may be NULL */
};

/*
 * Serves until the daemon closes stdin, then until what is pending is answered (5 s at most).  The exit
 * status: 0, or 1 after a breach of the protocol, which has been said on stderr.
 */
int tab_helper_run(const struct tab_helper *);

/* The loop, for sockets and timers of the author's own; there from the first call on. */
struct event_base *tab_helper_base(void);

/*
 * The answers.  A value is for lookup and fetch (NULL for check and update); one that is empty, too long
 * or holds CR or LF is turned into an error.  Only from the thread that runs the loop.
 */
void tab_found(struct tab_query *, const char *value);
void tab_missing(struct tab_query *);
void tab_error(struct tab_query *, const char *reason);

/* A line to stderr, which the daemon logs under the table's name.  Controls become '?'. */
void tab_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
