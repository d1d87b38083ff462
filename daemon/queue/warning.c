/*
 * When a sender is told that his mail is late (bounce-warn), and that delivery goes on.
 *
 * Each recipient has the time of its next warning in the spool, under an index of its own: so it is told
 * in time whether or not a try happens then.  A try that is under way is awaited, a minute at most, for
 * its outcome may make the warning needless.  After a time without this process only the latest of the
 * steps that have passed is told.  What was told is written in the transaction that holds the report.
 */
#include "local.h"
#include "clock.h"
#include "conf.h"

#include <event2/event.h>
#include <stdlib.h>

#define BATCH     256
#define START_SEC 30 /* after a start: what is due for a try goes first */
#define UNDER_SEC 60 /* a try that is under way; what could not be done now */

static struct event *timer;
static int64_t armed_at;

static void on_timer(evutil_socket_t, short, void *);
static bool on_late(const struct spool_envelope *, void *);

static int64_t
expiry(const struct spool_envelope *d)
{
	return d->expire != 0 ? d->expire : d->created + process.conf->expire_sec;
}

/* The steps of this recipient: those of its rule, else the configuration's. */
static size_t
steps(const struct spool_envelope *d, const int64_t **sec)
{
	static int64_t own[CONF_WARN_MAX];
	size_t n = 0;

	if (d->warn == NULL || *d->warn == '\0') {
		*sec = process.conf->bounce_warn_sec;
		return process.conf->n_bounce_warn;
	}
	for (const char *p = d->warn; *p >= '0' && *p <= '9' && n < CONF_WARN_MAX; p += *p == ',') {
		char *end;
		own[n++] = strtoll(p, &end, 10);
		p = end;
	}
	*sec = own;
	return n;
}

/* The latest step that has passed and was not told: its seconds.  0: none, or mail that has expired. */
int64_t
warning_step(const struct spool_envelope *d, int64_t now)
{
	const int64_t *sec;
	size_t n = steps(d, &sec);
	int64_t step = 0;

	if (now >= expiry(d))
		return 0;
	for (size_t i = 0; i < n; i++)
		if (sec[i] > d->warned && d->created + sec[i] <= now)
			step = sec[i];
	return step;
}

/* When the first step that was not told comes; 0: none before the expiry. */
int64_t
warning_next(const struct spool_envelope *d)
{
	const int64_t *sec;
	size_t n = steps(d, &sec);

	for (size_t i = 0; i < n; i++)
		if (sec[i] > d->warned)
			return d->created + sec[i] < expiry(d) ? d->created + sec[i] : 0;
	return 0;
}

/* RFC 3461, 4.1: without NOTIFY it is ours to choose. The null sender is told nothing. */
static bool
is_wanted(const struct envelope *e)
{
	return *e->m->d.sender != '\0' &&
	       (e->d.notify == 0 || (e->d.notify & (NOTIFY_DELAY | NOTIFY_NEVER)) == NOTIFY_DELAY);
}

static void
arm(int64_t at)
{
	int64_t now = clock_wall_sec();

	if (timer == NULL || at == 0 || (event_pending(timer, EV_TIMEOUT, NULL) && armed_at <= at))
		return;
	armed_at = at > now + 3600 ? now + 3600 : at;
	event_add(timer, &(struct timeval){ armed_at <= now ? 0 : armed_at - now, 0 });
}

void
warning_start(void)
{
	timer = evtimer_new(process.base, on_timer, NULL);
	arm(clock_wall_sec() + START_SEC);
}

void
warning_now(void)
{
	armed_at = 0;
	event_add(timer, &(struct timeval){ 0, 0 });
}

void
warning_set(struct envelope *e)
{
	e->d.next_warn = is_wanted(e) ? warning_next(&e->d) : 0;
	arm(e->d.next_warn);
}

void
warning_check(struct envelope *e, int64_t now)
{
	int64_t step = is_wanted(e) ? warning_step(&e->d, now) : 0;

	if (step != 0) {
		e->d.warned = step;
		report_add(e, REPORT_DELAYED);
	}
	warning_set(e);
}

/* The commit moves what was met out of the way of the next batch; what stays is looked at again later. */
static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	int64_t now = clock_wall_sec();
	size_t done = 0;

	(void)fd;
	(void)what;
	(void)arg;
	armed_at = INT64_MAX;
	if (spool_each_warning(now, BATCH, on_late, &done) > 0)
		journal_commit();
	int64_t next = spool_next_warning();
	if (next != 0 && next <= now)
		next = done > 0 ? now : now + UNDER_SEC;
	arm(next);
}

static bool
on_late(const struct spool_envelope *d, void *arg)
{
	struct envelope *e = envelope_find(d->message, d->n);
	int64_t now = clock_wall_sec();
	size_t *done = arg;

	if (e == NULL && (e = envelope_load(d)) != NULL) {
		e->asleep = true;
		envelope_change(e, ENVELOPE_DEFERRED);
	}
	if (e == NULL || e->state == ENVELOPE_FRESH || e->state == ENVELOPE_FAILED ||
	    e->state == ENVELOPE_DONE || e->d.next_warn > now || e->d.held != 0)
		return true;
	int64_t awaited = e->d.created + warning_step(&e->d, now) + UNDER_SEC;
	if ((e->state == ENVELOPE_EXPANDING || e->state == ENVELOPE_IN_JOB) && now < awaited)
		e->d.next_warn = awaited;
	else
		warning_check(e, now);
	journal_add_envelope(e);
	++*done;
	return true;
}
