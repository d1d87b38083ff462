/*
 * Our own addresses, where an action names them by `source`: which one the next connection goes out
 * from, and the health of each.
 *
 * A table's next addresses come from lookup a round at a time, and are used in their order; of one
 * whose helper chooses for each mail (source-for), for the mail in hand.  An address that could not be
 * bound is set aside altogether; one that did not get through where another one then did, for that
 * route.  It comes back by itself, at first to one connection.  The decisions are choice.c's.
 *
 *	source_pick() -> SOURCE_READY, SOURCE_NONE
 *	              -> SOURCE_WAITS … on_answer -> seek.on_answer() -> source_pick()
 */
#include "choice.h"
#include "clock.h"
#include "ipc.h"
#include "local.h"
#include "log.h"
#include "text.h"

#include <bsd/string.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEP_MS     5000 /* a round that is older is asked for anew: the table may have changed */
#define RECORDS_MAX 20000
#define ROUNDS_MAX  2 /* questions for one connection: there is more than one round in a long list */
#define CHOICES_MAX 8

/* What is known of an address, on a route or ("") altogether. */
struct record {
	RB_ENTRY(record) entry;
	struct choice_aside aside;
	enum choice_fault fault;
	char *reason;
	uint64_t n_used, n_blamed;
	const char *route;
	char source[];
};

/* A table's round. */
struct round {
	struct choice_turn *turns;
	size_t n;
	int64_t asked_ms;
	bool chooses; /* for each mail: there is no round */
	struct ipc_call *call;
	TAILQ_HEAD(, seek) waiting;
};

static int compare(struct record *, struct record *);
static int pick_turn(struct seek *, const struct choice_turn *, size_t n);
static void ask(struct seek *);
static void on_round(const struct msg *, void *arg);
static void on_chosen(const struct msg *, void *arg);
static size_t read_turns(const struct msg *, struct choice_turn **, const char **error);

static struct round *rounds; /* by the index of their table */
static RB_HEAD(record_tree, record) records = RB_INITIALIZER(&records);
static size_t n_records;
RB_PROTOTYPE(record_tree, record, entry, compare)
RB_GENERATE(record_tree, record, entry, compare)

/* --- What is known of an address */

static int
compare(struct record *a, struct record *b)
{
	int c = strcmp(a->source, b->source);

	return c != 0 ? c : strcmp(a->route, b->route);
}

static void
forget(struct record *r)
{
	RB_REMOVE(record_tree, &records, r);
	n_records--;
	free(r->reason);
	free(r);
}

static void
forget_old(void)
{
	struct record *r, *next;

	RB_FOREACH_SAFE(r, record_tree, &records, next)
		if (r->route[0] != '\0' && !choice_is_aside(&r->aside, clock_mono_ms()))
			forget(r);
}

static struct record *
record_of(const char *source, const char *route, bool make)
{
	size_t source_len = strlen(source) + 1, route_len = strlen(route) + 1;
	struct record *r = xcalloc(1, sizeof(*r) + source_len + route_len);

	memcpy(r->source, source, source_len);
	r->route = memcpy(r->source + source_len, route, route_len);
	struct record *have = RB_FIND(record_tree, &records, r);
	if (have != NULL || !make) {
		free(r);
		return have;
	}
	if (n_records >= RECORDS_MAX)
		forget_old();
	RB_INSERT(record_tree, &records, r);
	n_records++;
	return r;
}

void
source_blame(const char *source, const char *route, enum choice_fault fault, const char *why)
{
	struct record *r = record_of(source, fault == CHOICE_NOT_OURS ? "" : route, true);
	int64_t before = r->aside.until_ms, now = clock_mono_ms();

	if (r->aside.backoff_ms == 0 || fault > r->fault)
		r->fault = fault; /* of several the one that only mail disproves */
	r->n_blamed++;
	free(r->reason);
	r->reason = xstrdup(why);
	choice_blame(&r->aside, now);
	if (r->aside.until_ms != before)
		log_info("source=%s set-aside for=%lldms route=%s reason=%s", source,
		    (long long)(r->aside.until_ms - now),
		    r->route[0] == '\0' ? "all" : log_quote(r->route), log_quote(why));
}

static void
praise(struct record *r)
{
	if (r == NULL || r->aside.backoff_ms == 0)
		return;
	log_info("source=%s back route=%s", r->source,
	    r->route[0] == '\0' ? "all" : log_quote(r->route));
	if (r->route[0] != '\0') {
		forget(r);
		return;
	}
	r->aside = (struct choice_aside){ 0 };
	free(r->reason);
	r->reason = NULL;
}

void
source_worked(const char *source, const char *route)
{
	struct record *r = record_of(source, route, false);

	if (r != NULL && r->fault != CHOICE_POLICY)
		praise(r);
	praise(record_of(source, "", true));
	record_of(source, "", true)->n_used++;
}

void
source_took(const char *source, const char *route)
{
	praise(record_of(source, route, false));
}

/* Set aside altogether or for the route; the record that says so, or NULL. */
static struct record *
aside_of(const char *source, const char *route)
{
	struct record *all = record_of(source, "", false), *one = record_of(source, route, false);
	int64_t now = clock_mono_ms();

	if (all != NULL && choice_is_aside(&all->aside, now))
		return all;
	return one != NULL && choice_is_aside(&one->aside, now) ? one : NULL;
}

void
source_each(void (*tell)(const struct source_view *, void *), void *arg)
{
	struct record *r;
	int64_t now = clock_mono_ms();

	RB_FOREACH(r, record_tree, &records)
		tell(&(struct source_view){ .source = r->source,
			 .route = r->route,
			 .reason = r->reason == NULL ? "" : r->reason,
			 .aside_ms = r->aside.until_ms > now ? r->aside.until_ms - now : 0,
			 .n_used = r->n_used,
			 .n_blamed = r->n_blamed },
		    arg);
}

/* --- Which one is next */

static bool
may_use(const char *text, void *arg)
{
	const struct seek *s = arg;

	for (size_t i = 0; i < s->n_tried; i++)
		if (strcmp(s->tried[i].text, text) == 0)
			return false;
	return aside_of(text, s->route) == NULL;
}

/* Whether it is others that have taken what this one could use of the round. */
static bool
was_taken(struct seek *s, const struct choice_turn *turns, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (turns[i].taken && turns[i].addr.ss_family == s->family &&
		    may_use(turns[i].text, s))
			return true;
	return false;
}

/* Why none of these will do. */
static void
explain_none(struct seek *s, const struct choice_turn *turns, size_t n)
{
	size_t n_family = 0;
	const char *family = s->family == AF_INET6 ? "IPv6" : "IPv4";

	s->why[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		const struct record *r = aside_of(turns[i].text, s->route);
		if (turns[i].addr.ss_family != s->family)
			continue;
		n_family++;
		if (r == NULL || r->reason == NULL || strstr(s->why, turns[i].text) != NULL)
			continue;
		char one[300];
		snprintf(one, sizeof(one), "%s%s: %.200s", s->why[0] == '\0' ? "" : "; ",
		    turns[i].text, r->reason);
		strlcat(s->why, one, sizeof(s->why));
	}
	char why[sizeof(s->why)];
	strlcpy(why, s->why, sizeof(why));
	if (n_family == 0)
		snprintf(s->why, sizeof(s->why),
		    "the table \"%.64s\" has no %s address to send from", s->table->name, family);
	else
		snprintf(s->why, sizeof(s->why), "no %s address to send from is left%s%.600s",
		    family, why[0] == '\0' ? "" : ": ", why);
}

static int
pick_turn(struct seek *s, const struct choice_turn *turns, size_t n)
{
	int i = choice_pick(turns, n, s->family, may_use, s);

	if (i == -1)
		return -1;
	s->choice = turns[i];
	/* One that was set aside has its chance now: others wait for what comes of it. */
	struct record *all = record_of(s->choice.text, "", false);
	struct record *one = record_of(s->choice.text, s->route, false);
	if (all != NULL)
		choice_try_again(&all->aside, clock_mono_ms());
	if (one != NULL)
		choice_try_again(&one->aside, clock_mono_ms());
	return i;
}

enum source_answer
source_pick(struct seek *s)
{
	if (rounds == NULL)
		rounds = xcalloc(process.conf->n_tables, sizeof(*rounds));
	struct round *round = &rounds[s->table->index];

	if (s->failed) {
		s->failed = false;
		return SOURCE_NONE;
	}
	if (round->chooses && s->mail == NULL)
		return SOURCE_WANTS_MAIL;
	const struct choice_turn *turns = round->chooses ? s->own : round->turns;
	size_t n = round->chooses ? s->n_own : round->n;
	bool old = !round->chooses && clock_mono_ms() - round->asked_ms >= KEEP_MS;
	int i = n == 0 || old ? -1 : pick_turn(s, turns, n);
	if (i != -1) {
		if (round->chooses)
			s->own[i].taken = true;
		else
			round->turns[i].taken = true;
		return SOURCE_READY;
	}
	if (!round->chooses && !old && was_taken(s, turns, n))
		s->n_asked = 0; /* each round serves some, however many wait */
	if (s->n_asked < (round->chooses ? CHOICES_MAX : ROUNDS_MAX)) {
		s->n_asked++;
		ask(s);
		return SOURCE_WAITS;
	}
	explain_none(s, turns, n);
	return SOURCE_NONE;
}

/* A round is everybody's, an answer for one mail its own. */
static void
ask(struct seek *s)
{
	struct round *round = &rounds[s->table->index];
	struct msg_ask_source q = { .table = s->table->index,
		.sender = "",
		.domain = "",
		.user = "",
		.inet6 = s->family == AF_INET6 };

	if (round->chooses) {
		q.sender = s->sender;
		q.domain = s->domain;
		q.user = s->user;
		s->call = ipc_call(relay.lookup, MSG_ASK_SOURCE, &q, on_chosen, s);
		return;
	}
	if (round->call == NULL) {
		TAILQ_INIT(&round->waiting);
		round->call = ipc_call(relay.lookup, MSG_ASK_SOURCE, &q, on_round, round);
	}
	TAILQ_INSERT_TAIL(&round->waiting, s, entry);
}

static void
on_round(const struct msg *m, void *arg)
{
	struct round *round = arg;
	const char *error;
	struct choice_turn *turns;
	size_t n = read_turns(m, &turns, &error);
	struct seek *s;

	round->call = NULL;
	round->chooses = m != NULL && m->type == MSG_SOURCES &&
			 ((const struct msg_sources *)m->body)->chosen != 0;
	free(round->turns);
	round->turns = turns;
	round->n = round->chooses ? 0 : n;
	round->asked_ms = clock_mono_ms();
	TAILQ_HEAD(, seek) all = TAILQ_HEAD_INITIALIZER(all);
	TAILQ_CONCAT(&all, &round->waiting, entry);
	while ((s = TAILQ_FIRST(&all)) != NULL) {
		TAILQ_REMOVE(&all, s, entry);
		s->failed = error[0] != '\0' && !round->chooses;
		if (s->failed)
			snprintf(s->why, sizeof(s->why),
			    "the table \"%.64s\" cannot be asked: %.200s", s->table->name, error);
		if (round->chooses)
			s->n_asked = 0;
		s->on_answer(s);
	}
}

static void
on_chosen(const struct msg *m, void *arg)
{
	struct seek *s = arg;
	const char *error;

	s->call = NULL;
	free(s->own);
	s->n_own = read_turns(m, &s->own, &error);
	if (m != NULL && m->type == MSG_SOURCES)
		rounds[s->table->index].chooses =
		    ((const struct msg_sources *)m->body)->chosen != 0 || error[0] != '\0';
	s->failed = error[0] != '\0';
	if (s->failed)
		snprintf(s->why, sizeof(s->why), "the table \"%.64s\" cannot be asked: %.200s",
		    s->table->name, error);
	s->on_answer(s);
}

/* ADDRESS NUL NAME NUL for each. */
static size_t
read_turns(const struct msg *m, struct choice_turn **turns, const char **error)
{
	const struct msg_sources *a = m == NULL ? NULL : m->body;
	size_t n = 0;

	*turns = NULL;
	*error = "lookup is gone";
	if (a == NULL || m->type != MSG_SOURCES)
		return 0;
	*error = a->error;
	const char *p = a->list.data, *end = p + a->list.len;
	while (p != NULL && p < end) {
		const char *name = memchr(p, '\0', (size_t)(end - p));
		name = name == NULL ? end : name + 1;
		const char *last = name == end ? NULL : memchr(name, '\0', (size_t)(end - name));
		if (last == NULL)
			break;
		*turns = xrealloc(*turns, n + 1, sizeof(**turns));
		struct choice_turn *t = &(*turns)[n];
		*t = (struct choice_turn){ 0 };
		strlcpy(t->text, p, sizeof(t->text));
		strlcpy(t->name, name, sizeof(t->name));
		if (netaddr_parse(&t->addr, t->text, 0))
			n++;
		p = last + 1;
	}
	return n;
}

void
source_tried(struct seek *s, enum choice_fault fault, const char *why)
{
	if (s->n_tried == SOURCE_TRIES_MAX)
		return;
	struct source_try *t = &s->tried[s->n_tried++];
	t->fault = fault;
	strlcpy(t->text, s->choice.text, sizeof(t->text));
	strlcpy(t->why, why, sizeof(t->why));
}

void
source_end(struct seek *s)
{
	free(s->own);
	s->own = NULL;
	free(s->mail);
	free(s->sender);
	free(s->domain);
	free(s->user);
}

/* Another one that could be used on this route, and is of the same family. */
bool
source_has_other(const struct conf_table *table, const char *route, const char *source)
{
	const struct round *round = rounds == NULL ? NULL : &rounds[table->index];
	struct sockaddr_storage own;

	if (round == NULL || !netaddr_parse(&own, source, 0))
		return false;
	for (size_t i = 0; i < round->n; i++)
		if (round->turns[i].addr.ss_family == own.ss_family &&
		    strcmp(round->turns[i].text, source) != 0 &&
		    aside_of(round->turns[i].text, route) == NULL)
			return true;
	return false;
}
