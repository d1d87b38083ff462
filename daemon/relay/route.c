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
#include "route.h"
#include "text.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUTES_MAX 10000
#define BUSY_MS    200 /* an attempt came to nothing while other connections work */
#define FULL_MS    100 /* when its hosts have no room for a connection: look again */
#define TRIES_MAX  2   /* connections a job may lose before they answered anything */

static int compare(struct route *, struct route *);
static struct route *find(const char *name);
static void pull(struct route *);
static void on_job(const struct msg *, void *arg);
static bool open_one(struct route *);
static void add_idle(struct route *, struct client *);
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

void
route_waits(const char *name, unsigned waiting)
{
	struct route *r = find(name);

	r->waiting = waiting == 0 ? 1 : waiting;
	r->dry = false;
	route_work(r);
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

static struct route *
find(const char *name)
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

/* No further connections for a moment. */
static void
hold(struct route *r, int64_t ms)
{
	r->hold_ms = clock_mono_ms() + ms;
	put_timer(r, r->hold_ms);
}

/* An idle connection gets a job. */
static void
hand_out(struct route *r, struct parcel *p, size_t idle)
{
	struct client *c = r->idle[idle];

	memmove(
	    r->idle + idle, r->idle + idle + 1, (r->n_idle - idle - 1) * sizeof(struct client *));
	r->n_idle--;
	STAILQ_REMOVE(&r->parcels, p, parcel, entry);
	r->n_parcels--;
	r->n_busy++;
	client_take(c, p);
}

/*
 * A job and an idle connection for it: the newest, or, where our address is chosen for each mail, one
 * from an address that was chosen for its like.
 */
static bool
find_pair(const struct route *r, struct parcel **p, size_t *idle)
{
	STAILQ_FOREACH(*p, &r->parcels, entry)
		for (size_t i = r->n_idle; i > 0; i--)
			if (!r->by_mail || client_fits(r->idle[i - 1], *p)) {
				*idle = i - 1;
				return true;
			}
	return false;
}

/* An idle connection that is of no use to what waits takes the place of one that would be. */
static void
drop_unfit(struct route *r)
{
	if (!r->by_mail || r->n_parcels == 0 || r->n_idle == 0 ||
	    n_clients(r) < r->limit.connections)
		return;
	struct client *c = r->idle[0];
	route_on_idle_end(r, c);
	client_quit(c);
}

void
route_work(struct route *r)
{
	int64_t now = clock_mono_ms(), wait;
	struct parcel *p;
	size_t idle;

	if (r->stopped)
		return;
	while ((wait = pace_wait(&r->pace, now)) == 0 && find_pair(r, &p, &idle)) {
		pace_take(&r->pace, now);
		hand_out(r, p, idle);
	}
	if (wait == 0)
		drop_unfit(r);
	if (now < r->down_ms && n_clients(r) == 0) {
		route_answer_waiting(r);
		if (!r->dry && r->n_pulls == 0)
			pull(r);
		return;
	}
	while (!r->dry && r->n_idle > r->n_pulls + r->n_parcels)
		pull(r);
	if (r->by_mail && !r->dry && r->n_pulls == 0 && r->n_parcels < r->limit.connections)
		pull(r);
	if (wait > 0 || now < r->hold_ms) {
		put_timer(r, now + wait > r->hold_ms ? now + wait : r->hold_ms);
		return;
	}
	size_t needed = r->n_parcels + (r->dry || r->by_mail ? 0 : r->waiting);
	if (r->by_mail)
		needed += r->n_idle; /* what is idle fits none of them */
	while (n_clients(r) < r->limit.connections && r->n_idle + r->n_connecting < needed)
		if (!open_one(r))
			break;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	route_work(arg);
}

/* Nothing is called back inside a call: the clients' callbacks look at the route afterwards. */
void
route_work_soon(struct route *r)
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
	route_work(r);
}

void
route_give_back(struct route *r, struct parcel *p)
{
	if (++p->tries >= TRIES_MAX) {
		parcel_answer_rest(p, OUTCOME_LATER, "4.4.2",
		    "the connection was lost before anything was answered", "");
		parcel_free(p);
		return;
	}
	p->source[0] = p->tls[0] = '\0';
	route_take_back(r, p);
}

void
route_take_back(struct route *r, struct parcel *p)
{
	STAILQ_INSERT_HEAD(&r->parcels, p, entry);
	r->n_parcels++;
	route_work_soon(r);
}

/* --- Connections */

/* What the next connection is for: the first job that none is being made for.  NULL: any. */
static const struct parcel *
next_parcel(const struct route *r)
{
	const struct parcel *p = r->by_mail ? STAILQ_FIRST(&r->parcels) : NULL;

	for (size_t i = 0; i < r->n_connecting && p != NULL; i++)
		p = STAILQ_NEXT(p, entry);
	return p;
}

/* Starts one attempt; false when that has to wait, or has failed already. */
static bool
open_one(struct route *r)
{
	struct client *c;
	enum hops_none why;

	if (!route_is_found(r)) {
		route_find_hops(r);
		return false;
	}
	if (!r->by_mail && (c = client_adopt(r, r->hops)) != NULL) {
		add_idle(r, c);
		return true;
	}
	if (!client_has_descriptor()) {
		hold(r, FULL_MS);
		return false;
	}
	if (attempt_start(r, r->hops, r->limit.connections, next_parcel(r), &why)) {
		r->n_connecting++;
		return true;
	}
	if (why != HOPS_FULL) {
		route_set_aside_by_hosts(r);
		return false;
	}
	hold(r, FULL_MS);
	return false;
}

void
route_on_busy(struct route *r)
{
	r->n_connecting--;
	hold(r, FULL_MS);
}

void
route_on_exhausted(struct route *r, const char *mail, const char *status, const char *why)
{
	r->n_connecting--;
	if (r->by_mail && mail != NULL) {
		route_answer_like(r, mail, status, why);
		route_work_soon(r);
		return;
	}
	if (n_clients(r) == 0) {
		route_set_aside(r, OUTCOME_LATER, status, why, 0);
		return;
	}
	hold(r, BUSY_MS);
}

void
route_wants_mail(struct route *r)
{
	r->n_connecting--;
	r->by_mail = true;
	route_work_soon(r);
}

static void
add_idle(struct route *r, struct client *c)
{
	r->idle[r->n_idle++] = c;
	r->down_ms = r->hold_ms = r->backoff_ms = 0;
	route_work_soon(r);
}

void
route_on_ready(struct route *r, struct client *c)
{
	r->n_connecting--;
	add_idle(r, c);
}

void
route_on_done(struct route *r, struct client *c)
{
	r->n_busy--;
	add_idle(r, c);
}

bool
route_is_done(const struct route *r)
{
	return r->n_parcels == 0 && r->n_pulls == 0 && (r->dry || r->waiting == 0);
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
	route_work_soon(r);
}

void
route_on_unused_end(struct route *r, struct client *c, const char *status, const char *why)
{
	route_on_idle_end(r, c);
	if (r->n_idle + r->n_busy == 0)
		route_set_aside(r, OUTCOME_LATER, status, why, 0);
}

void
route_on_busy_end(struct route *r)
{
	r->n_busy--;
	route_work_soon(r);
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
