/*
 * Reports to senders: gathers what has failed since the last commit, one report per message.
 *
 * The report enters the spool in the same transaction that deletes the failed envelopes, so neither is
 * there without the other.  The null sender gets none (RFC 5321 6.1), nor who asked for none (RFC 3461).
 */
#include "local.h"
#include "clock.h"
#include "conf.h"
#include "log.h"
#include "text.h"

#include <bsd/string.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RCPTS_MAX 1000 /* in one report */

static struct envelopes failed = TAILQ_HEAD_INITIALIZER(failed);

static void report_message(struct message *, struct envelope **, size_t n);
static void read_original(struct message *, struct text *, bool *full);
static void enter(struct message *of, struct text *body, uint64_t id, size_t n);

void
report_failed(struct envelope *e)
{
	TAILQ_INSERT_TAIL(&failed, e, waiting);
	journal_wrote();
}

static bool
is_wanted(const struct envelope *e)
{
	if (*e->m->d.sender == '\0') {
		log_info("%012" PRIx64
			 ".%u dropped rcpt=%s reason=\"the null sender gets no report\"",
		    e->d.message, e->d.n, log_quote(e->d.rcpt));
		return false;
	}
	return e->d.notify == 0 || (e->d.notify & NOTIFY_FAILURE) != 0;
}

/* Called before each commit. */
void
report_compose(void)
{
	struct envelope *of_one[RCPTS_MAX], *e, *next;

	while ((e = TAILQ_FIRST(&failed)) != NULL) {
		struct message *m = e->m;
		size_t n = 0;
		for (; e != NULL; e = next) {
			next = TAILQ_NEXT(e, waiting);
			if (e->m != m || n == RCPTS_MAX)
				continue;
			TAILQ_REMOVE(&failed, e, waiting);
			envelope_change(e, ENVELOPE_DONE);
			journal_add_envelope(e);
			if (is_wanted(e))
				of_one[n++] = e;
		}
		if (n > 0)
			report_message(m, of_one, n);
	}
}

static void
report_message(struct message *m, struct envelope **of_one, size_t n)
{
	struct bounce_rcpt *rcpts = xcalloc(n, sizeof(*rcpts));
	char date[64], arrived[64], of[24], id_text[24];
	struct text original = { 0 }, body = { 0 };
	bool full = m->d.ret == RET_FULL;
	uint64_t id = message_next_id();

	for (size_t i = 0; i < n; i++)
		rcpts[i] = (struct bounce_rcpt){ .rcpt = of_one[i]->d.rcpt,
			.orcpt = of_one[i]->d.orcpt,
			.status = of_one[i]->status,
			.text = of_one[i]->d.reason,
			.host = of_one[i]->host == NULL ? "" : of_one[i]->host };
	read_original(m, &original, &full);
	strlcpy(of, message_id(m), sizeof(of));
	snprintf(id_text, sizeof(id_text), "%012" PRIx64, id);
	bounce_compose(&body, &(struct bounce){ .hostname = process.conf->hostname,
				  .id = of,
				  .message_id = id_text,
				  .sender = m->d.sender,
				  .envid = m->d.envid,
				  .date = clock_rfc5322(clock_wall_sec(), date, sizeof(date)),
				  .arrived = clock_rfc5322(m->d.created, arrived, sizeof(arrived)),
				  .original = original.s == NULL ? "" : original.s,
				  .original_len = original.len,
				  .full = full,
				  .rcpts = rcpts,
				  .n_rcpts = n });
	enter(m, &body, id, n);
	text_free(&original);
	free(rcpts);
}

static void
on_piece(const void *data, size_t len, void *arg)
{
	text_putn(arg, data, len);
}

/* The whole message when it was asked for and is not too long, else its header. */
static void
read_original(struct message *m, struct text *t, bool *full)
{
	if (m->d.size > REPORT_BODY_MAX)
		*full = false;
	if (m->body != NULL)
		text_putn(t, m->body, m->body_len);
	else
		spool_get_piece(m->d.id, 0, on_piece, t);
	for (uint32_t seq = 1; *full && seq < m->d.pieces; seq++)
		spool_get_piece(m->d.id, seq, on_piece, t);
	if (!*full)
		t->len = bounce_header_len(t->s, t->len);
}

static void
enter(struct message *of, struct text *body, uint64_t id, size_t n)
{
	struct message *m = message_new(id);
	struct envelope *e = envelope_new(m, 1);

	m->open = m->whole = true;
	m->next_n = 2;
	m->d.created = clock_wall_sec();
	m->d.sender = xstrdup("");
	m->d.client = xstrdup("local");
	m->d.helo = xstrdup(process.conf->hostname);
	m->d.tag = xstrdup("");
	m->d.auth = xstrdup("");
	m->d.envid = xstrdup("");
	m->d.local = 1;
	m->d.eightbit = bounce_eightbit(body->s, body->len);
	m->d.size = body->len;
	m->d.pieces = (uint32_t)((body->len + SPOOL_PIECE_LEN - 1) / SPOOL_PIECE_LEN);
	m->body = body->s;
	m->body_len = body->len;
	e->d.rcpt = xstrdup(of->d.sender);
	e->d.orcpt = xstrdup("");
	e->d.created = e->d.next_try = m->d.created;
	set_text(&e->d.reason, "");
	queue_stats.bounces++;
	log_info("%012" PRIx64 " bounce of=%012" PRIx64 " to=%s recipients=%zu", id, of->d.id,
	    log_quote(of->d.sender), n);
	journal_add_message(m);
}
