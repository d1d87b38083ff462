/*
 * The routes there are, by their names: made when queue names one, forgotten when there are many and
 * nothing is known of them.
 */
#include "clock.h"
#include "ipc.h"
#include "local.h"
#include "route.h"
#include "text.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUTES_MAX 10000

static int compare(struct route *, struct route *);

static RB_HEAD(route_tree, route) routes = RB_INITIALIZER(&routes);
static size_t n_routes;
RB_PROTOTYPE(route_tree, route, entry, compare)
RB_GENERATE(route_tree, route, entry, compare)

static int
compare(struct route *a, struct route *b)
{
	return strcmp(a->name, b->name);
}

const char *
route_name(const struct route *r)
{
	return r->name;
}

const struct conf_action *
route_action(const struct route *r)
{
	return r->parsed.action;
}

const struct conf_relay_limit *
route_limit(const struct route *r)
{
	return &r->limit;
}

struct route *
route_named(const char *name)
{
	return RB_FIND(route_tree, &routes, &(struct route){ .name = (char *)(uintptr_t)name });
}

static bool
is_unused(const struct route *r)
{
	return r->n_idle + r->n_busy + r->n_connecting + r->n_parcels + r->n_pulls == 0 &&
	       route_is_done(r) && r->finding == NULL && clock_mono_ms() >= r->down_ms;
}

static void
forget_unused(void)
{
	struct route *r, *next;

	RB_FOREACH_SAFE(r, route_tree, &routes, next) {
		if (!is_unused(r))
			continue;
		RB_REMOVE(route_tree, &routes, r);
		event_del(&r->timer);
		event_del(&r->again);
		hops_release(r->hops);
		hops_release(r->coming);
		conf_route_free(&r->parsed);
		free(r->reason);
		free(r->idle);
		free(r->name);
		free(r);
		n_routes--;
	}
}

/* For "limit relay": the recipients' domain, or the host that mail goes by. */
static const char *
domain_of(const struct conf_route *r, char *buf, size_t len)
{
	const char *urls = r->where;
	struct conf_url u;

	if (r->kind != ROUTE_URLS)
		snprintf(buf, len, "%s", r->where);
	else
		snprintf(buf, len, "%s", conf_url_next(&u, &urls) == NULL ? u.host : "");
	return buf;
}

struct route *
route_find(const char *name)
{
	struct route *r = route_named(name);
	char domain[256];

	if (r != NULL)
		return r;
	if (n_routes >= ROUTES_MAX)
		forget_unused();
	r = xcalloc(1, sizeof(*r));
	r->name = xstrdup(name);
	conf_route_parse(&r->parsed, process.conf, name);
	conf_relay_limit(process.conf, domain_of(&r->parsed, domain, sizeof(domain)), &r->limit);
	r->pace = (struct pace){ .n = r->limit.rate, .per_ms = r->limit.rate_ms };
	r->idle = xcalloc(r->limit.connections + 1, sizeof(struct client *));
	STAILQ_INIT(&r->parcels);
	event_assign(&r->timer, process.base, -1, 0, route_on_timer, r);
	event_assign(&r->again, process.base, -1, 0, route_on_timer, r);
	RB_INSERT(route_tree, &routes, r);
	n_routes++;
	return r;
}

/* Before the process ends: a polite word to the idle ones. */
void
route_stop(void)
{
	struct route *r;

	RB_FOREACH(r, route_tree, &routes) {
		r->stopped = true;
		while (r->n_idle > 0)
			client_quit(r->idle[--r->n_idle]);
	}
	ipc_flush(relay.queue);
}

void
route_each(void (*tell)(const struct route_view *, void *), void *arg)
{
	struct route *r;

	RB_FOREACH(r, route_tree, &routes)
		tell(&(struct route_view){ .name = r->name,
			 .reason =
			     clock_mono_ms() < r->down_ms && r->reason != NULL ? r->reason : "",
			 .n_connecting = r->n_connecting,
			 .n_busy = r->n_busy,
			 .n_idle = r->n_idle,
			 .n_parcels = r->n_parcels,
			 .down_ms = r->down_ms },
		    arg);
}
