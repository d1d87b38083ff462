/*
 * A question to a table: to a list of the configuration, which is answered here, or to a helper.
 *
 * Both answer from the loop: an answer that is known at once goes into a list that one event works
 * off.
 */
#include "local.h"
#include "idna.h"
#include "log.h"
#include "tab_set.h"
#include "text.h"

#include <bsd/string.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>

/* A table as lookup has it: a helper behind its cache, or a list. */
struct table {
	struct broker *broker;
	struct cache *cache;
	struct tab_set *set;
};

/* Several keys, asked at once. */
struct ranked {
	size_t n;
	struct question *questions[TABLE_KEYS_MAX]; /* NULL: answered */
	struct rank {
		struct ranked *all;
		size_t i;
		bool known;
		enum tab_answer answer;
		char *value;
	} ranks[TABLE_KEYS_MAX];
	table_answer *answer;
	void *arg;
};

static struct table *tables; /* by the index of their configuration */
static struct question_list ready = TAILQ_HEAD_INITIALIZER(ready);
static struct event ready_event;

static void on_ready(evutil_socket_t, short, void *);
static struct tab_set *set_of(const struct conf_table *);
static void on_rank(enum tab_answer, const char *, void *);
static struct question *ask_one(const struct conf_table *, enum tab_op, enum tab_service,
    const char *key, table_answer *, void *arg);
static struct question *ask_both(const struct conf_table *, enum tab_op, enum tab_service,
    const char *key, const char *other, table_answer *, void *arg);

void
table_init(void)
{
	struct conf_table *t;

	tables = xcalloc(process.conf->n_tables, sizeof(struct table));
	event_assign(&ready_event, process.base, -1, 0, on_ready, NULL);
	STAILQ_FOREACH(t, &process.conf->tables, entry) {
		struct table *table = &tables[t->index];
		if (t->is_static) {
			table->set = set_of(t);
		} else {
			table->broker = broker_new(t);
			table->cache = cache_new(t, table->broker);
		}
	}
}

void
table_free(void)
{
	for (unsigned i = 0; i < process.conf->n_tables; i++)
		tab_set_free(tables[i].set);
	free(tables);
	tables = NULL;
}

static struct tab_set *
set_of(const struct conf_table *t)
{
	struct tab_set *set = tab_set_new();
	struct conf_entry *e;

	STAILQ_FOREACH(e, &t->entries, entry)
		table_add(set, e->key, e->value);
	return set;
}

void
table_add(struct tab_set *set, const char *key, const char *value)
{
	char ascii[ADDR_TEXT_LEN];

	tab_set_add(set, key, value);
	if (idna_entry_ascii(ascii, sizeof(ascii), key))
		tab_set_add(set, ascii, value);
}

struct broker *
table_broker(const struct conf_table *t)
{
	return tables[t->index].broker;
}

struct cache *
table_cache(const struct conf_table *t)
{
	return tables[t->index].cache;
}

enum tab_answer
table_offers(const struct conf_table *t, enum tab_service service)
{
	if (tables[t->index].broker != NULL)
		return broker_offers(tables[t->index].broker, service);
	return service == TAB_AUTH ? TAB_MISSING : TAB_FOUND;
}

/* One allocation, with its key.  In no list yet. */
struct question *
table_question(
    enum tab_op op, enum tab_service service, const char *key, table_answer *answer, void *arg)
{
	size_t len = strlen(key) + 1;
	struct question *q = xcalloc(1, sizeof(*q) + len);

	q->op = op;
	q->service = service;
	q->key = memcpy(q + 1, key, len);
	q->answer = answer;
	q->arg = arg;
	return q;
}

/* A key may be a password. */
void
table_question_free(struct question *q)
{
	explicit_bzero(q->key, strlen(q->key));
	free(q->known_value);
	free(q);
}

static bool
has_domains(enum tab_service service)
{
	return service == TAB_DOMAIN || service == TAB_MAILADDR || service == TAB_ALIAS ||
	       service == TAB_RELAYHOST;
}

struct question *
table_ask(const struct conf_table *t, enum tab_op op, enum tab_service service, const char *key,
    table_answer *answer, void *arg)
{
	char other[ADDR_MAX + IDNA_TEXT_LEN];

	if (tables[t->index].broker != NULL && has_domains(service) &&
	    idna_key_unicode(other, sizeof(other), key))
		return ask_both(t, op, service, key, other, answer, arg);
	return ask_one(t, op, service, key, answer, arg);
}

static struct question *
ask_one(const struct conf_table *t, enum tab_op op, enum tab_service service, const char *key,
    table_answer *answer, void *arg)
{
	struct table *table = &tables[t->index];
	const char *value = "a key that cannot be put into a line";
	enum tab_answer known = TAB_ERROR;
	bool helper = table->broker != NULL && tab_key_ok(key);

	if (helper && !cache_takes(op, service))
		return broker_ask(table->broker, op, service, key, answer, arg);
	if (table->broker == NULL)
		known = tab_set_ask(table->set, op, service, key, &value);
	struct question *q = table_question(op, service, key, answer, arg);
	if (helper)
		cache_ask(table->cache, q);
	else
		table_settle_later(q, known, value);
	return q;
}

static void
on_both(enum tab_answer answer, const char *value, void *arg)
{
	struct question *q = arg;

	q->inner = NULL;
	q->answer(answer, value, q->arg);
	table_question_free(q);
}

static void
on_first(enum tab_answer answer, const char *value, void *arg)
{
	struct question *q = arg;

	if (answer == TAB_MISSING)
		q->inner = ask_one(q->table, q->op, q->service, q->key, on_both, q);
	else
		on_both(answer, value, q);
}

/* A helper knows a domain by the name that the DNS has for it, or by the one that people write. */
static struct question *
ask_both(const struct conf_table *t, enum tab_op op, enum tab_service service, const char *key,
    const char *other, table_answer *answer, void *arg)
{
	struct question *q = table_question(op, service, other, answer, arg);

	q->table = t;
	q->inner = ask_one(t, op, service, key, on_first, q);
	return q;
}

void
table_settle_later(struct question *q, enum tab_answer answer, const char *value)
{
	q->broker = NULL;
	q->shared = NULL;
	q->known = answer;
	q->known_value = xstrdup(value == NULL ? "" : value);
	TAILQ_INSERT_TAIL(&ready, q, entry);
	event_active(&ready_event, EV_TIMEOUT, 0);
}

/* A callback may ask anew: what it adds is worked off in the same turn. */
static void
on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct question *q;

	(void)fd;
	(void)what;
	(void)arg;
	while ((q = TAILQ_FIRST(&ready)) != NULL) {
		TAILQ_REMOVE(&ready, q, entry);
		q->answer(q->known, q->known_value, q->arg);
		table_question_free(q);
	}
}

void
table_cancel(struct question *q)
{
	if (q->broker != NULL) {
		broker_cancel(q);
		return;
	}
	if (q->inner != NULL)
		table_cancel(q->inner);
	else if (q->shared != NULL)
		cache_cancel(q);
	else
		TAILQ_REMOVE(&ready, q, entry);
	table_question_free(q);
}

struct ranked *
table_ask_ranked(const struct conf_table *t, enum tab_service service, const char *const *keys,
    size_t n, table_answer *answer, void *arg)
{
	struct ranked *r = xcalloc(1, sizeof(*r));

	*r = (struct ranked){ .n = n, .answer = answer, .arg = arg };
	for (size_t i = 0; i < n; i++) {
		r->ranks[i] = (struct rank){ .all = r, .i = i };
		r->questions[i] = table_ask(t, TAB_LOOKUP, service, keys[i], on_rank, &r->ranks[i]);
	}
	return r;
}

void
table_cancel_ranked(struct ranked *r)
{
	for (size_t i = 0; i < r->n; i++) {
		if (r->questions[i] != NULL)
			table_cancel(r->questions[i]);
		free(r->ranks[i].value);
	}
	free(r);
}

/* Settled as soon as no answer that is still out could change the result. */
static void
on_rank(enum tab_answer answer, const char *value, void *arg)
{
	struct rank *rank = arg;
	struct ranked *r = rank->all;

	r->questions[rank->i] = NULL;
	rank->known = true;
	rank->answer = answer;
	rank->value = xstrdup(value);
	for (size_t i = 0; i < r->n; i++) {
		struct rank *best = &r->ranks[i];
		if (!best->known)
			return;
		if (best->answer != TAB_MISSING) {
			r->answer(best->answer, best->value, r->arg);
			table_cancel_ranked(r);
			return;
		}
	}
	r->answer(TAB_MISSING, "", r->arg);
	table_cancel_ranked(r);
}
