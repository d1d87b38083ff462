/*
 * Connections for one question at a time (pool.h): users' binds, which must never be made where the service
 * searches, and searches by pages, of which a connection can have but one.  Called by directory.c and slot.c.
 *
 * Connections are opened while questions wait, as the service, and closed when they were idle for a minute.
 * A bind replaces the one before it, so a connection serves one user after the other; after anything but a
 * clear yes or no it is closed.
 */
#include <event2/event.h>
#include <stdlib.h>

#include "pool.h"
#include "reach.h"
#include "referral.h"
#include "ticks.h"

#define IDLE_US        60000000
#define PAGE_AND_PROBE 2 /* messages at once on a connection for pages */

struct side_conn {
	LIST_ENTRY(side_conn) entry;
	struct side *side;
	size_t server;
	struct attempt *attempt; /* until there is a link */
	struct link *link;
	int64_t since_us; /* that it is tried, or idle */
};

static void open_more(struct side *);
static void on_attempt(struct attempt_done *, void *);
static void replace_doubtful(struct side *);
static void send_next(struct side_conn *);
static void on_timer(int, short, void *);
static void on_answer(struct link *, struct question *, const char *, void *);
static void on_doubt(struct link *, void *);
static void on_lost(struct link *, const char *, void *);

static const struct link_owner owner = {
	.on_answer = on_answer,
	.on_doubt = on_doubt,
	.on_lost = on_lost,
};

bool
side_open(struct side *s, struct directory *d, bool binds, unsigned most)
{
	*s = (struct side){ .d = d, .binds = binds, .most = most };
	TAILQ_INIT(&s->waiting);
	LIST_INIT(&s->conns);
	s->timer = event_new(d->base, -1, 0, on_timer, s);
	return s->timer != NULL;
}

static void
drop(struct side_conn *c)
{
	LIST_REMOVE(c, entry);
	c->side->n--;
	if (c->attempt != NULL)
		attempt_cancel(c->attempt);
	if (c->link != NULL)
		link_close(c->link);
	free(c);
}

void
side_close(struct side *s)
{
	struct side_conn *c, *next;

	if (s->timer == NULL)
		return;
	LIST_FOREACH_SAFE(c, &s->conns, entry, next)
	drop(c);
	event_free(s->timer);
	s->timer = NULL;
}

void
side_ask(struct side *s, struct question *q)
{
	TAILQ_INSERT_TAIL(&s->waiting, q, place);
	q->queue = &s->waiting;
	directory_wake(s->d);
}

void
side_work(struct side *s)
{
	struct side_conn *c, *next;

	LIST_FOREACH_SAFE(c, &s->conns, entry, next)
	{
		if (c->link != NULL && c->link->in_flight == 0)
			send_next(c);
	}
	open_more(s);
}

bool
side_connected(struct side *s)
{
	struct side_conn *c;

	LIST_FOREACH(c, &s->conns, entry)
		if (c->link != NULL)
			return true;
	return false;
}

/* Silent for a second with a question that may be asked elsewhere. */
static bool
in_doubt(const struct side_conn *c)
{
	const struct question *q = c->link == NULL ? NULL : TAILQ_FIRST(&c->link->sent);

	return q != NULL && c->link->state == LINK_SUSPECT && q->tries < 2;
}

/* --- Connecting */

static bool
hangs(const struct side_conn *c, int64_t now)
{
	return c->attempt != NULL && now >= c->since_us + HEDGE_US;
}

/* How long until some server may be tried: 0 when one is, and then which.  -1: all that may are being tried. */
static int64_t
choose_server(struct side *s, size_t *which)
{
	struct directory *d = s->d;
	int64_t now = ticks_now(), wait = INT64_MAX;

	for (size_t i = 0; i < d->reach->n; i++) {
		size_t server = d->reach->s.balance ? (i + s->turn) % d->reach->n : i;
		int64_t left = d->servers[server].not_before_us - now;
		bool avoid = false;
		struct side_conn *c;

		LIST_FOREACH(c, &s->conns, entry)
			avoid |= c->server == server &&
				 (hangs(c, now) || (in_doubt(c) && d->reach->n > 1));
		if (avoid)
			continue;
		if (left <= 0) {
			*which = server;
			return 0;
		}
		if (left < wait)
			wait = left;
	}
	return wait == INT64_MAX ? -1 : wait;
}

/* As many as there are questions without one, within the limit; what hangs or is in doubt does not count. */
static void
open_more(struct side *s)
{
	struct directory *d = s->d;
	int64_t now = ticks_now(), wait = HEDGE_US;
	unsigned wanted = 0, coming = 0, n = 0;
	struct question *q;
	struct side_conn *c;

	LIST_FOREACH(c, &s->conns, entry) {
		bool doubt = in_doubt(c), hung = hangs(c, now);
		wanted += doubt;
		coming += c->attempt != NULL && !hung;
		n += !hung && !doubt;
	}
	for (q = TAILQ_FIRST(&s->waiting); q != NULL && wanted < s->most; q = TAILQ_NEXT(q, place))
		wanted++;
	if (wanted == 0)
		return;
	while (coming < wanted && n < s->most && s->n < 2 * s->most + d->reach->n) {
		size_t server;
		int64_t left = choose_server(s, &server);

		if (left != 0) {
			wait = left > 0 && left < wait ? left : wait;
			break;
		}
		c = calloc(1, sizeof(*c));
		if (c == NULL)
			break;
		*c = (struct side_conn){ .side = s, .server = server, .since_us = now };
		c->attempt = attempt_start(d->base, d->reach, server, on_attempt, c);
		if (c->attempt == NULL) {
			free(c);
			break;
		}
		LIST_INSERT_HEAD(&s->conns, c, entry);
		s->n++;
		s->turn++;
		n++;
		coming++;
	}
	struct timeval tv = { .tv_sec = wait / 1000000, .tv_usec = wait % 1000000 };
	event_add(s->timer, &tv);
}

static void
on_attempt(struct attempt_done *done, void *arg)
{
	struct side_conn *c = arg;
	struct side *s = c->side;
	struct directory *d = s->d;

	c->attempt = NULL;
	if (done->ld != NULL)
		c->link =
		    link_new(d->base, done, c->server, s->binds ? 1 : PAGE_AND_PROBE, &owner, c);
	if (c->link == NULL) {
		server_failed(&d->servers[c->server], c->since_us,
		    done->error[0] == '\0' ? "out of memory" : done->error);
		drop(c);
	} else {
		c->since_us = ticks_now();
		replace_doubtful(s);
	}
	directory_wake(d);
}

/* A server has just answered: who is silent is lost, and what it was asked goes there. */
static void
replace_doubtful(struct side *s)
{
	struct side_conn *c, *next;

	LIST_FOREACH_SAFE(c, &s->conns, entry, next)
	if (in_doubt(c))
		on_lost(c->link, "no answer", c);
}

/* Looks after waiting questions, and after idle connections. */
static void
on_timer(int fd, short what, void *arg)
{
	struct side *s = arg;
	int64_t now = ticks_now();
	struct side_conn *c, *next;
	struct timeval tv = { .tv_sec = IDLE_US / 1000000 };

	(void)fd;
	(void)what;
	LIST_FOREACH_SAFE(c, &s->conns, entry, next)
	{
		if (c->link != NULL && c->link->in_flight == 0 && now >= c->since_us + IDLE_US)
			drop(c);
	}
	if (!LIST_EMPTY(&s->conns))
		event_add(s->timer, &tv);
	side_work(s);
}

/* --- Asking */

static void
send_next(struct side_conn *c)
{
	struct side *s = c->side;
	struct directory *d = s->d;
	struct question *q;

	while ((q = TAILQ_FIRST(&s->waiting)) != NULL) {
		TAILQ_REMOVE(&s->waiting, q, place);
		q->queue = NULL;
		const char *wrong = link_send(c->link, q);
		if (wrong == NULL)
			return;
		directory_answer(d, q, DIRECTORY_ERROR, wrong, d->servers[c->server].url);
	}
}

static void
on_answer(struct link *l, struct question *q, const char *wrong, void *arg)
{
	struct side_conn *c = arg;
	struct side *s = c->side;
	struct directory *d = s->d;
	const char *url = d->servers[c->server].url;
	enum directory_answer answer = q->code == LDAP_SUCCESS ? DIRECTORY_OK
				       : s->binds && q->code == LDAP_INVALID_CREDENTIALS
					   ? DIRECTORY_REFUSED
					   : DIRECTORY_ERROR;

	if (wrong != NULL)
		answer = DIRECTORY_ERROR;
	if (answer == DIRECTORY_OK && q->cookie != NULL) { /* another page */
		wrong = link_send(l, q);
		if (wrong == NULL)
			return;
		answer = DIRECTORY_ERROR;
	}
	if (d->servers[c->server].failures > 0)
		server_good(&d->servers[c->server]);
	c->since_us = ticks_now();
	bool elsewhere = wrong == NULL && !s->binds && referral_wanted(d, q);
	size_t server = c->server;
	if (answer == DIRECTORY_ERROR)
		drop(c);
	if (elsewhere)
		referral_ask(d, q, server);
	else
		directory_answer(d, q, answer, wrong, url);
	directory_wake(d);
}

/* It has been silent for a second: another connection is tried beside it. */
static void
on_doubt(struct link *l, void *arg)
{
	struct side_conn *c = arg;

	(void)l;
	directory_wake(c->side->d);
}

static void
on_lost(struct link *l, const char *why, void *arg)
{
	struct side_conn *c = arg;
	struct directory *d = c->side->d;

	/* An idle one may go without a word. */
	if (l->in_flight > 0 && (l->answered == 0 || l->state == LINK_SUSPECT))
		server_failed(&d->servers[c->server], ticks_now(), why);
	directory_take_back(d, l, why);
	drop(c);
	directory_wake(d);
}
