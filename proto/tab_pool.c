/*
 * Threads for helpers (tab_pool.h).  Jobs wait in one list, finished ones in another; a byte in a pipe
 * wakes the loop.  Threads start when there is work for them and stay.
 *
 * Invariant: a job is in one list or in the hands of one thread.  Jobs are as many as questions are
 * open, which tab_helper.c bounds.
 */
#include "tab_pool.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tab_helper.h"

struct job {
	struct job *next;
	void (*work)(void *);
	void (*done)(void *);
	void *arg;
};

struct list {
	struct job *first, **last;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct list waiting, finished;
	unsigned n_waiting, threads, idle, max;
	int wake[2];
} pool = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.more = PTHREAD_COND_INITIALIZER,
	.max = 4,
	.wake = { -1, -1 },
};

static void start(void);
static void *run_jobs(void *);
static void on_finished(int, short, void *);

static void
append(struct list *l, struct job *j)
{
	if (l->first == NULL)
		l->last = &l->first;
	j->next = NULL;
	*l->last = j;
	l->last = &j->next;
}

void
tab_pool_size(unsigned threads)
{
	pool.max = threads;
}

void
tab_pool_run(void (*work)(void *), void (*done)(void *), void *arg)
{
	struct job *j = malloc(sizeof(*j));

	if (j == NULL) {
		tab_log("out of memory");
		exit(1);
	}
	*j = (struct job){ .work = work, .done = done, .arg = arg };
	if (pool.wake[0] == -1)
		start();
	pthread_mutex_lock(&pool.lock);
	append(&pool.waiting, j);
	if (++pool.n_waiting > pool.idle && pool.threads < pool.max) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, run_jobs, NULL) == 0) {
			pthread_detach(thread);
			pool.threads++;
		} else if (pool.threads == 0) {
			tab_log("no thread: %s", strerror(errno));
			exit(1);
		}
	}
	pthread_cond_signal(&pool.more);
	pthread_mutex_unlock(&pool.lock);
}

static void
start(void)
{
	struct event *ev = NULL;

	if (pipe2(pool.wake, O_CLOEXEC | O_NONBLOCK) == 0)
		ev = event_new(
		    tab_helper_base(), pool.wake[0], EV_READ | EV_PERSIST, on_finished, NULL);
	if (ev == NULL || event_add(ev, NULL) == -1) {
		tab_log("no thread pool: %s", strerror(errno));
		exit(1);
	}
}

static void *
run_jobs(void *arg)
{
	sigset_t all;

	(void)arg;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	pthread_mutex_lock(&pool.lock);
	for (;;) {
		pool.idle++;
		while (pool.waiting.first == NULL)
			pthread_cond_wait(&pool.more, &pool.lock);
		pool.idle--;
		struct job *j = pool.waiting.first;
		pool.waiting.first = j->next;
		pool.n_waiting--;
		pthread_mutex_unlock(&pool.lock);

		j->work(j->arg);

		pthread_mutex_lock(&pool.lock);
		/* A full pipe wakes as well as one more byte. */
		if (pool.finished.first == NULL && write(pool.wake[1], "", 1) == -1 &&
		    errno != EAGAIN)
			abort();
		append(&pool.finished, j);
	}
}

static void
on_finished(int fd, short what, void *arg)
{
	char bytes[64];

	(void)what;
	(void)arg;
	if (read(fd, bytes, sizeof(bytes)) == -1 && errno != EAGAIN)
		return;
	pthread_mutex_lock(&pool.lock);
	struct job *j = pool.finished.first;
	pool.finished.first = NULL;
	pthread_mutex_unlock(&pool.lock);
	while (j != NULL) {
		struct job *after = j->next;

		j->done(j->arg);
		free(j);
		j = after;
	}
}
