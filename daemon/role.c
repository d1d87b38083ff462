/* What every process but parent does first; see role.h. */
#include "role.h"
#include "conf.h"
#include "log.h"
#include "sandbox.h"
#include "text.h"

#include <bsd/stdlib.h>
#include <errno.h>
#include <event2/event.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEPT_LEN (4 * 1024 * 1024) /* bytes of free memory that a process keeps */

struct process process;

static const struct role_ops *role;
static ipc_handler *parent_handlers[MSG_MAX];
static bool started, chrooted;

static void on_config(struct ipc *, struct msg *, void *);
static void on_channel(struct ipc *, struct msg *, void *);
static void on_listener(struct ipc *, struct msg *, void *);
static void on_start(struct ipc *, struct msg *, void *);
static void on_parent_end(struct ipc *, void *);
static void on_peer_end(struct ipc *, void *);
static void on_peer_drained(struct ipc *, void *);
static void on_signal(evutil_socket_t, short, void *);
_Noreturn static void stop(void);

static const struct ipc_ops parent_ops = { .handlers = parent_handlers, .on_end = on_parent_end };

void
role_main(enum role r, const char *user, const char *root)
{
	static const struct role_ops *const roles[ROLE_MAX] = { [ROLE_SMTP] = &smtp_role,
		[ROLE_LOOKUP] = &lookup_role,
		[ROLE_QUEUE] = &queue_role,
		[ROLE_RELAY] = &relay_role };
	struct event_config *ec = event_config_new();

	/* Bodies come and go: at the default of 128 KiB their memory went back to the system and came again. */
	mallopt(M_TRIM_THRESHOLD, KEPT_LEN);
	role = roles[r];
	chrooted = geteuid() == 0 && root != NULL;
	sandbox_enter(user, root);
	event_config_set_flag(ec, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST | EVENT_BASE_FLAG_NOLOCK);
	process.role = r;
	process.base = event_base_new_with_config(ec);
	event_config_free(ec);
	event_base_priority_init(process.base, 2);

	if (role->handlers != NULL)
		memcpy(parent_handlers, role->handlers, sizeof(parent_handlers));
	parent_handlers[MSG_CONFIG] = on_config;
	parent_handlers[MSG_CHANNEL] = on_channel;
	parent_handlers[MSG_LISTENER] = on_listener;
	parent_handlers[MSG_START] = on_start;
	process.parent = ipc_new(process.base, ROLE_FD, r, ROLE_PARENT, &parent_ops, NULL);

	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN); /* the terminal's; parent is told, and tells us */
	signal(SIGHUP, SIG_IGN);
	event_add(evsignal_new(process.base, SIGTERM, on_signal, NULL), NULL);
	event_base_dispatch(process.base);
	stop();
}

/* conf_parse() reports nothing new here: parent has parsed the same bytes. */
static void
on_config(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_config *c = m->body;
	struct stat st;

	(void)ipc;
	(void)arg;
	if (fstat(c->memfd, &st) == -1)
		log_fatal("configuration: %s", strerror(errno));
	char *text = mmap(NULL, (size_t)st.st_size + 1, PROT_READ, MAP_PRIVATE, c->memfd, 0);
	if (text == MAP_FAILED)
		log_fatal("configuration: %s", strerror(errno));
	process.conf = conf_parse(text, (size_t)st.st_size, c->file, NULL);
	if (process.conf == NULL)
		log_fatal("bug: the configuration that parent passed on has errors");
	process.instance = c->instance;
	munmap(text, (size_t)st.st_size + 1);
}

static void
on_channel(struct ipc *ipc, struct msg *m, void *arg)
{
	static const struct ipc_ops ops = { .on_end = on_peer_end, .on_drained = on_peer_drained };
	static struct ipc_ops peer_ops;
	const struct msg_channel *c = m->body;

	(void)ipc;
	(void)arg;
	peer_ops = ops;
	peer_ops.handlers = role->handlers;
	struct ipc *peer = ipc_new(process.base, c->fd, process.role, c->peer, &peer_ops, NULL);
	m->fd = -1;
	if (role->on_channel != NULL)
		role->on_channel(peer);
}

static void
on_listener(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_listener *l = m->body;

	(void)ipc;
	(void)arg;
	role->on_listener(l->index, l->fd);
	m->fd = -1;
}

/* Everything is open: from here on nothing more is needed of the system than the role's own calls. */
static const char *
lock(void)
{
	switch (process.role) {
	case ROLE_SMTP: return sandbox_lock(SANDBOX_SMTP, NULL);
	case ROLE_LOOKUP: return sandbox_lock(SANDBOX_LOOKUP, NULL);
	case ROLE_RELAY: return sandbox_lock(SANDBOX_RELAY, NULL);
	case ROLE_QUEUE: return sandbox_lock(SANDBOX_QUEUE, chrooted ? "/" : process.conf->spool);
	case ROLE_PARENT:
	case ROLE_DELIVER:
	case ROLE_MAX: break;
	}
	return "";
}

static void
on_start(struct ipc *ipc, struct msg *m, void *arg)
{
	(void)m;
	(void)arg;
	if (started)
		return;
	started = true;
	role->on_start();
	ipc_send(ipc, MSG_READY, &(struct msg_ready){ .sandbox = lock() });
}

static void
on_parent_end(struct ipc *ipc, void *arg)
{
	(void)ipc;
	(void)arg;
	stop();
}

static void
on_peer_end(struct ipc *ipc, void *arg)
{
	(void)arg;
	if (!started || role->on_gone == NULL)
		stop();
	role->on_gone(ipc);
}

static void
on_peer_drained(struct ipc *ipc, void *arg)
{
	(void)arg;
	if (role->on_drained != NULL)
		role->on_drained(ipc);
}

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	(void)arg;
	stop();
}

/* Before START nothing is in hand, and nothing is there to be put down. */
static void
stop(void)
{
	if (started && role->on_stop != NULL)
		role->on_stop();
	exit(0);
}
