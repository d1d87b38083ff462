/*
 * Answers of a helper's table that are kept, and questions that share one.
 *
 * Equal questions in flight are one question to the helper.  With `cache T` a found answer serves
 * for T, with `negative T` a not-found one; with `stale T`, while the helper is down or answers with
 * errors, what was last found serves for that much longer.  An error is never kept, `auth` and `fetch`
 * never come here, an update empties it all.
 *
 * An entry is in the table of its cache while it has an answer that may serve, or questions that wait for
 * one; an update takes those out of it.
 */
#include "local.h"
#include "clock.h"
#include "log.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX 50000 /* of one table */
#define BUCKETS     16384
#define BYTES_MAX   (32 * 1024 * 1024) /* of keys and values of one table */

struct shared {
	struct shared *next; /* in its bucket */
	uint64_t hash;
	TAILQ_ENTRY(shared) age; /* oldest use first */
	struct cache *cache;
	enum tab_op op;
	enum tab_service service;
	char *key;
	bool known; /* answer and value are there */
	enum tab_answer answer;
	char *value;
	int64_t learned_ms;
	struct question *asked; /* at the broker; NULL: nobody waits */
	bool outdated; /* the table was updated while this was asked: not to be joined or kept */
	struct question_list waiting;
};

struct cache {
	const struct conf_table *table;
	struct broker *broker;
	struct shared **buckets; /* BUCKETS of them */
	TAILQ_HEAD(, shared) by_age;
	size_t n, bytes;
	struct cache_stats stats;
};

static bool serves(const struct shared *, int64_t now_ms);
static bool serves_stale(const struct shared *, int64_t now_ms);
static void answer_later(struct question *, const struct shared *);
static void on_answer(enum tab_answer, const char *, void *);
static void learn(struct shared *, enum tab_answer, const char *value);
static void settle_all(struct shared *, enum tab_answer, const char *value);
static void make_room(struct cache *);
static void forget(struct shared *);
static void unlink_bucket(struct shared *);
static void drop(struct shared *);

/* Where the entry of this question is, or would be put. */
static struct shared **
find(struct cache *c, const struct question *q, uint64_t hash)
{
	struct shared **s = &c->buckets[hash % BUCKETS];

	while (*s != NULL && ((*s)->hash != hash || (*s)->op != q->op ||
				 (*s)->service != q->service || strcmp((*s)->key, q->key) != 0))
		s = &(*s)->next;
	return s;
}

struct cache *
cache_new(const struct conf_table *table, struct broker *broker)
{
	struct cache *c = xcalloc(1, sizeof(*c));

	c->table = table;
	c->broker = broker;
	c->buckets = xcalloc(BUCKETS, sizeof(*c->buckets));
	TAILQ_INIT(&c->by_age);
	return c;
}

const struct cache_stats *
cache_stats(const struct cache *c)
{
	return &c->stats;
}

/* A fetch, and source-for, is another answer each time, and a password is not kept in memory longer than its check. */
bool
cache_takes(enum tab_op op, enum tab_service service)
{
	return (op == TAB_CHECK || op == TAB_LOOKUP) && service != TAB_AUTH &&
	       service != TAB_SOURCE_FOR;
}

void
cache_ask(struct cache *c, struct question *q)
{
	uint64_t hash = hash_text((uint64_t)q->op << 8 | (uint64_t)q->service, q->key);
	struct shared *s = *find(c, q, hash);

	if (s != NULL && s->asked == NULL) {
		int64_t now_ms = clock_mono_ms();
		if (serves(s, now_ms)) {
			c->stats.hits++;
			answer_later(q, s);
			return;
		}
		if (!broker_is_up(c->broker) && serves_stale(s, now_ms)) {
			c->stats.stale++;
			answer_later(q, s);
			return;
		}
	}
	if (s == NULL) {
		make_room(c);
		size_t len = strlen(q->key) + 1;
		s = xcalloc(1, sizeof(*s) + len);
		s->cache = c;
		s->op = q->op;
		s->service = q->service;
		s->key = memcpy(s + 1, q->key, len);
		TAILQ_INIT(&s->waiting);
		s->hash = hash;
		s->next = c->buckets[hash % BUCKETS];
		c->buckets[hash % BUCKETS] = s;
		TAILQ_INSERT_TAIL(&c->by_age, s, age);
		c->n++;
		c->bytes += strlen(s->key);
	}
	q->shared = s;
	TAILQ_INSERT_TAIL(&s->waiting, q, entry);
	if (s->asked != NULL)
		c->stats.joined++;
	else
		s->asked = broker_ask(c->broker, q->op, q->service, q->key, on_answer, s);
}

static bool
serves(const struct shared *s, int64_t now_ms)
{
	const struct conf_table *t = s->cache->table;
	int64_t for_ms = s->answer == TAB_FOUND ? t->cache_ms : t->negative_ms;

	return s->known && now_ms - s->learned_ms < for_ms;
}

static bool
serves_stale(const struct shared *s, int64_t now_ms)
{
	const struct conf_table *t = s->cache->table;

	return s->known && s->answer == TAB_FOUND &&
	       now_ms - s->learned_ms < t->cache_ms + t->stale_ms;
}

static void
answer_later(struct question *q, const struct shared *s)
{
	struct cache *c = s->cache;
	struct shared *used = (struct shared *)(uintptr_t)s;

	TAILQ_REMOVE(&c->by_age, used, age);
	TAILQ_INSERT_TAIL(&c->by_age, used, age);
	table_settle_later(q, s->answer, s->value);
}

static void
on_answer(enum tab_answer answer, const char *value, void *arg)
{
	struct shared *s = arg;
	struct cache *c = s->cache;

	s->asked = NULL;
	if (answer == TAB_ERROR && serves_stale(s, clock_mono_ms())) {
		c->stats.stale++;
		log_debug("table=%s event=stale service=%s reason=%s", c->table->name,
		    tab_service_name(s->service), log_quote(value));
		settle_all(s, s->answer, s->value);
		return;
	}
	/* The first is answered here and now, which is the common case of one; its callback may ask
	 * this very key anew, so the entry is as it will be before. */
	struct question *first = TAILQ_FIRST(&s->waiting);
	TAILQ_REMOVE(&s->waiting, first, entry);
	settle_all(s, answer, value);
	if (answer != TAB_ERROR)
		learn(s, answer, value);
	if (!s->known)
		drop(s);
	first->answer(answer, value, first->arg);
	table_question_free(first);
}

static void
forget(struct shared *s)
{
	if (!s->known)
		return;
	s->cache->bytes -= strlen(s->value);
	free(s->value);
	s->value = NULL;
	s->known = false;
}

/* What does not serve a moment is not kept. */
static void
learn(struct shared *s, enum tab_answer answer, const char *value)
{
	const struct conf_table *t = s->cache->table;

	forget(s);
	if (s->outdated || (answer == TAB_FOUND ? t->cache_ms : t->negative_ms) == 0)
		return;
	s->known = true;
	s->answer = answer;
	s->value = xstrdup(value);
	s->learned_ms = clock_mono_ms();
	s->cache->bytes += strlen(value);
}

/* From table.c's list: each may ask this very key anew, or cancel others. */
static void
settle_all(struct shared *s, enum tab_answer answer, const char *value)
{
	struct question *q;

	while ((q = TAILQ_FIRST(&s->waiting)) != NULL) {
		TAILQ_REMOVE(&s->waiting, q, entry);
		table_settle_later(q, answer, value);
	}
}

/* Whoever asked first may leave: the others still wait for the answer. */
void
cache_cancel(struct question *q)
{
	struct shared *s = q->shared;

	TAILQ_REMOVE(&s->waiting, q, entry);
	if (!TAILQ_EMPTY(&s->waiting))
		return;
	table_cancel(s->asked); /* the broker may have settled it: then it is in table.c's list */
	s->asked = NULL;
	if (!s->known)
		drop(s);
}

/* What is being asked is of the old table: those who wait get it, those who come ask anew. */
void
cache_empty(struct cache *c)
{
	struct shared *s, *next;

	TAILQ_FOREACH_SAFE(s, &c->by_age, age, next) {
		if (s->asked == NULL) {
			drop(s);
			continue;
		}
		forget(s);
		if (!s->outdated)
			unlink_bucket(s);
		s->outdated = true;
	}
}

/* The longest unused goes first; one that is waited for stays. */
static void
make_room(struct cache *c)
{
	struct shared *s, *next;

	if (c->n < ENTRIES_MAX && c->bytes < BYTES_MAX)
		return;
	TAILQ_FOREACH_SAFE(s, &c->by_age, age, next) {
		if (s->asked == NULL)
			drop(s);
		if (c->n < ENTRIES_MAX && c->bytes < BYTES_MAX)
			return;
	}
}

static void
unlink_bucket(struct shared *s)
{
	struct shared **at = &s->cache->buckets[s->hash % BUCKETS];

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
}

static void
drop(struct shared *s)
{
	struct cache *c = s->cache;

	forget(s);
	if (!s->outdated)
		unlink_bucket(s);
	TAILQ_REMOVE(&c->by_age, s, age);
	c->n--;
	c->bytes -= strlen(s->key);
	free(s);
}
