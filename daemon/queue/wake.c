/*
 * A route that is reached again is used at once for what waits for it.
 *
 * Called with the results of relay's jobs.  The first one that shows a route alive makes due what was put off
 * because the route was not reached (4.4.x); what a server itself put off (greylisting, a full mailbox) keeps
 * its time.  In batches, routes in turn, with turns of the loop between them.
 */
#include "local.h"
#include "clock.h"
#include "log.h"
#include "text.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 300

struct waking {
	char *route;
	size_t count;
	TAILQ_ENTRY(waking) entry;
};

static TAILQ_HEAD(, waking) all = TAILQ_HEAD_INITIALIZER(all);
static struct event *timer;

static void on_timer(evutil_socket_t, short, void *);

static bool
is_network(const char *status)
{
	return strlen(status) > 3 && strncmp(status + 1, ".4.", 3) == 0;
}

static void
begin(const char *route)
{
	struct waking *w = xcalloc(1, sizeof(*w));

	w->route = xstrdup(route);
	TAILQ_INSERT_TAIL(&all, w, entry);
	if (timer == NULL)
		timer = evtimer_new(process.base, on_timer, NULL);
	if (!event_pending(timer, EV_TIMEOUT, NULL))
		event_add(timer, &(struct timeval){ 0, 0 });
}

void
wake_result(struct lane *l, const struct msg_job_result *r)
{
	if (is_network(r->status)) {
		l->reached = false;
	} else if (!l->reached && (r->outcome == OUTCOME_DONE || *r->host != '\0')) {
		l->reached = true;
		begin(l->route);
	}
}

static void
end(struct waking *w)
{
	if (w->count > 0)
		log_info("route=%s reached-again due=%zu", log_quote(w->route), w->count);
	free(w->route);
	free(w);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct waking *w = TAILQ_FIRST(&all);
	int64_t now = clock_wall_sec();
	size_t n;

	(void)fd;
	(void)what;
	(void)arg;
	TAILQ_REMOVE(&all, w, entry);
	bool good = spool_wake(w->route, now, BATCH, &n);
	if (!good)
		log_warn("route=%s wake failed reason=%s", log_quote(w->route),
		    log_quote(spool_error()));
	if (!good || n > 0)
		journal_wrote(); /* a fault is rolled back there; the schedule comes to the rest */
	if (n > 0)
		schedule_rewind(now, 0);
	w->count += n;
	if (n == BATCH)
		TAILQ_INSERT_TAIL(&all, w, entry);
	else
		end(w);
	if (!TAILQ_EMPTY(&all))
		event_add(timer, &(struct timeval){ 0, 0 });
}
