/*
 * crypt(3) in threads: bcrypt and its kin take a tenth of a second and more, by design, and the loop
 * has other things to do.
 *
 * Called by auth.c.  Threads run below the priority of the loop, and there are fewer than processors,
 * so that guessing costs the other sessions little.  Who has logged in from his address before comes
 * first, who has failed from there last: guesses, however many, hold up nobody whom they do not guess.
 *
 * Invariant: a job is in one list, or in the hands of one thread; its callback runs once, from the loop,
 * unless it is dropped while it waits.
 */
#include "local.h"
#include "log.h"
#include "secret.h"
#include "text.h"

#include <crypt.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#define THREADS_MAX 8
#define WAITING_MAX 128 /* of a rank: seconds of work */
#define RANKS       (AUTHLIMIT_SUSPECT + 1)
#define NICENESS    10

struct hash_job {
	STAILQ_ENTRY(hash_job) entry;
	struct secret password;
	char *hash;
	enum authlimit_answer rank;
	bool waiting; /* under the lock */
	bool nobody;  /* there is no such user: whatever comes out, he is not he */
	enum tab_answer answer;
	hash_answer *done;
	void *arg;
};
STAILQ_HEAD(job_list, hash_job);

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct job_list waiting[RANKS], finished;
	unsigned n_waiting[RANKS];
	unsigned n_threads, n_idle;
	int wake;
	struct event woken;
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER, .wake = -1 };

/* What a user is compared with who is not there: as costly as the last hash that was. */
static char *nobodys_hash;

static void *work(void *);
static void on_woken(evutil_socket_t, short, void *);
static enum tab_answer compare(const struct hash_job *, struct crypt_data *);

static void
init(void)
{
	for (int i = 0; i < RANKS; i++)
		STAILQ_INIT(&pool.waiting[i]);
	STAILQ_INIT(&pool.finished);
	pool.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool.wake == -1)
		log_fatal("eventfd: %s", strerror(errno));
	event_assign(&pool.woken, process.base, pool.wake, EV_READ | EV_PERSIST, on_woken, NULL);
	event_add(&pool.woken, NULL);
	nobodys_hash = xstrdup("$6$nobodynobody$");
}

static unsigned
threads_wanted(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	return processors <= 2            ? 1
	       : processors > THREADS_MAX ? THREADS_MAX
					  : (unsigned)processors - 1;
}

static void
start_thread(void)
{
	sigset_t all, before;
	pthread_t thread;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	int error = pthread_create(&thread, NULL, work, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error == 0) {
		pthread_detach(thread);
		pool.n_threads++;
	} else if (pool.n_threads == 0) {
		log_fatal("no thread: %s", strerror(error));
	}
}

struct hash_job *
hash_check(struct secret password, const char *hash, enum authlimit_answer rank, hash_answer *done,
    void *arg)
{
	if (pool.wake == -1)
		init();
	pthread_mutex_lock(&pool.lock);
	bool full = pool.n_waiting[rank] >= WAITING_MAX;
	pthread_mutex_unlock(&pool.lock);
	if (full)
		return NULL;
	struct hash_job *j = xcalloc(1, sizeof(*j));
	const char *text = secret_reveal(password);
	*j = (struct hash_job){ .password = secret_new(text, strlen(text)),
		.done = done,
		.arg = arg,
		.rank = rank,
		.waiting = true };
	j->nobody = hash == NULL;
	if (hash != NULL && hash[0] == '$') {
		free(nobodys_hash);
		nobodys_hash = xstrdup(hash);
	}
	j->hash = xstrdup(hash == NULL ? nobodys_hash : hash);
	pthread_mutex_lock(&pool.lock);
	STAILQ_INSERT_TAIL(&pool.waiting[rank], j, entry);
	pool.n_waiting[rank]++;
	if (pool.n_idle == 0 && pool.n_threads < threads_wanted())
		start_thread();
	pthread_cond_signal(&pool.more);
	pthread_mutex_unlock(&pool.lock);
	return j;
}

static void
free_job(struct hash_job *j)
{
	secret_free(&j->password);
	secret_wipe(j->hash, strlen(j->hash));
	free(j->hash);
	free(j);
}

static void
take_out(struct hash_job *j)
{
	STAILQ_REMOVE(&pool.waiting[j->rank], j, hash_job, entry);
	pool.n_waiting[j->rank]--;
	j->waiting = false;
}

bool
hash_drop(struct hash_job *j)
{
	pthread_mutex_lock(&pool.lock);
	bool waiting = j->waiting;
	if (waiting)
		take_out(j);
	pthread_mutex_unlock(&pool.lock);
	if (waiting)
		free_job(j);
	return waiting;
}

static struct hash_job *
next_job(void)
{
	for (int rank = 0; rank < RANKS; rank++) {
		struct hash_job *j = STAILQ_FIRST(&pool.waiting[rank]);
		if (j == NULL)
			continue;
		take_out(j);
		return j;
	}
	return NULL;
}

static void *
work(void *arg)
{
	struct crypt_data *data = xcalloc(1, sizeof(*data)); /* 32 KiB */
	const uint64_t one = 1;
	struct hash_job *j;

	(void)arg;
	(void)setpriority(PRIO_PROCESS, 0, NICENESS); /* on Linux: of this thread */
	pthread_mutex_lock(&pool.lock);
	for (;;) {
		pool.n_idle++;
		while ((j = next_job()) == NULL)
			pthread_cond_wait(&pool.more, &pool.lock);
		pool.n_idle--;
		pthread_mutex_unlock(&pool.lock);
		j->answer = compare(j, data);
		secret_wipe(data, sizeof(*data));
		pthread_mutex_lock(&pool.lock);
		STAILQ_INSERT_TAIL(&pool.finished, j, entry);
		if (write(pool.wake, &one, sizeof(one)) == -1 && errno != EAGAIN)
			abort();
	}
	return NULL;
}

/* ERROR: what the table has is no hash; that the password is wrong is not known then. */
static enum tab_answer
compare(const struct hash_job *j, struct crypt_data *data)
{
	const char *password = secret_reveal(j->password);
	const char *got = crypt_r(password, j->hash, data);

	/* what crypt(3) does not take was never hashed: no fault of the table's, or it would tell who is in it */
	if (j->nobody || strlen(password) >= CRYPT_MAX_PASSPHRASE_SIZE)
		return TAB_MISSING;
	/* DES takes any two letters for a salt; a password in clear is no hash for that */
	if (got == NULL || got[0] == '*' || strlen(got) != strlen(j->hash))
		return TAB_ERROR;
	return tab_same_secret(got, j->hash) ? TAB_FOUND : TAB_MISSING;
}

static void
on_woken(evutil_socket_t fd, short what, void *arg)
{
	struct job_list finished = STAILQ_HEAD_INITIALIZER(finished);
	struct hash_job *j;
	uint64_t count;

	(void)what;
	(void)arg;
	if (read(fd, &count, sizeof(count)) == -1)
		return;
	pthread_mutex_lock(&pool.lock);
	STAILQ_CONCAT(&finished, &pool.finished);
	pthread_mutex_unlock(&pool.lock);
	while ((j = STAILQ_FIRST(&finished)) != NULL) {
		STAILQ_REMOVE_HEAD(&finished, entry);
		j->done(j->answer, j->arg);
		free_job(j);
	}
}
