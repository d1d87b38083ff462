/*
 * The roles and their supervision: lookup, queue, smtp (N of them), relay.
 *
 * Who dies takes with him who asks him: smtp and relay are restarted alone; when queue dies, smtp
 * and relay end with it, when lookup dies, all three do, for their transactions rest on it.  The
 * listening sockets stay bound meanwhile.  A restart waits for its back-off, so that a process that
 * dies at once costs little.
 */
#include "local.h"
#include "clock.h"
#include "conf.h"
#include "log.h"
#include "row.h"
#include "text.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN_MAX   67 /* lookup, queue, relay, and up to 64 of smtp */
#define KILL_AFTER_SEC 5  /* between SIGTERM and SIGKILL */
#define BACKOFF_MIN_MS 20
#define BACKOFF_MAX_MS 30000
#define GOOD_AFTER_MS  5000 /* who lived as long starts with the least back-off again */

#define CHILD_STATES(S) S(DOWN, "down") S(RUNNING, "running") S(ENDING, "ending")
#define S(NAME, text)   CHILD_##NAME,
enum child_state { CHILD_STATES(S) };
#undef S

struct child {
	enum role role;
	uint32_t instance;
	enum child_state state;
	bool ready;
	char *sandbox; /* what it said is in force; NULL: not ready yet */
	pid_t pid;
	struct ipc *ipc;
	int64_t started_ms, backoff_ms;
	unsigned restarts;
};

/* Whom a role depends on: the higher rank asks the lower. */
static const int ranks[ROLE_MAX] = {
	[ROLE_LOOKUP] = 1, [ROLE_QUEUE] = 2, [ROLE_SMTP] = 3, [ROLE_RELAY] = 3
};

/* The channels between roles; each is made anew when one of its ends is. */
static const enum role edges[][2] = {
	{ ROLE_QUEUE, ROLE_LOOKUP },
	{ ROLE_SMTP, ROLE_LOOKUP },
	{ ROLE_SMTP, ROLE_QUEUE },
	{ ROLE_RELAY, ROLE_LOOKUP },
	{ ROLE_RELAY, ROLE_QUEUE },
};

static struct child children[CHILDREN_MAX];
static size_t n_children;
static bool stopping;
static struct event restart_timer, kill_timer;

static void add_child(enum role, uint32_t instance);
static void start_missing(void);
static void spawn(struct child *);
static void connect_edges(const bool *fresh);
static void on_ready(struct ipc *, struct msg *, void *);
static void on_channel_end(struct ipc *, void *);
static void set_state(struct child *, enum child_state);
static void end_above(int rank);
static void end_child(struct child *);
static void plan_restart(void);
static void on_restart(evutil_socket_t, short, void *);
static void on_kill(evutil_socket_t, short, void *);
static bool all_down(void);

void
child_start_all(void)
{
	event_assign(&restart_timer, parent.base, -1, 0, on_restart, NULL);
	event_assign(&kill_timer, parent.base, -1, 0, on_kill, NULL);
	add_child(ROLE_LOOKUP, 0);
	add_child(ROLE_QUEUE, 0);
	add_child(ROLE_RELAY, 0);
	for (uint32_t i = 0; i < parent.conf->smtp_processes && n_children < CHILDREN_MAX; i++)
		add_child(ROLE_SMTP, i);
	start_missing();
}

static void
add_child(enum role role, uint32_t instance)
{
	children[n_children++] =
	    (struct child){ .role = role, .instance = instance, .backoff_ms = BACKOFF_MIN_MS };
}

/* Whether those whom it asks are there.  Who has lost his channel is about to be reaped, and plans a restart then. */
static bool
can_start(const struct child *c)
{
	for (size_t i = 0; i < n_children; i++)
		if (ranks[children[i].role] < ranks[c->role] &&
		    (children[i].state != CHILD_RUNNING || children[i].ipc == NULL))
			return false;
	return true;
}

/* Starts all that are down: first the processes, then the channels between them, then the word. */
static void
start_missing(void)
{
	bool fresh[CHILDREN_MAX] = { false };

	for (size_t i = 0; i < n_children; i++) {
		if (children[i].state != CHILD_DOWN || !can_start(&children[i]))
			continue;
		spawn(&children[i]);
		fresh[i] = children[i].state == CHILD_RUNNING;
	}
	connect_edges(fresh);
	for (size_t i = 0; i < n_children; i++) {
		if (!fresh[i])
			continue;
		listen_give(children[i].ipc, children[i].role);
		pki_give(children[i].ipc, children[i].role);
		ipc_send(children[i].ipc, MSG_START, &(struct msg_start){});
	}
}

static void
spawn(struct child *c)
{
	static ipc_handler *handlers[MSG_MAX];
	static const struct ipc_ops ops = { .handlers = handlers, .on_end = on_channel_end };
	const char *root = NULL;
	int fds[2];

	memcpy(handlers, errand_handlers, sizeof(handlers));
	handlers[MSG_READY] = on_ready;
	if (!ipc_pair(fds))
		log_fatal("socketpair: %s", strerror(errno));
	if (parent.root && c->role == ROLE_QUEUE)
		root = parent.conf->spool;
	else if (parent.root && c->role != ROLE_LOOKUP)
		root = parent.empty;
	c->pid = launch_role(c->role, fds[1], root);
	close(fds[1]);
	if (c->pid == -1) {
		log_warn(
		    "%s event=no-start reason=%s", role_name(c->role), log_quote(strerror(errno)));
		close(fds[0]);
		plan_restart();
		return;
	}
	c->started_ms = clock_mono_ms();
	c->ready = false;
	c->ipc = ipc_new(parent.base, fds[0], ROLE_PARENT, c->role, &ops, c);
	set_state(c, CHILD_RUNNING);
	ipc_send(c->ipc, MSG_CONFIG,
	    &(struct msg_config){
		.memfd = parent.memfd, .file = parent.options->file, .instance = c->instance });
}

static void
connect_pair(struct child *a, struct child *b)
{
	int fds[2];

	if (!ipc_pair(fds))
		log_fatal("socketpair: %s", strerror(errno));
	ipc_send(a->ipc, MSG_CHANNEL, &(struct msg_channel){ .peer = b->role, .fd = fds[0] });
	ipc_send(b->ipc, MSG_CHANNEL, &(struct msg_channel){ .peer = a->role, .fd = fds[1] });
	close(fds[0]); /* ipc_send made duplicates */
	close(fds[1]);
}

static void
connect_edges(const bool *fresh)
{
	for (size_t e = 0; e < sizeof(edges) / sizeof(edges[0]); e++)
		for (size_t i = 0; i < n_children; i++)
			for (size_t j = 0; j < n_children; j++) {
				struct child *a = &children[i], *b = &children[j];
				if (a->role == edges[e][0] && b->role == edges[e][1] &&
				    (fresh[i] || fresh[j]) && a->ipc != NULL && b->ipc != NULL &&
				    a->state == CHILD_RUNNING && b->state == CHILD_RUNNING)
					connect_pair(a, b);
			}
}

static void
on_ready(struct ipc *ipc, struct msg *m, void *arg)
{
	struct child *c = arg;

	(void)ipc;
	free(c->sandbox);
	c->sandbox = xstrdup(((const struct msg_ready *)m->body)->sandbox);
	c->ready = true;
	for (size_t i = 0; i < n_children; i++)
		if (!children[i].ready)
			return;
	log_info("ready pid=%d", (int)getpid());
}

/* Its channel is gone: it has ended, or broke the rules and must. */
static void
on_channel_end(struct ipc *ipc, void *arg)
{
	struct child *c = arg;

	(void)ipc;
	c->ipc = NULL;
	if (c->state == CHILD_RUNNING)
		kill(c->pid, SIGKILL);
}

static void
set_state(struct child *c, enum child_state state)
{
#define S(NAME, text) text,
	static const char *const names[] = { CHILD_STATES(S) };
#undef S

	log_debug("%s pid=%d state=%s", role_name(c->role), (int)c->pid, names[state]);
	c->state = state;
}

bool
child_exited(pid_t pid, int status)
{
	struct child *c = NULL;

	for (size_t i = 0; i < n_children; i++)
		if (children[i].state != CHILD_DOWN && children[i].pid == pid)
			c = &children[i];
	if (c == NULL)
		return false;
	bool expected = c->state == CHILD_ENDING;
	if (c->ipc != NULL)
		ipc_close(c->ipc);
	c->ipc = NULL;
	c->ready = false;
	set_state(c, CHILD_DOWN);
	errand_role_gone(c->role);
	if (stopping) {
		if (all_down())
			parent_stopped();
		return true;
	}
	if (!expected) {
		if (WIFSIGNALED(status))
			log_warn("%s event=died pid=%d signal=%d", role_name(c->role), (int)pid,
			    WTERMSIG(status));
		else
			log_warn("%s event=died pid=%d exit=%d", role_name(c->role), (int)pid,
			    WEXITSTATUS(status));
		c->restarts++;
		if (clock_mono_ms() - c->started_ms > GOOD_AFTER_MS)
			c->backoff_ms = BACKOFF_MIN_MS;
		else if ((c->backoff_ms *= 2) > BACKOFF_MAX_MS)
			c->backoff_ms = BACKOFF_MAX_MS;
		end_above(ranks[c->role]);
	}
	plan_restart();
	return true;
}

static void
end_above(int rank)
{
	for (size_t i = 0; i < n_children; i++)
		if (ranks[children[i].role] > rank)
			end_child(&children[i]);
}

static void
end_child(struct child *c)
{
	if (c->state != CHILD_RUNNING)
		return;
	set_state(c, CHILD_ENDING);
	kill(c->pid, SIGTERM);
	event_add(&kill_timer, &(struct timeval){ KILL_AFTER_SEC, 0 });
}

static void
on_kill(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	for (size_t i = 0; i < n_children; i++)
		if (children[i].state == CHILD_ENDING) {
			log_warn("%s event=killed pid=%d reason=\"did not end in %d s\"",
			    role_name(children[i].role), (int)children[i].pid, KILL_AFTER_SEC);
			kill(children[i].pid, SIGKILL);
		}
}

/* When nobody is on his way out any more, those who are down are started again, after the longest
 * back-off among them. */
static void
plan_restart(void)
{
	int64_t wait_ms = BACKOFF_MIN_MS;

	for (size_t i = 0; i < n_children; i++) {
		if (children[i].state == CHILD_ENDING)
			return;
		if (children[i].state == CHILD_DOWN && children[i].backoff_ms > wait_ms)
			wait_ms = children[i].backoff_ms;
	}
	struct timeval wait = clock_timeval(wait_ms);
	event_add(&restart_timer, &wait);
}

static void
on_restart(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (!stopping)
		start_missing();
}

static bool
all_down(void)
{
	for (size_t i = 0; i < n_children; i++)
		if (children[i].state != CHILD_DOWN)
			return false;
	return true;
}

/* All at once: each finishes what is in its hands when it is told, and nothing waits for another. */
void
child_stop_all(void)
{
	if (stopping)
		return;
	stopping = true;
	end_above(0);
	if (all_down())
		parent_stopped();
}

void
child_each(void (*f)(struct ipc *, enum role))
{
	for (size_t i = 0; i < n_children; i++)
		if (children[i].ipc != NULL && children[i].state == CHILD_RUNNING)
			f(children[i].ipc, children[i].role);
}

struct ipc *
child_channel(enum role role)
{
	for (size_t i = 0; i < n_children; i++)
		if (children[i].role == role && children[i].state == CHILD_RUNNING)
			return children[i].ipc;
	return NULL;
}

void
child_put_status(struct ipc *ipc, uint32_t ask)
{
#define S(NAME, text) text,
	static const char *const names[] = { CHILD_STATES(S) };
#undef S
	struct text t = { 0 };
	int64_t now_ms = clock_mono_ms();

	row_line(&t, 'H', "process", "instance#", "pid#", "state", "uptime%", "restarts#",
	    "sandbox", NULL);
	ipc_send(ipc, MSG_CTL_ROW, &(struct msg_ctl_row){ .ask = ask, .row = t.s });
	for (size_t i = 0; i < n_children; i++) {
		struct child *c = &children[i];
		t.len = 0;
		row_begin(&t, 'R');
		row_put(&t, role_name(c->role));
		row_put_int(&t, c->instance);
		row_put_int(&t, c->pid);
		row_put(&t, names[c->state]);
		row_put_int(&t, c->state == CHILD_DOWN ? 0 : (now_ms - c->started_ms) / 1000);
		row_put_int(&t, c->restarts);
		row_put(&t, c->ready && c->sandbox != NULL ? c->sandbox : "");
		ipc_send(ipc, MSG_CTL_ROW, &(struct msg_ctl_row){ .ask = ask, .row = t.s });
	}
	text_free(&t);
}
