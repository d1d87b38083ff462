/*
 * A connection to a server: a dialogue as a table of steps.  A step says something and awaits one
 * reply; with PIPELINING a transaction's MAIL, RCPTs and DATA are said at once (`piped`) and the
 * steps then only read.  Called by route.c; talks to queue through parcel.c.
 *
 *	GREETING EHLO [HELO] -> IDLE -> [RSET] MAIL RCPT… DATA BODY -> IDLE …
 *
 * Invariant: a client is connecting, idle or busy, as its route counts it; a busy one has a parcel.
 * What the server says ends up as at most one clean line per recipient.  A connection that ends
 * leaves every recipient without an answer at LATER, also after the dot: rather twice than never.
 */
#include "addr.h"
#include "client_body.h"
#include "conn.h"
#include "ipc.h"
#include "local.h"
#include "log.h"
#include "target_reply.h"
#include "text.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CONNECT_SEC 30
#define IDLE_SEC    10
#define BLOCK_SEC   180 /* RFC 5321 4.5.3.2.5: a block of the body */
#define DOT_SEC     600 /* 4.5.3.2.6 */
#define OUT_HIGH    (256 * 1024)

enum feature { PIPELINING = 1, SIZE = 2, EIGHTBIT = 4, DSN = 8 };

/* In the order of a dialogue. */
enum step {
	STEP_CONNECT,
	STEP_GREETING,
	STEP_EHLO,
	STEP_HELO,
	STEP_RSET,
	STEP_MAIL,
	STEP_RCPT,
	STEP_DATA,
	STEP_BODY,
	STEP_EMPTY,
	STEP_IDLE,
	STEP_MAX
};

struct client {
	struct route *route;
	struct conn *conn;
	enum step step;
	unsigned features; /* enum feature */
	uint64_t size_limit;
	bool is_lmtp, piped, must_reset, sent_all, answered, gone;
	size_t addr, tried, rcpt, n_done;
	struct target_reply reply;
	struct parcel *parcel;
	struct client_body body;
	uint64_t body_read; /* bytes of the stored body */
	uint32_t seq;
	struct ipc_call *call; /* BODY_PULL */
	struct event reap;
	char host[TARGET_TEXT_LEN];
};

static void say_ehlo(struct client *);
static void say_helo(struct client *);
static void say_rset(struct client *);
static void say_mail(struct client *);
static void say_rcpt(struct client *);
static void say_data(struct client *);
static void say_body(struct client *);
static void say_empty(struct client *);
static void got_greeting(struct client *, const struct target_reply *);
static void got_ehlo(struct client *, const struct target_reply *);
static void got_helo(struct client *, const struct target_reply *);
static void got_rset(struct client *, const struct target_reply *);
static void got_mail(struct client *, const struct target_reply *);
static void got_rcpt(struct client *, const struct target_reply *);
static void got_data(struct client *, const struct target_reply *);
static void got_body(struct client *, const struct target_reply *);
static void got_empty(struct client *, const struct target_reply *);
static void finish(struct client *);
static void lost(struct client *, const char *status, const char *why);
static void on_body(const struct msg *, void *arg);
static void on_connected(void *arg);
static void on_input(void *arg);
static void on_drained(void *arg);
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
	[STEP_EHLO] = { "EHLO", 300, say_ehlo, got_ehlo },
	[STEP_HELO] = { "HELO", 300, say_helo, got_helo },
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
	.on_end = on_end,
};

/* --- Life */

static struct client *
new_client(struct route *r, size_t addr, size_t tried)
{
	struct client *c = xcalloc(1, sizeof(*c));

	c->route = r;
	c->addr = addr;
	c->tried = tried;
	c->is_lmtp = route_target(r)->url.scheme == URL_LMTP;
	target_text(route_target(r), addr, c->host, sizeof(c->host));
	event_assign(&c->reap, process.base, -1, 0, on_reap, c);
	return c;
}

static void
go(struct client *c, enum step step)
{
	c->step = step;
	conn_deadline(c->conn, steps[step].timeout_sec);
	if (steps[step].say != NULL && !c->piped)
		steps[step].say(c);
}

struct client *
client_connect(struct route *r, size_t addr, size_t tried)
{
	struct client *c = new_client(r, addr, tried);
	const struct sockaddr_storage *to = &route_target(r)->addrs[addr];

	c->conn = conn_connect(
	    process.base, (const struct sockaddr *)to, netaddr_len(to), NULL, 0, &ops, c);
	go(c, STEP_CONNECT);
	return c;
}

struct client *
client_new(struct route *r, int fd)
{
	struct client *c = new_client(r, 0, 1);

	c->conn = conn_new(process.base, fd, &ops, c);
	go(c, STEP_GREETING);
	return c;
}

static void
on_connected(void *arg)
{
	struct client *c = arg;
	int on = 1;

	setsockopt(conn_fd(c->conn), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	go(c, STEP_GREETING);
}

static void
end_client(struct client *c)
{
	c->gone = true;
	if (c->call != NULL)
		ipc_cancel(c->call);
	c->call = NULL;
	conn_free(c->conn);
	event_active(&c->reap, EV_TIMEOUT, 0);
}

static void
on_reap(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	free(arg);
}

static void
say(struct client *c, const char *data, size_t len)
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

/* The connection is of no more use; what it was doing is answered or given back. */
static void
lost(struct client *c, const char *status, const char *why)
{
	struct parcel *p = c->parcel;
	struct route *r = c->route;

	if (c->gone)
		return;
	end_client(c);
	if (c->step < STEP_RSET) {
		route_on_failed(r, c->addr, c->tried, why);
		return;
	}
	log_debug("route=%s lost step=%s reason=%s", c->host, steps[c->step].name, log_quote(why));
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

static void
on_end(enum conn_end how, int error, void *arg)
{
	struct client *c = arg;
	char why[200];

	if (c->step == STEP_IDLE && how == CONN_TIMEOUT) {
		route_on_idle_end(c->route, c);
		end_client(c);
		return;
	}
	if (c->step == STEP_CONNECT)
		snprintf(why, sizeof(why), "cannot connect: %s",
		    how == CONN_TIMEOUT ? "no answer" : strerror(error));
	else
		snprintf(why, sizeof(why), "%s at %s",
		    how == CONN_CLOSED    ? "connection closed"
		    : how == CONN_TIMEOUT ? "no answer in time"
					  : strerror(error),
		    steps[c->step].name);
	lost(c, "4.4.2", why);
}

static void note_keyword(struct client *, const char *line, size_t len);

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
			lost(c, "4.5.0", "the server's answer is no SMTP reply");
			return;
		}
		if (c->step == STEP_EHLO && c->reply.code == 250)
			note_keyword(c, c->reply.line, c->reply.line_len);
		evbuffer_drain(in, (size_t)n);
		if (!c->reply.whole)
			continue;
		struct target_reply reply = c->reply;
		c->reply.len = 0;
		c->reply.whole = false;
		if (reply.code == 421 || steps[c->step].got == NULL) {
			lost(c, reply.status, reply.text);
			return;
		}
		c->answered = true;
		steps[c->step].got(c, &reply);
	}
}

/* --- The beginning of a connection */

static void
got_greeting(struct client *c, const struct target_reply *r)
{
	if (r->code / 100 == 2)
		go(c, STEP_EHLO);
	else
		lost(c, r->status, r->text);
}

static void
say_ehlo(struct client *c)
{
	char line[300];
	int n = snprintf(
	    line, sizeof(line), "%s %s\r\n", c->is_lmtp ? "LHLO" : "EHLO", process.conf->hostname);

	say(c, line, (size_t)n);
}

static void
note_keyword(struct client *c, const char *line, size_t len)
{
	static const struct {
		const char *word;
		enum feature feature;
	} words[] = { { "PIPELINING", PIPELINING }, { "SIZE", SIZE }, { "8BITMIME", EIGHTBIT },
		{ "DSN", DSN } };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t n = strlen(words[i].word);
		if (len < n || strncasecmp(line, words[i].word, n) != 0 ||
		    (len > n && line[n] != ' '))
			continue;
		c->features |= words[i].feature;
		for (size_t j = n + 1; words[i].feature == SIZE && j < len; j++) {
			if (line[j] < '0' || line[j] > '9' || c->size_limit > UINT64_MAX / 20)
				break;
			c->size_limit = c->size_limit * 10 + (uint64_t)(line[j] - '0');
		}
	}
}

static void
become_ready(struct client *c)
{
	go(c, STEP_IDLE);
	route_on_ready(c->route, c, c->addr);
}

static void
got_ehlo(struct client *c, const struct target_reply *r)
{
	if (r->code / 100 == 2)
		become_ready(c);
	else if (r->code / 100 == 5 && !c->is_lmtp)
		go(c, STEP_HELO);
	else
		lost(c, r->status, r->text);
}

static void
say_helo(struct client *c)
{
	char line[300];
	int n = snprintf(line, sizeof(line), "HELO %s\r\n", process.conf->hostname);

	say(c, line, (size_t)n);
}

static void
got_helo(struct client *c, const struct target_reply *r)
{
	if (r->code / 100 == 2)
		become_ready(c);
	else
		lost(c, r->status, r->text);
}

/* --- A transaction */

/* The next recipient of the dialogue from i on; n_rcpts: none. */
static size_t
next_asked(const struct parcel *p, size_t i)
{
	while (i < p->n_rcpts && !p->rcpts[i].asked)
		i++;
	return i;
}

/* What needs no dialogue: addresses that must not be said, a message that will not be taken. */
static void
sort_out(struct client *c, struct parcel *p)
{
	for (size_t i = 0; i < p->n_rcpts; i++) {
		struct parcel_rcpt *rcpt = &p->rcpts[i];
		rcpt->asked = false;
		if (text_has_control(rcpt->dest) || text_has_control(p->sender))
			parcel_answer(
			    p, i, OUTCOME_FAILED, "5.1.3", "address with a control character", "");
		else if (c->size_limit != 0 && p->size > c->size_limit)
			parcel_answer(p, i, OUTCOME_FAILED, "5.3.4",
			    "the message is larger than the server takes", c->host);
		else
			rcpt->asked = true;
	}
}

/* "deliver to lmtp … rcpt-to": the recipient as it was before expansion. */
static bool
choose_names(struct client *c, struct parcel *p)
{
	if (!c->is_lmtp)
		return true;
	const struct conf_action *a = conf_action_find(process.conf, p->action);
	if (a == NULL)
		return false;
	for (size_t i = 0; i < p->n_rcpts && a->rcpt_to; i++)
		p->rcpts[i].dest = p->rcpts[i].rcpt;
	return true;
}

void
client_take(struct client *c, struct parcel *p)
{
	c->parcel = p;
	c->answered = c->sent_all = false;
	c->body = (struct client_body){ 0 };
	c->body_read = 0;
	c->seq = 0;
	if (!choose_names(c, p)) {
		parcel_answer_rest(p, OUTCOME_LATER, "4.3.5", "the action is gone", "");
		finish(c);
		return;
	}
	sort_out(c, p);
	c->rcpt = next_asked(p, 0);
	if (c->rcpt == p->n_rcpts)
		finish(c);
	else
		go(c, c->must_reset ? STEP_RSET : STEP_MAIL);
}

/* Over, and the connection goes on; unless the server has said more than it was asked for. */
static void
finish(struct client *c)
{
	parcel_free(c->parcel);
	c->parcel = NULL;
	c->piped = false;
	c->n_done++;
	if (evbuffer_get_length(conn_in(c->conn)) > 0) {
		struct route *r = c->route;
		c->step = STEP_IDLE;
		client_quit(c);
		route_on_busy_end(r);
		return;
	}
	go(c, STEP_IDLE);
	route_on_done(c->route, c);
}

/* "550 …" is for good, "450 …" for later; 552 to a RCPT means too many (RFC 5321 4.5.3.1.10). */
static void
answer_by(struct client *c, size_t rcpt, const struct target_reply *r)
{
	enum outcome o = r->code / 100 == 2 ? OUTCOME_DONE
			 : r->code / 100 == 5 && !(r->code == 552 && c->step == STEP_RCPT)
			     ? OUTCOME_FAILED
			     : OUTCOME_LATER;
	const char *status = o == OUTCOME_LATER && r->status[0] != '4' ? "4.0.0" : r->status;

	parcel_answer(c->parcel, rcpt, o, status, r->text, c->host);
}

static void
answer_all_by(struct client *c, const struct target_reply *r)
{
	for (size_t i = 0; i < c->parcel->n_rcpts; i++)
		answer_by(c, i, r);
}

static bool
is_xtext(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s <= ' ' || *s > '~')
			return false;
	return true;
}

static void
put_mail(struct client *c, struct text *t)
{
	static const char *const ret[] = {
		[RET_NONE] = "", [RET_FULL] = " RET=FULL", [RET_HDRS] = " RET=HDRS"
	};
	const struct parcel *p = c->parcel;

	text_put(t, "MAIL FROM:<");
	text_put(t, p->sender);
	text_put(t, ">");
	if (c->features & SIZE)
		text_putf(t, " SIZE=%llu", (unsigned long long)p->size);
	if ((c->features & EIGHTBIT) && p->eightbit)
		text_put(t, " BODY=8BITMIME");
	if (c->features & DSN) {
		text_put(t, p->ret <= RET_HDRS ? ret[p->ret] : "");
		if (p->envid[0] != '\0' && is_xtext(p->envid))
			text_putf(t, " ENVID=%s", p->envid);
	}
	text_put(t, "\r\n");
}

static void
put_notify(struct text *t, unsigned notify)
{
	static const struct {
		enum dsn_notify bit;
		const char *word;
	} words[] = { { NOTIFY_SUCCESS, "SUCCESS" }, { NOTIFY_FAILURE, "FAILURE" },
		{ NOTIFY_DELAY, "DELAY" } };
	const char *before = " NOTIFY=";

	if (notify & NOTIFY_NEVER) {
		text_put(t, " NOTIFY=NEVER");
		return;
	}
	for (size_t i = 0; i < 3; i++) {
		if (!(notify & words[i].bit))
			continue;
		text_put(t, before);
		text_put(t, words[i].word);
		before = ",";
	}
}

static void
put_rcpt(struct client *c, struct text *t, size_t i)
{
	const struct parcel_rcpt *rcpt = &c->parcel->rcpts[i];

	text_put(t, "RCPT TO:<");
	text_put(t, rcpt->dest);
	text_put(t, ">");
	if (c->features & DSN) {
		put_notify(t, rcpt->notify);
		if (rcpt->orcpt[0] != '\0' && is_xtext(rcpt->orcpt))
			text_putf(t, " ORCPT=%s", rcpt->orcpt);
	}
	text_put(t, "\r\n");
}

/* With PIPELINING everything up to DATA goes in one write (RFC 2920). */
static void
say_from(struct client *c, enum step step)
{
	static struct text t;

	t.len = 0;
	c->piped = (c->features & PIPELINING) != 0;
	if (step == STEP_RSET)
		text_put(&t, "RSET\r\n");
	if (step == STEP_MAIL || c->piped)
		put_mail(c, &t);
	if (c->piped) {
		const struct parcel *p = c->parcel;
		for (size_t i = c->rcpt; i < p->n_rcpts; i = next_asked(p, i + 1))
			put_rcpt(c, &t, i);
		text_put(&t, "DATA\r\n");
	}
	say(c, t.s, t.len);
}

static void
say_rset(struct client *c)
{
	say_from(c, STEP_RSET);
}

static void
got_rset(struct client *c, const struct target_reply *r)
{
	if (r->code / 100 != 2) {
		lost(c, "4.5.0", r->text);
		return;
	}
	c->must_reset = false;
	go(c, STEP_MAIL);
}

static void
say_mail(struct client *c)
{
	say_from(c, STEP_MAIL);
}

static void
got_mail(struct client *c, const struct target_reply *r)
{
	if (r->code / 100 != 2)
		answer_all_by(c, r);
	if (r->code / 100 == 2 || c->piped)
		go(c, STEP_RCPT);
	else
		finish(c);
}

static void
say_rcpt(struct client *c)
{
	struct text t = { 0 };

	put_rcpt(c, &t, c->rcpt);
	say(c, t.s, t.len);
	text_free(&t);
}

static void
got_rcpt(struct client *c, const struct target_reply *r)
{
	struct parcel *p = c->parcel;

	if (r->code / 100 == 2)
		parcel_accept(p, c->rcpt);
	else
		answer_by(c, c->rcpt, r);
	c->rcpt = next_asked(p, c->rcpt + 1);
	if (c->rcpt < p->n_rcpts) {
		go(c, STEP_RCPT);
	} else if (c->piped || p->n_accepted > 0) {
		go(c, STEP_DATA);
	} else {
		c->must_reset = true;
		finish(c);
	}
}

static void
say_data(struct client *c)
{
	say(c, "DATA\r\n", 6);
}

static void
got_data(struct client *c, const struct target_reply *r)
{
	bool goes_on = r->code / 100 == 3;

	c->piped = false;
	if (goes_on && c->parcel->n_accepted > 0) {
		go(c, STEP_BODY);
	} else if (goes_on) {
		go(c, STEP_EMPTY); /* RFC 2920 3.1: all were refused, and it awaits data */
	} else {
		answer_all_by(c, r);
		c->must_reset = true;
		finish(c);
	}
}

static void
say_empty(struct client *c)
{
	say(c, ".\r\n", 3);
}

static void
got_empty(struct client *c, const struct target_reply *r)
{
	(void)r;
	c->must_reset = true;
	finish(c);
}

/* --- The body */

static void pull_body(struct client *);

static bool
put_body(struct client *c, const void *data, size_t len)
{
	struct evbuffer *out = conn_out(c->conn);
	struct evbuffer_iovec space;

	c->body_read += len;
	if (c->body_read > c->parcel->size)
		return false;
	if (len > 0) {
		if (evbuffer_reserve_space(out, (ev_ssize_t)len * 2, &space, 1) != 1)
			return false;
		space.iov_len = client_body_encode(&c->body, data, len, space.iov_base);
		evbuffer_commit_space(out, &space, 1);
	}
	if (c->body_read == c->parcel->size) {
		const char *end = client_body_end(&c->body);
		evbuffer_add(out, end, strlen(end));
		c->sent_all = true;
		c->rcpt = 0;
		conn_deadline(c->conn, DOT_SEC);
	} else {
		conn_deadline(c->conn, BLOCK_SEC);
	}
	conn_send(c->conn);
	return true;
}

static void
say_body(struct client *c)
{
	if (!put_body(c, c->parcel->body.data, c->parcel->body.len))
		lost(c, "4.3.0", "the message could not be read");
	else if (!c->sent_all)
		pull_body(c);
}

static void
pull_body(struct client *c)
{
	c->call = ipc_call(relay.queue, MSG_BODY_PULL,
	    &(struct msg_body_pull){ .job = c->parcel->job, .seq = ++c->seq }, on_body, c);
}

static void
on_body(const struct msg *m, void *arg)
{
	struct client *c = arg;
	const struct msg_body *b = m == NULL ? NULL : m->body;

	c->call = NULL;
	if (b == NULL || m->type != MSG_BODY || b->data.len == 0 ||
	    !put_body(c, b->data.data, b->data.len)) {
		lost(c, "4.3.0", "the message could not be read");
		return;
	}
	if (!c->sent_all && evbuffer_get_length(conn_out(c->conn)) < OUT_HIGH)
		pull_body(c);
}

static void
on_drained(void *arg)
{
	struct client *c = arg;

	if (c->step == STEP_BODY && !c->sent_all && c->call == NULL)
		pull_body(c);
}

/* LMTP answers once for each recipient that it accepted, in their order (RFC 2033 4.2). */
static void
got_body(struct client *c, const struct target_reply *r)
{
	struct parcel *p = c->parcel;

	if (!c->sent_all) {
		if (r->code >= 400)
			answer_all_by(c, r);
		lost(c, "4.5.0", "the server answered before the end of the data");
		return;
	}
	if (!c->is_lmtp) {
		answer_all_by(c, r);
		finish(c);
		return;
	}
	while (c->rcpt < p->n_rcpts && p->rcpts[c->rcpt].state != PARCEL_ACCEPTED)
		c->rcpt++;
	answer_by(c, c->rcpt, r);
	if (p->n_accepted == 0)
		finish(c);
}
