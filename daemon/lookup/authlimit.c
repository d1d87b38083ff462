/*
 * Who has failed to log in lately: how often, and what comes of it.
 *
 * Called by auth.c.  A failure counts for its address (a network of 64 bits for IPv6) and for its user,
 * and is forgotten after a minute, one after the other.  An address beyond its limit is refused
 * without a question; a user beyond his only for addresses from which he has not logged in lately, so
 * that a guesser locks nobody out.  Pure: the time is the caller's.  At most ENTRIES_MAX are
 * remembered, the oldest go first.
 */
#include "local.h"
#include "text.h"

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX   20000
#define FORGET_MS     60000          /* until one failure is forgotten */
#define KNOWN_MS      (86400 * 1000) /* that a success counts */
#define USER_FACTOR   5              /* a user's limit, in limits of an address */
#define DELAY_MS      500            /* of an answer, for each failure not forgotten */
#define DELAY_MAX_MS  10000
#define FAILURES_HELD 1000 /* at one entry: it is forgotten some day */

struct seen {
	RB_ENTRY(seen) node;
	TAILQ_ENTRY(seen) age;
	int64_t until_ms; /* forgotten wholly */
	char key[];
};

RB_HEAD(seen_tree, seen);
struct authlimit {
	struct seen_tree by_key;
	TAILQ_HEAD(, seen) by_age; /* oldest first */
	size_t n;
	unsigned limit;
};

static int
compare(const struct seen *a, const struct seen *b)
{
	return strcmp(a->key, b->key);
}

RB_PROTOTYPE(seen_tree, seen, node, compare)
RB_GENERATE(seen_tree, seen, node, compare)

struct authlimit *
authlimit_new(unsigned limit)
{
	struct authlimit *l = xcalloc(1, sizeof(*l));

	RB_INIT(&l->by_key);
	TAILQ_INIT(&l->by_age);
	l->limit = limit;
	return l;
}

static void
drop(struct authlimit *l, struct seen *s)
{
	RB_REMOVE(seen_tree, &l->by_key, s);
	TAILQ_REMOVE(&l->by_age, s, age);
	l->n--;
	free(s);
}

void
authlimit_free(struct authlimit *l)
{
	struct seen *s;

	while ((s = TAILQ_FIRST(&l->by_age)) != NULL)
		drop(l, s);
	free(l);
}

static struct seen *
find(struct authlimit *l, const char *key, bool make)
{
	size_t len = strlen(key) + 1;
	struct seen *probe = xcalloc(1, sizeof(*probe) + len);

	memcpy(probe->key, key, len);
	struct seen *s = RB_FIND(seen_tree, &l->by_key, probe);
	if (s != NULL || !make) {
		free(probe);
	} else {
		if (l->n >= ENTRIES_MAX)
			drop(l, TAILQ_FIRST(&l->by_age));
		s = probe;
		RB_INSERT(seen_tree, &l->by_key, s);
		TAILQ_INSERT_TAIL(&l->by_age, s, age);
		l->n++;
	}
	if (s != NULL) {
		TAILQ_REMOVE(&l->by_age, s, age);
		TAILQ_INSERT_TAIL(&l->by_age, s, age);
	}
	return s;
}

/* The three kinds of key; a control byte parts what comes from outside. */
enum kind { ADDRESS, USER, KNOWN };

static struct seen *
look(struct authlimit *l, enum kind kind, const struct authlimit_who *who, bool make)
{
	char net[NETADDR_TEXT_LEN + 8];
	struct text key = { 0 };

	text_putf(&key, "%d\1%s\1%s", kind,
	    kind == USER ? "" : netaddr_network(who->address, 32, 64, net, sizeof(net)),
	    kind == ADDRESS ? "" : who->user);
	struct seen *s = find(l, text_lower(key.s), make);
	text_free(&key);
	return s;
}

static unsigned
failures(const struct seen *s, int64_t now_ms)
{
	int64_t left = s == NULL ? 0 : s->until_ms - now_ms;

	return left <= 0 ? 0 : (unsigned)((left + FORGET_MS - 1) / FORGET_MS);
}

static unsigned
add_failure(struct seen *s, int64_t now_ms)
{
	if (s->until_ms < now_ms)
		s->until_ms = now_ms;
	if (failures(s, now_ms) < FAILURES_HELD)
		s->until_ms += FORGET_MS;
	return failures(s, now_ms);
}

enum authlimit_answer
authlimit_ask(struct authlimit *l, const struct authlimit_who *who, int64_t now_ms)
{
	unsigned by_address = failures(look(l, ADDRESS, who, false), now_ms);
	const struct seen *known = look(l, KNOWN, who, false);

	if (!who->exempt && by_address >= l->limit)
		return AUTHLIMIT_ADDRESS;
	if (known != NULL && known->until_ms > now_ms)
		return AUTHLIMIT_KNOWN;
	if (failures(look(l, USER, who, false), now_ms) >= l->limit * USER_FACTOR)
		return AUTHLIMIT_USER;
	return by_address > 0 ? AUTHLIMIT_SUSPECT : AUTHLIMIT_FREE;
}

int64_t
authlimit_failed(struct authlimit *l, const struct authlimit_who *who, int64_t now_ms)
{
	unsigned n = add_failure(look(l, ADDRESS, who, true), now_ms);
	unsigned of_user = add_failure(look(l, USER, who, true), now_ms);

	if (who->exempt)
		n = of_user;
	return n * DELAY_MS < DELAY_MAX_MS ? n * DELAY_MS : DELAY_MAX_MS;
}

void
authlimit_succeeded(struct authlimit *l, const struct authlimit_who *who, int64_t now_ms)
{
	look(l, KNOWN, who, true)->until_ms = now_ms + KNOWN_MS;
}
