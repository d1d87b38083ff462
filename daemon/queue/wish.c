/*
 * What a person wants of one envelope: tried now, held, released, removed, routed again.
 *
 * Each is told whether it changed anything.  What lookup, a worker or relay has in hand is held or routed again
 * when it comes back undelivered; it is removed at once, but what a server has been given may still arrive.
 */
#include "local.h"
#include "clock.h"

#include <stdlib.h>

static void
put(struct envelope *e)
{
	e->asleep = false;
	envelope_change(e, ENVELOPE_DEFERRED);
	journal_add_envelope(e);
}

static bool
is_over(const struct envelope *e)
{
	return e->state == ENVELOPE_FRESH || e->state == ENVELOPE_FAILED ||
	       e->state == ENVELOPE_DONE;
}

static bool
is_away(const struct envelope *e)
{
	return e->state == ENVELOPE_EXPANDING || e->state == ENVELOPE_IN_JOB;
}

/* Into no lane and nobody's hands. */
static void
take_back(struct envelope *e)
{
	if (e->state == ENVELOPE_READY)
		lane_drop(e);
}

bool
wish_schedule(struct envelope *e)
{
	int64_t now = clock_wall_sec();

	if (e->d.held != 0 || e->state != ENVELOPE_DEFERRED || e->d.next_try <= now)
		return false;
	e->d.next_try = now;
	lanedown_retry(e->d.route);
	put(e);
	return true;
}

static void
hold(struct envelope *e)
{
	e->d.held = clock_wall_sec();
	put(e);
}

bool
wish_hold(struct envelope *e)
{
	if (is_over(e) || e->d.held != 0 || e->wish == WISH_HOLD)
		return false;
	if (is_away(e)) {
		e->wish = WISH_HOLD;
		return true;
	}
	take_back(e);
	hold(e);
	return true;
}

/* Its time goes on where it stood. */
bool
wish_release(struct envelope *e)
{
	int64_t now = clock_wall_sec();

	if (e->wish == WISH_HOLD) {
		e->wish = WISH_NONE;
		return true;
	}
	if (e->d.held == 0 || is_over(e))
		return false;
	if (e->d.expire != 0 && now > e->d.held)
		e->d.expire += now - e->d.held;
	e->d.held = 0;
	e->d.next_try = now;
	lanedown_retry(e->d.route);
	warning_set(e);
	put(e);
	return true;
}

bool
wish_remove(struct envelope *e)
{
	if (is_over(e))
		return false;
	take_back(e);
	if (e->state == ENVELOPE_IN_JOB)
		job_forget(e);
	if (e->state == ENVELOPE_EXPANDING)
		recipient_forget(e);
	outcome_removed(e);
	return true;
}

/* Where one of several that a recipient led to stays the destination, all else is asked for again. */
static void
reroute(struct envelope *e)
{
	if (e->d.state == SPOOL_READY)
		message_see_again(e->m, e);
	e->d.state = SPOOL_NEW;
	if (!e->d.part)
		spool_text_set(&e->d.dest, NULL);
	spool_text_set(&e->d.action, NULL);
	spool_text_set(&e->d.route, NULL);
	spool_text_set(&e->d.user, NULL);
	spool_text_set(&e->d.home, NULL);
	e->d.uid = e->d.gid = 0;
	e->d.next_try = clock_wall_sec();
	put(e);
}

bool
wish_reroute(struct envelope *e)
{
	if (is_over(e) || e->state == ENVELOPE_EXPANDING)
		return false;
	if (e->state == ENVELOPE_IN_JOB) {
		e->wish = WISH_REROUTE;
		return true;
	}
	take_back(e);
	reroute(e);
	return true;
}

/* It is back, and is to be tried later. */
void
wish_come_true(struct envelope *e)
{
	enum wish wish = e->wish;

	e->wish = WISH_NONE;
	if (wish == WISH_HOLD)
		hold(e);
	else if (wish == WISH_REROUTE)
		reroute(e);
}
