/*
 * One attempt to reach one server, in a thread of its own: resolve, connect, TLS, bind, with one deadline
 * for all of it.  Hands over a handle that is ready.  A thread that hangs beyond its deadline is left to
 * itself: it cleans up whenever it comes back.
 */
#ifndef TABLE_LDAP_ATTEMPT_H
#define TABLE_LDAP_ATTEMPT_H

#include <ldap.h>
#include <stdbool.h>
#include <stdint.h>

#include "dial.h"

struct attempt;
struct event_base;
struct reach;

struct attempt_done {
	LDAP *ld; /* the taker's; NULL: it failed */
	int fd;
	bool tls;
	int64_t rtt_us; /* of the last exchange with the server */
	int64_t took_us;
	char error[DIAL_ERROR_LEN]; /* why it failed */
	void *data;                 /* that work was done on; NULL when it failed */
};

typedef void (*attempt_cb)(struct attempt_done *, void *arg);

/*
 * The callback comes once, from the loop, within the deadline.  The handle is bound with our identity; when we
 * have none, the server has said something at least.  NULL: out of memory or of descriptors, and no
 * callback.
 */
struct attempt *attempt_start(
    struct event_base *, struct reach *, size_t server, attempt_cb, void *arg);

/*
 * The same, and when the handle is ready, work is done with it in the thread, which may block longer than it
 * should and is left to itself then.  A few at a time.  data is the attempt's from here on: done.data in
 * the callback, freed by free_data() after it, or whenever the thread comes back.
 */
struct attempt_work {
	void (*work)(LDAP *, int64_t deadline_us, void *data);
	void (*free_data)(void *data);
	int64_t deadline_us; /* of everything */
};
struct attempt *attempt_start_work(struct event_base *, struct reach *, size_t server,
    const struct attempt_work *, void *data, attempt_cb, void *arg);

void attempt_cancel(struct attempt *); /* no callback any more */

#endif
