/*
 * What lookup and queue ask of parent: to start and to kill helpers, to start delivery workers, and
 * who is running.
 *
 * A question names a table of the configuration, or a uid, gid and home that are checked here:
 * never a command or a path.  Helpers and workers are kept in one list until they are reaped, so a
 * pid that is named in a question is one of ours or the question is refused.
 */
#include "local.h"
#include "conf.h"
#include "log.h"
#include "msgio.h"
#include "text.h"

#include <bsd/string.h>
#include <bsd/sys/queue.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS_MAX 1000 /* users at work at once */

struct minion {
	LIST_ENTRY(minion) entry;
	pid_t pid;
	const struct conf_table *table; /* NULL: a delivery worker */
};

static LIST_HEAD(, minion) minions = LIST_HEAD_INITIALIZER(minions);
static unsigned n_workers;

static const char *worker_refusal(const struct msg_worker_start *);
static void make_mailbox(const struct msg_worker_start *);
static bool brief_worker(int control, int queue_end);
static void remember(pid_t, const struct conf_table *);

/* HELPER_START: the socketpair that becomes its 0 and 1, the pipe that becomes its 2. */
static void
on_helper_start(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_helper_start *q = m->body;
	const struct conf_table *table = conf_table(parent.conf, q->table);
	struct msg_helper_started a = { .fd = -1 };
	int io[2] = { -1, -1 }, err[2] = { -1, -1 };
	struct helper_command c;
	pid_t pid = -1;

	(void)arg;
	if (table == NULL || table->is_static) {
		a.error = "no such table has a helper";
		ipc_reply(ipc, m->call, MSG_HELPER_STARTED, &a);
		return;
	}
	helper_command(&c, parent.conf, table);
	a.error = helper_is_missing(&c);
	if (a.error == NULL && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, io) == 0 &&
	    pipe2(err, O_CLOEXEC) == 0)
		pid = launch_helper(&(struct launch_helper){
		    .argv = c.argv, .user = helper_user(table), .io = io[1], .err = err[1] });
	if (pid == -1 && a.error == NULL) {
		a.error = strerror(errno);
	} else if (pid != -1) {
		remember(pid, table);
		a.pid = (uint32_t)pid;
		a.fd = io[0];
		ipc_send(ipc, MSG_HELPER_STDERR,
		    &(struct msg_helper_stderr){ .table = q->table, .pid = a.pid, .fd = err[0] });
	}
	ipc_reply(ipc, m->call, MSG_HELPER_STARTED, &a);
	for (int i = 0; i < 2; i++) {
		if (io[i] != -1)
			close(io[i]);
		if (err[i] != -1)
			close(err[i]);
	}
	helper_command_free(&c);
}

static void
on_helper_kill(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_helper_kill *q = m->body;
	struct minion *h;

	(void)ipc;
	(void)arg;
	LIST_FOREACH(h, &minions, entry)
		if (h->pid == (pid_t)q->pid && h->table != NULL && h->table->index == q->table)
			kill(h->pid, SIGKILL);
}

/* WORKER_START: its channel to queue goes to queue as the answer, the other end to the worker. */
static void
on_worker_start(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_worker_start *q = m->body;
	struct msg_worker_started a = { .fd = -1, .error = worker_refusal(q) };
	int control[2] = { -1, -1 }, queue[2] = { -1, -1 };
	pid_t pid = -1;

	(void)arg;
	if (a.error[0] != '\0') {
		log_warn("worker event=refused user=%s uid=%u gid=%u home=%s reason=%s",
		    log_quote(q->user), q->uid, q->gid, log_quote(q->home), log_quote(a.error));
		ipc_reply(ipc, m->call, MSG_WORKER_STARTED, &a);
		return;
	}
	make_mailbox(q);
	if (ipc_pair(control) && ipc_pair(queue))
		pid = launch_worker(q->uid, q->gid, q->user, control[1]);
	if (pid == -1) {
		a.error = strerror(errno);
	} else if (!brief_worker(control[0], queue[1])) {
		a.error = "the worker did not take its orders";
		kill(pid, SIGKILL);
		remember(pid, NULL);
	} else {
		remember(pid, NULL);
		a.pid = (uint32_t)pid;
		a.fd = queue[0];
	}
	ipc_reply(ipc, m->call, MSG_WORKER_STARTED, &a);
	for (int i = 0; i < 2; i++) {
		if (control[i] != -1)
			close(control[i]);
		if (queue[i] != -1)
			close(queue[i]);
	}
}

/* What a directory says of a user is not trusted: "" or why no process is started for it. */
static const char *
worker_refusal(const struct msg_worker_start *q)
{
	if (q->uid < parent.conf->first_uid || q->uid == UINT32_MAX)
		return "uid below first-uid, or none";
	if (q->gid == 0 || q->gid == UINT32_MAX)
		if (parent.root)
			return "gid 0, or none";
	if (!parent.root && q->uid != geteuid())
		return "tabmaild runs as an ordinary user, and delivers to that one only";
	if (q->home[0] != '/' || q->home[1] == '\0')
		return "home is no absolute path below /";
	for (const char *p = q->home; (p = strstr(p, "/..")) != NULL; p += 3)
		if (p[3] == '/' || p[3] == '\0')
			return "home holds ..";
	if (q->user[0] == '\0' || strlen(q->user) > 60 || strpbrk(q->user, " \t/:") != NULL ||
	    text_has_control(q->user))
		return "no valid user name";
	if (n_workers >= WORKERS_MAX)
		return "too many users at work";
	return "";
}

static bool
delivers_to_mbox(void)
{
	const struct conf_rule *r;

	STAILQ_FOREACH(r, &parent.conf->rules, entry)
		if (r->action.kind == ACTION_MBOX && r->action.arg == NULL)
			return true;
	return false;
}

/*
 * /var/mail is not the users' to write into, so a mailbox that is not there yet is made here, for
 * every user who gets mail where a rule says mbox (as useradd does): never one that is there, never
 * through a link.  A failure shows in the worker, which has the log line.
 */
static void
make_mailbox(const struct msg_worker_start *q)
{
	struct stat folder;

	if (!parent.root || q->user[0] == '.' || !delivers_to_mbox())
		return;
	int dir = open("/var/mail", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir == -1 || fstat(dir, &folder) == -1 || folder.st_uid != 0) {
		if (dir != -1)
			close(dir);
		return;
	}
	int fd = openat(dir, q->user, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd != -1) {
		if (fchown(fd, q->uid, q->gid) == -1)
			unlinkat(dir, q->user, 0);
		close(fd);
	}
	close(dir);
}

/* CONFIG, CHANNEL, START fit into the socket's buffer: this does not block. */
static bool
brief_worker(int control, int queue_end)
{
	const struct msg_config config = { .memfd = parent.memfd, .file = parent.options->file };
	const struct msg_channel channel = { .peer = ROLE_QUEUE, .fd = queue_end };
	const struct msg_start start = {};

	return msg_write(control,
		   &(struct msg){ .type = MSG_CONFIG, .fd = parent.memfd, .body = &config }) &&
	       msg_write(control,
		   &(struct msg){ .type = MSG_CHANNEL, .fd = queue_end, .body = &channel }) &&
	       msg_write(control, &(struct msg){ .type = MSG_START, .fd = -1, .body = &start });
}

static void
on_ctl_ask(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_ctl_ask *q = m->body;
	struct msg_ctl_end end = { .ask = m->call, .error = "" };
	struct text errors = { 0 };

	(void)arg;
	if (strcmp(q->verb, "status") == 0)
		child_put_status(ipc, m->call);
	else if (strcmp(q->verb, "pki") == 0)
		pki_renew(&errors);
	else
		end.error = "parent knows no such question";
	if (errors.len > 0) {
		errors.s[errors.len - 1] = '\0'; /* a line for each fault; here in one */
		for (char *lf = errors.s; (lf = strchr(lf, '\n')) != NULL;)
			*lf = ';';
		end.error = errors.s;
	}
	ipc_reply(ipc, m->call, MSG_CTL_END, &end);
	text_free(&errors);
}

static void
remember(pid_t pid, const struct conf_table *table)
{
	struct minion *h = xcalloc(1, sizeof(*h));

	*h = (struct minion){ .pid = pid, .table = table };
	LIST_INSERT_HEAD(&minions, h, entry);
	if (table == NULL)
		n_workers++;
}

bool
errand_exited(pid_t pid, int status)
{
	struct minion *h;

	LIST_FOREACH(h, &minions, entry)
		if (h->pid == pid)
			break;
	if (h == NULL)
		return false;
	LIST_REMOVE(h, entry);
	struct ipc *lookup = child_channel(ROLE_LOOKUP);
	if (h->table == NULL) {
		n_workers--;
		if (WIFSIGNALED(status))
			log_warn("worker event=died pid=%d signal=%d", (int)pid, WTERMSIG(status));
		else if (WEXITSTATUS(status) != 0)
			log_warn("worker event=died pid=%d exit=%d", (int)pid, WEXITSTATUS(status));
	} else if (lookup != NULL) {
		char how[64];
		if (WIFSIGNALED(status))
			snprintf(how, sizeof(how), "signal %d", WTERMSIG(status));
		else
			snprintf(how, sizeof(how), "exit %d", WEXITSTATUS(status));
		ipc_send(lookup, MSG_HELPER_EXITED,
		    &(struct msg_helper_exited){
			.table = h->table->index, .pid = (uint32_t)pid, .how = how });
	}
	free(h);
	return true;
}

/* Helpers end by themselves at the end of their input; one that hangs is ended here. */
void
errand_role_gone(enum role role)
{
	struct minion *h;

	if (role != ROLE_LOOKUP)
		return;
	LIST_FOREACH(h, &minions, entry)
		if (h->table != NULL)
			kill(h->pid, SIGKILL);
}

ipc_handler *const errand_handlers[MSG_MAX] = {
	[MSG_HELPER_START] = on_helper_start,
	[MSG_HELPER_KILL] = on_helper_kill,
	[MSG_WORKER_START] = on_worker_start,
	[MSG_CTL_ASK] = on_ctl_ask,
};
