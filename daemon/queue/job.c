/*
 * Jobs: envelopes that a delivery worker or relay has in hand.
 *
 * A job has recipients of one message and one lane.  It is over when each has its result; the end of
 * the channel is a result, too: what was in hand is tried again at once the first time, later after that.
 */
#include "local.h"
#include "log.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS     4096
#define BACKLOG_MAX (128 * 1024 * 1024) /* bytes of bodies on the way to one asker */

static struct envelope removed; /* stands in a job for one that a person has removed */
static struct job *jobs[BUCKETS];
static TAILQ_HEAD(, job) all = TAILQ_HEAD_INITIALIZER(all);
static size_t n_jobs;
static uint64_t last_id;

size_t
job_count(void)
{
	return n_jobs;
}

/* The envelopes stand in their lane, all of one message. */
struct job *
job_new(struct ipc *to, struct envelope **envelopes, size_t n)
{
	struct job *j = xcalloc(1, sizeof(*j) + n * sizeof(*envelopes));

	j->id = ++last_id;
	j->m = envelopes[0]->m;
	j->lane = envelopes[0]->lane;
	j->to = to;
	j->n = j->left = n;
	for (size_t i = 0; i < n; i++) {
		j->envelopes[i] = envelopes[i];
		envelopes[i]->job = j;
		lane_leave(envelopes[i]);
		lane_job(j->lane);
		envelope_change(envelopes[i], ENVELOPE_IN_JOB);
	}
	j->m->n_jobs++;
	j->next_in_bucket = jobs[j->id % BUCKETS];
	jobs[j->id % BUCKETS] = j;
	TAILQ_INSERT_TAIL(&all, j, entry);
	n_jobs++;
	return j;
}

static struct job *
find(uint64_t id, struct ipc *to)
{
	struct job *j = jobs[id % BUCKETS];

	while (j != NULL && j->id != id)
		j = j->next_in_bucket;
	return j != NULL && j->to == to ? j : NULL;
}

static void
free_job(struct job *j)
{
	struct job **p = &jobs[j->id % BUCKETS];

	while (*p != j)
		p = &(*p)->next_in_bucket;
	*p = j->next_in_bucket;
	TAILQ_REMOVE(&all, j, entry);
	n_jobs--;
	j->m->n_jobs--;
	message_release(j->m);
	free(j);
}

/* One recipient less; the envelope is given back, or NULL when it was removed meanwhile. */
static struct envelope *
take(struct job *j, size_t i)
{
	struct envelope *e = j->envelopes[i] == &removed ? NULL : j->envelopes[i];

	j->envelopes[i] = NULL;
	if (e != NULL)
		e->job = NULL;
	j->left--;
	lane_over(j->lane);
	return e;
}

/* It was removed, and no result finds it any more; its place is in flight until one comes. */
void
job_forget(struct envelope *e)
{
	struct job *j = e->job;

	for (size_t i = 0; i < j->n; i++)
		if (j->envelopes[i] == e)
			j->envelopes[i] = &removed;
	e->job = NULL;
}

static void
on_first_piece(const void *data, size_t len, void *arg)
{
	static char piece[SPOOL_PIECE_LEN];
	struct bytes *b = arg;

	b->len = len < sizeof(piece) ? len : sizeof(piece);
	memcpy(piece, data, b->len);
	b->data = piece;
}

/* More than a packet takes would end this process, and the next one. */
static bool
fits(const struct msg_job *m)
{
	return strlen(m->sender) + strlen(m->action) + strlen(m->user) + strlen(m->home) +
		   strlen(m->auth) + strlen(m->envid) + strlen(m->before) + m->rcpts.len +
		   m->body.len <
	       MSG_MAX_LEN - 512;
}

const char *
job_message(struct job *j, struct msg_job *msg, struct text *rcpts)
{
	const struct spool_message *m = &j->m->d;
	const struct spool_envelope *first = &j->envelopes[0]->d;
	struct bytes body = { "", 0 };
	static struct text before;

	before.len = 0;
	text_put(&before, "");
	reentry_put(&before, j->m, first->action);
	for (size_t i = 0; i < j->n; i++) {
		const struct spool_envelope *d = &j->envelopes[i]->d;
		text_putn(rcpts, d->dest, strlen(d->dest) + 1);
		text_putn(rcpts, d->rcpt, strlen(d->rcpt) + 1);
		text_putn(rcpts, d->orcpt, strlen(d->orcpt) + 1);
		text_putf(rcpts, "%u", d->notify);
		text_putn(rcpts, "", 1);
	}
	if (m->size > 0 && j->m->body != NULL)
		body = (struct bytes){ j->m->body, j->m->body_len };
	else if (m->size > 0 && !spool_get_piece(m->id, 0, on_first_piece, &body)) {
		damage_found(j->m);
		return "the body cannot be read from the spool";
	}
	*msg = (struct msg_job){ .job = j->id,
		.id = m->id,
		.sender = m->sender,
		.action = first->action,
		.user = first->user,
		.home = first->home,
		.size = m->size,
		.eightbit = m->eightbit,
		.utf8 = m->utf8,
		.auth = m->auth,
		.envid = m->envid,
		.ret = m->ret,
		.n_rcpts = (uint32_t)j->n,
		.rcpts = { rcpts->s, rcpts->len },
		.before = before.s,
		.body = body };
	return fits(msg) ? NULL : "its action, user or home is too long";
}

struct piece {
	struct ipc *ipc;
	uint32_t call;
	struct msg_body msg;
};

static void
on_piece(const void *data, size_t len, void *arg)
{
	struct piece *p = arg;

	p->msg.data = (struct bytes){ data, len };
	ipc_reply(p->ipc, p->call, MSG_BODY, &p->msg);
}

static bool
is_wanted(const struct job *j)
{
	for (size_t i = 0; i < j->n; i++)
		if (j->envelopes[i] != NULL && j->envelopes[i] != &removed)
			return true;
	return false;
}

/* An empty piece when there is none: the asker knows the size, and says "later". */
void
job_body_pull(struct ipc *ipc, struct msg *msg, void *arg)
{
	const struct msg_body_pull *b = msg->body;
	struct job *j = find(b->job, ipc);
	struct piece p = { ipc, msg->call, { .job = b->job, .seq = b->seq, .data = { "", 0 } } };

	(void)arg;
	/* one that asks and does not read gets no more: "later"; nor does one whose recipients were removed */
	if (j != NULL && is_wanted(j) && b->seq < SPOOL_PIECES_MAX &&
	    ipc_backlog(ipc) <= BACKLOG_MAX) {
		if (spool_get_piece(j->m->d.id, b->seq, on_piece, &p))
			return;
		damage_found(j->m);
	}
	ipc_reply(ipc, msg->call, MSG_BODY, &p.msg);
}

static void
over(struct job *j)
{
	struct lane *lane = j->lane;

	if (j->left > 0)
		return;
	free_job(j);
	if (*lane->route == '\0')
		jobworker_over(lane);
	else
		lane_check(lane);
}

static const char *
outcome_name(uint32_t outcome)
{
	return outcome == OUTCOME_DONE ? "done" : outcome == OUTCOME_FAILED ? "failed" : "later";
}

void
job_result(struct ipc *ipc, struct msg *msg, void *arg)
{
	const struct msg_job_result *r = msg->body;
	struct job *j = find(r->job, ipc);

	(void)arg;
	if (j == NULL || r->rcpt >= j->n || j->envelopes[r->rcpt] == NULL) {
		log_warn("queue result of no job from=%s job=%llu", role_name(ipc_peer(ipc)),
		    (unsigned long long)r->job);
		return;
	}
	struct envelope *e = take(j, r->rcpt);
	if (*j->lane->route != '\0') {
		wake_result(j->lane, r);
		lanedown_note(j->lane, r);
	}
	if (e == NULL) {
		log_info("%s job event=after-removal outcome=%s status=%s", message_id(j->m),
		    outcome_name(r->outcome), log_quote(r->status));
		over(j);
		return;
	}
	outcome_source(e, r->source, r->tls);
	if (r->outcome == OUTCOME_DONE)
		outcome_done(e, r->status, r->text, r->host, r->dsn != 0);
	else if (r->outcome == OUTCOME_FAILED)
		outcome_failed(e, r->status, r->text, r->host);
	else
		outcome_later(e, r->status, r->text, r->host);
	over(j);
}

static void
put_back(struct envelope *e, const char *why)
{
	if (e == NULL)
		return;
	if (e->lost || e->wish != WISH_NONE) {
		outcome_later(e, "4.3.0", why, NULL);
	} else {
		e->lost = true;
		lane_enter(e);
	}
}

/* The channel has ended. */
void
job_lost(struct ipc *ipc, const char *why)
{
	struct job *j, *next;

	TAILQ_FOREACH_SAFE(j, &all, entry, next) {
		if (j->to != ipc)
			continue;
		for (size_t i = 0; i < j->n; i++)
			if (j->envelopes[i] != NULL)
				put_back(take(j, i), why);
		over(j);
	}
}

/* It could not even be begun. */
void
job_fail(struct job *j, const char *why)
{
	for (size_t i = 0; i < j->n; i++) {
		struct envelope *e = j->envelopes[i] == NULL ? NULL : take(j, i);
		if (e != NULL)
			outcome_later(e, "4.3.0", why, NULL);
	}
	over(j);
}
