/*
 * Who has failed to log in lately: how often, and what comes of it.
 *
 * Called by auth.c.  A failure counts for its address (a network of 64 bits for IPv6) and for its user,
 * and is forgotten after a minute, one after the other.  An address beyond its limit is refused
 * without a question; a user beyond his only for addresses from which he has not logged in lately, so
 * that a guesser locks nobody out.  What is under way counts as if it had failed.  Pure: the time is the
 * caller's.
 *
 * A trusted (exempt) address has no limit of its own, but all of them together may have so much under way as
 * leaves half of crypt(3)'s places (hash.c) to others, who have logged in there before apart from who has not.
 *
 * At most ENTRIES_MAX of each kind are remembered, the oldest go first.  Only a login that succeeds
 * makes a KNOWN one, so no flood of made-up users or addresses can push those out.
 *
 * Invariant: an entry with an attempt under way stays; the caller bounds those (far below ENTRIES_MAX).
 */
#include "local.h"
#include "text.h"

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX   20000          /* of a kind */
#define FORGET_MS     60000          /* until one failure is forgotten */
#define KNOWN_MS      (86400 * 1000) /* that a success counts */
#define USER_FACTOR   5              /* a user's limit, in limits of an address */
#define DELAY_MS      500            /* of an answer, for each failure not forgotten */
#define DELAY_MAX_MS  10000
#define FAILURES_HELD 1000 /* at one entry: it is forgotten some day */
#define TRUSTED_KNOWN 64   /* under way, of all trusted addresses, for who is known there */
#define TRUSTED_MAX   32   /* and for who is not */

/* The kinds of entry: by network, by user, and by both: he has logged in from there. */
enum kind { ADDRESS, USER, KNOWN, KINDS };

struct seen {
	RB_ENTRY(seen) node;
	TAILQ_ENTRY(seen) age;
	int64_t until_ms;   /* forgotten wholly */
	unsigned under_way; /* attempts */
	char key[];
};

RB_HEAD(seen_tree, seen);
TAILQ_HEAD(seen_list, seen);
struct shelf {
	struct seen_tree by_key;
	struct seen_list by_age; /* oldest first */
	size_t n;
};

struct authlimit {
	struct shelf shelves[KINDS];
	unsigned limit;
	unsigned trusted_known, trusted; /* under way */
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

	for (int i = 0; i < KINDS; i++) {
		RB_INIT(&l->shelves[i].by_key);
		TAILQ_INIT(&l->shelves[i].by_age);
	}
	l->limit = limit;
	return l;
}

static void
drop(struct shelf *shelf, struct seen *s)
{
	RB_REMOVE(seen_tree, &shelf->by_key, s);
	TAILQ_REMOVE(&shelf->by_age, s, age);
	shelf->n--;
	free(s);
}

void
authlimit_free(struct authlimit *l)
{
	struct seen *s;

	for (int i = 0; i < KINDS; i++)
		while ((s = TAILQ_FIRST(&l->shelves[i].by_age)) != NULL)
			drop(&l->shelves[i], s);
	free(l);
}

static void
freshen(struct shelf *shelf, struct seen *s)
{
	TAILQ_REMOVE(&shelf->by_age, s, age);
	TAILQ_INSERT_TAIL(&shelf->by_age, s, age);
}

/* The oldest goes; those with an attempt under way are not old. */
static void
make_room(struct shelf *shelf)
{
	struct seen *s;

	while (shelf->n >= ENTRIES_MAX && (s = TAILQ_FIRST(&shelf->by_age)) != NULL)
		if (s->under_way == 0) /* NOLINT(clang-analyzer-unix.Malloc): drop() takes it off */
			drop(shelf, s);
		else
			freshen(shelf, s);
}

static struct seen *
find(struct shelf *shelf, const char *key, bool make)
{
	size_t len = strlen(key) + 1;
	struct seen *probe = xcalloc(1, sizeof(*probe) + len);

	memcpy(probe->key, key, len);
	struct seen *s = RB_FIND(seen_tree, &shelf->by_key, probe);
	if (s != NULL || !make) {
		free(probe);
	} else {
		make_room(shelf);
		s = probe;
		RB_INSERT(seen_tree, &shelf->by_key, s);
		TAILQ_INSERT_TAIL(&shelf->by_age, s, age);
		shelf->n++;
	}
	if (make)
		freshen(shelf, s);
	return s;
}

/* A control byte parts what comes from outside. */
static struct seen *
look(struct authlimit *l, enum kind kind, const struct authlimit_who *who, bool make)
{
	char net[NETADDR_TEXT_LEN + 8];
	struct text key = { 0 };

	text_putf(&key, "%s\1%s",
	    kind == USER ? "" : netaddr_network(who->address, 32, 64, net, sizeof(net)),
	    kind == ADDRESS ? "" : who->user);
	struct seen *s = find(&l->shelves[kind], text_lower(key.s), make);
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

static unsigned
under_way(const struct seen *s)
{
	return s == NULL ? 0 : s->under_way;
}

/* Where an attempt counts while it is under way: guesses at one pair do not hold up others at home. */
static const bool counts_at[AUTHLIMIT_SUSPECT + 1][KINDS] = {
	[AUTHLIMIT_KNOWN] = { [KNOWN] = true },
	[AUTHLIMIT_FREE] = { [ADDRESS] = true, [USER] = true },
	[AUTHLIMIT_SUSPECT] = { [ADDRESS] = true, [USER] = true },
};

/*
 * An address from which one attempt is under way has the second one judged as a suspect's: however many
 * sessions a stranger opens, one of them stands among the good.
 */
static enum authlimit_answer
judge(struct authlimit *l, const struct authlimit_who *who, int64_t now_ms)
{
	const struct seen *address = look(l, ADDRESS, who, false);
	const struct seen *user = look(l, USER, who, false);
	const struct seen *known = look(l, KNOWN, who, false);
	unsigned by_address = failures(address, now_ms), of_user = failures(user, now_ms);

	if (!who->exempt && by_address >= l->limit)
		return AUTHLIMIT_ADDRESS;
	if (known != NULL && known->until_ms > now_ms) {
		bool room = !who->exempt || l->trusted_known < TRUSTED_KNOWN;
		unsigned failed = who->exempt ? 0 : by_address;
		return room && failed + known->under_way < l->limit ? AUTHLIMIT_KNOWN
								    : AUTHLIMIT_BUSY;
	}
	if (of_user >= l->limit * USER_FACTOR)
		return AUTHLIMIT_USER;
	bool full =
	    who->exempt ? l->trusted >= TRUSTED_MAX : by_address + under_way(address) >= l->limit;
	if (full || of_user + under_way(user) >= l->limit * USER_FACTOR)
		return AUTHLIMIT_BUSY;
	unsigned free_at_once = who->exempt ? l->limit : 1;
	return by_address > 0 || under_way(address) >= free_at_once ? AUTHLIMIT_SUSPECT
								    : AUTHLIMIT_FREE;
}

static unsigned *
trusted(struct authlimit *l, enum authlimit_answer rank)
{
	return rank == AUTHLIMIT_KNOWN ? &l->trusted_known : &l->trusted;
}

enum authlimit_answer
authlimit_ask(struct authlimit *l, const struct authlimit_who *who, int64_t now_ms)
{
	enum authlimit_answer answer = judge(l, who, now_ms);

	if (answer <= AUTHLIMIT_SUSPECT && who->exempt)
		++*trusted(l, answer);
	if (answer <= AUTHLIMIT_SUSPECT)
		for (int kind = 0; kind < KINDS; kind++)
			if (counts_at[answer][kind])
				look(l, (enum kind)kind, who, true)->under_way++;
	return answer;
}

void
authlimit_left(struct authlimit *l, const struct authlimit_who *who, enum authlimit_answer rank,
    int64_t now_ms)
{
	if (who->exempt)
		--*trusted(l, rank);
	for (int kind = 0; kind < KINDS; kind++) {
		struct seen *s =
		    counts_at[rank][kind] ? look(l, (enum kind)kind, who, false) : NULL;
		if (s == NULL)
			continue;
		s->under_way--;
		if (s->under_way == 0 && s->until_ms <= now_ms)
			drop(&l->shelves[kind], s);
	}
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
