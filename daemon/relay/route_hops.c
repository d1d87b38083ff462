/*
 * Where a route leads (ROUTE_FIND), kept for a minute; and what its mail is answered while it leads
 * nowhere.  Called by route.c.
 */
#include "clock.h"
#include "dane.h"
#include "ipc.h"
#include "log.h"
#include "route.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKOFF_MIN_MS 200
#define BACKOFF_MAX_MS 120000
#define KEEP_MS        60000 /* where it leads is asked again after this time */

static void on_found(const struct msg *, void *arg);

void
route_find_hops(struct route *r)
{
	if (r->finding != NULL)
		return;
	hops_release(r->coming);
	r->coming = hops_new();
	r->finding = ipc_call(relay.lookup, MSG_ROUTE_FIND,
	    &(struct msg_route_find){ .route = r->name }, on_found, r);
}

void
route_on_host(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_route_host *h = m->body;
	struct route *r = route_named(h->route);

	(void)ipc;
	(void)arg;
	if (r == NULL || r->coming == NULL)
		return;
	size_t n = h->addrs.len / sizeof(struct sockaddr_storage);
	struct sockaddr_storage *addrs = xcalloc(n + 1, sizeof(*addrs));
	if (n > 0)
		memcpy(addrs, h->addrs.data, n * sizeof(*addrs));
	hops_add(r->coming, h->url, h->preference, h->secure != 0,
	    dane_new(h->base, h->names, h->tlsa), addrs, n, r->limit.family);
	free(addrs);
}

/* Idle connections to servers that are known by other TLSA records now. */
static void
drop_outdated(struct route *r)
{
	for (size_t i = r->n_idle; i > 0; i--) {
		struct client *c = r->idle[i - 1];
		if (!client_is_outdated(c, r->hops))
			continue;
		route_on_idle_end(r, c);
		client_quit(c);
	}
}

static void
on_found(const struct msg *m, void *arg)
{
	struct route *r = arg;
	const struct msg_route_found *f = m == NULL ? NULL : m->body;

	r->finding = NULL;
	if (f == NULL || m->type != MSG_ROUTE_FOUND) {
		route_set_aside(r, OUTCOME_LATER, "4.3.0", "lookup is gone", 0);
		return;
	}
	hops_release(r->hops);
	r->hops = r->coming;
	r->coming = NULL;
	r->found_ms = clock_mono_ms();
	drop_outdated(r);
	if (f->error[0] != '\0')
		route_set_aside(
		    r, f->permanent ? OUTCOME_FAILED : OUTCOME_LATER, f->status, f->error, 0);
	else if (r->hops->n == 0)
		route_set_aside(r, OUTCOME_LATER, "4.4.4",
		    "no host of the route has an address of the family that \"limit relay\" allows",
		    0);
	else
		route_work(r);
}

bool
route_is_found(const struct route *r)
{
	return r->hops != NULL && r->hops->n > 0 && clock_mono_ms() - r->found_ms < KEEP_MS;
}

/* --- While it leads nowhere */

void
route_set_aside(
    struct route *r, enum outcome outcome, const char *status, const char *why, int64_t until_ms)
{
	int64_t now = clock_mono_ms();

	r->backoff_ms = r->backoff_ms == 0                   ? BACKOFF_MIN_MS
			: r->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS
							     : r->backoff_ms * 2;
	r->down_ms = until_ms > now ? until_ms : now + r->backoff_ms;
	r->hold_ms = r->down_ms;
	r->outcome = outcome;
	snprintf(r->status, sizeof(r->status), "%s", status);
	free(r->reason);
	r->reason = xstrdup(why);
	r->found_ms = -KEEP_MS; /* the next try asks anew where it leads */
	log_info("route=%s set-aside for=%lldms reason=%s", log_quote(r->name),
	    (long long)(r->down_ms - now), log_quote(why));
	route_work_soon(r);
}

void
route_retry(const char *name)
{
	struct route *r = route_named(name);

	if (r == NULL)
		return;
	r->down_ms = r->hold_ms = 0;
	for (size_t i = 0; r->hops != NULL && i < r->hops->n; i++)
		host_retry(r->hops->v[i].host);
	route_work_soon(r);
}

void
route_set_aside_by_hosts(struct route *r)
{
	const struct host *first = NULL;

	for (size_t i = 0; i < r->hops->n; i++) {
		const struct host *h = r->hops->v[i].host;
		if (host_is_down(h) && (first == NULL || h->down_ms < first->down_ms))
			first = h;
	}
	char *why = xasprintf("%s was set aside: %s", first == NULL ? r->name : first->name,
	    first == NULL || first->reason == NULL ? "no host is left" : first->reason);
	route_set_aside(r, OUTCOME_LATER, "4.4.1", why, first == NULL ? 0 : first->down_ms);
	free(why);
}

void
route_answer_waiting(struct route *r)
{
	const char *host = r->hops != NULL && r->hops->n > 0 ? r->hops->v[0].host->name : "";
	int64_t left = r->down_ms - clock_mono_ms();
	struct parcel *p;

	while ((p = STAILQ_FIRST(&r->parcels)) != NULL) {
		STAILQ_REMOVE_HEAD(&r->parcels, entry);
		r->n_parcels--;
		p->down_ms = left > 0 && r->outcome == OUTCOME_LATER ? left : 0;
		parcel_answer_rest(p, r->outcome, r->status, r->reason, host);
		parcel_free(p);
	}
}

void
route_answer_like(struct route *r, const char *mail, const char *status, const char *why)
{
	struct parcel *p, *next;

	STAILQ_FOREACH_SAFE(p, &r->parcels, entry, next)
	{
		char *its = parcel_mail(p);
		if (strcmp(its, mail) == 0) {
			STAILQ_REMOVE(&r->parcels, p, parcel, entry);
			r->n_parcels--;
			parcel_answer_rest(p, OUTCOME_LATER, status, why, "");
			parcel_free(p);
		}
		free(its);
	}
}
