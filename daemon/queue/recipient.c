/*
 * Asks lookup what a recipient expands to, and makes envelopes of the answer.
 *
 * Items come one by one before the answer that ends them.  The first takes the recipient's own row; others
 * get new numbers; what the message has been sent to already is left out.  An answer of one item is
 * not written before there is a reason: after a crash it is simply asked for again.
 */
#include "local.h"
#include "clock.h"
#include "conf.h"
#include "log.h"
#include "text.h"

#include <ctype.h>
#include <inttypes.h>
#include <bsd/string.h>
#include <stdlib.h>
#include <string.h>

#define ITEMS_MAX 65000 /* of one message */

struct item {
	struct item *next;
	size_t number; /* from 1 */
	char *dest, *action, *user, *home, *route;
	char *warn;  /* times of bounce-warn of its own */
	char *error; /* "550 5.1.1 text": this one fails for good, and alone */
	uint32_t uid, gid;
	uint64_t expire_sec;
};

static void on_expanded(const struct msg *, void *);
static void refuse(struct envelope *, bool later, const char *reply);
static void apply(struct envelope *, struct item *);

void
recipient_expand(struct envelope *e)
{
	const struct spool_message *m = &e->m->d;

	envelope_change(e, ENVELOPE_EXPANDING);
	e->asked = ipc_call(queue_lookup, MSG_EXPAND,
	    &(struct msg_expand){ .envelope = spool_key(m->id, e->d.n),
		.client = m->client,
		.helo = m->helo,
		.local = m->local,
		.tag = m->tag,
		.auth = m->auth,
		.sender = m->sender,
		.rcpt = e->d.rcpt },
	    on_expanded, e);
}

void
recipient_item(struct ipc *ipc, struct msg *msg, void *arg)
{
	const struct msg_expand_item *i = msg->body;
	struct envelope *e =
	    envelope_find(i->envelope >> SPOOL_N_BITS, (uint32_t)(i->envelope & SPOOL_N_MAX));

	(void)ipc;
	(void)arg;
	if (e == NULL || e->state != ENVELOPE_EXPANDING)
		return;
	size_t before = e->items == NULL ? 0 : e->items->number;
	if (before > ITEMS_MAX)
		return; /* one too many is there, and says so */
	struct item *item = xcalloc(1, sizeof(*item));
	*item = (struct item){ .next = e->items,
		.number = before + 1,
		.dest = xstrdup(i->dest),
		.action = xstrdup(i->action),
		.user = xstrdup(i->user),
		.home = xstrdup(i->home),
		.route = xstrdup(i->route),
		.warn = xstrdup(i->warn),
		.error = xstrdup(i->error),
		.uid = i->uid,
		.gid = i->gid,
		.expire_sec = i->expire_sec };
	e->items = item;
}

static struct item *
take_items(struct envelope *e)
{
	struct item *in_order = NULL;

	while (e->items != NULL) {
		struct item *item = e->items;
		e->items = item->next;
		item->next = in_order;
		in_order = item;
	}
	return in_order;
}

static void
free_items(struct item *item)
{
	while (item != NULL) {
		struct item *next = item->next;
		free(item->dest);
		free(item->action);
		free(item->user);
		free(item->home);
		free(item->route);
		free(item->warn);
		free(item->error);
		free(item);
		item = next;
	}
}

static void
on_expanded(const struct msg *msg, void *arg)
{
	struct envelope *e = arg;

	if (msg == NULL)
		return; /* lookup is gone, and we end, too */
	const struct msg_expanded *answer = msg->body;
	struct item *items = take_items(e);
	e->asked = NULL;
	if (e->wish != WISH_NONE)
		wish_come_true(e); /* held: it is asked again when it is released */
	else if (answer->verdict == VERDICT_ACCEPT)
		apply(e, items);
	else
		refuse(e, answer->verdict != VERDICT_NEVER, answer->reply);
	free_items(items);
}

void
recipient_forget(struct envelope *e)
{
	ipc_cancel(e->asked);
	e->asked = NULL;
	free_items(take_items(e));
}

/* "550 5.1.1 text", "5.1.1 text", "text": the status apart from the text. */
static void
refuse(struct envelope *e, bool later, const char *reply)
{
	char status[12] = "";
	size_t len;

	if (isdigit((unsigned char)reply[0]) && isdigit((unsigned char)reply[1]) &&
	    isdigit((unsigned char)reply[2]) && reply[3] == ' ')
		reply += 4;
	len = strcspn(reply, " ");
	if (len > 0 && len < sizeof(status) && strspn(reply, "0123456789.") == len) {
		strlcpy(status, reply, len + 1);
		reply += len + (reply[len] == ' ');
	}
	if (later)
		outcome_later(e, *status == '\0' ? "4.3.0" : status, reply, NULL);
	else
		outcome_failed(e, *status == '\0' ? "5.1.1" : status, reply, NULL);
}

static void
fill(struct envelope *e, const struct item *item)
{
	int64_t next_warn = e->d.next_warn;
	int64_t expire =
	    item->expire_sec == 0 ? process.conf->expire_sec : (int64_t)item->expire_sec;

	spool_text_set(&e->d.dest, item->dest);
	spool_text_set(&e->d.action, item->action);
	spool_text_set(&e->d.user, item->user);
	spool_text_set(&e->d.home, item->home);
	spool_text_set(&e->d.route, item->route);
	spool_text_set(&e->d.warn, item->warn);
	e->d.uid = item->uid;
	e->d.gid = item->gid;
	e->d.expire = e->d.created + expire;
	e->d.state = SPOOL_READY;
	warning_set(e);
	if (e->d.next_warn != next_warn)
		journal_add_envelope(e); /* its row must say when */
}

/* Memory holds no more of it now: it is written, due at once, and the schedule meets it. */
static void
go_on(struct envelope *e)
{
	if (envelope_count() <= ACTIVE_MAX && !lane_full(&e->d))
		lane_enter(e);
	else
		lane_unload(e);
}

static struct envelope *
sibling(struct envelope *e)
{
	struct envelope *s = envelope_new(e->m, &(struct spool_envelope){ .n = e->m->next_n++,
						    .rcpt = e->d.rcpt,
						    .orcpt = e->d.orcpt,
						    .notify = e->d.notify,
						    .created = e->d.created,
						    .next_try = e->d.created,
						    .warned = e->d.warned });

	s->state = ENVELOPE_NEW;
	return s;
}

/* Routed again, one of several goes where it went, as the configuration now has it; the others have theirs. */
static void
apply_to_part(struct envelope *e, struct item *item)
{
	while (item != NULL && strcmp(item->dest, e->d.dest) != 0)
		item = item->next;
	if (item == NULL) {
		outcome_later(
		    e, "4.3.5", "the recipient does not lead to this destination now", NULL);
	} else if (*item->error != '\0') {
		refuse(e, false, item->error);
	} else {
		fill(e, item);
		go_on(e);
	}
}

static void
apply(struct envelope *e, struct item *items)
{
	size_t n = 0, made = 0;
	bool many = items != NULL && items->next != NULL;
	struct item *item;

	if (items ==
	    NULL) { /* "nowhere" is another verdict: an answer got lost, and the mail must not */
		outcome_later(e, "4.3.0", "the recipient was accepted, but leads nowhere", NULL);
		return;
	}
	if (e->d.part) {
		apply_to_part(e, items);
		return;
	}
	for (item = items; item != NULL; item = item->next)
		n++;
	if (n > ITEMS_MAX || e->m->next_n + n > SPOOL_N_MAX) {
		outcome_failed(e, "5.4.6", "the recipient expands to too many", NULL);
		return;
	}
	if (many)
		report_expanded(e);
	for (item = items; item != NULL; item = item->next) {
		if (message_seen(e->m, item->dest, item->action))
			continue;
		struct envelope *each = made++ == 0 ? e : sibling(e);
		if (*item->error != '\0') {
			spool_text_set(&each->d.dest, item->dest);
			refuse(each, false, item->error);
			continue;
		}
		each->d.part = many;
		fill(each, item);
		if (many)
			journal_add_envelope(each);
		go_on(each);
	}
	if (n == 1 && made == 1)
		return;
	log_info("%012" PRIx64
		 ".%u delivery event=expanded from=%s rcpt=%s items=%zu duplicates=%zu",
	    e->d.message, e->d.n, log_quote(e->m->d.sender), log_quote(e->d.rcpt), n, n - made);
	queue_stats.expanded++;
	if (made == 0) {
		envelope_change(e, ENVELOPE_DONE);
		journal_add_envelope(e);
	}
}
