/*
 * The directory (directory.h): takes questions, puts them to connections, answers them.  Called by the
 * services of table-ldap; slot.c and side.c hold the connections.
 *
 *	directory_find → waiting ─ on_work → a link of slot.c ─ its on_answer → directory_answer
 *	directory_bind → binds.waiting ─ on_work → a connection of side.c ─────────┘
 *
 * Invariants: a question is in `open` from the call to its answer; besides it waits in one queue or is in
 * flight at one link.  Its deadline ends it wherever it is.  A question in flight at a connection that is
 * lost is asked again once.  In an outage questions wait for PATIENCE_US, counted from its beginning, and are
 * answered with an error at once after that.
 */
#include "directory.h"

#include <event2/event.h>
#include <ldap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pool.h"
#include "reach.h"
#include "tab_helper.h"
#include "ticks.h"

#define PATIENCE_US 3000000
#define TRIES_MAX   2
#define SLOW_SAY_US 1000000 /* slow queries have one line a second */
#define PAGE_CONNS  2

static void on_work(int, short, void *);
static void send_waiting(struct directory *);
static const char *no_server(const struct directory *);
static void on_deadlines(int, short, void *);
static void say_slow(struct directory *, const struct question *, const struct directory_result *);
static void free_directory(struct directory *);

struct directory *
directory_open(struct event_base *base, const struct directory_settings *settings)
{
	struct directory *d = calloc(1, sizeof(*d));
	int version;

	/* /etc/ldap/ldap.conf, ~/.ldaprc, ./ldaprc: no file of others changes what ours says. */
	setenv("LDAPNOINIT", "1", 1);
	ldap_get_option(NULL, LDAP_OPT_PROTOCOL_VERSION, &version); /* before there are threads */
	if (d != NULL)
		d->reach = reach_new(settings);
	if (d == NULL || d->reach == NULL || d->reach->n == 0) {
		tab_log(
		    "cannot start: %s", d == NULL || d->reach == NULL ? "out of memory" : "no url");
		exit(1);
	}
	d->base = base;
	TAILQ_INIT(&d->open);
	TAILQ_INIT(&d->waiting);
	TAILQ_INIT(&d->unfit);
	d->down_since_us = ticks_now();
	d->servers = calloc(d->reach->n, sizeof(*d->servers));
	d->work = event_new(base, -1, 0, on_work, d);
	d->deadlines = event_new(base, -1, 0, on_deadlines, d);
	for (size_t i = 0; d->servers != NULL && i < d->reach->n; i++)
		d->servers[i].url = d->reach->servers[i].url;
	if (d->servers == NULL || d->work == NULL || d->deadlines == NULL ||
	    !side_open(&d->binds, d, true, d->reach->s.bind_connections) ||
	    !side_open(&d->pages, d, false, PAGE_CONNS) || !slots_open(d)) {
		tab_log("cannot start: out of memory");
		exit(1);
	}
	return d;
}

void
directory_close(struct directory *d)
{
	d->closing = true;
	if (TAILQ_EMPTY(&d->open) && d->calls == 0)
		free_directory(d);
}

static void
free_directory(struct directory *d)
{
	slots_close(d);
	side_close(&d->binds);
	side_close(&d->pages);
	event_free(d->work);
	event_free(d->deadlines);
	free(d->servers);
	reach_release(d->reach);
	free(d);
}

void
directory_wake(struct directory *d)
{
	event_active(d->work, 0, 0);
}

/* --- Questions come */

static void
take(struct directory *d, struct question *q, directory_cb cb, void *arg)
{
	if (q == NULL) {
		tab_log("out of memory");
		exit(1);
	}
	q->cb = cb;
	q->arg = arg;
	q->asked_us = ticks_now();
	q->deadline_us = q->asked_us + (int64_t)d->reach->s.query_timeout_ms * 1000;
	TAILQ_INSERT_TAIL(&d->open, q, age);
	if (!event_pending(d->deadlines, EV_TIMEOUT, NULL)) {
		struct timeval tv = ticks_left(q->deadline_us);
		event_add(d->deadlines, &tv);
	}
	q->queue = !q->is_bind                                    ? &d->waiting
		   : q->base[0] == '\0' || q->password[0] == '\0' ? &d->unfit
								  : &d->binds.waiting;
	TAILQ_INSERT_TAIL(q->queue, q, place);
	directory_wake(d);
}

void
directory_find(struct directory *d, const struct directory_search *s, directory_cb cb, void *arg)
{
	take(d, question_search(s), cb, arg);
}

void
directory_bind(
    struct directory *d, const char *dn, const char *password, directory_cb cb, void *arg)
{
	take(d, question_bind(dn, password), cb, arg);
}

/* --- Questions go out */

static void
on_work(int fd, short what, void *arg)
{
	struct directory *d = arg;

	(void)fd;
	(void)what;
	if (slots_usable(d)) {
		d->was_up = true;
		d->down_since_us = 0;
	} else if (d->down_since_us == 0)
		d->down_since_us = ticks_now();
	send_waiting(d);
	side_work(&d->binds);
	side_work(&d->pages);
	if (d->closing && TAILQ_EMPTY(&d->open) && d->calls == 0)
		free_directory(d);
}

static void
unqueue(struct question *q)
{
	TAILQ_REMOVE(q->queue, q, place);
	q->queue = NULL;
}

/* An outage is worth waiting for, for a while; a directory that never answered is not, once all were tried. */
static bool
is_hopeless(struct directory *d)
{
	if (d->down_since_us == 0)
		return false;
	if (ticks_now() >= d->down_since_us + PATIENCE_US)
		return true;
	for (size_t i = 0; i < d->reach->n; i++)
		if (d->servers[i].failures == 0)
			return false;
	return !d->was_up;
}

static void
send_waiting(struct directory *d)
{
	struct question *q;
	struct link *l;

	while ((q = TAILQ_FIRST(&d->unfit)) != NULL) {
		if (q->base[0] == '\0')
			directory_answer(d, q, DIRECTORY_ERROR, "a bind without a DN", NULL);
		else
			directory_answer(d, q, DIRECTORY_REFUSED, "an empty password", NULL);
	}
	while ((q = TAILQ_FIRST(&d->waiting)) != NULL && (l = slots_choose(d)) != NULL) {
		unqueue(q);
		const char *wrong = link_send(l, q);
		if (wrong != NULL)
			directory_answer(d, q, DIRECTORY_ERROR, wrong, d->servers[l->server].url);
	}
	if (!is_hopeless(d))
		return;
	while ((q = TAILQ_FIRST(&d->waiting)) != NULL)
		directory_answer(d, q, DIRECTORY_ERROR, no_server(d), NULL);
	while (!side_connected(&d->binds) && (q = TAILQ_FIRST(&d->binds.waiting)) != NULL)
		directory_answer(d, q, DIRECTORY_ERROR, no_server(d), NULL);
}

/* With what the preferred one said, or did not: a wrong password is no outage, but for whoever waits. */
static const char *
no_server(const struct directory *d)
{
	static char text[400];

	snprintf(text, sizeof(text), "no server can be used: %s%s%s", d->servers[0].url,
	    d->servers[0].why[0] == '\0' ? "" : ": ", d->servers[0].why);
	return text;
}

/* In front of those that were not asked yet, behind `last`, in their order; NULL: the first. */
static void
ask_again(struct directory *d, struct question *q, struct question *last)
{
	struct questions *queue = q->is_bind         ? &d->binds.waiting
				  : q->page_size > 0 ? &d->pages.waiting
						     : &d->waiting;

	question_clear(q);
	if (last == NULL)
		TAILQ_INSERT_HEAD(queue, q, place);
	else
		TAILQ_INSERT_AFTER(queue, last, q, place);
	q->queue = queue;
}

void
directory_take_back(struct directory *d, struct link *l, const char *why)
{
	struct question *q, *last = NULL;

	while ((q = link_take_back(l)) != NULL) {
		if (q->tries >= TRIES_MAX) {
			question_clear(q);
			directory_answer(d, q, DIRECTORY_ERROR, why, d->servers[l->server].url);
			continue;
		}
		ask_again(d, q, last);
		last = q;
	}
}

void
directory_take_fresh(struct directory *d, struct link *l)
{
	struct question *q, *next, *last = NULL;

	TAILQ_FOREACH_SAFE(q, &l->sent, place, next) {
		if (q->tries >= TRIES_MAX)
			continue;
		link_abandon(l, q);
		ask_again(d, q, last);
		last = q;
	}
}

/* --- Answers */

void
directory_answer(struct directory *d, struct question *q, enum directory_answer answer,
    const char *error, const char *server)
{
	char text[512];
	struct directory_result r = {
		.answer = answer,
		.server = server,
		.took_us = ticks_now() - q->asked_us,
		.code = error == NULL ? q->code : 0,
	};

	if (answer == DIRECTORY_OK) {
		r.entries = q->entries;
		r.n = q->n;
	} else if (error == NULL) {
		const char *more = q->diagnostic != NULL && q->diagnostic[0] != '\0' ? q->diagnostic
				   : q->code == LDAP_NO_SUCH_OBJECT
				       ? "the base is not there, or may not be read"
				       : NULL;
		snprintf(text, sizeof(text), "%s%s%s%s", ldap_err2string(q->code),
		    more != NULL ? " (" : "", more != NULL ? more : "", more != NULL ? ")" : "");
		r.error = text;
	} else
		r.error = error;
	if (q->queue != NULL)
		unqueue(q);
	if (q->chase != NULL)
		attempt_cancel(q->chase);
	TAILQ_REMOVE(&d->open, q, age);
	if (d->reach->s.slow_ms > 0 && r.took_us >= (int64_t)d->reach->s.slow_ms * 1000)
		say_slow(d, q, &r);
	d->calls++;
	q->cb(&r, q->arg);
	d->calls--;
	question_free(q);
	if (d->closing && TAILQ_EMPTY(&d->open))
		directory_wake(d);
}

static void
say_slow(struct directory *d, const struct question *q, const struct directory_result *r)
{
	int64_t now = ticks_now();

	if (now < d->slow_said_us + SLOW_SAY_US) {
		d->slow_unsaid++;
		return;
	}
	tab_log(
	    "slow took=%dms server=%s %s=\"%s\" base=\"%s\" result=\"%s\" entries=%zu unsaid=%u",
	    (int)(r->took_us / 1000), r->server == NULL ? "none" : r->server,
	    q->is_bind ? "op" : "filter", q->is_bind ? "bind" : q->filter, q->base,
	    r->answer == DIRECTORY_OK ? "ok" : r->error, r->n, d->slow_unsaid);
	d->slow_said_us = now;
	d->slow_unsaid = 0;
}

/* All questions have the same time, so the oldest is due first. */
static void
on_deadlines(int fd, short what, void *arg)
{
	struct directory *d = arg;
	int64_t now = ticks_now();
	struct question *q;

	(void)fd;
	(void)what;
	while ((q = TAILQ_FIRST(&d->open)) != NULL && q->deadline_us <= now) {
		struct link *l = q->link;
		const char *url = l == NULL ? NULL : d->servers[l->server].url;

		if (l != NULL)
			link_abandon(l, q);
		/* A bind cannot be abandoned, and nothing may follow it before its answer. */
		if (l != NULL && q->is_bind)
			l->owner->on_lost(l, "no answer in time", l->arg);
		directory_answer(d, q, DIRECTORY_ERROR,
		    l == NULL && q->chase == NULL ? "no server could be asked in time"
						  : "no answer in time",
		    url);
	}
	slots_close_drained(d);
	if (q != NULL) {
		struct timeval tv = ticks_left(q->deadline_us);
		event_add(d->deadlines, &tv);
	}
}
