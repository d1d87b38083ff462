/*
 * "show message": what is known of a message, its recipients, the history of tries, its header.
 *
 * The parts follow each other, each in batches as the client takes them.
 */
#include "local.h"
#include "row.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH        200
#define HEADER_LINES 1000

static void show_facts(const struct spool_message *, void *);
static void show_envelopes(struct control *);
static void show_history(struct control *);
static void show_header(struct control *);

void
controlmessage_show(struct control *c, const char *id)
{
	char *words[] = { (char *)(uintptr_t)id };
	const char *wrong = select_parse(&c->selected, words, 1);

	journal_commit(); /* so that the history has the last try */
	c->message = c->selected.from >> SPOOL_N_BITS;
	if (wrong != NULL || c->selected.all) {
		control_end(c, "not the number of a message");
		return;
	}
	if (!spool_get_message(c->message, show_facts, c)) {
		control_end(c, "there is no such message");
		return;
	}
	control_put_line(c, "S\tenvelopes");
	controlshow_columns(c, true);
	c->range = c->selected.from;
	c->step = show_envelopes;
	show_envelopes(c);
}

static void
show_facts(const struct spool_message *m, void *arg)
{
	struct text t = { 0 };
	char id[24];

	control_put_line(arg, "S\tmessage");
	control_put_line(arg,
	    "H\tid\tsender\tsize#\tcreated@\tclient\thelo\tlocal\ttag\tauth\tenvid\tret"
	    "\teightbit\tsmtputf8");
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
	row_put(&t, m->utf8 ? "yes" : "no");
	control_put(arg, &t);
	text_free(&t);
}

static bool
on_envelope(const struct spool_envelope *row, void *arg)
{
	struct control *c = arg;

	c->selected.from = spool_key(row->message, row->n) + 1;
	controlshow_envelope(c, row, true);
	return true;
}

static void
show_envelopes(struct control *c)
{
	if (!control_room(c))
		return; /* goes on when the client has read */
	if (spool_each(c->selected.from, c->selected.to, BATCH, on_envelope, c) == BATCH) {
		control_again(c);
		return;
	}
	control_put_line(c, "S\thistory");
	control_put_line(c, "H\tid\tattempt#\ttime@\tevent\tstatus\thost\tsource\ttls\treply");
	c->selected.from = c->range;
	c->attempt = 0;
	c->step = show_history;
	show_history(c);
}

static bool
on_attempt(const struct spool_attempt *a, void *arg)
{
	struct control *c = arg;
	struct text t = { 0 };
	char id[32];

	c->selected.from = spool_key(a->message, a->n);
	if (c->selected.from > c->selected.to)
		return false;
	c->attempt = a->number;
	snprintf(id, sizeof(id), "%012" PRIx64 ".%u", a->message, a->n);
	row_begin(&t, 'R');
	row_put(&t, id);
	row_put_int(&t, a->number);
	row_put_int(&t, a->at);
	row_put(&t, a->event);
	row_put(&t, a->status);
	row_put(&t, a->host);
	row_put(&t, a->source);
	row_put(&t, a->tls == NULL ? "" : a->tls);
	row_put(&t, a->reply);
	control_put(c, &t);
	text_free(&t);
	return true;
}

static void
show_history(struct control *c)
{
	size_t n;

	if (!control_room(c))
		return;
	n = spool_each_attempt(c->selected.from, c->attempt, BATCH, on_attempt, c);
	if (n == BATCH && c->selected.from <= c->selected.to)
		control_again(c);
	else
		show_header(c);
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
	control_put_line(c, "S\theader");
	spool_get_piece(c->message, 0, on_piece, c);
	control_end(c, NULL);
}
