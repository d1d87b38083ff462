/*
 * A connection to a server: a dialogue as a table of steps.  A step says something and awaits one
 * reply; with PIPELINING a transaction's MAIL, RCPTs and DATA are said at once (`piped`) and the
 * steps then only read.  Called by route.c; talks to queue through parcel.c.  Here are its life and its
 * end; the steps stand in client_hello.c, client_tls.c, client_auth.c and client_mail.c.
 *
 *	GREETING EHLO [HELO] -> IDLE -> [RSET] MAIL RCPT… DATA BODY -> IDLE …
 *
 * Invariant: a client is connecting, idle or busy, as its route counts it; a busy one has a parcel.
 * What the server says ends up as at most one clean line per recipient.  A connection that ends
 * leaves every recipient without an answer at LATER, also after the dot: rather twice than never.
 */
#include "addr.h"
#include "client.h"
#include "conn.h"
#include "ipc.h"
#include "log.h"
#include "text.h"

#include <bsd/string.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_connected(void *arg);
static void on_input(void *arg);
static void on_drained(void *arg);
static void on_secure(void *arg);
static void on_end(enum conn_end, int error, void *arg);
static void on_reap(evutil_socket_t, short, void *arg);

static const struct {
	const char *name;
	int timeout_sec;
	void (*say)(struct client *);
	void (*got)(struct client *, const struct target_reply *);
} steps[STEP_MAX] = {
	[STEP_CONNECT] = { "connect", CONNECT_SEC, NULL, NULL },
	[STEP_GREETING] = { "greeting", 300, NULL, got_greeting },
	[STEP_NAME] = { "our name", 60, ask_name, NULL },
	[STEP_EHLO] = { "EHLO", 300, say_ehlo, got_ehlo },
	[STEP_HELO] = { "HELO", 300, say_helo, got_helo },
	[STEP_STARTTLS] = { "STARTTLS", 120, say_starttls, got_starttls },
	[STEP_TLS] = { "TLS handshake", 60, NULL, NULL },
	[STEP_SECRET] = { "credentials", 60, say_secret, NULL },
	[STEP_AUTH] = { "AUTH", 300, say_auth, got_auth },
	[STEP_AUTH_LOGIN] = { "AUTH", 300, say_auth_login, got_auth_login },
	[STEP_AUTH_USER] = { "AUTH", 300, say_auth_user, got_auth_user },
	[STEP_AUTH_PASSWORD] = { "AUTH", 300, say_auth_password, got_auth },
	[STEP_RSET] = { "RSET", 300, say_rset, got_rset },
	[STEP_MAIL] = { "MAIL", 300, say_mail, got_mail },
	[STEP_RCPT] = { "RCPT", 300, say_rcpt, got_rcpt },
	[STEP_DATA] = { "DATA", 120, say_data, got_data },
	[STEP_BODY] = { "end of data", BLOCK_SEC, say_body, got_body },
	[STEP_EMPTY] = { "end of no data", 120, say_empty, got_empty },
	[STEP_IDLE] = { "idle", IDLE_SEC, NULL, NULL },
};

static const struct conn_ops ops = {
	.on_connected = on_connected,
	.on_input = on_input,
	.on_drained = on_drained,
	.on_secure = on_secure,
	.on_end = on_end,
};

/* --- Life */

static struct client *
new_client(struct attempt *a, struct route *r, struct hops *hops, size_t hop)
{
	struct client *c = xcalloc(1, sizeof(*c));

	client_pool_count(1);
	c->attempt = a;
	c->route = r;
	c->hops = hops_hold(hops);
	c->hop = hop;
	c->is_lmtp = client_url(c)->scheme == URL_LMTP;
	hops_text(hops, hop, c->host, sizeof(c->host));
	event_assign(&c->reap, process.base, -1, 0, on_reap, c);
	return c;
}

const struct conf_url *
client_url(const struct client *c)
{
	return hops_url(c->hops, c->hop);
}

struct host *
client_host(const struct client *c)
{
	return c->hops->v[c->hop].host;
}

static void
change(struct client *c, enum step step)
{
	if (c->step == STEP_IDLE && step != STEP_IDLE)
		client_pool_remove(c);
	else if (c->step != STEP_IDLE && step == STEP_IDLE)
		client_pool_add(c);
	c->step = step;
}

void
client_go(struct client *c, enum step step)
{
	change(c, step);
	conn_deadline(c->conn, steps[step].timeout_sec);
	if (steps[step].say != NULL && !c->piped)
		steps[step].say(c);
}

struct client *
client_connect(struct attempt *a, struct route *r, struct hops *hops, size_t hop,
    const struct seek *from, bool plain)
{
	struct client *c = new_client(a, r, hops, hop);
	const struct sockaddr_storage *to = &hops->v[hop].addr;
	const struct sockaddr_storage *own = from == NULL ? NULL : &from->choice.addr;

	c->plain = plain;
	if (from != NULL) {
		strlcpy(c->source, from->choice.text, sizeof(c->source));
		strlcpy(c->helo, from->choice.name, sizeof(c->helo));
		if (from->mail != NULL)
			c->mail = xstrdup(from->mail);
	}
	c->conn = conn_connect(process.base, (const struct sockaddr *)to, netaddr_len(to),
	    (const struct sockaddr *)own, own == NULL ? 0 : netaddr_len(own), &ops, c);
	client_go(c, STEP_CONNECT);
	return c;
}

struct client *
client_new(struct attempt *a, struct route *r, struct hops *hops, size_t hop, int fd)
{
	struct client *c = new_client(a, r, hops, hop);

	c->conn = conn_new(process.base, fd, &ops, c);
	client_go(c, STEP_GREETING);
	return c;
}

static void
on_connected(void *arg)
{
	struct client *c = arg;
	int on = 1;

	setsockopt(conn_fd(c->conn), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (client_tls_wanted(c) == CLIENT_TLS_AT_ONCE)
		client_tls_begin(c);
	else
		client_go(c, STEP_GREETING);
}

static void
on_secure(void *arg)
{
	client_tls_on_secure(arg);
}

static void
end_client(struct client *c)
{
	c->gone = true;
	if (c->step == STEP_IDLE)
		change(c, STEP_MAX);
	client_host(c)->n_open--;
	client_pool_count(-1);
	if (c->call != NULL)
		ipc_cancel(c->call);
	c->call = NULL;
	conn_free(c->conn);
	event_active(&c->reap, EV_TIMEOUT, 0);
}

static void
on_reap(evutil_socket_t fd, short what, void *arg)
{
	struct client *c = arg;

	(void)fd;
	(void)what;
	client_forget_secret(c);
	hops_release(c->hops);
	free(c->mail);
	free(c);
}

void
client_say(struct client *c, const char *data, size_t len)
{
	evbuffer_add(conn_out(c->conn), data, len);
	conn_send(c->conn);
}

void
client_quit(struct client *c)
{
	evbuffer_add(conn_out(c->conn), "QUIT\r\n", 6);
	conn_flush(c->conn);
	if (!c->gone)
		end_client(c);
}

void
client_fail(struct client *c, enum attempt_fault fault, const char *status, const char *why)
{
	struct attempt *a = c->attempt;

	if (c->gone)
		return;
	c->attempt = NULL;
	end_client(c);
	attempt_on_failed(a, fault, status, why);
}

/* The connection is of no more use; what it was doing is answered or given back. */
void
client_lost(struct client *c, const char *status, const char *why)
{
	struct parcel *p = c->parcel;
	struct route *r = c->route;

	if (c->gone)
		return;
	if (c->attempt != NULL) {
		/* What credentials lead to is no matter of the host, which may know others. */
		bool auth = c->step >= STEP_SECRET && c->step <= STEP_AUTH_PASSWORD;
		if (client_tls_is_fresh(c))
			client_tls_failed(c, why);
		else
			client_fail(c, auth ? FAULT_AUTH : FAULT_REPLY, status, why);
		return;
	}
	log_debug("route=%s lost step=%s reason=%s", c->host, steps[c->step].name, log_quote(why));
	bool unused = p == NULL && c->n_done == 0;
	if (unused)
		host_failed(c->hops->v[c->hop].host, why, false);
	end_client(c);
	if (unused) {
		route_on_unused_end(r, c, status, why);
		return;
	}
	if (p == NULL) {
		route_on_idle_end(r, c);
		return;
	}
	c->parcel = NULL;
	if (!c->answered && c->n_done > 0) {
		/* A kept connection that the server had closed meanwhile. */
		route_give_back(r, p);
	} else {
		parcel_answer_rest(p, OUTCOME_LATER, status, why, c->host);
		parcel_free(p);
	}
	route_on_busy_end(r);
}

bool
client_abandon(struct client *c)
{
	struct parcel *p = c->parcel;
	struct route *r = c->route;

	if (!parcel_reopen(p))
		return false;
	c->parcel = NULL;
	client_quit(c);
	route_take_back(r, p);
	route_on_busy_end(r);
	return true;
}

static bool
is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static bool
is_no_family(int error)
{
	return error == ENETUNREACH || error == EADDRNOTAVAIL || error == EAFNOSUPPORT;
}

static void
on_end(enum conn_end how, int error, void *arg)
{
	struct client *c = arg;
	char why[200];

	if (c->step == STEP_IDLE && how == CONN_TIMEOUT) {
		route_on_idle_end(c->route, c);
		client_quit(c);
		return;
	}
	if (conn_is_unbound(c->conn))
		snprintf(
		    why, sizeof(why), "cannot connect from %s: %s", c->source, strerror(error));
	else if (c->step == STEP_CONNECT)
		snprintf(why, sizeof(why), "cannot connect: %s",
		    how == CONN_TIMEOUT ? "no answer" : strerror(error));
	else
		snprintf(why, sizeof(why), "%s at %s",
		    how == CONN_CLOSED    ? "connection closed"
		    : how == CONN_TIMEOUT ? "no answer in time"
		    : how == CONN_TLS     ? conn_tls_error(c->conn)
					  : strerror(error),
		    steps[c->step].name);
	if (client_tls_is_fresh(c) &&
	    (how != CONN_TIMEOUT || c->step == STEP_STARTTLS || c->step == STEP_TLS))
		client_tls_failed(c, why);
	else if (c->attempt != NULL)
		client_fail(c,
		    conn_is_unbound(c->conn)                         ? FAULT_SOURCE
		    : how == CONN_TIMEOUT                            ? FAULT_SLOW
		    : c->step == STEP_CONNECT && is_no_family(error) ? FAULT_FAMILY
		    : c->step == STEP_CONNECT && is_shortage(error)  ? FAULT_OURS
								     : FAULT_REFUSED,
		    "4.4.1", why);
	else
		client_lost(c, "4.4.2", why);
}

static void
on_input(void *arg)
{
	struct client *c = arg;
	struct evbuffer *in = conn_in(c->conn);
	size_t len;

	while (!c->gone && (len = evbuffer_get_length(in)) > 0) {
		const char *data = (const char *)evbuffer_pullup(in, -1);
		ssize_t n = target_reply_line(&c->reply, data, len);
		if (n == 0)
			return;
		if (n == -1) {
			client_lost(c, "4.5.0", "the server's answer is no SMTP reply");
			return;
		}
		if (c->step == STEP_EHLO && c->reply.code == 250)
			client_note_keyword(c, c->reply.line, c->reply.line_len);
		evbuffer_drain(in, (size_t)n);
		if (!c->reply.whole)
			continue;
		struct target_reply reply = c->reply;
		c->reply.len = 0;
		c->reply.whole = false;
		if (reply.code == 421 && c->parcel != NULL && client_leave(c, &reply))
			return;
		if (reply.code == 421 && c->parcel != NULL && (c->answered || c->n_done == 0))
			host_pushed_back(client_host(c), reply.text);
		if (reply.code == 421 || steps[c->step].got == NULL) {
			client_lost(c, reply.status, reply.text);
			return;
		}
		c->answered = true;
		steps[c->step].got(c, &reply);
	}
}

static void
on_drained(void *arg)
{
	client_on_drained(arg);
}
