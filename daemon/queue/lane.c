/*
 * Lanes: what is ready and waits for one user's worker, or for one route of relay.
 *
 * A lane that does not move must not take the memory that others need: it may hold half of what is left,
 * and what is beyond that stays in the spool.  The lane has a cursor of its own along the schedule there,
 * and goes on from it when it has room: so each row is passed by once, not at every try.  When memory is
 * half full, lanes from which no result has come for a while keep a few and put the others aside: a
 * thousand servers that do not answer leave room for those that do.
 */
#include "local.h"
#include "clock.h"
#include "conf.h"
#include "text.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 1024
#define LEAST   64
#define SCAN    2000 /* rows of the schedule in one turn */
#define PART    64   /* envelopes that are loaded in one turn */

#define LEAST_IN_FLIGHT \
	8 /* of a lane, where many have some: a worker runs so many commands at once */

#define STUCK_MS   3000 /* without a result */
#define STUCK_KEEP 8    /* at most, of a lane that is stuck */

struct pass;

struct lanes lanes = TAILQ_HEAD_INITIALIZER(lanes);
static struct lane *buckets[BUCKETS];
static struct event *catch_up, *turn, *shed;
static size_t n_lanes;
static struct lanes_hungry hungry = TAILQ_HEAD_INITIALIZER(hungry);
static size_t n_in_flight;

static void catch_up_soon(void);
static void catch_up_after(struct timeval);
static void on_catch_up(evutil_socket_t, short, void *);
static bool on_skipped(const struct spool_envelope *, void *);
static void end_pass(const struct pass *, bool more);
static void on_turn(evutil_socket_t, short, void *);
static void on_shed(evutil_socket_t, short, void *);

static size_t
bucket(const struct spool_envelope *d)
{
	uint64_t h = *d->route == '\0' ? (uint64_t)d->uid << 32 | d->gid : 0;

	for (const char *p = d->route; *p != '\0'; p++)
		h = (h ^ (unsigned char)*p) * 0x100000001b3u;
	return (h * 0x9e3779b97f4a7c15u) >> 54;
}

static struct lane *
find(const struct spool_envelope *d)
{
	struct lane *l = buckets[bucket(d)];

	while (l != NULL && (strcmp(l->route, d->route) != 0 ||
				(*d->route == '\0' && (l->uid != d->uid || l->gid != d->gid))))
		l = l->next_in_bucket;
	return l;
}

struct lane *
lane_of_route(const char *route)
{
	return *route == '\0' ? NULL : find(&(struct spool_envelope){ .route = route });
}

static bool
is_scarce(void)
{
	return envelope_room() < ACTIVE_MAX / 2;
}

static bool
is_stuck(const struct lane *l)
{
	return clock_mono_ms() - l->moved_ms > STUCK_MS;
}

static size_t
stuck_keep(void)
{
	size_t fair = ACTIVE_MAX / 4 / (n_lanes + 1);

	return fair < 1 ? 1 : fair > STUCK_KEEP ? STUCK_KEEP : fair;
}

static void
shed_soon(void)
{
	if (shed == NULL)
		shed = evtimer_new(process.base, on_shed, NULL);
	if (!event_pending(shed, EV_TIMEOUT, NULL))
		event_add(shed, &(struct timeval){ 1, 0 });
}

/* Those that have waited longest stay. */
static void
on_shed(evutil_socket_t fd, short what, void *arg)
{
	struct lane *l;

	(void)fd;
	(void)what;
	(void)arg;
	TAILQ_FOREACH(l, &lanes, entry) {
		if (!is_scarce())
			return;
		while (is_stuck(l) && l->n_waiting > stuck_keep()) {
			struct envelope *e = TAILQ_LAST(&l->waiting, envelopes);
			lane_leave(e);
			lane_unload(e);
		}
	}
	if (is_scarce())
		shed_soon();
}

void
lane_enter(struct envelope *e)
{
	struct lane *l = find(&e->d);

	if (pause_holds(&e->d)) {
		lane_unload(e);
		return;
	}
	if (l != NULL && lanedown_is(l)) {
		lanedown_answer(l, e);
		return;
	}
	if (l == NULL) {
		size_t b = bucket(&e->d);
		l = xcalloc(1, sizeof(*l));
		l->route = xstrdup(e->d.route);
		l->uid = e->d.uid;
		l->gid = e->d.gid;
		l->bucket = b;
		l->moved_ms = clock_mono_ms();
		TAILQ_INIT(&l->waiting);
		TAILQ_INSERT_TAIL(&lanes, l, entry);
		n_lanes++;
		l->next_in_bucket = buckets[b];
		buckets[b] = l;
	}
	envelope_change(e, ENVELOPE_READY);
	e->lane = l;
	TAILQ_INSERT_TAIL(&l->waiting, e, waiting);
	l->n_waiting++;
	if (is_scarce())
		shed_soon();
	if (*l->route == '\0')
		jobworker_feed(l);
	else
		jobroute_feed(l);
}

/* It waits for no turn any more. */
static void
be_fed(struct lane *l)
{
	if (l->is_hungry)
		TAILQ_REMOVE(&hungry, l, hungry);
	l->is_hungry = false;
}

/* Taken off the waiting ones: into a job, or because it is over without one. */
void
lane_leave(struct envelope *e)
{
	struct lane *l = e->lane;

	TAILQ_REMOVE(&l->waiting, e, waiting);
	e->lane = NULL;
	if (--l->n_waiting == 0)
		be_fed(l);
}

/* Out of its lane by a person's will; the lane goes on without it. */
void
lane_drop(struct envelope *e)
{
	struct lane *l = e->lane;

	lane_leave(e);
	if (*l->route == '\0')
		jobworker_over(l);
	else
		lane_check(l);
}

/* Memory holds it no more: it is written, due at once, and the schedule meets it. */
void
lane_unload(struct envelope *e)
{
	e->d.next_try = clock_wall_sec();
	envelope_change(e, ENVELOPE_DEFERRED);
	journal_add_envelope(e);
}

/* A pause has begun. */
void
lane_unload_paused(void)
{
	struct lane *l, *next;
	struct envelope *e;

	TAILQ_FOREACH_SAFE(l, &lanes, entry, next) {
		if (l->n_waiting == 0 || !pause_holds(&TAILQ_FIRST(&l->waiting)->d))
			continue;
		l->n_in_job++; /* keeps the lane */
		while ((e = TAILQ_FIRST(&l->waiting)) != NULL) {
			lane_leave(e);
			lane_unload(e);
		}
		l->n_in_job--;
		l->told = 0;
		if (*l->route == '\0')
			jobworker_over(l);
		else
			lane_check(l);
	}
}

/*
 * How many more recipients may be in flight of this lane: deliveries of one user, or of one route, and all.  What is in
 * flight may hang, and others must have room: a route gets half of what the others leave, users less where many have
 * some, for their commands may all hang for one reason.
 */
size_t
lane_room(const struct lane *l)
{
	bool local = *l->route == '\0';
	size_t all = process.conf->limit.all_deliveries;
	size_t own = local ? process.conf->limit.deliveries : process.conf->limit.route_deliveries;

	all = all > n_in_flight && !journal_is_failing() ? all - n_in_flight : 0;
	size_t fair = local ? all / 2 / (jobworker_count() + 1) : (all + l->n_in_job) / 2;
	if (fair < LEAST_IN_FLIGHT)
		fair = LEAST_IN_FLIGHT;
	own = own < fair ? own : fair;
	own = own > l->n_in_job ? own - l->n_in_job : 0;
	return own < all ? own : all;
}

/* There is no room for it: it has its turn when there is some, behind the others that wait so. */
void
lane_hunger(struct lane *l)
{
	if (!l->is_hungry)
		TAILQ_INSERT_TAIL(&hungry, l, hungry);
	l->is_hungry = true;
}

static void
feed(struct lane *l)
{
	be_fed(l);
	l->told = 0;
	if (*l->route == '\0')
		jobworker_feed(l);
	else
		jobroute_feed(l);
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	size_t all = process.conf->limit.all_deliveries;
	size_t turns = all > n_in_flight ? all - n_in_flight : 0;
	struct lane *l, *next;

	(void)fd;
	(void)what;
	(void)arg;
	TAILQ_FOREACH_SAFE(l, &hungry, hungry, next) {
		if (turns == 0)
			break;
		if (lane_room(l) == 0)
			continue;
		feed(l);
		turns--;
	}
}

void
lane_job(struct lane *l)
{
	l->n_in_job++;
	n_in_flight++;
}

static bool
is_full(const struct lane *l)
{
	size_t n = l->n_waiting + l->n_in_job; /* NOLINT(clang-analyzer-core.NullDereference) */

	if (lanedown_is(l))
		return false; /* nothing stays in it */
	if (is_scarce() && is_stuck(l))
		return n >= stuck_keep();
	return n >= LEAST && n >= envelope_room() / 2;
}

bool
lane_full(const struct spool_envelope *d)
{
	const struct lane *l = find(d);

	return l != NULL && is_full(l);
}

bool
lane_skips(const struct spool_envelope *d)
{
	struct lane *l = d->state == SPOOL_READY ? find(d) : NULL;
	uint64_t key = spool_key(d->message, d->n);
	bool paused = pause_holds(d);

	if (!paused && (l == NULL || lanedown_is(l) || (!l->skipped && !is_full(l))))
		return false;
	struct envelope *e = envelope_find(d->message, d->n);
	if (e != NULL) {
		e->asleep = false; /* it is met again when it is written */
		return true;
	}
	if (paused)
		return true; /* the end of the pause comes back for it */
	if (!l->skipped || d->next_try < l->behind.next_try ||
	    (d->next_try == l->behind.next_try && key <= l->behind.key))
		l->behind = (struct spool_cursor){ d->next_try, key - 1 };
	l->skipped = true;
	if (!is_full(l))
		catch_up_soon();
	return true;
}

static void
catch_up_soon(void)
{
	catch_up_after((struct timeval){ 0, 0 });
}

static void
catch_up_after(struct timeval tv)
{
	if (catch_up == NULL)
		catch_up = evtimer_new(process.base, on_catch_up, NULL);
	if (!event_pending(catch_up, EV_TIMEOUT, NULL))
		event_add(catch_up, &tv);
}

static bool
is_before(const struct spool_cursor *a, const struct spool_cursor *b)
{
	return a->next_try < b->next_try || (a->next_try == b->next_try && a->key < b->key);
}

/*
 * A part of the schedule for all lanes that have room again, from where the hindmost of them left off:
 * each for itself, hundreds of dead routes would read all of it hundreds of times.
 */
struct pass {
	struct spool_cursor at; /* the row that was read last */
	size_t n_loaded;
	bool stopped; /* before the next row */
};

static void
on_catch_up(evutil_socket_t fd, short what, void *arg)
{
	int64_t now = clock_wall_sec(), began_us = clock_mono_us();
	struct pass pass = { .at = { INT64_MAX, UINT64_MAX } };
	bool again = false; /* there is no room now, and nobody else would come back to it */
	struct lane *l, *next;
	size_t n = 0;

	(void)fd;
	(void)what;
	(void)arg;
	TAILQ_FOREACH_SAFE(l, &lanes, entry, next) {
		l->is_catching = l->skipped && !is_full(l) && envelope_room() > 0;
		if (l->is_catching) {
			n++;
			if (is_before(&l->behind, &pass.at))
				pass.at = l->behind;
		} else if (l->skipped && !is_full(l)) {
			again = true;
		} else {
			lane_check(l); /* what was loaded for another may have emptied it */
		}
	}
	if (n > 0) {
		bool more =
		    spool_each_due(pass.at, now, SCAN, on_skipped, &pass) == SCAN || pass.stopped;
		again = again || !spool_readable();
		end_pass(&pass, more || !spool_readable());
		if (more)
			catch_up_after(yield_pause(began_us));
	}
	if (again && !event_pending(catch_up, EV_TIMEOUT, NULL))
		event_add(catch_up, &(struct timeval){ 1, 0 });
}

/* A lane is not freed while it is `skipped`. */
static bool
on_skipped(const struct spool_envelope *d, void *arg)
{
	struct pass *pass = arg;
	struct lane *l = d->state == SPOOL_READY ? find(d) : NULL;
	struct spool_cursor here = { d->next_try, spool_key(d->message, d->n) };

	if (l != NULL && l->is_catching && is_before(&l->behind, &here)) {
		if (pass->n_loaded == PART || envelope_room() == 0) {
			pass->stopped = true;
			return false;
		}
		if (is_full(l)) { /* it comes back to this row */
			l->is_catching = false;
			if (is_before(&l->behind, &pass->at))
				l->behind = pass->at;
		} else {
			pass->n_loaded++;
			l->behind = here;
			if (!pause_holds(d))
				schedule_load(d);
		}
	}
	pass->at = here;
	return true;
}

static void
end_pass(const struct pass *pass, bool more)
{
	struct lane *l, *next;

	TAILQ_FOREACH_SAFE(l, &lanes, entry, next) {
		if (!l->is_catching)
			continue;
		l->is_catching = false;
		if (is_before(&l->behind, &pass->at))
			l->behind = pass->at;
		l->skipped = more;
		if (!more)
			lane_check(l);
	}
}

/* There may be room for those who wait for their turn. */
void
lane_go_on(void)
{
	if (TAILQ_EMPTY(&hungry))
		return;
	if (turn == NULL)
		turn = evtimer_new(process.base, on_turn, NULL);
	event_add(turn, &(struct timeval){ 0, 0 });
}

/* It is refilled before it runs empty. */
void
lane_over(struct lane *l)
{
	l->n_in_job--;
	l->moved_ms = clock_mono_ms();
	n_in_flight--;
	lane_go_on();
	if (l->skipped && (l->n_waiting < LEAST / 2 || l->n_waiting < envelope_room() / 4))
		catch_up_soon();
}

void
lane_check(struct lane *l)
{
	struct lane **p = &buckets[l->bucket];

	if (l->n_waiting > 0 || l->n_in_job > 0 || l->worker != NULL || l->down != NULL)
		return;
	if (l->skipped) {
		catch_up_soon();
		return;
	}
	while (*p != l)
		p = &(*p)->next_in_bucket;
	*p = l->next_in_bucket;
	TAILQ_REMOVE(&lanes, l, entry);
	n_lanes--;
	free(l->route);
	free(l);
}
