/*
 * A route: a destination as its canonical URL, under which queue groups what waits.  It decides how
 * many connections there are, pulls a job for each idle one, and keeps the destination's health.
 *
 * All decisions are in work(), which is called after every event and looks at the whole state:
 *
 *	parcels   jobs in hand without a connection
 *	waiting   what queue said waits, less what was pulled since; a hint
 *	dry       queue had nothing at the last pull; ROUTE_WAITS ends that
 *	down_ms   until then the route is set aside: every attempt to reach it failed, and what
 *	          waits is pulled and answered LATER, so that queue's schedule takes over
 *
 * Invariant: while a pull is outstanding the route lives, and a job that comes finds a home.
 */
#include "clock.h"
#include "ipc.h"
#include "local.h"
#include "log.h"
#include "text.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUTES_MAX     10000
#define BACKOFF_MIN_MS 200
#define BACKOFF_MAX_MS 120000
#define TRIES_MAX      2 /* connections a job may lose before they answered anything */

struct route {
	RB_ENTRY(route) entry;
	char *name;
	struct target target;
	STAILQ_HEAD(, parcel) parcels;
	struct client **idle; /* the most recent last: the others may time out */
	size_t n_idle, n_busy, n_connecting, n_parcels, n_pulls;
	unsigned waiting, row; /* row: jobs pulled since queue was last dry */
	bool dry, stopped;
	int64_t down_ms, hold_ms; /* monotonic; hold: no further connections until then */
	int64_t backoff_ms;
	char *reason; /* of down_ms */
	struct event timer, again;
};

static int compare(struct route *, struct route *);
static struct route *find(const char *name);
static void work(struct route *);
static void set_aside(struct route *, const char *why);
static void pull(struct route *);
static void on_job(const struct msg *, void *arg);
static bool open_one(struct route *);
static void on_unix(const struct msg *, void *arg);
static void on_timer(evutil_socket_t, short, void *);

static RB_HEAD(route_tree, route) routes = RB_INITIALIZER(&routes);
static size_t n_routes;
RB_PROTOTYPE(route_tree, route, entry, compare)
RB_GENERATE(route_tree, route, entry, compare)

static int
compare(struct route *a, struct route *b)
{
	return strcmp(a->name, b->name);
}

struct target *
route_target(struct route *r)
{
	return &r->target;
}

void
route_waits(const char *name, unsigned waiting)
{
	struct route *r = find(name);

	r->waiting = waiting == 0 ? 1 : waiting;
	r->dry = false;
	work(r);
}

static bool
is_unused(const struct route *r)
{
	return r->n_idle + r->n_busy + r->n_connecting + r->n_parcels + r->n_pulls == 0 &&
	       r->target.call == NULL && clock_mono_ms() >= r->down_ms;
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
		free(r->reason);
		free(r->idle);
		free(r->name);
		free(r);
		n_routes--;
	}
}

static struct route *
find(const char *name)
{
	struct route key = { .name = (char *)(uintptr_t)name };
	struct route *r = RB_FIND(route_tree, &routes, &key);

	if (r != NULL)
		return r;
	if (n_routes >= ROUTES_MAX)
		forget_unused();
	r = xcalloc(1, sizeof(*r));
	r->name = xstrdup(name);
	r->idle = xcalloc(process.conf->limit.relay_connections + 1, sizeof(struct client *));
	STAILQ_INIT(&r->parcels);
	event_assign(&r->timer, process.base, -1, 0, on_timer, r);
	event_assign(&r->again, process.base, -1, 0, on_timer, r);
	RB_INSERT(route_tree, &routes, r);
	n_routes++;
	return r;
}

static size_t
n_clients(const struct route *r)
{
	return r->n_idle + r->n_busy + r->n_connecting;
}

static void
put_timer(struct route *r, int64_t at_ms)
{
	int64_t ms = at_ms - clock_mono_ms();

	if (ms < 1)
		ms = 1;
	struct timeval tv = { ms / 1000, (ms % 1000) * 1000 };
	event_add(&r->timer, &tv);
}

static void
answer_waiting(struct route *r)
{
	struct parcel *p;

	while ((p = STAILQ_FIRST(&r->parcels)) != NULL) {
		STAILQ_REMOVE_HEAD(&r->parcels, entry);
		r->n_parcels--;
		parcel_answer_rest(p, OUTCOME_LATER, "4.4.1", r->reason, r->target.url.host);
		parcel_free(p);
	}
}

static void
work(struct route *r)
{
	struct parcel *p;
	int64_t now = clock_mono_ms();

	if (r->stopped)
		return;
	while (r->n_idle > 0 && (p = STAILQ_FIRST(&r->parcels)) != NULL) {
		STAILQ_REMOVE_HEAD(&r->parcels, entry);
		r->n_parcels--;
		r->n_busy++;
		client_take(r->idle[--r->n_idle], p);
	}
	if (now < r->down_ms && n_clients(r) == 0) {
		answer_waiting(r);
		if (!r->dry && r->n_pulls == 0)
			pull(r);
		return;
	}
	while (!r->dry && r->n_idle > r->n_pulls)
		pull(r);
	if (now < r->hold_ms) {
		put_timer(r, r->hold_ms);
		return;
	}
	size_t needed = r->n_parcels + (r->dry ? 0 : r->waiting);
	while (n_clients(r) < process.conf->limit.relay_connections &&
	       r->n_idle + r->n_connecting < needed)
		if (!open_one(r))
			break;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	work(arg);
}

/* Nothing is called back inside a call: the clients' callbacks look at the route afterwards. */
static void
work_soon(struct route *r)
{
	event_active(&r->again, EV_TIMEOUT, 0);
}

/* --- Jobs */

static void
pull(struct route *r)
{
	r->n_pulls++;
	ipc_call(relay.queue, MSG_JOB_PULL,
	    &(struct msg_job_pull){ .route = r->name, .max_rcpts = RCPTS_MAX }, on_job, r);
}

static void
on_job(const struct msg *m, void *arg)
{
	struct route *r = arg;

	r->n_pulls--;
	if (m == NULL || m->type != MSG_JOB || r->stopped)
		return;
	const struct msg_job *j = m->body;
	if (j->job == 0) {
		r->dry = true;
		r->waiting = r->row = 0;
		return;
	}
	struct parcel *p = parcel_new(j);
	if (p == NULL)
		log_bug("bug: queue sent a job that cannot be read");
	STAILQ_INSERT_TAIL(&r->parcels, p, entry);
	r->n_parcels++;
	if (r->waiting > 0)
		r->waiting--;
	/* What comes in a row is a backlog: another connection, though queue did not count it. */
	if (++r->row > 1 && r->waiting == 0)
		r->waiting = 1;
	work(r);
}

void
route_give_back(struct route *r, struct parcel *p)
{
	if (++p->tries >= TRIES_MAX) {
		parcel_answer_rest(p, OUTCOME_LATER, "4.4.2",
		    "the connection was lost before anything was answered", r->target.url.host);
		parcel_free(p);
		return;
	}
	p->source[0] = '\0';
	STAILQ_INSERT_HEAD(&r->parcels, p, entry);
	r->n_parcels++;
	work_soon(r);
}

/* --- Connections */

/* Starts one attempt; false when that has to wait, or has failed already. */
static bool
open_one(struct route *r)
{
	if (r->target.url.host[0] == '\0' && r->target.url.path[0] == '\0') {
		const char *wrong = target_init(&r->target, r->name);
		if (wrong != NULL) {
			set_aside(r, wrong);
			return false;
		}
	}
	if (!target_is_known(&r->target)) {
		target_resolve(&r->target, r);
		return false;
	}
	r->n_connecting++;
	if (r->target.url.path[0] != '\0')
		ipc_call(relay.lookup, MSG_CONNECT_UNIX,
		    &(struct msg_connect_unix){ .path = r->target.url.path }, on_unix, r);
	else
		client_connect(r, r->target.good, 1);
	return true;
}

void
route_on_resolved(struct route *r, const char *error)
{
	if (error != NULL && n_clients(r) == 0)
		set_aside(r, error);
	else
		work(r);
}

static void
on_unix(const struct msg *m, void *arg)
{
	struct route *r = arg;

	if (m == NULL || m->type != MSG_CONNECTED_UNIX) {
		route_on_failed(r, 0, 1, "lookup is gone");
		return;
	}
	const struct msg_connected_unix *c = m->body;
	if (c->error[0] == '\0' && m->fd != -1) {
		client_new(r, m->fd);
		return;
	}
	char why[300];
	snprintf(why, sizeof(why), "cannot connect: %s", c->error);
	route_on_failed(r, 0, 1, why);
}

void
route_on_failed(struct route *r, size_t addr, size_t tried, const char *why)
{
	char to[TARGET_TEXT_LEN];

	log_debug("route=%s failed to=%s reason=%s", log_quote(r->name),
	    target_text(&r->target, addr, to, sizeof(to)), log_quote(why));
	if (tried < r->target.n_addrs && !r->stopped) {
		client_connect(r, (addr + 1) % r->target.n_addrs, tried + 1);
		return;
	}
	r->n_connecting--;
	r->hold_ms = clock_mono_ms() + (r->backoff_ms == 0 ? BACKOFF_MIN_MS : r->backoff_ms);
	if (n_clients(r) == 0) {
		char reason[TARGET_TEXT_LEN + 400];
		snprintf(reason, sizeof(reason), "%s: %s", to, why);
		set_aside(r, reason);
	} else {
		work_soon(r);
	}
}

static void
set_aside(struct route *r, const char *why)
{
	r->backoff_ms = r->backoff_ms == 0                   ? BACKOFF_MIN_MS
			: r->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS
							     : r->backoff_ms * 2;
	r->down_ms = r->hold_ms = clock_mono_ms() + r->backoff_ms;
	free(r->reason);
	r->reason = xstrdup(why);
	log_info("route=%s set-aside for=%lldms reason=%s", log_quote(r->name),
	    (long long)r->backoff_ms, log_quote(why));
	work_soon(r);
}

static void
add_idle(struct route *r, struct client *c)
{
	r->idle[r->n_idle++] = c;
	r->down_ms = r->hold_ms = r->backoff_ms = 0;
	work_soon(r);
}

void
route_on_ready(struct route *r, struct client *c, size_t addr)
{
	r->n_connecting--;
	r->target.good = addr;
	add_idle(r, c);
}

void
route_on_done(struct route *r, struct client *c)
{
	r->n_busy--;
	add_idle(r, c);
}

void
route_on_idle_end(struct route *r, struct client *c)
{
	for (size_t i = 0; i < r->n_idle; i++) {
		if (r->idle[i] != c)
			continue;
		memmove(
		    r->idle + i, r->idle + i + 1, (r->n_idle - i - 1) * sizeof(struct client *));
		r->n_idle--;
		break;
	}
	work_soon(r);
}

void
route_on_busy_end(struct route *r)
{
	r->n_busy--;
	work_soon(r);
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
