/*
 * A recipient's verdict for smtp and its expansion for queue: two views of one answer.
 *
 * Verdicts are kept for a few seconds, so that what RCPT found out is not asked again when the
 * message is queued.  "Try later" is never kept.  The cache is emptied when a table is updated.
 */
#include "local.h"
#include "clock.h"
#include "log.h"
#include "text.h"

#include <bsd/string.h>
#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define KEEP_MS    10000
#define KEEP_MAX   20000  /* entries */
#define ITEMS_MAX  200000 /* deliveries in them */
#define ASKERS_MAX 50000  /* who wait */

/* One that asks: over this channel, and the answer is called this. */
struct asker {
	RB_ENTRY(asker) node;
	struct ipc *ipc;
	uint32_t call;
	struct expand *work; /* NULL: answered at once */
	uint64_t envelope;   /* of EXPAND */
	bool expand;
	struct facts facts;
	char *key; /* all that the answer depends on; facts point into its copy */
	char *strings;
	unsigned forgotten; /* how often the cache had been emptied when this was asked */
};

struct kept {
	RB_ENTRY(kept) node;
	TAILQ_ENTRY(kept) age;
	char *key;
	int64_t until_ms;
	struct expansion *expansion;
};

static int
compare(const struct kept *a, const struct kept *b)
{
	return strcmp(a->key, b->key);
}

static int
compare_askers(const struct asker *a, const struct asker *b)
{
	if (a->ipc != b->ipc)
		return (uintptr_t)a->ipc < (uintptr_t)b->ipc ? -1 : 1;
	return a->call < b->call ? -1 : a->call > b->call;
}

static RB_HEAD(asker_tree, asker) askers = RB_INITIALIZER(&askers);
static RB_HEAD(kept_tree, kept) cache = RB_INITIALIZER(&cache);
static TAILQ_HEAD(, kept) by_age = TAILQ_HEAD_INITIALIZER(by_age);
static size_t n_kept, n_items_kept, n_askers;
static unsigned times_forgotten;

RB_PROTOTYPE(kept_tree, kept, node, compare)
RB_GENERATE(kept_tree, kept, node, compare)
RB_PROTOTYPE(asker_tree, asker, node, compare_askers)
RB_GENERATE(asker_tree, asker, node, compare_askers)

static void ask(struct asker *, const char *sender, const char *rcpt);
static void on_expanded(struct expansion *, void *);
static void answer(struct asker *, const struct expansion *);
static void free_asker(struct asker *);
static void answer_expand(struct asker *, const struct expansion *);
static void leave(struct asker *);
static struct expansion *find(char *key);
static void keep(const struct asker *, struct expansion *);
static void drop(struct kept *);

static struct asker *
find_asker(struct ipc *ipc, uint32_t call)
{
	struct asker wanted = { .ipc = ipc, .call = call };

	return RB_FIND(asker_tree, &askers, &wanted);
}

/* The strings of a question live in its packet; these live until the answer. */
static struct asker *
new_asker(struct ipc *ipc, uint32_t call, const char *const *strings, uint32_t local)
{
	struct asker *a = xcalloc(1, sizeof(*a));
	struct text key = { 0 };
	const char **facts[] = { &a->facts.client, &a->facts.helo, &a->facts.tag, &a->facts.auth };
	size_t len = 0, at = 0;

	for (size_t i = 0; i < 4; i++)
		len += strlen(strings[i]) + 1;
	a->strings = xcalloc(len, 1);
	for (size_t i = 0; i < 4; i++) {
		*facts[i] = a->strings + at;
		at += strlcpy(a->strings + at, strings[i], len - at) + 1;
	}
	a->facts.local = local != 0;
	a->ipc = ipc;
	a->call = call;
	a->forgotten = times_forgotten;
	/* not helo: no criterion looks at it; \1 cannot stand in any of them */
	text_putf(&key, "%d\1%s\1%s\1%s\1%s\1%s", local != 0, strings[0], strings[2], strings[3],
	    strings[4], strings[5]);
	a->key = key.s;
	struct asker *twin = find_asker(ipc, call);
	if (twin != NULL) /* a peer of ours does not do that */
		leave(twin);
	RB_INSERT(asker_tree, &askers, a);
	n_askers++;
	return a;
}

void
verdict_on_ask_rcpt(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_ask_rcpt *q = m->body;
	const char *const strings[] = { q->client, q->helo, q->tag, q->auth, q->sender, q->rcpt };

	(void)arg;
	ask(new_asker(ipc, m->call, strings, q->local), q->sender, q->rcpt);
}

void
verdict_on_expand(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_expand *q = m->body;
	const char *const strings[] = { q->client, q->helo, q->tag, q->auth, q->sender, q->rcpt };
	struct asker *a = new_asker(ipc, m->call, strings, q->local);

	(void)arg;
	a->expand = true;
	a->envelope = q->envelope;
	ask(a, q->sender, q->rcpt);
}

const char *
verdict_parse_address(struct addr *a, const char *text)
{
	*a = (struct addr){ 0 };
	if (text[0] == '\0')
		return NULL;
	if (strcasecmp(text, "postmaster") == 0) {
		strlcpy(a->local, "postmaster", sizeof(a->local));
		return NULL;
	}
	return addr_parse(a, text, strlen(text));
}

static void
ask(struct asker *a, const char *sender, const char *rcpt)
{
	struct expansion *known = find(a->key);
	struct addr to;
	const char *wrong = verdict_parse_address(&a->facts.sender, sender);

	if (known != NULL) {
		answer(a, known);
		return;
	}
	if (wrong == NULL)
		wrong = verdict_parse_address(&to, rcpt);
	if (wrong != NULL || to.local[0] == '\0') {
		static char no_address[] = "550 5.1.3 No valid address";
		answer(a, &(struct expansion){ .verdict = VERDICT_NEVER, .reply = no_address });
		return;
	}
	if (n_askers > ASKERS_MAX) {
		static char busy[] = "451 4.3.2 Too busy, try again later";
		answer(a, &(struct expansion){ .verdict = VERDICT_LATER, .reply = busy });
		return;
	}
	a->work = expand_start(&a->facts, &to, on_expanded, a);
}

static void
on_expanded(struct expansion *e, void *arg)
{
	struct asker *a = arg;

	a->work = NULL;
	if (e->verdict != VERDICT_LATER && a->forgotten == times_forgotten)
		keep(a, e);
	answer(a, e);
	expansion_release(e);
}

static void
answer(struct asker *a, const struct expansion *e)
{
	if (a->expand)
		answer_expand(a, e);
	else
		ipc_reply(a->ipc, a->call, MSG_VERDICT,
		    &(struct msg_verdict){ .verdict = e->verdict, .reply = e->reply });
	free_asker(a);
}

static void
free_asker(struct asker *a)
{
	RB_REMOVE(asker_tree, &askers, a);
	n_askers--;
	free(a->strings);
	free(a->key);
	free(a);
}

static void
answer_expand(struct asker *a, const struct expansion *e)
{
	for (size_t i = 0; i < e->n_items; i++) {
		const struct item *item = &e->items[i];
		ipc_send(a->ipc, MSG_EXPAND_ITEM,
		    &(struct msg_expand_item){ .envelope = a->envelope,
			.dest = item->dest,
			.action = item->action,
			.user = item->user,
			.uid = item->uid,
			.gid = item->gid,
			.home = item->home,
			.route = item->route,
			.expire_sec = (uint64_t)item->expire_sec,
			.warn = item->warn,
			.error = item->error });
	}
	ipc_reply(a->ipc, a->call, MSG_EXPANDED,
	    &(struct msg_expanded){
		.envelope = a->envelope, .verdict = e->verdict, .reply = e->reply });
}

static struct expansion *
find(char *key)
{
	struct kept *k = RB_FIND(kept_tree, &cache, &(struct kept){ .key = key });

	if (k != NULL && k->until_ms <= clock_mono_ms()) {
		drop(k);
		k = NULL;
	}
	return k == NULL ? NULL : k->expansion;
}

static void
keep(const struct asker *a, struct expansion *e)
{
	struct kept *k = RB_FIND(kept_tree, &cache, &(struct kept){ .key = a->key });

	if (k != NULL)
		drop(k);
	while ((k = TAILQ_FIRST(&by_age)) != NULL &&
	       (n_kept >= KEEP_MAX || n_items_kept + e->n_items > ITEMS_MAX ||
		   k->until_ms <= clock_mono_ms()))
		drop(k);
	k = xcalloc(1, sizeof(*k));
	*k = (struct kept){
		.key = xstrdup(a->key), .until_ms = clock_mono_ms() + KEEP_MS, .expansion = e
	};
	e->refs++;
	RB_INSERT(kept_tree, &cache, k);
	TAILQ_INSERT_TAIL(&by_age, k, age);
	n_kept++;
	n_items_kept += e->n_items;
}

static void
drop(struct kept *k)
{
	RB_REMOVE(kept_tree, &cache, k);
	TAILQ_REMOVE(&by_age, k, age);
	n_kept--;
	n_items_kept -= k->expansion->n_items;
	expansion_release(k->expansion);
	free(k->key);
	free(k);
}

void
verdict_forget(void)
{
	struct kept *k;

	times_forgotten++;
	while ((k = TAILQ_FIRST(&by_age)) != NULL)
		drop(k);
}

/* A session that left: nobody asks on for it, a login or a recipient.  An answer may have crossed this. */
void
verdict_on_ask_left(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_ask_left *q = m->body;
	struct asker *a = find_asker(ipc, q->call);

	(void)arg;
	if (a != NULL)
		leave(a);
	else
		auth_on_left(ipc, q->call);
}

void
verdict_channel_gone(struct ipc *ipc)
{
	struct asker *a, *next;

	RB_FOREACH_SAFE(a, asker_tree, &askers, next)
		if (a->ipc == ipc)
			leave(a);
}

static void
leave(struct asker *a)
{
	expand_cancel(a->work);
	free_asker(a);
}
