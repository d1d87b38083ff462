/*
 * A JOB in relay's hands.  Made from queue's message, whose bytes it copies once; owned by the
 * route while it waits for a connection, then by the client.
 *
 * Invariant: queue gets exactly one JOB_RESULT for each recipient.
 */
#include "ipc.h"
#include "local.h"
#include "log.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

static bool split_rcpts(struct parcel *, const char *p, size_t len);

/* One allocation holds the struct, the recipients and all texts. */
struct parcel *
parcel_new(const struct msg_job *j)
{
	size_t sender = strlen(j->sender) + 1, envid = strlen(j->envid) + 1,
	       action = strlen(j->action) + 1, before = strlen(j->before) + 1,
	       auth = strlen(j->auth) + 1, n = j->n_rcpts;

	if (n == 0 || n > 10 * RCPTS_MAX || j->body.len > j->size)
		return NULL;
	struct parcel *p = malloc(sizeof(*p) + n * sizeof(struct parcel_rcpt) + sender + envid +
				  action + before + auth + j->rcpts.len + j->body.len + 1);
	if (p == NULL)
		return NULL;
	struct parcel_rcpt *rcpts = (struct parcel_rcpt *)(p + 1);
	char *space = (char *)(rcpts + n);
	*p = (struct parcel){ .job = j->job,
		.id = j->id,
		.size = before - 1 + j->size,
		.eightbit = j->eightbit != 0,
		.utf8_head = (j->utf8 & UTF8_HEADER) != 0,
		.ret = j->ret,
		.n_rcpts = n,
		.rcpts = rcpts };
	p->sender = memcpy(space, j->sender, sender);
	p->envid = memcpy(space += sender, j->envid, envid);
	p->action = memcpy(space += envid, j->action, action);
	p->before = memcpy(space += action, j->before, before);
	p->auth = memcpy(space += before, j->auth, auth);
	char *list = space += auth;
	if (j->rcpts.len > 0)
		memcpy(list, j->rcpts.data, j->rcpts.len);
	space += j->rcpts.len;
	if (j->body.len > 0)
		memcpy(space, j->body.data, j->body.len);
	p->body = (struct bytes){ space, j->body.len };
	if (!split_rcpts(p, list, j->rcpts.len)) {
		free(p);
		return NULL;
	}
	return p;
}

/* dest NUL rcpt NUL orcpt NUL notify NUL, for each. */
static bool
split_rcpts(struct parcel *p, const char *list, size_t len)
{
	const char *end = list + len, *fields[4];

	for (size_t i = 0; i < p->n_rcpts; i++) {
		for (int f = 0; f < 4; f++) {
			const char *nul = memchr(list, '\0', (size_t)(end - list));
			if (nul == NULL)
				return false;
			fields[f] = list;
			list = nul + 1;
		}
		p->rcpts[i] = (struct parcel_rcpt){ .dest = fields[0],
			.rcpt = fields[1],
			.orcpt = fields[2],
			.notify = (unsigned)strtoul(fields[3], NULL, 10) };
	}
	return list == end;
}

void
parcel_accept(struct parcel *p, size_t rcpt)
{
	if (p->rcpts[rcpt].state != PARCEL_OPEN)
		return;
	p->rcpts[rcpt].state = PARCEL_ACCEPTED;
	p->n_accepted++;
}

void
parcel_answer(struct parcel *p, size_t rcpt, enum outcome outcome, const char *status,
    const char *text, const char *host)
{
	if (p->rcpts[rcpt].state == PARCEL_ANSWERED)
		return;
	if (p->rcpts[rcpt].state == PARCEL_ACCEPTED)
		p->n_accepted--;
	p->rcpts[rcpt].state = PARCEL_ANSWERED;
	ipc_send(relay.queue, MSG_JOB_RESULT,
	    &(struct msg_job_result){ .job = p->job,
		.rcpt = (uint32_t)rcpt,
		.outcome = outcome,
		.status = status,
		.text = text,
		.host = host,
		.source = p->source,
		.tls = p->tls,
		.dsn = outcome == OUTCOME_DONE && p->dsn,
		.down_ms = (uint32_t)p->down_ms });
}

bool
parcel_reopen(struct parcel *p)
{
	for (size_t i = 0; i < p->n_rcpts; i++)
		if (p->rcpts[i].state == PARCEL_ANSWERED)
			return false;
	for (size_t i = 0; i < p->n_rcpts; i++)
		p->rcpts[i].state = PARCEL_OPEN;
	p->n_accepted = 0;
	p->source[0] = '\0';
	return true;
}

bool
parcel_has_more(const struct parcel *p)
{
	for (size_t i = 0; i < p->n_rcpts; i++)
		if (p->rcpts[i].again && p->rcpts[i].state != PARCEL_ANSWERED)
			return true;
	return false;
}

void
parcel_answer_rest(
    struct parcel *p, enum outcome outcome, const char *status, const char *text, const char *host)
{
	for (size_t i = 0; i < p->n_rcpts; i++)
		parcel_answer(p, i, outcome, status, text, host);
}

void
parcel_free(struct parcel *p)
{
	parcel_answer_rest(p, OUTCOME_LATER, "4.3.0", "not finished", "");
	free(p);
}

char *
parcel_mail(const struct parcel *p)
{
	const char *at = strrchr(p->rcpts[0].dest, '@');

	return xasprintf("%s %s %s", p->sender, at == NULL ? "" : at + 1, p->auth);
}
