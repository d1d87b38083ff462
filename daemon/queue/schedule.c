/*
 * When to try again: the decision (pure), and the reading of what is due.
 *
 * The schedule is an index in the spool.  A cursor moves along it; rows behind the cursor are in memory
 * or done.  A row that is written at or before the cursor moves the cursor back, and what is then met
 * again while in memory is left alone.  What is for a full lane is left to that lane (lane.c), what is
 * paused to the end of the pause, which moves the cursor to the beginning.  So nothing is read at the
 * start but what is due, in batches, as memory has room.
 */
#include "local.h"
#include "clock.h"
#include "conf.h"
#include "log.h"

#include <event2/event.h>

#define BATCH     64
#define FAULT_SEC 5                /* the spool could not be read: when to look again */
#define AHEAD_MS  (30 * 60 * 1000) /* how often it is looked for what waits too long */

static struct event *timer;
static struct spool_cursor cursor;
static bool waits_for_room, pausing;
static int64_t looked_ms; /* for what waits too long */
static int64_t armed_at;  /* 0: whatever is armed next is no earlier */

static void on_timer(evutil_socket_t, short, void *);
static bool on_due(const struct spool_envelope *, void *);
static bool come_back(int64_t now);

/* The configuration's waits one after the other, then the last again and again; a fifth of it at random. */
int64_t
schedule_backoff(uint32_t attempts, uint32_t random)
{
	const struct conf *c = process.conf;
	size_t i = attempts == 0 ? 0 : attempts - 1;
	int64_t sec = c->retry_sec[i < c->n_retry ? i : c->n_retry - 1];

	return sec - sec / 10 + (sec < 5 ? 0 : (int64_t)(random % (uint32_t)(sec / 5)));
}

/* When the next try is, after attempts tries; 0: it has expired. The last try is at the expiry. */
int64_t
schedule_decide(const struct spool_envelope *e, int64_t now, uint32_t random)
{
	if (e->expire != 0 && now >= e->expire)
		return 0;
	int64_t at = now + schedule_backoff(e->attempts, random);
	return e->expire != 0 && at > e->expire ? e->expire : at;
}

void
schedule_start(void)
{
	timer = evtimer_new(process.base, on_timer, NULL);
	event_add(timer, &(struct timeval){ 0, 0 });
}

void
schedule_now(void)
{
	looked_ms = armed_at = 0;
	if (!waits_for_room)
		event_add(timer, &(struct timeval){ 0, 0 });
}

/* An earlier time that is set stays.  Hourly at least: clocks are moved. */
static void
arm(int64_t at, int64_t now)
{
	if (timer == NULL || pausing || (event_pending(timer, EV_TIMEOUT, NULL) && armed_at <= at))
		return;
	armed_at = at > now + 3600 ? now + 3600 : at;
	event_add(timer, &(struct timeval){ armed_at <= now ? 0 : armed_at - now, 0 });
}

/* Rows at and behind this one are to be met again. */
void
schedule_rewind(int64_t next_try, uint64_t key)
{
	if (next_try < cursor.next_try || (next_try == cursor.next_try && key <= cursor.key))
		cursor = (struct spool_cursor){ next_try, key == 0 ? 0 : key - 1 };
	if (!waits_for_room)
		arm(next_try, clock_wall_sec());
}

void
schedule_wake(void)
{
	if (timer != NULL && waits_for_room && envelope_room() > ACTIVE_MAX / 4) {
		waits_for_room = false;
		event_add(timer, &(struct timeval){ 0, 0 });
	}
}

void
schedule_written(const struct spool_envelope *e)
{
	if (e->held == 0)
		schedule_rewind(e->next_try, spool_key(e->message, e->n));
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	int64_t now = clock_wall_sec(), began_us = clock_mono_us();
	size_t room = envelope_room();
	struct timeval pause;

	(void)fd;
	(void)what;
	(void)arg;
	pausing = false;
	if (journal_is_failing()) /* then it calls */
		return;
	if (room == 0) {
		waits_for_room = true;
		return;
	}
	size_t max = room < BATCH ? room : BATCH;
	size_t n = spool_each_due(cursor, now, max, on_due, NULL);
	if (n == max) { /* more; other events first */
		pause = yield_pause(began_us);
		pausing = true;
		event_add(timer, &pause);
		return;
	}
	bool more = come_back(now);
	int64_t next = more ? now : spool_next_due(cursor);
	if (!spool_readable()) { /* a fault of the disk: the next commit rolls back, then once more */
		journal_wrote();
		arm(now + FAULT_SEC, now);
		return;
	}
	arm(next != 0 ? next : now + 3600, now);
}

/*
 * Nothing waits longer than the longest wait: a later time is of another configuration, or of a clock that was set back
 * since then, and may be years away.  Whether there may be more.
 */
static bool
come_back(int64_t now)
{
	const struct conf *c = process.conf;
	int64_t longest = 0;
	size_t n;

	if (looked_ms != 0 && clock_mono_ms() - looked_ms < AHEAD_MS)
		return false;
	for (size_t i = 0; i < c->n_retry; i++)
		if (c->retry_sec[i] > longest)
			longest = c->retry_sec[i];
	longest += longest / 10 + 60;
	bool good = spool_advance(0, INT64_MAX, now + longest, BATCH, &n);
	journal_wrote(); /* a fault is rolled back there */
	if (good && n < BATCH)
		looked_ms = clock_mono_ms();
	if (!good || n == 0)
		return false;
	log_info("queue schedule brought forward recipients=%zu next=\"tried in %llds at most\"", n,
	    (long long)longest);
	schedule_rewind(now + longest, 0);
	return n == BATCH;
}

static bool
on_due(const struct spool_envelope *d, void *arg)
{
	(void)arg;
	cursor = (struct spool_cursor){ d->next_try, spool_key(d->message, d->n) };
	if (!lane_skips(d)) /* else its lane comes back for it */
		schedule_load(d);
	return true;
}

/*
 * A due row comes into memory, unless it is there.  One that has expired is tried once more, for this host may have been
 * down all the time; outcome_later() gives it up.
 */
void
schedule_load(const struct spool_envelope *d)
{
	struct envelope *e = envelope_find(d->message, d->n);

	if (e != NULL) {
		e->asleep = false; /* it is met again when it is written */
		return;
	}
	e = envelope_load(d);
	if (e == NULL && spool_readable())
		damage_orphan(d);
	else if (e == NULL)
		return; /* a fault of the disk: the schedule looks again */
	else if (d->state == SPOOL_NEW)
		recipient_expand(e);
	else if (!action_is_known(d->action))
		outcome_later(e, "4.3.5",
		    "the configuration has no rule with this action any more; \"tabmailctl "
		    "reroute\" "
		    "goes by the rules of now",
		    NULL);
	else
		lane_enter(e);
}
