/*
 * What route.c (jobs and connections), route_hops.c (where it leads) and routes.c (all of them) share.
 */
#ifndef RELAY_ROUTE_H
#define RELAY_ROUTE_H

#include "local.h"
#include "pace.h"

struct route {
	RB_ENTRY(route) entry;
	char *name;
	struct conf_route parsed;
	struct conf_relay_limit limit;
	struct pace pace;
	struct hops *hops;        /* where it leads; NULL: not asked yet */
	struct hops *coming;      /* what has come of the next answer */
	struct ipc_call *finding; /* lookup is asked */
	int64_t found_ms;
	STAILQ_HEAD(, parcel) parcels;
	struct client **idle; /* the most recent last: the others may time out */
	size_t n_idle, n_busy, n_connecting, n_parcels, n_pulls;
	unsigned waiting, row; /* row: jobs pulled since queue was last dry */
	bool dry, stopped;
	bool
	    by_mail; /* our address is chosen for each mail: it is pulled before there is a connection */
	int64_t down_ms, hold_ms; /* monotonic; hold: no further connections until then */
	int64_t backoff_ms;
	enum outcome outcome; /* what mail is answered until down_ms */
	char status[12], *reason;
	struct event timer, again;
};

/* --- routes.c */
struct route *route_named(const char *); /* NULL: there is none */
struct route *route_find(const char *);  /* made, if there is none */

/* --- route.c */
void route_on_timer(evutil_socket_t, short, void *);
void route_work(struct route *);
/* Nothing is called back inside a call: the clients' callbacks look at the route afterwards. */
void route_work_soon(struct route *);

/* --- route_hops.c */
bool route_is_found(const struct route *);
void route_find_hops(struct route *); /* asks lookup; route_work() goes on with the answer */
/* What waits is pulled and answered so, until then (0: as long as it is wise). */
void route_set_aside(
    struct route *, enum outcome, const char *status, const char *why, int64_t until_ms);
void route_set_aside_by_hosts(struct route *); /* all are: until the first may be tried again */
void route_answer_waiting(struct route *);
/* The address that is chosen for such mail does not get through; that of other mail may. */
void route_answer_like(struct route *, const char *mail, const char *status, const char *why);

#endif
