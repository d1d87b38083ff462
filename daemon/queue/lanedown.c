/*
 * Routes that relay has set aside: what waits for one, or would, is put off here at once with the answer that relay
 * gave, instead of going to relay and coming back with it.  So 100,000 messages for a server that is down cost
 * one write each, and no job.
 *
 * Called by lane.c for what enters a lane, by job.c with relay's results, by wish.c for who cannot wait.  Invariant: a lane that is down
 * stays until it is up, so that the next mail for it need not find that out again.
 */
#include "local.h"
#include "clock.h"
#include "text.h"

#include <event2/event.h>
#include <stdlib.h>

#define PART      32 /* envelopes in one turn of the loop */
#define LANES_MAX 5000
#define DOWN_MAX \
	(10 * 60 * 1000u) /* ms: relay says two minutes at most, and is not asked again before */

static struct event *timer;
static size_t n_down;

static void on_timer(evutil_socket_t, short, void *);

bool
lanedown_is(const struct lane *l)
{
	return l->down != NULL && clock_mono_ms() < l->down->until_ms;
}

static void
look_in(struct timeval tv)
{
	if (timer == NULL)
		timer = evtimer_new(process.base, on_timer, NULL);
	event_add(timer, &tv);
}

static void
forget(struct lane *l)
{
	free(l->down->status);
	free(l->down->text);
	free(l->down->host);
	free(l->down);
	l->down = NULL;
	n_down--;
}

/* A result: that the route is down, or, when it is none of that kind and a server gave it, that it is not. */
void
lanedown_note(struct lane *l, const struct msg_job_result *r)
{
	int64_t until_ms = clock_mono_ms() + (r->down_ms < DOWN_MAX ? r->down_ms : DOWN_MAX);

	if (r->down_ms == 0 || r->outcome != OUTCOME_LATER) {
		if (l->down != NULL && r->outcome == OUTCOME_DONE)
			l->down->until_ms = 0;
		return;
	}
	if (l->down == NULL && n_down >= LANES_MAX)
		return;
	if (l->down == NULL)
		look_in((struct timeval){ 0, 0 });
	else
		forget(l);
	l->down = xcalloc(1, sizeof(*l->down));
	*l->down = (struct lane_down){ .until_ms = until_ms,
		.status = xstrdup(r->status),
		.text = xstrdup(r->text),
		.host = xstrdup(r->host) };
	n_down++;
}

void
lanedown_answer(const struct lane *l, struct envelope *e)
{
	outcome_later(e, l->down->status, l->down->text, l->down->host);
}

/* A part of what waits in lanes that are down; and lanes that are not down any more go on. */
static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	int64_t began_us = clock_mono_us();
	struct lane *l, *next;
	size_t n = 0;

	(void)fd;
	(void)what;
	(void)arg;
	TAILQ_FOREACH_SAFE(l, &lanes, entry, next) {
		if (l->down == NULL)
			continue;
		for (; n < PART && l->n_waiting > 0 && lanedown_is(l); n++) {
			struct envelope *e = TAILQ_FIRST(&l->waiting);
			lane_leave(e);
			lanedown_answer(l, e);
		}
		if (lanedown_is(l))
			continue;
		forget(l);
		l->told = 0;
		jobroute_feed(l);
		lane_check(l);
	}
	if (n == PART)
		look_in(yield_pause(began_us));
	else if (n_down > 0)
		look_in((struct timeval){ 1, 0 });
}

static void
retry(struct lane *l)
{
	if (!lanedown_is(l) || queue_relay == NULL)
		return;
	l->down->until_ms = 0;
	look_in((struct timeval){ 0, 0 });
	ipc_send(queue_relay, MSG_ROUTE_RETRY, &(struct msg_route_retry){ l->route });
}

void
lanedown_retry(const char *route)
{
	struct lane *l = lane_of_route(route);

	if (l != NULL)
		retry(l);
}

void
lanedown_retry_all(void)
{
	struct lane *l;

	TAILQ_FOREACH(l, &lanes, entry)
		retry(l);
}

/* Relay is gone, and the next one knows nothing of this. */
void
lanedown_forget_all(void)
{
	struct lane *l;

	TAILQ_FOREACH(l, &lanes, entry)
		if (l->down != NULL)
			l->down->until_ms = 0;
	if (n_down > 0)
		look_in((struct timeval){ 0, 0 });
}
