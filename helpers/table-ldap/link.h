/*
 * A connection to one server, on the loop: questions go out as they come, hundreds are in flight, answers
 * come in any order.  A link that hears nothing while answers are due asks the server whether it is there
 * (a probe); a probe without an answer makes it suspect, and its owner looks for another server meanwhile.
 * Whatever is heard clears it.
 */
#ifndef TABLE_LDAP_LINK_H
#define TABLE_LDAP_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "attempt.h"
#include "question.h"
#include "sockio.h"

struct event_base;

#define LINK_SLOTS 1024 /* a power of 2 */

struct link;

/* All from the loop; the link may be closed in any of them. */
struct link_owner {
	/* Complete, and no longer at the link; wrong: instead of an answer. */
	void (*on_answer)(struct link *, struct question *, const char *wrong, void *arg);
	/* It became suspect, or good again. */
	void (*on_doubt)(struct link *, void *arg);
	/* Over; what was in flight is still there for link_take_back(). */
	void (*on_lost)(struct link *, const char *why, void *arg);
};

struct link {
	const struct link_owner *owner;
	void *arg;
	size_t server; /* its number */
	LDAP *ld;
	struct sockio io;
	struct event *readable, *writable, *flush, *tick;
	unsigned in_flight, most; /* questions, and how many there may be */
	struct questions sent;
	struct question *slots[LINK_SLOTS];
	enum { LINK_GOOD, LINK_PROBED, LINK_SUSPECT } state;
	bool closed, ticking;
	int probe;        /* the message's id; 0: none was sent since the last answer */
	int64_t heard_us; /* or, when nothing was in flight, when something was again */
	int64_t probed_us;
	int64_t rtt_us; /* the shortest that an answer took */
	uint64_t answered;
	uint64_t stray; /* answers to nothing that was asked */
};

/*
 * Takes the handle.  most: questions in flight; 1 for binds, where no probe may disturb.  NULL: out of
 * memory, the handle is gone.
 */
struct link *link_new(struct event_base *, struct attempt_done *, size_t server, unsigned most,
    const struct link_owner *, void *arg);

/* Ends it; what is in flight has been taken back.  The memory goes with the next turn of the loop. */
void link_close(struct link *);

/* Whether one more question may be put to it. */
bool link_has_room(const struct link *);

/*
 * Sends a question.  NULL, or what is wrong with this very question, which is not in flight then.
 */
const char *link_send(struct link *, struct question *);

/* The question's deadline has come: the server need not go on. */
void link_abandon(struct link *, struct question *);

/* The oldest question in flight, no longer so; NULL: none is left. */
struct question *link_take_back(struct link *);

#endif
