/*
 * An attempt: from a route to one connection that is greeted.  It goes over the route's hops until
 * one works, and tells the route of the connection, or of the best reason why there is none.
 *
 *	attempt_start() -> try() -> client … attempt_on_ready()
 *	                   ^                 attempt_on_failed() -> the next hop, or the end
 */
#include "clock.h"
#include "ipc.h"
#include "local.h"
#include "log.h"
#include "text.h"

#include <bsd/stdlib.h>
#include <bsd/string.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct attempt {
	struct route *route;
	struct hops *hops;
	unsigned limit; /* connections of one host */
	uint64_t tried;
	size_t hop;
	enum attempt_fault fault; /* of the reason that is kept */
	char status[12], why[TARGET_TEXT_LEN + 400];
};

static void try(struct attempt *, size_t hop);
static void on_unix(const struct msg *, void *arg);

bool
attempt_start(struct route *r, struct hops *hops, unsigned limit, enum hops_none *why)
{
	int hop = hops_pick(hops, 0, limit, arc4random(), why);

	if (hop == -1)
		return false;
	struct attempt *a = xcalloc(1, sizeof(*a));
	a->route = r;
	a->hops = hops_hold(hops);
	a->limit = limit;
	a->fault = FAULT_FAMILY;
	try(a, (size_t)hop);
	return true;
}

static void
free_attempt(struct attempt *a)
{
	hops_release(a->hops);
	free(a);
}

static void
try(struct attempt *a, size_t hop)
{
	const struct conf_url *url = hops_url(a->hops, hop);

	a->hop = hop;
	a->tried |= (uint64_t)1 << hop;
	if (a->hops->v[hop].host->n_open >= a->limit)
		client_make_room(a->hops->v[hop].host);
	a->hops->v[hop].host->n_open++;
	if (url->path[0] != '\0')
		ipc_call(relay.lookup, MSG_CONNECT_UNIX,
		    &(struct msg_connect_unix){ .path = url->path }, on_unix, a);
	else
		client_connect(a, a->route, a->hops, hop);
}

static void
on_unix(const struct msg *m, void *arg)
{
	struct attempt *a = arg;
	const struct msg_connected_unix *c = m == NULL ? NULL : m->body;
	char why[300];

	if (c != NULL && m->type == MSG_CONNECTED_UNIX && c->error[0] == '\0' && m->fd != -1) {
		client_new(a, a->route, a->hops, a->hop, m->fd);
		return;
	}
	snprintf(why, sizeof(why), "cannot connect: %s", c == NULL ? "lookup is gone" : c->error);
	a->hops->v[a->hop].host->n_open--;
	attempt_on_failed(a, FAULT_REFUSED, "4.4.1", why);
}

void
attempt_on_ready(struct attempt *a, struct client *c)
{
	struct route *r = a->route;

	host_greeted(a->hops->v[a->hop].host);
	free_attempt(a);
	route_on_ready(r, c);
}

/* The reason of a host that answered says more than that of one that did not. */
static void
keep_reason(struct attempt *a, enum attempt_fault fault, const char *status, const char *why)
{
	char to[TARGET_TEXT_LEN];

	hops_text(a->hops, a->hop, to, sizeof(to));
	log_debug(
	    "route=%s failed to=%s reason=%s", log_quote(route_name(a->route)), to, log_quote(why));
	if (a->why[0] != '\0' && fault <= a->fault)
		return;
	a->fault = fault;
	strlcpy(a->status, status, sizeof(a->status));
	snprintf(a->why, sizeof(a->why), "%s: %s", to, why);
}

void
attempt_on_failed(struct attempt *a, enum attempt_fault fault, const char *status, const char *why)
{
	struct host *host = a->hops->v[a->hop].host;
	enum hops_none none;

	keep_reason(a, fault, status, why);
	if (fault != FAULT_FAMILY && fault != FAULT_OURS)
		host_failed(host, why, fault == FAULT_SLOW);
	int hop = hops_pick(a->hops, a->tried, a->limit, arc4random(), &none);
	if (hop != -1) {
		try(a, (size_t)hop);
		return;
	}
	struct route *r = a->route;
	struct attempt copy = *a;
	free_attempt(a);
	if (none == HOPS_FULL)
		route_on_busy(r);
	else
		route_on_exhausted(r, copy.status, copy.why);
}
