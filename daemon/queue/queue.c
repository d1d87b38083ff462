/*
 * The queue process: owns the spool, decides who works on what, when, and until when.
 *
 * Started by parent, chrooted to the spool's folder when it is root.  Handed mail by the smtp processes,
 * asks lookup what recipients expand to, pushes local jobs to the delivery workers of parent, lets relay
 * pull the others, and serves the control socket.  Invariant: a message that was answered 250 is in the
 * spool until each of its recipients is delivered, reported, or removed by a person.
 */
#include "local.h"
#include "clock.h"
#include "conf.h"
#include "log.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SMTP_MAX 64
#define DRAIN_MS 500 /* for results of what workers have in hand */

const char *queue_folder = "/";
struct ipc *queue_lookup, *queue_relay;
struct queue_stats queue_stats;
bool queue_stopping;

static struct smtp {
	struct ipc *ipc;
	struct msg_smtp_stats stats;
} smtps[SMTP_MAX];

static void
on_smtp_stats(struct ipc *ipc, struct msg *msg, void *arg)
{
	(void)arg;
	for (size_t i = 0; i < SMTP_MAX; i++)
		if (smtps[i].ipc == ipc)
			smtps[i].stats = *(const struct msg_smtp_stats *)msg->body;
}

struct ipc *
queue_smtp(size_t i, struct msg_smtp_stats *stats)
{
	if (i >= SMTP_MAX)
		return NULL;
	*stats = smtps[i].stats;
	return smtps[i].ipc;
}

void
queue_tell_smtp(void)
{
	for (size_t i = 0; i < SMTP_MAX; i++)
		if (smtps[i].ipc != NULL)
			ipc_send(smtps[i].ipc, MSG_SMTP_PAUSE,
			    &(struct msg_smtp_pause){ .paused = pause_smtp() });
}

/* Mail is nobody's business, though a file system mounted for it may let all others into its folder. */
static void
keep_private(const char *file)
{
	umask(077);
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd == -1)
		return;
	if (fchmod(fd, 0600) == -1)
		log_warn("spool: %s cannot be made private: %s", file, strerror(errno));
	close(fd);
}

static void
queue_start(void)
{
	struct stat st;
	const char *wrong;

	/* In the chroot the configuration's path leads nowhere. */
	if (stat(process.conf->spool, &st) == 0 && S_ISDIR(st.st_mode))
		queue_folder = process.conf->spool;
	char *file = xasprintf("%s/spool.db", strcmp(queue_folder, "/") == 0 ? "" : queue_folder);
	keep_private(file);
	if ((wrong = spool_open(file)) != NULL && room_give_all())
		wrong = spool_open(file);
	if (wrong != NULL)
		log_fatal("spool %s/spool.db: %s", process.conf->spool, wrong);
	free(file);
	if (queue_lookup == NULL)
		log_fatal("bug: no channel to lookup");
	room_start();
	journal_start();
	pause_start();
	schedule_start();
	warning_start();
	reentry_start();
	damage_start();
	log_info("queue started messages=%lld envelopes=%lld", (long long)spool_count_messages(),
	    (long long)spool_count_envelopes());
}

static void
queue_channel(struct ipc *ipc)
{
	enum role peer = ipc_peer(ipc);

	if (peer == ROLE_LOOKUP) {
		queue_lookup = ipc;
	} else if (peer == ROLE_RELAY) {
		queue_relay = ipc;
		jobroute_new_relay();
	} else if (peer == ROLE_SMTP) {
		for (size_t i = 0; i < SMTP_MAX; i++)
			if (smtps[i].ipc == NULL) {
				smtps[i] = (struct smtp){ .ipc = ipc };
				if (pause_smtp())
					ipc_send(
					    ipc, MSG_SMTP_PAUSE, &(struct msg_smtp_pause){ 1 });
				return;
			}
	}
}

static void
queue_stop(void)
{
	if (queue_stopping)
		return;
	queue_stopping = true;
	journal_commit();
	if (queue_relay != NULL)
		ipc_receive(queue_relay, 0);
	jobworker_drain(clock_mono_ms() + DRAIN_MS);
	journal_commit();
	for (size_t i = 0; i < SMTP_MAX; i++)
		if (smtps[i].ipc != NULL)
			ipc_flush(smtps[i].ipc);
	spool_close();
	room_stop();
}

/* Without lookup nothing can be done: parent starts us again together with it. */
static void
queue_gone(struct ipc *ipc)
{
	enum role peer = ipc_peer(ipc);

	if (peer == ROLE_LOOKUP) {
		queue_stop();
		exit(0);
	} else if (peer == ROLE_RELAY) {
		if (ipc == queue_relay)
			queue_relay = NULL;
		lanedown_forget_all();
		job_lost(ipc, "the relay process ended");
	} else if (peer == ROLE_SMTP) {
		intake_gone(ipc);
		journal_gone(ipc);
		for (size_t i = 0; i < SMTP_MAX; i++)
			if (smtps[i].ipc == ipc)
				smtps[i].ipc = NULL;
	}
}

static ipc_handler *const handlers[MSG_MAX] = {
	[MSG_MAIL_BEGIN] = intake_begin,
	[MSG_MAIL_BODY] = intake_body,
	[MSG_MAIL_RCPT] = intake_rcpt,
	[MSG_MAIL_COMMIT] = intake_commit,
	[MSG_MAIL_ABORT] = intake_abort,
	[MSG_SMTP_STATS] = on_smtp_stats,
	[MSG_EXPAND_ITEM] = recipient_item,
	[MSG_JOB_PULL] = jobroute_pull,
	[MSG_BODY_PULL] = job_body_pull,
	[MSG_JOB_RESULT] = job_result,
	[MSG_CTL_ROW] = control_row,
};

const struct role_ops queue_role = {
	.handlers = handlers,
	.on_start = queue_start,
	.on_channel = queue_channel,
	.on_gone = queue_gone,
	.on_listener = control_listener,
	.on_stop = queue_stop,
};
