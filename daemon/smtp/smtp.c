/*
 * The SMTP server process: listeners, the channels to lookup and queue, and what it counts.
 *
 * Started by role.c.  Each connection becomes a session (session.c).  When lookup or queue is gone
 * nothing can be answered any more: every session gets 421 and the process ends; parent starts it
 * anew.  It opens no file and resolves no name.
 */
#include "clock.h"
#include "conf.h"
#include "local.h"
#include "log.h"
#include "../role.h"
#include "tab_set.h"
#include "text.h"

#include <bsd/unistd.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPTS_MAX   64  /* of one turn of the loop */
#define SPARE_FDS     64  /* for channels, and for what comes by them */
#define PAUSE_MS      200 /* without descriptors */
#define STATS_SEC     2
#define LISTENERS_MAX 256

struct smtp smtp;

static struct socket {
	struct listener listener;
	struct event readable;
} * sockets[LISTENERS_MAX];
static unsigned n_sockets;
static bool started;
static struct event resume, stats;

static void smtp_on_start(void);
static void smtp_on_channel(struct ipc *);
static void smtp_on_listener(uint32_t index, int fd);
static void on_connection(evutil_socket_t, short, void *);
static void on_resume(evutil_socket_t, short, void *);
static void on_stats(evutil_socket_t, short, void *);
static void turn_away(int fd, const char *client, const char *reply);
static void set_stress(void);
static void smtp_on_gone(struct ipc *);
static void smtp_on_drained(struct ipc *);

static void on_pause(struct ipc *, struct msg *, void *);

static ipc_handler *const handlers[MSG_MAX] = {
	[MSG_SMTP_PAUSE] = on_pause, [MSG_PKI] = certs_on_pki, [MSG_PKI_END] = certs_on_end
};

const struct role_ops smtp_role = { .handlers = handlers,
	.on_start = smtp_on_start,
	.on_channel = smtp_on_channel,
	.on_gone = smtp_on_gone,
	.on_drained = smtp_on_drained,
	.on_listener = smtp_on_listener,
	.on_stop = session_stop_all };

int64_t
smtp_max_len(void)
{
	return process.conf->max_message_len;
}

static void
smtp_on_channel(struct ipc *ipc)
{
	if (ipc_peer(ipc) == ROLE_LOOKUP)
		smtp.lookup = ipc;
	else if (ipc_peer(ipc) == ROLE_QUEUE)
		smtp.queue = ipc;
}

static struct tab_set *
set_of(const struct conf_table *t)
{
	struct tab_set *set = t == NULL ? NULL : tab_set_new();
	const struct conf_entry *e;

	if (t != NULL)
		STAILQ_FOREACH(e, &t->entries, entry)
			tab_set_add(set, e->key, NULL);
	return set;
}

static void
smtp_on_listener(uint32_t index, int fd)
{
	const struct conf_listener *c =
	    index == LISTENER_SUBMIT ? NULL : conf_listener(process.conf, index);
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	int on = 1;

	if (n_sockets == LISTENERS_MAX)
		log_fatal("more than %d listening sockets", LISTENERS_MAX);
	getsockname(fd, (struct sockaddr *)&ss, &len);
	struct socket *k = sockets[n_sockets++] = xcalloc(1, sizeof(*k));
	k->listener = (struct listener){ .index = index,
		.hostname = c != NULL && c->hostname != NULL ? c->hostname : process.conf->hostname,
		.tag = c != NULL && c->tag != NULL ? c->tag : "",
		.submit = ss.ss_family == AF_UNIX,
		.dsn = c == NULL || !c->no_dsn,
		.reentry = c != NULL && c->reentry,
		.loopback = ss.ss_family == AF_UNIX || netaddr_is_loopback(&ss),
		.auth = c == NULL ? AUTH_NONE : c->auth,
		.senders = c != NULL && c->senders != NULL,
		.masquerade = c != NULL && c->masquerade,
		.received_auth = c != NULL && c->received_auth,
		.masked = c != NULL && c->mask_source,
		.tls = c == NULL ? TLS_NONE : c->tls,
		.tls_verify = c != NULL && c->tls_verify,
		.hostnames = c == NULL ? NULL : c->hostnames,
		.proxies = c == NULL ? NULL : set_of(c->proxy),
		.xclients = c == NULL ? NULL : set_of(c->xclient) };
	char address[NETADDR_TEXT_LEN];
	snprintf(k->listener.where, sizeof(k->listener.where), "%s port %u",
	    netaddr_text(&ss, address, sizeof(address)), netaddr_port(&ss));
	if (!k->listener.submit) /* accepted sockets inherit it */
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	evutil_make_socket_nonblocking(fd);
	event_assign(&k->readable, process.base, fd, EV_READ | EV_PERSIST, on_connection, k);
	if (started)
		event_add(&k->readable, NULL);
}

/*
 * A descriptor for every session that may be, as far as the system allows.  Where it does not there are fewer sessions:
 * at a limit of ours idle ones make room, and certificates that are renewed find descriptors to come by.
 */
static void
raise_limit(void)
{
	rlim_t spare = n_sockets + SPARE_FDS, wanted = process.conf->limit.sessions + spare;
	struct rlimit r;

	smtp.sessions_max = process.conf->limit.sessions;
	if (getrlimit(RLIMIT_NOFILE, &r) == -1 || r.rlim_cur >= wanted)
		return;
	r.rlim_cur = wanted < r.rlim_max ? wanted : r.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &r) == -1)
		getrlimit(RLIMIT_NOFILE, &r);
	if (r.rlim_cur >= wanted)
		return;
	smtp.sessions_max =
	    (unsigned)(r.rlim_cur > 2 * spare ? r.rlim_cur - spare : r.rlim_cur / 2);
	log_warn("limit sessions=%u descriptors=%llu wanted=%u", smtp.sessions_max,
	    (unsigned long long)r.rlim_cur, process.conf->limit.sessions);
}

static void
smtp_on_start(void)
{
	raise_limit();
	if (smtp.lookup == NULL || smtp.queue == NULL)
		log_fatal("started without its channels");
	started = true;
	smtp.timeout_sec = (int)process.conf->limit.smtp.timeout_sec;
	event_assign(&resume, process.base, -1, 0, on_resume, NULL);
	event_assign(&stats, process.base, -1, 0, on_stats, NULL);
	on_resume(-1, 0, NULL);
}

static void
on_resume(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	for (unsigned i = 0; i < n_sockets; i++)
		event_add(&sockets[i]->readable, NULL);
}

/* Without descriptors, asking again at once would only burn the processor. */
static void
pause_listeners(int error)
{
	struct timeval tv = { 0, PAUSE_MS * 1000 };

	log_warn("accept error=%s sessions=%u", log_quote(strerror(error)), smtp.n_sessions);
	for (unsigned i = 0; i < n_sockets; i++)
		event_del(&sockets[i]->readable);
	event_add(&resume, &tv);
}

static bool
same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	char x[NETADDR_TEXT_LEN], y[NETADDR_TEXT_LEN];

	return strcmp(netaddr_text(a, x, sizeof(x)), netaddr_text(b, y, sizeof(y))) == 0;
}

/* Whether the peer connected from the very address that it connected to: it is on this machine. */
static bool
is_own(int fd, const struct sockaddr_storage *peer)
{
	struct sockaddr_storage own = { 0 };
	socklen_t len = sizeof(own);

	return getsockname(fd, (struct sockaddr *)&own, &len) == 0 && same_address(&own, peer);
}

/* Who is in a transaction may end it; others are sent away (RFC 5321 4.2.1: 421), and ask another server or again. */
static void
on_pause(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_smtp_pause *p = m->body;

	(void)ipc;
	(void)arg;
	smtp.paused = p->paused != 0;
}

static void
take_connection(const struct listener *l, int fd, const struct sockaddr_storage *ss)
{
	struct peer peer = { .client = "local", .local = true, .exempt = true, .uid = (uid_t)-1 };
	const char *wrong = NULL;
	gid_t gid;

	if (l->tls == TLS_SMTPS && certs_context(l) == NULL) { /* it has been logged */
		close(fd);
		return;
	}
	if (smtp.n_sessions >= smtp.sessions_max && !patience_make_room())
		wrong = "421 4.3.2 too many sessions, try again later";
	if (smtp.full)
		wrong = "421 4.3.2 too much memory in use, try again later";
	if (smtp.paused)
		wrong = "421 4.3.2 no mail is taken now";
	if (l->submit && getpeereid(fd, &peer.uid, &gid) == -1) {
		close(fd);
		return;
	}
	if (!l->submit) {
		bool own = is_own(fd, ss);
		netaddr_text(ss, peer.client, sizeof(peer.client));
		peer.local = own || netaddr_is_loopback(ss);
		peer.exempt = own || strcmp(peer.client, "127.0.0.1") == 0;
	}
	peer.xclient = l->proxies == NULL && peer_is(l->xclients, peer.client);
	if (l->proxies != NULL && !peer_is(l->proxies, peer.client))
		wrong = "554 5.7.1 here only proxies are served";
	if (wrong == NULL && l->proxies == NULL)
		wrong = admit(&peer.admission, peer.exempt || peer.xclient ? NULL : ss,
		    &process.conf->limit.smtp, clock_mono_ms());
	if (wrong != NULL) {
		turn_away(fd, peer.client, wrong);
		return;
	}
	session_new(l, fd, &peer);
	set_stress();
}

/* A reply and the end.  Logged once a second at most: this may be what an attack makes most of. */
static void
turn_away(int fd, const char *client, const char *reply)
{
	static int64_t logged_ms;
	static unsigned unlogged;
	char line[REPLY_LEN_MAX];

	int n = snprintf(line, sizeof(line), "%s\r\n", reply);
	(void)send(fd, line, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
	if (reply[0] == '4')
		smtp.deferred++;
	else
		smtp.refused++;
	smtp_count_changed();
	unlogged++;
	if (clock_mono_ms() - logged_ms < 1000)
		return;
	log_info("smtp event=turned-away address=%s reply=%s times=%u", client, log_quote(reply),
	    unlogged);
	logged_ms = clock_mono_ms();
	unlogged = 0;
}

/* Three quarters of the sessions: stress begins; below half it ends. */
static void
set_stress(void)
{
	unsigned limit = smtp.sessions_max;
	bool now = smtp.n_sessions >= (smtp.stress ? limit / 2 : limit - limit / 4);

	if (now == smtp.stress)
		return;
	smtp.stress = now;
	log_info("smtp event=%s sessions=%u", now ? "stress" : "calm", smtp.n_sessions);
	patience_stress();
}

static void
on_connection(evutil_socket_t listen_fd, short what, void *arg)
{
	struct socket *k = arg;

	(void)what;
	for (int i = 0; i < ACCEPTS_MAX; i++) {
		struct sockaddr_storage peer = { 0 };
		socklen_t len = sizeof(peer);
		int fd = accept4(
		    listen_fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd != -1) {
			take_connection(&k->listener, fd, &peer);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			pause_listeners(errno);
		if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}

/* Sent after STATS_SEC once something has changed: a server at rest sends nothing. */
void
smtp_count_changed(void)
{
	struct timeval tv = { STATS_SEC, 0 };

	if (!evtimer_pending(&stats, NULL))
		event_add(&stats, &tv);
}

/* What sessions hold: bodies, recipients, input.  At the limit nothing new is begun. */
static void
look_at_memory(void)
{
	struct mallinfo2 all = mallinfo2();
	bool full = all.uordblks + all.hblkhd > (uint64_t)process.conf->limit.smtp.memory;

	if (full != smtp.full)
		log_warn("smtp event=%s bytes=%zu", full ? "memory-full" : "memory-free",
		    all.uordblks + all.hblkhd);
	smtp.full = full;
	if (!full)
		return;
	patience_free_memory();
	smtp_count_changed(); /* looks again */
}

static void
on_stats(evutil_socket_t fd, short what, void *arg)
{
	struct msg_smtp_stats m = { .sessions = smtp.n_sessions,
		.sessions_total = smtp.sessions_total,
		.accepted = smtp.accepted,
		.refused = smtp.refused,
		.deferred = smtp.deferred };

	(void)fd;
	(void)what;
	(void)arg;
	set_stress();
	look_at_memory();
	ipc_send(smtp.queue, MSG_SMTP_STATS, &m);
}

static void
smtp_on_drained(struct ipc *ipc)
{
	if (ipc == smtp.queue)
		session_resume_all();
}

static void
smtp_on_gone(struct ipc *ipc)
{
	log_warn("%s is gone, %u sessions end", role_name(ipc_peer(ipc)), smtp.n_sessions);
	session_stop_all();
	exit(0);
}
