/*
 * Other servers, by address and port, whatever route leads there: how many connections each has,
 * and its health.
 *
 *	down    it could not be reached, or greeted us with an error: set aside, twice as long each
 *	        time, until it greets us well
 *	window  how many connections may be at work now: two at first, one more with each message that it
 *	        takes, half as many when it pushes back (4xx), never more than its limit
 *
 * A host lives as long as something refers to it, or as there is something to remember of it.
 */
#include "addr.h"
#include "clock.h"
#include "local.h"
#include "log.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOSTS_MAX      20000
#define BACKOFF_MIN_MS 200
#define BACKOFF_MAX_MS 120000
#define SLOW_MIN_MS    5000 /* the first time it is set aside for not answering in time */
#define WINDOW_FIRST   2

static int compare(struct host *, struct host *);

static RB_HEAD(host_tree, host) hosts = RB_INITIALIZER(&hosts);
static size_t n_hosts;
RB_PROTOTYPE(host_tree, host, entry, compare)
RB_GENERATE(host_tree, host, entry, compare)

static int
compare(struct host *a, struct host *b)
{
	return strcmp(a->name, b->name);
}

static void
forget_old(void)
{
	struct host *h, *next;
	int64_t now = clock_mono_ms();

	RB_FOREACH_SAFE(h, host_tree, &hosts, next) {
		if (h->refs > 0 || now < h->down_ms)
			continue;
		RB_REMOVE(host_tree, &hosts, h);
		n_hosts--;
		free(h->reason);
		free(h->name);
		free(h);
	}
}

struct host *
host_get(const char *name)
{
	struct host *h =
	    RB_FIND(host_tree, &hosts, &(struct host){ .name = (char *)(uintptr_t)name });

	if (h == NULL) {
		if (n_hosts >= HOSTS_MAX)
			forget_old();
		h = xcalloc(1, sizeof(*h));
		h->name = xstrdup(name);
		h->window = WINDOW_FIRST;
		TAILQ_INIT(&h->idle);
		RB_INSERT(host_tree, &hosts, h);
		n_hosts++;
	}
	h->refs++;
	return h;
}

void
host_release(struct host *h)
{
	h->refs--;
}

bool
host_is_down(const struct host *h)
{
	return clock_mono_ms() < h->down_ms;
}

bool
host_has_room(const struct host *h, unsigned limit)
{
	return h->n_open - h->n_idle < h->window && h->n_open - h->n_idle < limit;
}

void
host_failed(struct host *h, const char *why, bool slow)
{
	int64_t now = clock_mono_ms();

	h->n_failed++;
	if (now < h->down_ms)
		return; /* several connections fail of one cause */
	h->backoff_ms = h->backoff_ms == 0                   ? BACKOFF_MIN_MS
			: h->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS
							     : h->backoff_ms * 2;
	if (slow && h->backoff_ms < SLOW_MIN_MS)
		h->backoff_ms = SLOW_MIN_MS;
	h->down_ms = now + h->backoff_ms;
	h->window = 1;
	free(h->reason);
	h->reason = xstrdup(why);
	log_info("host=%s set-aside for=%lldms reason=%s", log_quote(h->name),
	    (long long)h->backoff_ms, log_quote(why));
}

void
host_retry(struct host *h)
{
	h->down_ms = 0;
}

void
host_greeted(struct host *h)
{
	if (h->backoff_ms > 0)
		log_info("host=%s back", log_quote(h->name));
	h->down_ms = h->backoff_ms = 0;
	free(h->reason);
	h->reason = NULL;
}

void
host_took(struct host *h, unsigned limit)
{
	h->n_taken++;
	if (h->window < limit)
		h->window++;
}

void
host_pushed_back(struct host *h, const char *why)
{
	h->n_later++;
	if (h->window > 1)
		log_info("host=%s slowed connections=%u reason=%s", log_quote(h->name),
		    h->window / 2, log_quote(why));
	h->window = h->window > 1 ? h->window / 2 : 1;
}

void
host_each(void (*tell)(const struct host *, void *), void *arg)
{
	struct host *h;

	RB_FOREACH(h, host_tree, &hosts)
		tell(h, arg);
}
