/*
 * The body of a transaction (client_mail.c): encoded as it is sent, its first piece from the job, the
 * others pulled from queue when there is room for them.
 */
#include "client.h"
#include "conn.h"
#include "ipc.h"

#include <event2/buffer.h>
#include <string.h>

static void pull_body(struct client *);
static void on_body(const struct msg *, void *arg);

static bool
put_body(struct client *c, const void *data, size_t len)
{
	struct evbuffer *out = conn_out(c->conn);
	struct evbuffer_iovec space;

	c->body_read += len;
	if (c->body_read > c->parcel->size)
		return false;
	if (len > 0) {
		if (evbuffer_reserve_space(out, (ev_ssize_t)len * 2 + 3, &space, 1) != 1)
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

void
say_body(struct client *c)
{
	const struct parcel *p = c->parcel;
	size_t before = strlen(p->before);

	if ((before > 0 && !put_body(c, p->before, before)) ||
	    (!c->sent_all && !put_body(c, p->body.data, p->body.len)))
		client_lost(c, "4.3.0", "the message could not be read");
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
		client_lost(c, "4.3.0", "the message could not be read");
		return;
	}
	if (!c->sent_all && evbuffer_get_length(conn_out(c->conn)) < OUT_HIGH)
		pull_body(c);
}

void
client_on_drained(struct client *c)
{
	if (c->step == STEP_BODY && !c->sent_all && c->call == NULL)
		pull_body(c);
}
