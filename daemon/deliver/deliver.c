/*
 * A delivery worker: puts mail where its user's mail goes, with that user's rights and no others.
 *
 * parent starts it for queue and has changed its uid before exec.  It has no loop of events: it
 * takes the jobs that are there from its channel to queue, does those for Maildirs as one batch,
 * those for an mbox one by one, has commands run beside each other meanwhile (mda.c), and answers
 * each.  When queue closes the channel it finishes what it has in hand and ends.
 *
 * Invariant: never uid 0, nor one below first-uid unless the whole daemon is run by that user; a
 * job does nothing that is not an action of the configuration.
 */
#include "../role.h"
#include "conf.h"
#include "local.h"
#include "log.h"
#include "msgio.h"
#include "sandbox.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct conf *start(int *queue);
static const struct conf *read_conf(const struct msg_config *);
static void check_uid(const struct conf *);
static void deliver_batch(struct delivery **, size_t n);
static bool check_job(struct delivery *);

void
deliver_worker(void)
{
	struct delivery *batch[WORKER_BATCH];
	size_t n;
	int queue;

	umask(077);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* EFBIG will do */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	/* who stops the daemon may send it to all: half a message would look like a whole one to a command */
	signal(SIGTERM, SIG_IGN);
	const struct conf *conf = start(&queue);
	worker_open(queue, conf);
	while ((n = worker_collect(batch, !mda_is_busy())) > 0 || mda_is_busy()) {
		deliver_batch(batch, n);
		if (mda_is_busy())
			mda_work(worker_channel());
	}
	exit(0);
}

/* CONFIG, CHANNEL, START from parent. */
static const struct conf *
start(int *queue)
{
	struct msg_reader *parent = msg_reader_new(ROLE_FD);
	const struct conf *conf = NULL;
	struct msg m;

	*queue = -1;
	do {
		if (msg_read(parent, &m, 0) != 1)
			exit(0); /* parent is gone, or has thought better of it */
		if (!msg_allowed(m.type, ROLE_PARENT, ROLE_DELIVER))
			log_fatal("breach from=parent message=%s", msg_name(m.type));
		if (m.type == MSG_CONFIG)
			conf = read_conf(m.body);
		else if (m.type == MSG_CHANNEL)
			*queue = ((const struct msg_channel *)m.body)->fd;
	} while (m.type != MSG_START);
	free(parent);
	if (conf == NULL || *queue == -1)
		log_bug("bug: started without a configuration and a channel to queue");
	check_uid(conf);
	(void)sandbox_lock(SANDBOX_DELIVER, NULL);
	return conf;
}

static const struct conf *
read_conf(const struct msg_config *c)
{
	struct stat st;

	if (fstat(c->memfd, &st) == -1)
		log_fatal("configuration: %s", strerror(errno));
	char *text = mmap(NULL, (size_t)st.st_size + 1, PROT_READ, MAP_PRIVATE, c->memfd, 0);
	if (text == MAP_FAILED)
		log_fatal("configuration: %s", strerror(errno));
	const struct conf *conf = conf_parse(text, (size_t)st.st_size, c->file, NULL);
	if (conf == NULL)
		log_fatal("bug: the configuration that parent passed on has errors");
	munmap(text, (size_t)st.st_size + 1);
	close(c->memfd);
	return conf;
}

/* The channel's credentials are those of the process that made it: parent. */
static void
check_uid(const struct conf *conf)
{
	struct ucred parent = { .uid = 0 };
	socklen_t len = sizeof(parent);

	getsockopt(ROLE_FD, SOL_SOCKET, SO_PEERCRED, &parent, &len);
	if (parent.uid != 0 && parent.uid == getuid())
		return;
	if (getuid() == 0 || geteuid() == 0 || getuid() < conf->first_uid)
		log_fatal("no delivery as uid %u: first-uid is %u", (unsigned)getuid(),
		    (unsigned)conf->first_uid);
}

static void
deliver_batch(struct delivery **batch, size_t n)
{
	struct delivery *maildirs[WORKER_BATCH];
	size_t n_maildirs = 0;

	for (size_t i = 0; i < n; i++) {
		if (!check_job(batch[i])) {
			worker_answer(batch[i]);
			batch[i] = NULL;
		} else if (batch[i]->action->kind == ACTION_MAILDIR) {
			maildirs[n_maildirs++] = batch[i];
			batch[i] = NULL;
		}
	}
	maildir_deliver(maildirs, n_maildirs);
	for (size_t i = 0; i < n_maildirs; i++)
		worker_answer(maildirs[i]);
	for (size_t i = 0; i < n; i++) {
		if (batch[i] == NULL)
			continue;
		if (batch[i]->action->kind == ACTION_MDA) {
			mda_take(batch[i]);
			continue;
		}
		mbox_deliver(batch[i]);
		worker_answer(batch[i]);
	}
}

static bool
check_job(struct delivery *d)
{
	const char *home = d->home;

	if (d->action == NULL) {
		delivery_end(d, OUTCOME_LATER, "4.3.5", "the action is gone: %s", d->action_text);
		return false;
	}
	if (d->action->kind != ACTION_MAILDIR && d->action->kind != ACTION_MBOX &&
	    d->action->kind != ACTION_MDA) {
		delivery_end(
		    d, OUTCOME_LATER, "4.3.5", "no delivery to a user: %s", d->action_text);
		return false;
	}
	size_t len = strlen(home);
	if (home[0] != '/' || strspn(home, "/") == len || strstr(home, "/../") != NULL ||
	    (len >= 3 && strcmp(home + len - 3, "/..") == 0)) {
		log_warn("home=%s user=%s refused", log_quote(home), log_quote(d->user));
		delivery_end(d, OUTCOME_LATER, "4.3.5", "the home %s is refused", home);
		return false;
	}
	return true;
}
