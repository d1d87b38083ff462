/*
 * What the control socket shows: the queue, what is paused, the counters; and an envelope's row, which
 * "show message" (controlmessage.c) shows, too.
 *
 * A queue of any length is read from the spool in batches as the client takes them, with a turn of the
 * loop between them when patterns leave much of it out.
 */
#include "local.h"
#include "clock.h"
#include "row.h"
#include "text.h"

#include <bsd/string.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 200

static const char columns[] =
    "H\tid\trcpt\tsender\tsize#\tstate\tage%\tnext@\tattempts#\troute\treason";

static void show_batch(struct control *);
static bool on_envelope(const struct spool_envelope *, void *);

void
controlshow_columns(struct control *c, bool in_full)
{
	struct text t = { 0 };

	text_put(&t, columns);
	if (in_full)
		text_put(&t, "\tdest\taction\tuser\torcpt\tnotify\texpire@\theld@");
	control_put(c, &t);
	text_free(&t);
}

/* words: what to choose by, if anything. */
void
controlshow_queue(struct control *c, char **words, size_t n)
{
	const char *wrong = select_parse(&c->selected, words, n);

	if (wrong != NULL) {
		control_end(c, wrong);
		return;
	}
	controlshow_columns(c, false);
	c->step = show_batch;
	show_batch(c);
}

static void
show_batch(struct control *c)
{
	if (!control_room(c))
		return; /* goes on when the client has read */
	if (spool_each(c->selected.from, c->selected.to, BATCH, on_envelope, c) < BATCH)
		control_end(c, NULL);
	else
		control_again(c);
}

static bool
on_envelope(const struct spool_envelope *row, void *arg)
{
	struct control *c = arg;

	c->selected.from = spool_key(row->message, row->n) + 1;
	if (select_takes(&c->selected, row, envelope_find(row->message, row->n)))
		controlshow_envelope(c, row, false);
	return true;
}

struct about {
	char sender[512];
	uint64_t size;
};

static void
on_message(const struct spool_message *m, void *arg)
{
	struct about *a = arg;

	strlcpy(a->sender, m->sender, sizeof(a->sender));
	a->size = m->size;
}

/* As RCPT gave it (RFC 3461 4.1): "success,failure", "" when it did not. */
static void
put_notify(struct text *t, unsigned notify)
{
	static const struct {
		unsigned bit;
		const char *word;
	} words[] = { { NOTIFY_NEVER, "never" }, { NOTIFY_SUCCESS, "success" },
		{ NOTIFY_FAILURE, "failure" }, { NOTIFY_DELAY, "delay" } };
	char list[40] = "";

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (notify & words[i].bit) {
			strlcat(list, list[0] == '\0' ? "" : ",", sizeof(list));
			strlcat(list, words[i].word, sizeof(list));
		}
	row_put(t, list);
}

void
controlshow_envelope(struct control *c, const struct spool_envelope *row, bool in_full)
{
	const struct envelope *e = envelope_find(row->message, row->n);
	const struct spool_envelope *d = e == NULL ? row : &e->d;
	const struct message *m = message_find(row->message);
	const char *state = select_state(row, e);
	struct about about = { "", 0 };
	struct text t = { 0 };
	char id[32];

	if (state == NULL)
		return;
	if (m != NULL)
		on_message(&m->d, &about);
	else
		spool_get_message(row->message, on_message, &about);
	bool waits = (e == NULL || e->state == ENVELOPE_DEFERRED) && d->held == 0;
	snprintf(id, sizeof(id), "%012" PRIx64 ".%u", row->message, row->n);
	row_begin(&t, 'R');
	row_put(&t, id);
	row_put(&t, d->rcpt);
	row_put(&t, about.sender);
	row_put_int(&t, (int64_t)about.size);
	row_put(&t, state);
	row_put_int(&t, clock_wall_sec() - d->created);
	row_put_int(&t, waits ? d->next_try : 0);
	row_put_int(&t, d->attempts);
	row_put(&t, d->route);
	row_put(&t, d->reason);
	if (in_full) {
		row_put(&t, d->dest);
		row_put(&t, d->action);
		row_put(&t, d->user);
		row_put(&t, d->orcpt);
		put_notify(&t, d->notify);
		row_put_int(&t, d->expire);
		row_put_int(&t, d->held);
	}
	control_put(c, &t);
	text_free(&t);
}

static void
put_paused(const char *what, int64_t since, void *arg)
{
	struct text t = { 0 };

	row_begin(&t, 'R');
	row_put(&t, what);
	row_put_int(&t, since);
	control_put(arg, &t);
	text_free(&t);
}

void
controlshow_paused(struct control *c)
{
	control_put_line(c, "H\twhat\tsince@");
	pause_each(put_paused, c);
	control_end(c, NULL);
}

static void
put_stat(struct control *c, const char *name, uint64_t value)
{
	struct text t = { 0 };

	row_begin(&t, 'R');
	row_put(&t, name);
	row_put_int(&t, (int64_t)value);
	control_put(c, &t);
	text_free(&t);
}

void
controlshow_stats(struct control *c)
{
	struct msg_smtp_stats sum = { 0 }, one;
	size_t processes = 0;

	for (size_t i = 0; i < 64; i++) {
		if (queue_smtp(i, &one) == NULL)
			continue;
		processes++;
		sum.sessions += one.sessions;
		sum.sessions_total += one.sessions_total;
		sum.accepted += one.accepted;
		sum.refused += one.refused;
		sum.deferred += one.deferred;
	}
	control_put_line(c, "H\tname\tvalue#");
	put_stat(c, "queue.accepted", queue_stats.accepted);
	put_stat(c, "queue.refused", queue_stats.refused);
	put_stat(c, "queue.delivered", queue_stats.delivered);
	put_stat(c, "queue.relayed", queue_stats.relayed);
	put_stat(c, "queue.deferred", queue_stats.deferred);
	put_stat(c, "queue.failed", queue_stats.failed);
	put_stat(c, "queue.bounces", queue_stats.bounces);
	put_stat(c, "queue.warnings", queue_stats.warnings);
	put_stat(c, "queue.successes", queue_stats.successes);
	put_stat(c, "queue.expanded", queue_stats.expanded);
	put_stat(c, "queue.removed", queue_stats.removed);
	put_stat(c, "queue.set-aside", queue_stats.set_aside);
	put_stat(c, "queue.messages", (uint64_t)spool_count_messages());
	put_stat(c, "queue.envelopes", (uint64_t)spool_count_envelopes());
	put_stat(c, "queue.active", envelope_count());
	put_stat(c, "queue.jobs", job_count());
	put_stat(c, "queue.commits", queue_stats.commits);
	put_stat(c, "queue.committed-messages", queue_stats.committed_messages);
	put_stat(c, "smtp.processes", processes);
	put_stat(c, "smtp.sessions", sum.sessions);
	put_stat(c, "smtp.sessions-total", sum.sessions_total);
	put_stat(c, "smtp.accepted", sum.accepted);
	put_stat(c, "smtp.refused", sum.refused);
	put_stat(c, "smtp.deferred", sum.deferred);
	control_end(c, NULL);
}
