/*
 * Who the client is, where another than the one that connected: a proxy of the listener's `proxy-v2`
 * says so before the first word, one of its `xclient` by XCLIENT (cmd_xclient.c).  And what we are called
 * at the address that he connected to (`hostnames`).
 *
 *	peer_await     a proxy has connected: he has PROXY_SEC to say for whom
 *	peer_read      the header; admission, which counts for the client and not for the proxy
 *	peer_name      the question to lookup
 *	on_name        then
 *
 * Invariant: only who connects from a trusted address may name another; and a client that was named is on
 * this machine only when the proxy is.
 */
#include "clock.h"
#include "conf.h"
#include "conn.h"
#include "local.h"
#include "log.h"
#include "../role.h"
#include "tab_set.h"
#include "text.h"

#include <event2/buffer.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define PROXY_SEC 10

/* The question for a name, and how the session goes on. */
struct naming {
	struct session *session;
	void (*then)(struct session *);
};

static void got_client(
    struct session *, const struct sockaddr_storage *from, const struct sockaddr_storage *to);
static void ask_name(struct session *, const char *address, void (*then)(struct session *));
static void on_name(const struct msg *, void *arg);

bool
peer_is(struct tab_set *trusted, const char *address)
{
	const char *value;

	return trusted != NULL &&
	       tab_set_ask(trusted, TAB_CHECK, TAB_NETADDR, address, &value) == TAB_FOUND;
}

void
peer_await(struct session *s)
{
	s->wait = WAIT_PROXY;
	s->local = s->exempt = false;
	conn_deadline(s->conn, PROXY_SEC);
}

void
peer_read(struct session *s)
{
	struct evbuffer *in = conn_in(s->conn);
	size_t have = evbuffer_get_length(in), len;
	size_t window = have < PROXY_HEADER_MAX ? have : PROXY_HEADER_MAX;
	const char *p = (const char *)evbuffer_pullup(in, (ev_ssize_t)window);
	struct sockaddr_storage from, to, *client = NULL, *own = NULL;

	switch (proxy_header(p, window, &len, &from, &to)) {
	case PROXY_MORE: return;
	case PROXY_BAD:
		log_info("%s smtp event=proxy-refused address=%s reason=%s", s->id, s->client,
		    log_quote("no header of the PROXY protocol, version 2, for TCP"));
		session_free(s, "proxy");
		return;
	case PROXY_CLIENT:
		client = &from;
		own = &to;
		break;
	case PROXY_SELF: break;
	}
	evbuffer_drain(in, len);
	s->wait = WAIT_NONE;
	patience_deadline(s);
	got_client(s, client, own);
}

static bool
is_same(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	char x[NETADDR_TEXT_LEN], y[NETADDR_TEXT_LEN];

	return strcmp(netaddr_text(a, x, sizeof(x)), netaddr_text(b, y, sizeof(y))) == 0;
}

/* from NULL: the proxy itself, to see whether we are there. */
static void
got_client(
    struct session *s, const struct sockaddr_storage *from, const struct sockaddr_storage *to)
{
	char proxy[NETADDR_TEXT_LEN];
	const char *wrong = NULL;

	memcpy(proxy, s->client, sizeof(proxy));
	if (from == NULL) {
		s->local = s->exempt = s->near;
	} else {
		wrong = peer_set(s, from, is_same(from, to));
		s->xclient = peer_is(s->listener->xclients, s->client);
	}
	log_info("%s smtp event=connected address=%s proxy=%s", s->id, s->client, proxy);
	if (wrong != NULL) {
		session_refuse(s, "?", wrong);
		session_close(s, "limit", true);
		return;
	}
	peer_name(s, to, session_open);
	if (s->wait != WAIT_NAME && !s->closing)
		conn_resume(
		    s->conn); /* what came behind the header is looked at in a turn of its own */
}

/* The everyday 127.0.0.1 of a proxy elsewhere is not ours. */
const char *
peer_set(struct session *s, const struct sockaddr_storage *ss, bool own)
{
	bool known = ss->ss_family != AF_UNSPEC;
	static const struct sockaddr_storage nobody = { .ss_family = AF_INET };

	if (known)
		netaddr_text(ss, s->client, sizeof(s->client));
	else
		memcpy(s->client, "unknown", sizeof("unknown"));
	s->local = s->near && known && (own || netaddr_is_loopback(ss));
	s->exempt = s->near && known && (own || strcmp(s->client, "127.0.0.1") == 0);
	admit_leave(&s->admission);
	return admit(&s->admission,
	    s->exempt ? NULL
	    : known   ? ss
		      : &nobody,
	    &process.conf->limit.smtp, clock_mono_ms());
}

/* --- Our name */

void
peer_name(struct session *s, const struct sockaddr_storage *own, void (*then)(struct session *))
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	char address[NETADDR_TEXT_LEN];

	if (s->listener->hostnames == NULL) {
		then(s);
		return;
	}
	if (own == NULL && getsockname(conn_fd(s->conn), (struct sockaddr *)&ss, &len) == 0)
		own = &ss;
	ask_name(s, netaddr_text(own == NULL ? &ss : own, address, sizeof(address)), then);
}

/* What he sends meanwhile waits: it may come too early. */
static void
ask_name(struct session *s, const char *address, void (*then)(struct session *))
{
	struct msg_ask_name m = { .table = s->listener->hostnames->index, .address = address };

	if (smtp.n_asked >= ASKED_MAX) {
		session_refuse(s, "?", "421 4.3.2 too busy, try again later");
		session_close(s, "busy", true);
		return;
	}
	struct naming *n = s->naming = xcalloc(1, sizeof(*n));
	*n = (struct naming){ s, then };
	s->wait = WAIT_NAME;
	conn_pause(s->conn);
	smtp.n_asked++;
	ipc_call(smtp.lookup, MSG_ASK_NAME, &m, on_name, n);
}

/* A table that does not know the address leaves the listener's name; one that cannot tell does not. */
static void
on_name(const struct msg *m, void *arg)
{
	const struct msg_name *a = m == NULL ? NULL : m->body;
	struct naming *n = arg;
	struct session *s = n->session;
	void (*then)(struct session *) = n->then;

	smtp.n_asked--;
	free(n);
	if (s == NULL)
		return;
	s->naming = NULL;
	s->wait = WAIT_NONE;
	if (a == NULL || a->error[0] != '\0') {
		session_refuse(
		    s, "?", "421 4.3.0 our own name cannot be found now, try again later");
		session_close(s, "name", true);
		return;
	}
	free(s->own_name);
	s->own_name = a->name[0] == '\0' ? NULL : xstrdup(a->name);
	s->hostname = s->own_name == NULL ? s->listener->hostname : s->own_name;
	then(s);
	conn_resume(s->conn);
	if (s->eof)
		session_run(s);
}

void
peer_left(struct session *s)
{
	if (s->naming != NULL)
		s->naming->session = NULL;
}
