/*
 * An attempt: from a route to one connection that is greeted.  It goes over the route's hops until
 * one works, and tells the route of the connection, or of the best reason why there is none.
 *
 *	attempt_start() -> try() -> connect_from() -> client … attempt_on_ready()
 *	                   ^        ^                          attempt_on_failed() -> from another of our
 *	                   |        |                          addresses, the next hop, or the end
 *
 * Where the action names `source`, a hop is tried from several of our addresses.  When one gets
 * through, those that did not are to blame; when none does, it is the host.
 */
#include "clock.h"
#include "ipc.h"
#include "local.h"
#include "log.h"
#include "text.h"

#include <bsd/stdlib.h>
#include <bsd/string.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct attempt {
	struct route *route;
	struct hops *hops;
	unsigned limit; /* connections of one host */
	uint64_t tried;
	bool plain; /* TLS failed on this hop, and may be done without */
	size_t hop;
	struct seek seek; /* .table NULL: the system chooses our address */
	bool wants_mail;  /* it can only be told with a mail in hand */
	bool
	    is_slow; /* from one address there was no answer in time: from few others it is asked */
	struct event failed;      /* for what goes wrong inside of a call */
	enum attempt_fault fault; /* of the reason that is kept */
	char status[12], why[TARGET_TEXT_LEN + 400];
};

static void try(struct attempt *, size_t hop);
static void connect_from(struct attempt *);
static void on_source(struct seek *);
static void on_none(evutil_socket_t, short, void *);
static void next_hop(struct attempt *);
static void on_unix(const struct msg *, void *arg);

bool
attempt_start(
    struct route *r, struct hops *hops, unsigned limit, const struct parcel *p, enum hops_none *why)
{
	int hop = hops_pick(hops, 0, limit, arc4random(), why);

	if (hop == -1)
		return false;
	struct attempt *a = xcalloc(1, sizeof(*a));
	a->route = r;
	a->hops = hops_hold(hops);
	a->limit = limit;
	a->fault = FAULT_FAMILY;
	a->seek.table = route_action(r) == NULL ? NULL : route_action(r)->source;
	a->seek.route = route_name(r);
	a->seek.on_answer = on_source;
	if (p != NULL) {
		const char *at = strrchr(p->rcpts[0].dest, '@');
		a->seek.mail = parcel_mail(p);
		a->seek.sender = xstrdup(p->sender);
		a->seek.domain = xstrdup(at == NULL ? "" : at + 1);
		a->seek.user = xstrdup(p->auth);
	}
	event_assign(&a->failed, process.base, -1, 0, on_none, a);
	try(a, (size_t)hop);
	return true;
}

static void
free_attempt(struct attempt *a)
{
	event_del(&a->failed);
	source_end(&a->seek);
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
	a->seek.family = a->hops->v[hop].addr.ss_family;
	a->seek.n_tried = a->seek.n_asked = 0;
	a->is_slow = a->plain = false;
	if (url->path[0] != '\0')
		ipc_call(relay.lookup, MSG_CONNECT_UNIX,
		    &(struct msg_connect_unix){ .path = url->path }, on_unix, a);
	else
		connect_from(a);
}

/* The host has counted this connection. */
static void
connect_from(struct attempt *a)
{
	if (a->seek.table == NULL) {
		client_connect(a, a->route, a->hops, a->hop, NULL, a->plain);
		return;
	}
	switch (source_pick(&a->seek)) {
	case SOURCE_READY: client_connect(a, a->route, a->hops, a->hop, &a->seek, a->plain); break;
	case SOURCE_WAITS: break;
	case SOURCE_WANTS_MAIL: a->wants_mail = true; /* FALLTHROUGH */
	case SOURCE_NONE: event_active(&a->failed, EV_TIMEOUT, 0); break;
	}
}

static void
on_source(struct seek *s)
{
	connect_from((struct attempt *)((char *)s - offsetof(struct attempt, seek)));
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
	for (size_t i = 0; i < a->seek.n_tried; i++) {
		const struct source_try *t = &a->seek.tried[i];
		if (t->fault != CHOICE_NOT_OURS) /* that one was blamed at once */
			source_blame(t->text, a->seek.route, t->fault, t->why);
	}
	if (a->seek.table != NULL && a->seek.choice.text[0] != '\0')
		source_worked(a->seek.choice.text, a->seek.route);
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

static bool
is_ours(enum attempt_fault fault)
{
	return fault == FAULT_OURS || fault == FAULT_AUTH;
}

/* Whether the same host is to be tried from another of our addresses. */
static bool
goes_on_from_another(struct attempt *a, enum attempt_fault fault, const char *why)
{
	static const enum choice_fault faults[] = {
		[FAULT_REFUSED] = CHOICE_NOT_REACHED,
		[FAULT_SLOW] = CHOICE_NOT_REACHED,
		[FAULT_FAMILY] = CHOICE_NOT_REACHED,
		[FAULT_REPLY] = CHOICE_REFUSED,
		[FAULT_SOURCE] = CHOICE_NOT_OURS,
	};
	struct seek *s = &a->seek;

	if (s->table == NULL || s->choice.text[0] == '\0' || is_ours(fault))
		return false;
	if (fault == FAULT_SOURCE)
		source_blame(s->choice.text, s->route, CHOICE_NOT_OURS, why);
	source_tried(s, faults[fault], why);
	bool enough = s->n_tried == SOURCE_TRIES_MAX || (fault == FAULT_SLOW && a->is_slow);
	a->is_slow = a->is_slow || fault == FAULT_SLOW;
	return !enough;
}

/* From the same address, once: TLS may be done without. */
static void
again_in_plain(struct attempt *a, const char *why)
{
	struct host *host = a->hops->v[a->hop].host;

	log_info(
	    "host=%s event=tls-failed then=plain reason=%s", log_quote(host->name), log_quote(why));
	a->plain = true;
	host->n_open++;
	client_connect(a, a->route, a->hops, a->hop, a->seek.table == NULL ? NULL : &a->seek, true);
}

/* A wrong password is wrong at its other addresses, too, and may lock the account. */
static void
pass_host(struct attempt *a)
{
	for (size_t i = 0; i < a->hops->n; i++)
		if (a->hops->v[i].url == a->hops->v[a->hop].url)
			a->tried |= (uint64_t)1 << i;
}

void
attempt_on_failed(struct attempt *a, enum attempt_fault fault, const char *status, const char *why)
{
	struct host *host = a->hops->v[a->hop].host;

	keep_reason(a, fault, status, why);
	if (fault == FAULT_TLS && !a->plain) {
		again_in_plain(a, why);
		return;
	}
	if (goes_on_from_another(a, fault, why)) {
		host->n_open++;
		connect_from(a);
		return;
	}
	if (fault == FAULT_REPLY && host->n_open > 0)
		host_pushed_back(host, why); /* too many at once: others of ours work there */
	else if (fault != FAULT_FAMILY && !is_ours(fault) && fault != FAULT_SOURCE)
		host_failed(host, why, fault == FAULT_SLOW);
	if (fault == FAULT_AUTH)
		pass_host(a);
	next_hop(a);
}

/* No address of ours is left for this hop: those that were tried there did not get through. */
static void
on_none(evutil_socket_t fd, short what, void *arg)
{
	struct attempt *a = arg;
	struct host *host = a->hops->v[a->hop].host;
	const struct source_try *t = NULL;

	(void)fd;
	(void)what;
	host->n_open--;
	for (size_t i = 0; i < a->seek.n_tried; i++)
		if (a->seek.tried[i].fault != CHOICE_NOT_OURS)
			t = &a->seek.tried[i];
	if (a->wants_mail) {
		struct route *r = a->route;
		free_attempt(a);
		route_wants_mail(r);
		return;
	}
	if (t != NULL)
		host_failed(host, t->why, a->is_slow);
	else
		keep_reason(a, FAULT_FAMILY, "4.4.1", a->seek.why);
	next_hop(a);
}

static void
next_hop(struct attempt *a)
{
	enum hops_none none;
	int hop = hops_pick(a->hops, a->tried, a->limit, arc4random(), &none);

	if (hop != -1) {
		try(a, (size_t)hop);
		return;
	}
	struct route *r = a->route;
	char status[sizeof(a->status)], why[sizeof(a->why)];
	strlcpy(status, a->status, sizeof(status));
	strlcpy(why, a->why, sizeof(why));
	char *mail = a->seek.mail;
	a->seek.mail = NULL;
	free_attempt(a);
	if (none == HOPS_FULL)
		route_on_busy(r);
	else
		route_on_exhausted(r, mail, status, why);
	free(mail);
}
