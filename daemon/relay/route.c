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

#define BUSY_MS   200 /* an attempt came to nothing while other connections work */
#define FULL_MS   100 /* when its hosts have no room for a connection: look again */
#define TRIES_MAX 2   /* connections a job may lose before they answered anything */

static void pull(struct route *);
static void on_job(const struct msg *, void *arg);
static bool open_one(struct route *);
static void add_idle(struct route *, struct client *);

void
route_waits(const char *name, unsigned waiting)
{
	struct route *r = route_find(name);

	r->waiting = waiting == 0 ? 1 : waiting;
	r->dry = false;
	route_work(r);
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

void
route_on_timer(evutil_socket_t fd, short what, void *arg)
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

/*
 * No connection works.  While others are on their way the first to fail sets the route aside: nothing new
 * is begun, and the last one decides.  Else attempts that overlap would fail by turns for ever, and nobody be
 * told.
 */
static void
no_way(struct route *r, const char *status, const char *why)
{
	if (clock_mono_ms() >= r->down_ms)
		route_set_aside(r, OUTCOME_LATER, status, why, 0);
	else
		route_work_soon(r);
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
	if (r->n_idle + r->n_busy > 0)
		hold(r, BUSY_MS);
	else
		no_way(r, status, why);
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
	if (!client_is_outdated(c, r->hops)) {
		add_idle(r, c);
		return;
	}
	client_quit(c);
	route_work_soon(r);
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
		no_way(r, status, why);
}

void
route_on_busy_end(struct route *r)
{
	r->n_busy--;
	route_work_soon(r);
}
