/*
 * Delivery workers: parent starts one per uid in use, and jobs are pushed to it.
 *
 * Several jobs are with a worker at once (limit.deliveries), so that it can share its fsyncs between
 * them.  Workers are bounded; when all are in use, users wait in the order in which they came, and an idle one makes room.
 * While somebody waits, a worker gets new jobs for some seconds only, ends when it has none in hand, and its user waits
 * behind the others.  Those whose jobs hang (a command may, for minutes) are not counted: others take their place, up to
 * a second bound.
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

#define WORKERS_MAX  128
#define WORKERS_HARD 512 /* with those that hang */
#define IDLE_SEC     10
#define TURN_MS      3000 /* with jobs, while others wait */
#define HANG_MS      3000 /* without a result */

struct jobworker {
	struct lane *lane;
	struct ipc *ipc; /* NULL: being started */
	struct event *idle;
	int64_t began_ms, moved_ms; /* its start; its last result, or when it had nothing to do */
	bool feeding;
	bool leaving; /* others wait: it gets nothing more */
	TAILQ_ENTRY(jobworker) entry;
};

static TAILQ_HEAD(, jobworker) workers = TAILQ_HEAD_INITIALIZER(workers);
static size_t n_workers;
static struct event *look; /* while anybody waits */

static bool has_place(void);
static void wait_turn(struct lane *);
static void start(struct lane *);
static void on_started(const struct msg *, void *);
static void feed(struct jobworker *);
static void on_end(struct ipc *, void *);
static void on_drained(struct ipc *, void *);
static void on_idle(evutil_socket_t, short, void *);
static void on_look(evutil_socket_t, short, void *);
static void start_waiting(void);
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

size_t
jobworker_count(void)
{
	return n_workers;
}

static bool
has_place(void)
{
	int64_t now_ms = clock_mono_ms();
	struct jobworker *w;
	size_t hanging = 0;

	if (n_workers < WORKERS_MAX || n_workers >= WORKERS_HARD)
		return n_workers < WORKERS_MAX;
	TAILQ_FOREACH(w, &workers, entry)
		hanging += w->lane->n_in_job > 0 && now_ms - w->moved_ms > HANG_MS;
	return n_workers - hanging < WORKERS_MAX;
}

static void
wait_turn(struct lane *l)
{
	if (l->waits_ms == 0)
		l->waits_ms = clock_mono_ms();
	if (look == NULL)
		look = evtimer_new(process.base, on_look, NULL);
	if (!event_pending(look, EV_TIMEOUT, NULL))
		event_add(look, &(struct timeval){ 1, 0 });
}

/* An idle one is given up for it, or it waits until one ends. */
static void
start(struct lane *l)
{
	struct jobworker *w, *idle = NULL;

	if (!has_place()) {
		TAILQ_FOREACH(w, &workers, entry)
			if (w->ipc != NULL && w->lane->n_in_job == 0 && w->lane->n_waiting == 0)
				idle = w;
		wait_turn(l);
		if (idle == NULL)
			return;
		ipc_close(idle->ipc);
		free_worker(idle); /* starts one that waits, perhaps this */
		return;
	}
	l->waits_ms = 0;
	const struct spool_envelope *d = &TAILQ_FIRST(&l->waiting)->d;
	w = xcalloc(1, sizeof(*w));
	w->lane = l;
	w->began_ms = w->moved_ms = clock_mono_ms();
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
	if (l->n_in_job == 0)
		w->moved_ms = clock_mono_ms();
	w->feeding = true;
	while (!w->leaving && (e = TAILQ_FIRST(&l->waiting)) != NULL &&
	       ipc_backlog(w->ipc) < IPC_BACKLOG_HIGH && !l->is_hungry) {
		if (lane_room(l) == 0) {
			lane_hunger(l);
			break;
		}
		struct msg_job msg;
		struct job *j = job_new(w->ipc, &e, 1);
		rcpts.len = 0;
		const char *wrong = job_message(j, &msg, &rcpts);
		if (wrong == NULL)
			ipc_send(w->ipc, MSG_JOB, &msg);
		else
			job_fail(j, wrong);
	}
	w->feeding = false;
	text_free(&rcpts);
	bool others_wait = look != NULL && event_pending(look, EV_TIMEOUT, NULL);
	if (l->n_in_job == 0 && (l->n_waiting == 0 || w->leaving))
		event_add(w->idle, &(struct timeval){ others_wait ? 0 : IDLE_SEC, 0 });
	else
		event_del(w->idle);
}

void
jobworker_over(struct lane *l)
{
	if (l->worker != NULL)
		l->worker->moved_ms = clock_mono_ms();
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
	if (w->lane->n_in_job > 0 || (w->lane->n_waiting > 0 && !w->leaving))
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

/* The one that waits longest. */
static struct lane *
first_waiting(size_t *n)
{
	struct lane *l, *first = NULL;

	*n = 0;
	TAILQ_FOREACH(l, &lanes, entry) {
		if (*l->route != '\0' || l->worker != NULL || l->n_waiting == 0)
			continue;
		++*n;
		if (first == NULL || l->waits_ms < first->waits_ms)
			first = l;
	}
	return first;
}

/* As many as have had their turn, and others wait for. */
static void
ask_to_leave(size_t n)
{
	int64_t now_ms = clock_mono_ms();
	struct jobworker *w;

	TAILQ_FOREACH(w, &workers, entry) { /* in the order of their starts */
		bool was_leaving = w->leaving;
		w->leaving = n > 0 && w->ipc != NULL && now_ms - w->began_ms >= TURN_MS;
		if (w->leaving)
			n--;
		if (w->leaving != was_leaving && w->ipc != NULL)
			feed(w);
	}
}

static void
on_look(evutil_socket_t fd, short what, void *arg)
{
	size_t n;

	(void)fd;
	(void)what;
	(void)arg;
	start_waiting();
	if (first_waiting(&n) != NULL)
		event_add(look, &(struct timeval){ 1, 0 });
	ask_to_leave(n);
}

static void
start_waiting(void)
{
	struct lane *l;
	size_t n;

	while (!queue_stopping && has_place() && (l = first_waiting(&n)) != NULL)
		start(l);
}

/* Its lane ends, or goes on with a new one when those that wait have had theirs. */
static void
free_worker(struct jobworker *w)
{
	struct lane *l = w->lane;

	TAILQ_REMOVE(&workers, w, entry);
	n_workers--;
	event_free(w->idle);
	free(w);
	l->worker = NULL;
	l->waits_ms = clock_mono_ms();
	if (l->n_waiting == 0)
		lane_check(l);
	else
		wait_turn(l);
	start_waiting();
}
