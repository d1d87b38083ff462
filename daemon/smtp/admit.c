/*
 * Who may connect: how many sessions an address and its network have, and how fast they come.
 *
 * Called by smtp.c for a new connection, and by session.c when one has ended.  An address of IPv6 is
 * its network of 64 bits; a network is 24 bits of IPv4, 48 of IPv6.  Rates are counted in tokens: as
 * many a second, and for a moment twice as many.  Pure: the time is the caller's.
 *
 * Invariant: a counter lives as long as a session holds it, or its tokens are not all back; at most
 * IDLE_MAX of the latter.
 */
#include "local.h"
#include "text.h"

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define IDLE_MAX 20000
#define BURST    2 /* seconds of a rate */

struct counter {
	RB_ENTRY(counter) node;
	TAILQ_ENTRY(counter) idle; /* when nobody holds it */
	uint8_t key[18];           /* bits, family, address */
	unsigned sessions;
	double tokens;
	int64_t filled_ms;
};

static int
compare(const struct counter *a, const struct counter *b)
{
	return memcmp(a->key, b->key, sizeof(a->key));
}

static RB_HEAD(counter_tree, counter) counters = RB_INITIALIZER(&counters);
static TAILQ_HEAD(, counter) idle = TAILQ_HEAD_INITIALIZER(idle);
static unsigned n_idle;
static struct {
	double tokens;
	int64_t filled_ms;
} everybody;

RB_PROTOTYPE(counter_tree, counter, node, compare)
RB_GENERATE(counter_tree, counter, node, compare)

static void
make_key(uint8_t key[18], const struct sockaddr_storage *ss, unsigned bits4, unsigned bits6)
{
	bool four = ss->ss_family == AF_INET;
	const uint8_t *from = four ? (const uint8_t *)&((const struct sockaddr_in *)ss)->sin_addr
				   : (const uint8_t *)&((const struct sockaddr_in6 *)ss)->sin6_addr;
	unsigned bits = four ? bits4 : bits6;

	memset(key, 0, 18);
	key[0] = (uint8_t)bits;
	key[1] = four ? 4 : 6;
	memcpy(key + 2, from, bits / 8);
}

static void
forget(struct counter *c)
{
	TAILQ_REMOVE(&idle, c, idle);
	n_idle--;
	RB_REMOVE(counter_tree, &counters, c);
	free(c);
}

static struct counter *
hold(const uint8_t key[18], unsigned rate, int64_t now_ms)
{
	struct counter probe, *c;

	memcpy(probe.key, key, sizeof(probe.key));
	c = RB_FIND(counter_tree, &counters, &probe);
	if (c == NULL) {
		c = xcalloc(1, sizeof(*c));
		memcpy(c->key, key, sizeof(c->key));
		c->tokens = (double)rate * BURST;
		c->filled_ms = now_ms;
		RB_INSERT(counter_tree, &counters, c);
	} else if (c->sessions == 0) {
		TAILQ_REMOVE(&idle, c, idle);
		n_idle--;
	}
	c->sessions++;
	return c;
}

static void
release(struct counter *c)
{
	if (--c->sessions > 0)
		return;
	TAILQ_INSERT_TAIL(&idle, c, idle);
	if (++n_idle > IDLE_MAX)
		forget(TAILQ_FIRST(&idle));
}

static bool
take_token(double *tokens, int64_t *filled_ms, unsigned rate, int64_t now_ms)
{
	double most = (double)rate * BURST;

	if (rate == 0)
		return true;
	*tokens += (double)(now_ms - *filled_ms) * rate / 1000;
	*filled_ms = now_ms;
	if (*tokens > most)
		*tokens = most;
	if (*tokens < 1)
		return false;
	*tokens -= 1;
	return true;
}

static bool
too_many(unsigned n, unsigned limit)
{
	return limit != 0 && n > limit;
}

const char *
admit(struct admission *a, const struct sockaddr_storage *ss, const struct conf_smtp_limits *l,
    int64_t now_ms)
{
	uint8_t key[18];

	*a = (struct admission){ 0 };
	if (everybody.filled_ms == 0)
		everybody.tokens = (double)l->rate * BURST;
	if (everybody.filled_ms == 0)
		everybody.filled_ms = now_ms;
	if (!take_token(&everybody.tokens, &everybody.filled_ms, l->rate, now_ms))
		return "421 4.3.2 too many connections at once, try again later";
	if (ss == NULL)
		return NULL;
	make_key(key, ss, 32, 64);
	a->address = hold(key, l->rate_per_address, now_ms);
	make_key(key, ss, 24, 48);
	a->network = hold(key, 0, now_ms);
	const char *wrong = NULL;
	if (!take_token(&a->address->tokens, &a->address->filled_ms, l->rate_per_address, now_ms))
		wrong = "421 4.7.0 too many connections from your address at once";
	else if (too_many(a->address->sessions, l->sessions_per_address))
		wrong = "421 4.7.0 too many sessions from your address";
	else if (too_many(a->network->sessions, l->sessions_per_network))
		wrong = "421 4.7.0 too many sessions from your network";
	if (wrong != NULL)
		admit_leave(a);
	return wrong;
}

void
admit_leave(struct admission *a)
{
	if (a->address != NULL)
		release(a->address);
	if (a->network != NULL)
		release(a->network);
	*a = (struct admission){ 0 };
}
