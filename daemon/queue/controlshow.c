/*
 * What the control socket shows: the queue, a message, the counters.
 *
 * A queue of any length is read from the spool in batches as the client takes them; what is in memory
 * tells the newer state of a row.
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

#define BATCH        200
#define HEADER_LINES 1000

static const char columns[] =
    "H\tid\trcpt\tsender\tsize#\tstate\tage%\tnext@\tattempts#\troute\treason";

static void show_batch(struct control *);
static bool on_envelope(const struct spool_envelope *, void *);
static void show_header(struct control *);

static void
put_line(struct control *c, const char *line)
{
	struct text t = { 0 };

	text_put(&t, line);
	control_put(c, &t);
	text_free(&t);
}

void
controlshow_queue(struct control *c)
{
	put_line(c, columns);
	c->message = 0;
	c->from = 0;
	c->to = INT64_MAX;
	c->step = show_batch;
	show_batch(c);
}

static void
show_batch(struct control *c)
{
	while (control_room(c))
		if (spool_each(c->from, c->to, BATCH, on_envelope, c) < BATCH) {
			if (c->message != 0)
				show_header(c);
			control_end(c, NULL);
			return;
		}
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

static const char *
state_of(const struct spool_envelope *row, const struct envelope *e)
{
	if (e != NULL)
		return envelope_state_name(e);
	if (row->attempts > 0)
		return "deferred";
	return row->state == SPOOL_NEW ? "new" : "waiting";
}

static bool
on_envelope(const struct spool_envelope *row, void *arg)
{
	struct control *c = arg;
	struct envelope *e = envelope_find(row->message, row->n);
	const struct spool_envelope *d = e == NULL ? row : &e->d;
	struct message *m = message_find(row->message);
	struct about about = { "", 0 };
	struct text t = { 0 };
	char id[32];

	c->from = spool_key(row->message, row->n) + 1;
	if (e != NULL && e->state == ENVELOPE_DONE)
		return true;
	if (m != NULL)
		on_message(&m->d, &about);
	else
		spool_get_message(row->message, on_message, &about);
	snprintf(id, sizeof(id), "%012" PRIx64 ".%u", row->message, row->n);
	row_begin(&t, 'R');
	row_put(&t, id);
	row_put(&t, d->rcpt);
	row_put(&t, about.sender);
	row_put_int(&t, (int64_t)about.size);
	row_put(&t, state_of(row, e));
	row_put_int(&t, clock_wall_sec() - d->created);
	row_put_int(&t, e != NULL && e->state != ENVELOPE_DEFERRED ? 0 : d->next_try);
	row_put_int(&t, d->attempts);
	row_put(&t, d->route == NULL ? "" : d->route);
	row_put(&t, d->reason == NULL ? "" : d->reason);
	if (c->message != 0) {
		row_put(&t, d->dest == NULL ? "" : d->dest);
		row_put(&t, d->action == NULL ? "" : d->action);
		row_put(&t, d->user == NULL ? "" : d->user);
		row_put(&t, d->orcpt);
		put_notify(&t, d->notify);
		row_put_int(&t, d->expire);
	}
	control_put(c, &t);
	text_free(&t);
	return true;
}

static void
show_facts(const struct spool_message *m, void *arg)
{
	struct text t = { 0 };
	char id[24];

	put_line(arg, "S\tmessage");
	put_line(arg, "H\tid\tsender\tsize#\tcreated@\tclient\thelo\tlocal\ttag\tauth\tenvid\tret"
		      "\teightbit");
	snprintf(id, sizeof(id), "%012" PRIx64, m->id);
	row_begin(&t, 'R');
	row_put(&t, id);
	row_put(&t, m->sender);
	row_put_int(&t, (int64_t)m->size);
	row_put_int(&t, m->created);
	row_put(&t, m->client);
	row_put(&t, m->helo);
	row_put(&t, m->local ? "yes" : "no");
	row_put(&t, m->tag);
	row_put(&t, m->auth);
	row_put(&t, m->envid);
	row_put(&t, m->ret == RET_FULL ? "full" : m->ret == RET_HDRS ? "hdrs" : "");
	row_put(&t, m->eightbit ? "yes" : "no");
	control_put(arg, &t);
	text_free(&t);
}

void
controlshow_message(struct control *c, const char *text)
{
	uint64_t id;
	int64_t n;

	if (!control_parse_id(text, &id, &n)) {
		control_end(c, "not the number of a message");
		return;
	}
	if (!spool_get_message(id, show_facts, c)) {
		control_end(c, "there is no such message");
		return;
	}
	struct text t = { 0 };
	put_line(c, "S\tenvelopes");
	text_put(&t, columns);
	text_put(&t, "\tdest\taction\tuser\torcpt\tnotify\texpire@");
	control_put(c, &t);
	text_free(&t);
	c->message = id;
	c->from = spool_key(id, n == -1 ? 0 : (uint32_t)n);
	c->to = spool_key(id, n == -1 ? SPOOL_N_MAX : (uint32_t)n);
	c->step = show_batch;
	show_batch(c);
}

static void
on_piece(const void *data, size_t len, void *arg)
{
	const char *p = data, *end = p + bounce_header_len(data, len);
	struct text t = { 0 };

	for (unsigned i = 0; p < end && i < HEADER_LINES; i++) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((lf == NULL ? end : lf) - p);
		char *line = xstrndup(p, n);
		row_line(&t, 'T', line, NULL);
		control_put(arg, &t);
		free(line);
		p += n + 1;
	}
	text_free(&t);
}

static void
show_header(struct control *c)
{
	put_line(c, "S\theader");
	spool_get_piece(c->message, 0, on_piece, c);
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
	put_line(c, "H\tname\tvalue#");
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
