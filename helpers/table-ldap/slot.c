/*
 * The connections for searches: each slot holds one to the best server that answers.  Called by directory.c;
 * attempt.c makes connections, link.c works them.
 *
 *	nothing, or in doubt	servers are tried in order; the next one when an attempt fails, or a second
 *				later beside it.  Who is ready first is taken.
 *	a lesser server		the better ones are tried at their times; one that is ready takes over, and
 *				the old connection ends when it has answered what it was asked
 *
 * With `balance` each slot has an order of its own.  When attempts at all servers hang, each is tried anew beside
 * them, for what they wait for may never come.  Invariant: a slot has at most LAPS attempts a server, and
 * only at servers that would be better than what it has.
 */
#include <event2/event.h>
#include <stdlib.h>

#include "pool.h"
#include "reach.h"
#include "referral.h"
#include "tab_helper.h"
#include "ticks.h"

#define IN_FLIGHT_MOST 512
#define IN_FLIGHT_ANONYMOUS \
	96 /* slapd ends an anonymous connection where 100 wait (conn_max_pending) */
#define DRAINING_MAX 8
#define LAPS         3

struct trial {
	struct slot *slot;
	size_t server;
	struct attempt *attempt; /* NULL: none */
	int64_t began_us;
};

struct slot {
	struct directory *d;
	size_t number;
	struct link *link; /* NULL: none */
	struct link *draining[DRAINING_MAX];
	struct trial *trials; /* of all servers, then again, LAPS times */
	size_t n_trials;
	struct event *timer;
	size_t last_server; /* n: there was none yet */
};

static void maintain(struct slot *);
static void try_server(struct trial *);
static void cancel_others(struct slot *, const struct link *);
static void on_attempt(struct attempt_done *, void *);
static void adopt(struct slot *, struct link *, const struct attempt_done *);
static void leave(struct slot *, struct link *);
static void drain(struct slot *, struct link *);
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
slots_open(struct directory *d)
{
	d->n_slots = d->reach->s.connections;
	d->slots = calloc(d->n_slots, sizeof(*d->slots));
	if (d->slots == NULL)
		return false;
	for (size_t i = 0; i < d->n_slots; i++) {
		struct slot *s = &d->slots[i];

		*s = (struct slot){ .d = d, .number = i, .last_server = d->reach->n };
		s->n_trials = LAPS * d->reach->n;
		s->trials = calloc(s->n_trials + 1, sizeof(*s->trials));
		s->timer = event_new(d->base, -1, 0, on_timer, s);
		if (s->trials == NULL || s->timer == NULL)
			return false;
		for (size_t j = 0; j < s->n_trials; j++)
			s->trials[j] = (struct trial){ .slot = s, .server = j % d->reach->n };
	}
	for (size_t i = 0; i < d->n_slots; i++)
		maintain(&d->slots[i]);
	return true;
}

void
slots_close(struct directory *d)
{
	for (size_t i = 0; d->slots != NULL && i < d->n_slots; i++) {
		struct slot *s = &d->slots[i];

		for (size_t j = 0; s->trials != NULL && j < s->n_trials; j++)
			if (s->trials[j].attempt != NULL)
				attempt_cancel(s->trials[j].attempt);
		for (size_t j = 0; j < DRAINING_MAX; j++)
			if (s->draining[j] != NULL)
				link_close(s->draining[j]);
		if (s->link != NULL)
			link_close(s->link);
		if (s->timer != NULL)
			event_free(s->timer);
		free(s->trials);
	}
	free(d->slots);
	d->slots = NULL;
}

struct link *
slots_choose(struct directory *d)
{
	struct link *best = NULL;

	d->turn = (d->turn + 1) % d->n_slots; /* where all have as much to do, each in turn */
	for (size_t i = 0; i < d->n_slots; i++) {
		struct link *l = d->slots[(i + d->turn) % d->n_slots].link;

		if (l == NULL || l->state == LINK_SUSPECT || !link_has_room(l))
			continue;
		if (best == NULL || l->in_flight < best->in_flight)
			best = l;
	}
	return best;
}

void
slots_close_drained(struct directory *d)
{
	for (size_t i = 0; i < d->n_slots; i++)
		for (size_t j = 0; j < DRAINING_MAX; j++) {
			struct link **l = &d->slots[i].draining[j];
			if (*l == NULL || (*l)->in_flight > 0)
				continue;
			link_close(*l);
			*l = NULL;
		}
}

bool
slots_usable(struct directory *d)
{
	for (size_t i = 0; i < d->n_slots; i++)
		if (d->slots[i].link != NULL && d->slots[i].link->state != LINK_SUSPECT)
			return true;
	return false;
}

/* --- Which server */

/* 0 is the one that the slot would like best. */
static size_t
rank_of(const struct slot *s, size_t server)
{
	size_t n = s->d->reach->n;

	return n > 1 && s->d->reach->s.balance ? (server + n - s->number % n) % n : server;
}

static size_t
server_at(const struct slot *s, size_t rank)
{
	size_t n = s->d->reach->n;

	return n > 1 && s->d->reach->s.balance ? (rank + s->number) % n : rank;
}

static bool
in_need(const struct slot *s)
{
	return s->link == NULL || s->link->state == LINK_SUSPECT;
}

/* One trial: starts it when it is due.  Whether to wait for it before the next; *next is when to look again. */
static bool
tend(struct slot *s, struct trial *t, bool in_doubt, int64_t now, int64_t *next)
{
	int64_t not_before = s->d->servers[t->server].not_before_us;

	if (t->attempt == NULL && now < not_before) {
		*next = not_before < *next ? not_before : *next;
		return false;
	}
	if (t->attempt == NULL)
		try_server(t);
	/* The server in doubt itself has been silent for long enough. */
	if (in_doubt || now >= t->began_us + HEDGE_US)
		return false;
	*next = t->began_us + HEDGE_US < *next ? t->began_us + HEDGE_US : *next;
	return true;
}

/* Starts what should be started now, and sets the timer for what comes next. */
static void
maintain(struct slot *s)
{
	size_t n = s->d->reach->n, end = in_need(s) ? n : rank_of(s, s->link->server);
	int64_t now = ticks_now(), next = INT64_MAX;
	bool enough = false;

	for (size_t lap = 0; lap < LAPS && !enough; lap++)
		for (size_t rank = 0; rank < end && !enough; rank++) {
			size_t server = server_at(s, rank);
			bool in_doubt = lap == 0 && s->link != NULL && s->link->server == server;

			enough = tend(s, &s->trials[lap * n + server], in_doubt, now, &next);
		}
	event_del(s->timer);
	if (next != INT64_MAX) {
		struct timeval tv = ticks_left(next);
		event_add(s->timer, &tv);
	}
}

static void
on_timer(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	maintain(arg);
}

static void
try_server(struct trial *t)
{
	struct directory *d = t->slot->d;

	t->began_us = ticks_now();
	t->attempt = attempt_start(d->base, d->reach, t->server, on_attempt, t);
	if (t->attempt == NULL)
		server_failed(&d->servers[t->server], t->began_us, "out of memory or descriptors");
}

/* Attempts that would bring nothing better than this link. */
static void
cancel_others(struct slot *s, const struct link *l)
{
	for (size_t i = 0; i < s->n_trials; i++) {
		struct trial *t = &s->trials[i];

		if (t->attempt == NULL || rank_of(s, t->server) < rank_of(s, l->server))
			continue;
		attempt_cancel(t->attempt);
		t->attempt = NULL;
	}
}

static void
on_attempt(struct attempt_done *done, void *arg)
{
	struct trial *t = arg;
	struct slot *s = t->slot;
	struct directory *d = s->d;
	bool named = d->reach->s.bind_dn != NULL || d->reach->s.sasl_external;

	t->attempt = NULL;
	if (done->ld == NULL) {
		server_failed(&d->servers[t->server], t->began_us, done->error);
		maintain(s);
		directory_wake(d);
		return;
	}
	struct link *l = link_new(
	    d->base, done, t->server, named ? IN_FLIGHT_MOST : IN_FLIGHT_ANONYMOUS, &owner, s);
	if (l == NULL)
		server_failed(&d->servers[t->server], t->began_us, "out of memory");
	else if (in_need(s) || rank_of(s, t->server) < rank_of(s, s->link->server))
		adopt(s, l, done);
	else
		link_close(l);
	maintain(s);
	directory_wake(d);
}

/* From now on questions go there. */
static void
adopt(struct slot *s, struct link *l, const struct attempt_done *done)
{
	struct directory *d = s->d;
	struct link *old = s->link;

	s->link = l;
	cancel_others(s, l);
	tab_log("connected server=%s took=%dms tls=%s slot=%zu", d->servers[l->server].url,
	    (int)(done->took_us / 1000), done->tls ? "yes" : "no", s->number);
	if (s->last_server < d->reach->n && s->last_server != l->server)
		tab_log("%s from=%s to=%s slot=%zu",
		    rank_of(s, l->server) < rank_of(s, s->last_server) ? "returned" : "failover",
		    d->servers[s->last_server].url, d->servers[l->server].url, s->number);
	s->last_server = l->server;
	if (old != NULL && old->state == LINK_SUSPECT)
		leave(s, old);
	else if (old != NULL)
		drain(s, old);
}

/*
 * One in doubt has a successor.  What was asked twice has brought it this far twice, and stays: the search
 * may be a long one at a server that works at one after the other.
 */
static void
leave(struct slot *s, struct link *l)
{
	struct server *server = &s->d->servers[l->server];

	tab_log(
	    "lost server=%s reason=\"no answer to a probe\" in-flight=%u answered=%llu slot=%zu",
	    server->url, l->in_flight, (unsigned long long)l->answered, s->number);
	if (l->server != s->link->server)
		server_failed(server, ticks_now(), "no answer to a probe");
	directory_take_fresh(s->d, l);
	if (l->in_flight > 0)
		drain(s, l);
	else
		link_close(l);
}

static void
drain(struct slot *s, struct link *l)
{
	for (size_t i = 0; l->in_flight > 0 && i < DRAINING_MAX; i++)
		if (s->draining[i] == NULL) {
			s->draining[i] = l;
			return;
		}
	directory_take_back(s->d, l, "another server took over");
	link_close(l);
}

/* --- What the links say */

static void
on_answer(struct link *l, struct question *q, const char *wrong, void *arg)
{
	struct slot *s = arg;
	struct directory *d = s->d;
	struct server *server = &d->servers[l->server];

	if (server->failures > 0 && l->answered > 0)
		server_good(server);
	if (l != s->link && l->in_flight == 0) {
		for (size_t i = 0; i < DRAINING_MAX; i++)
			if (s->draining[i] == l)
				s->draining[i] = NULL;
		link_close(l);
	}
	if (wrong == NULL && q->code == LDAP_SIZELIMIT_EXCEEDED && q->n <= q->max_entries) {
		/* It gives that many at once; a larger page might be refused. */
		q->page_size = d->reach->s.page_size;
		if (q->n > 0 && q->n < q->page_size)
			q->page_size = (unsigned)q->n;
		question_clear(q);
		q->tries = 0;
		side_ask(&d->pages, q);
	} else if (wrong != NULL)
		directory_answer(d, q, DIRECTORY_ERROR, wrong, server->url);
	else if (referral_wanted(d, q))
		referral_ask(d, q, l->server);
	else
		directory_answer(d, q, q->code == LDAP_SUCCESS ? DIRECTORY_OK : DIRECTORY_ERROR,
		    NULL, server->url);
	if (!TAILQ_EMPTY(&d->waiting))
		directory_wake(d);
}

static void
on_doubt(struct link *l, void *arg)
{
	struct slot *s = arg;

	if (l != s->link)
		return; /* it drains; its questions have their deadlines */
	if (l->state == LINK_GOOD)
		cancel_others(s, l);
	maintain(s);
	directory_wake(s->d);
}

static void
on_lost(struct link *l, const char *why, void *arg)
{
	struct slot *s = arg;
	struct directory *d = s->d;
	struct server *server = &d->servers[l->server];

	tab_log("lost server=%s reason=\"%s\" in-flight=%u answered=%llu slot=%zu", server->url,
	    why, l->in_flight, (unsigned long long)l->answered, s->number);
	if (l->answered == 0 || l->state == LINK_SUSPECT)
		server_failed(server, ticks_now(), why);
	if (l == s->link)
		s->link = NULL;
	for (size_t i = 0; i < DRAINING_MAX; i++)
		if (s->draining[i] == l)
			s->draining[i] = NULL;
	directory_take_back(d, l, why);
	link_close(l);
	maintain(s);
	directory_wake(d);
}
