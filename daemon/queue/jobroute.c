/*
 * Routes: relay is told that mail waits for one, and pulls jobs when it has room.
 *
 * It is told when the first waits, and again when twice as many wait as it knows of, so that it can open
 * more connections.  Recipients of one message with the same action share a job.
 */
#include "local.h"
#include "log.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

#define RCPTS_MAX 1000
#define BYTES_MAX \
	(32 * 1024) /* of recipients in a job: it goes in one packet with its body's start */

static size_t pick(struct lane *, struct envelope **, size_t max);
static size_t rcpt_len(const struct envelope *);

void
jobroute_feed(struct lane *l)
{
	uint32_t waiting = (uint32_t)l->n_waiting;

	if (queue_relay == NULL || waiting == 0 || l->is_hungry || lanedown_is(l) ||
	    (l->told > 0 && waiting < l->told * 2))
		return;
	l->told = waiting;
	ipc_send(queue_relay, MSG_ROUTE_WAITS, &(struct msg_route_waits){ l->route, waiting });
}

/* A new relay knows nothing. */
void
jobroute_new_relay(void)
{
	struct lane *l;

	TAILQ_FOREACH(l, &lanes, entry)
		if (*l->route != '\0') {
			l->told = 0;
			jobroute_feed(l);
		}
}

void
jobroute_pull(struct ipc *ipc, struct msg *msg, void *arg)
{
	const struct msg_job_pull *p = msg->body;
	struct lane *l = lane_of_route(p->route);
	struct envelope *picked[RCPTS_MAX];
	struct text rcpts = { 0 };
	struct msg_job m;

	(void)arg;
	while (l != NULL && l->n_waiting > 0 && !lanedown_is(l) && !queue_stopping) {
		size_t room = lane_room(l);
		if (room == 0) {
			lane_hunger(l);
			break;
		}
		if (room > RCPTS_MAX)
			room = RCPTS_MAX;
		size_t n = pick(l, picked, p->max_rcpts < room ? p->max_rcpts : room);
		l->n_in_job++; /* keeps the lane when the job fails */
		struct job *j = job_new(ipc, picked, n);
		const char *wrong = job_message(j, &m, &rcpts);
		if (wrong != NULL)
			job_fail(j, wrong);
		l->n_in_job--;
		if (wrong == NULL) {
			if (l->told > l->n_waiting)
				l->told = (uint32_t)l->n_waiting;
			ipc_reply(ipc, msg->call, MSG_JOB, &m);
			text_free(&rcpts);
			return;
		}
		rcpts.len = 0;
	}
	if (l != NULL) {
		l->told = 0;
		lane_check(l);
	}
	text_free(&rcpts);
	ipc_reply(ipc, msg->call, MSG_JOB,
	    &(struct msg_job){ .sender = "",
		.action = "",
		.user = "",
		.home = "",
		.envid = "",
		.rcpts = { "", 0 },
		.body = { "", 0 } });
}

/* The one that has waited longest, and others of its message that go the same way. */
static size_t
pick(struct lane *l, struct envelope **picked, size_t max)
{
	struct envelope *first = TAILQ_FIRST(&l->waiting), *e;
	size_t n = 1, bytes = rcpt_len(first);

	picked[0] = first;
	TAILQ_FOREACH(e, &first->m->envelopes, of_message) {
		if (n >= max)
			break;
		if (e == first || e->state != ENVELOPE_READY || e->lane != l ||
		    strcmp(e->d.action, first->d.action) != 0)
			continue;
		bytes += rcpt_len(e);
		if (bytes > BYTES_MAX)
			break;
		picked[n++] = e;
	}
	return n;
}

static size_t
rcpt_len(const struct envelope *e)
{
	return strlen(e->d.dest) + strlen(e->d.rcpt) + strlen(e->d.orcpt) + 16;
}
