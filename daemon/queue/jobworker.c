/*
 * Delivery workers: parent starts one per uid in use, and jobs are pushed to it.
 *
 * Several jobs are with a worker at once (limit.deliveries), so that it can share its fsyncs between
 * them.  Workers are bounded; when all are in use, users wait, and an idle one makes room.
 */
#include "local.h"
#include "clock.h"
#include "conf.h"
#include "log.h"
#include "text.h"

#include <event2/event.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORKERS_MAX 128
#define IDLE_SEC    10

struct jobworker {
	struct lane *lane;
	struct ipc *ipc; /* NULL: being started */
	struct event *idle;
	bool feeding;
	TAILQ_ENTRY(jobworker) entry;
};

static TAILQ_HEAD(, jobworker) workers = TAILQ_HEAD_INITIALIZER(workers);
static size_t n_workers;

static void start(struct lane *);
static void on_started(const struct msg *, void *);
static void feed(struct jobworker *);
static void on_end(struct ipc *, void *);
static void on_drained(struct ipc *, void *);
static void on_idle(evutil_socket_t, short, void *);
static void free_worker(struct jobworker *);

static ipc_handler *const handlers[MSG_MAX] = {
	[MSG_BODY_PULL] = job_body_pull,
	[MSG_JOB_RESULT] = job_result,
};
static const struct ipc_ops ops = { handlers, on_end, on_drained };

void
jobworker_feed(struct lane *l)
{
	if (queue_stopping)
		return;
	if (l->worker == NULL)
		start(l);
	else if (l->worker->ipc != NULL)
		feed(l->worker);
}

/* An idle one is given up for it, or it waits until one ends. */
static void
start(struct lane *l)
{
	struct jobworker *w, *idle = NULL;

	if (n_workers >= WORKERS_MAX) {
		TAILQ_FOREACH(w, &workers, entry)
			if (w->ipc != NULL && w->lane->n_in_job == 0 && w->lane->n_waiting == 0)
				idle = w;
		if (idle == NULL)
			return;
		ipc_close(idle->ipc);
		free_worker(idle); /* starts one that waits, perhaps this */
		if (l->worker != NULL || n_workers >= WORKERS_MAX)
			return;
	}
	const struct spool_envelope *d = &TAILQ_FIRST(&l->waiting)->d;
	w = xcalloc(1, sizeof(*w));
	w->lane = l;
	w->idle = evtimer_new(process.base, on_idle, w);
	l->worker = w;
	TAILQ_INSERT_TAIL(&workers, w, entry);
	n_workers++;
	ipc_call(process.parent, MSG_WORKER_START,
	    &(struct msg_worker_start){
		.uid = d->uid, .gid = d->gid, .user = d->user, .home = d->home },
	    on_started, w);
}

static void
on_started(const struct msg *msg, void *arg)
{
	struct jobworker *w = arg;
	struct lane *l = w->lane;
	struct envelope *e;

	if (msg == NULL)
		return; /* parent is gone, and we end, too */
	const struct msg_worker_started *s = msg->body;
	if (*s->error == '\0' && s->fd != -1) {
		w->ipc = ipc_new(process.base, s->fd, ROLE_QUEUE, ROLE_DELIVER, &ops, w);
		log_debug("worker started uid=%u pid=%u", (unsigned)l->uid, s->pid);
		feed(w);
		return;
	}
	if (s->fd != -1)
		close(s->fd);
	log_warn("worker refused uid=%u reason=%s", (unsigned)l->uid, log_quote(s->error));
	l->n_in_job++; /* keeps the lane until all are out of it */
	while ((e = TAILQ_FIRST(&l->waiting)) != NULL) {
		lane_leave(e);
		outcome_later(e, "4.3.5", s->error, NULL);
	}
	l->n_in_job--;
	free_worker(w);
}

static void
feed(struct jobworker *w)
{
	struct lane *l = w->lane;
	struct text rcpts = { 0 };
	struct envelope *e;

	if (w->feeding || queue_stopping)
		return;
	w->feeding = true;
	while ((e = TAILQ_FIRST(&l->waiting)) != NULL && ipc_backlog(w->ipc) < IPC_BACKLOG_HIGH &&
	       !l->is_hungry) {
		if (lane_room(l) == 0) {
			lane_hunger(l);
			break;
		}
		struct msg_job msg;
		struct job *j = job_new(w->ipc, &e, 1);
		rcpts.len = 0;
		if (job_message(j, &msg, &rcpts))
			ipc_send(w->ipc, MSG_JOB, &msg);
		else
			job_fail(j, "the body cannot be read from the spool");
	}
	w->feeding = false;
	text_free(&rcpts);
	if (l->n_in_job == 0 && l->n_waiting == 0)
		event_add(w->idle, &(struct timeval){ IDLE_SEC, 0 });
	else
		event_del(w->idle);
}

void
jobworker_over(struct lane *l)
{
	if (l->worker != NULL && l->worker->ipc != NULL)
		feed(l->worker);
	else if (l->worker == NULL)
		lane_check(l);
}

static void
on_drained(struct ipc *ipc, void *arg)
{
	(void)ipc;
	feed(arg);
}

static void
on_end(struct ipc *ipc, void *arg)
{
	struct jobworker *w = arg;
	struct lane *l = w->lane;

	if (l->n_in_job > 0)
		log_warn("worker died uid=%u jobs=%zu", (unsigned)l->uid, l->n_in_job);
	w->ipc = NULL; /* not fed any more */
	job_lost(ipc, "the delivery process ended");
	free_worker(w);
}

static void
on_idle(evutil_socket_t fd, short what, void *arg)
{
	struct jobworker *w = arg;

	(void)fd;
	(void)what;
	if (w->lane->n_in_job > 0 || w->lane->n_waiting > 0)
		return;
	ipc_close(w->ipc);
	free_worker(w);
}

/* Before an exit: what workers have in hand is awaited, so that it is not delivered again. */
void
jobworker_drain(int64_t until_ms)
{
	struct jobworker *w, *next;
	bool busy = true;

	while (busy && clock_mono_ms() < until_ms) {
		busy = false;
		TAILQ_FOREACH_SAFE(w, &workers, entry, next)
			if (w->ipc != NULL && w->lane->n_in_job > 0) {
				busy = true;
				ipc_flush(w->ipc);
				ipc_receive(w->ipc, 2);
			}
	}
}

/* Its lane goes on with a new one, or ends; or another lane that waits for a worker has its turn. */
static void
free_worker(struct jobworker *w)
{
	struct lane *l = w->lane, *other;

	TAILQ_REMOVE(&workers, w, entry);
	n_workers--;
	event_free(w->idle);
	free(w);
	l->worker = NULL;
	if (l->n_waiting == 0) {
		lane_check(l);
		if (n_workers < WORKERS_MAX - 1)
			return;
	}
	if (queue_stopping)
		return;
	TAILQ_FOREACH(other, &lanes, entry)
		if (*other->route == '\0' && other->worker == NULL && other->n_waiting > 0) {
			start(other);
			return;
		}
}
