/*
 * A message's octets on their way to queue, as DATA (cmd_data.c) and BDAT (cmd_bdat.c) bring them.
 *
 *	body_start         the trace field in front
 *	body_read          input -> data_feed -> tx->body -> MAIL_BODY, a piece when it is full
 *	body_end           refused: MAIL_ABORT and a reply; else recipients, MAIL_COMMIT
 *	body_on_stored     the reply
 *
 * What is wrong with a message is remembered in tx->refusal; its octets are read to the end all the
 * same, for nothing but that end ends it.  The header is body_head.c's.
 */
#include "clock.h"
#include "conf.h"
#include "conn.h"
#include "local.h"
#include "log.h"
#include "../role.h"
#include "text.h"

#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_CAP_FIRST 4096
#define HELD_MAX       (64u << 20) /* bytes of all sessions: beyond it pieces go out early */
#define HELD_PIECE     4096
#define HEADER_MAX     (256u << 10) /* bytes: it is held until it is whole */
#define DEADLINE_EVERY 1024         /* bytes that have to come within a deadline */

static void put_trace(struct session *);
static void take(struct session *, const char *, size_t, size_t *taken);
static void send_piece(struct session *);
static void body_on_stored(const struct msg *, void *arg);

void
body_start(struct session *s, bool chunked)
{
	struct transaction *tx = s->tx;

	tx->data.chunked = chunked;
	body_pace_start(&tx->pace);
	put_trace(s);
	conn_deadline(s->conn, smtp.timeout_sec);
}

static void
put_trace(struct session *s)
{
	struct transaction *tx = s->tx;
	char id[32], tls[128];
	struct text t = { 0 };

	snprintf(id, sizeof(id), "%012llx", (unsigned long long)tx->id);
	trace_put(&t, &(struct trace){ .helo = s->helo,
			  .client = s->client,
			  .host = s->hostname,
			  .name = s->client_name,
			  .id = id,
			  .rcpt = tx->n_accepted == 1 ? STAILQ_FIRST(&tx->accepted)->address : NULL,
			  .esmtp = s->esmtp,
			  .utf8 = tx->utf8,
			  .tls = starttls_text(s, tls, sizeof(tls)),
			  .authenticated = s->auth != NULL,
			  .auth = s->listener->received_auth ? s->auth : NULL,
			  .masked = s->listener->masked,
			  .local = s->listener->submit,
			  .uid = s->uid,
			  .wall_sec = clock_wall_sec() });
	tx->body_cap = BODY_CAP_FIRST;
	tx->body = xcalloc(1, tx->body_cap);
	memcpy(tx->body, t.s, t.len);
	tx->body_len = tx->trace_len = t.len;
	smtp.held_len += t.len;
	text_free(&t);
}

void
body_pace_start(struct pace *p)
{
	p->deadline_at = DEADLINE_EVERY;
	p->began_ms = clock_mono_ms();
}

/* A KiB now and then would hold a session for ever. */
bool
body_is_slow(struct session *s, const struct pace *p, uint64_t len)
{
	unsigned rate = process.conf->limit.smtp.data_rate;
	int64_t sec = (clock_mono_ms() - p->began_ms) / 1000;

	if (rate == 0 || sec <= smtp.timeout_sec + (int64_t)(len / rate))
		return false;
	session_replyf(s, "421 4.4.2 %s the message comes too slowly", s->hostname);
	session_close(s, "slow", true);
	return true;
}

void
body_pace(struct session *s, struct pace *p, uint64_t len)
{
	if (len < p->deadline_at)
		return;
	p->deadline_at = len + DEADLINE_EVERY;
	conn_deadline(s->conn, smtp.timeout_sec);
	(void)body_is_slow(s, p, len);
}

size_t
body_read(struct session *s, size_t max)
{
	struct evbuffer *in = conn_in(s->conn);
	struct evbuffer_iovec iov[8];
	struct transaction *tx = s->tx;
	size_t used = 0;

	if (ipc_backlog(smtp.queue) > IPC_BACKLOG_HIGH) {
		session_pause(s);
		return 0;
	}
	int n = evbuffer_peek(in, -1, NULL, iov, 8);
	for (int i = 0; i < n && i < 8 && tx->data.state != DATA_ENDED && !s->paused; i++) {
		size_t at = 0, taken;
		size_t len = iov[i].iov_len < max - used ? iov[i].iov_len : max - used;
		while (at < len && tx->data.state != DATA_ENDED && !s->paused) {
			take(s, (char *)iov[i].iov_base + at, len - at, &taken);
			at += taken;
		}
		used += at;
	}
	evbuffer_drain(in, used);
	if (used > 0 && tx->refusal == NULL)
		tx->worked_ms = clock_mono_ms();
	if (tx->data.state != DATA_ENDED)
		body_pace(s, &tx->pace, tx->data.size);
	return used;
}

/* A run of input into the body; what a piece cannot hold stays for the next call. */
static void
take(struct session *s, const char *p, size_t len, size_t *taken)
{
	struct transaction *tx = s->tx;
	size_t out_len;

	if (tx->refusal != NULL) {
		*taken = data_feed(&tx->data, p, len, NULL, &out_len);
		return;
	}
	if (tx->head.over && tx->body_len >= MSG_BODY_PIECE) /* a header may be longer */
		send_piece(s);
	size_t max = tx->head.over ? MSG_BODY_PIECE : tx->trace_len + HEADER_MAX;
	if (len > max - tx->body_len)
		len = max - tx->body_len;
	if (tx->body_len + len > tx->body_cap) {
		while (tx->body_cap < tx->body_len + len)
			tx->body_cap *= 2;
		tx->body = xrealloc(tx->body, tx->body_cap, 1);
	}
	char *out = tx->body + tx->body_len;
	*taken = data_feed(&tx->data, p, len, out, &out_len);
	tx->body_len += out_len;
	smtp.held_len += out_len;
	body_head_scan(s, out, out_len);
	if (tx->refusal != NULL)
		return;
	if (tx->data.bare)
		body_refuse(s, data_bare);
	else if (tx->data.size > (uint64_t)process.conf->max_message_len)
		body_refuse(s, "552 5.3.4 the message is too big");
	else if (tx->head.received > process.conf->max_hops)
		body_refuse(s, "554 5.4.6 too many hops: this message goes in circles");
	else if (!tx->head.over && tx->body_len >= tx->trace_len + HEADER_MAX)
		body_refuse(s, "552 5.3.4 the header is too big");
	else if (!tx->head.over && tx->body_len >= MSG_BODY_PIECE && smtp.held_len > HELD_MAX)
		body_refuse(s, "452 4.3.1 too much memory in use, try again later");
	else if (smtp.held_len > HELD_MAX && tx->body_len >= HELD_PIECE && tx->head.over)
		send_piece(s);
}

static void
send_piece(struct session *s)
{
	struct transaction *tx = s->tx;

	for (size_t at = 0; at < tx->body_len; at += MSG_BODY_PIECE) {
		size_t len = tx->body_len - at;
		struct msg_mail_body m = { .id = tx->id,
			.data = { tx->body + at, len < MSG_BODY_PIECE ? len : MSG_BODY_PIECE } };
		ipc_send(smtp.queue, MSG_MAIL_BODY, &m);
	}
	smtp.held_len -= tx->body_len;
	tx->body_len = 0;
	if (tx->body_cap > MSG_BODY_PIECE) { /* a long header needed it */
		tx->body = xrealloc(tx->body, MSG_BODY_PIECE, 1);
		tx->body_cap = MSG_BODY_PIECE;
	}
	if (ipc_backlog(smtp.queue) > IPC_BACKLOG_HIGH)
		session_pause(s);
}

/* The rest is read, and thrown away. */
void
body_refuse(struct session *s, const char *reply)
{
	struct transaction *tx = s->tx;

	tx->refusal = xstrdup(reply);
	body_free(tx);
	ipc_send(smtp.queue, MSG_MAIL_ABORT, &(struct msg_mail_abort){ .id = tx->id });
	tx->id = 0;
}

/* What has no line end at its end gets one: every message in the spool has. */
void
body_end_line(struct session *s)
{
	const struct transaction *tx = s->tx;
	const char *p = "\r\n";
	size_t taken;

	if (tx->refusal != NULL || tx->data.state != DATA_TEXT)
		return;
	for (; *p != '\0' && tx->refusal == NULL; p += taken) /* a piece may end between the two */
		take(s, p, strlen(p), &taken);
}

void
body_end(struct session *s, const char *verb)
{
	struct transaction *tx = s->tx;
	struct rcpt *r;

	if (tx->refusal == NULL && smtp.n_begun >= CALLS_MAX)
		body_refuse(s, "451 4.3.2 too busy, try again later");
	if (tx->refusal != NULL) {
		session_refuse(s, verb, tx->refusal);
		cmd_mail_reset(s);
		return;
	}
	if (!tx->head.over)
		body_head_end(s); /* a header and no body */
	if (tx->refusal != NULL) {
		session_refuse(s, verb, tx->refusal);
		cmd_mail_reset(s);
		return;
	}
	send_piece(s);
	STAILQ_FOREACH(r, &tx->accepted, entry)
		ipc_send(smtp.queue, MSG_MAIL_RCPT,
		    &(struct msg_mail_rcpt){
			.id = tx->id, .rcpt = r->address, .orcpt = r->orcpt, .notify = r->notify });
	struct msg_mail_commit m = { .id = tx->id,
		.sender = tx->sender,
		.client = s->client,
		.helo = s->helo,
		.local = s->local,
		.tag = s->listener->tag,
		.auth = s->auth,
		.envid = tx->envid,
		.ret = tx->ret,
		.eightbit = tx->data.eightbit,
		.utf8 = (tx->utf8 ? UTF8_ASKED : 0) |
			(tx->utf8_head || tx->parts.high ? UTF8_HEADER : 0),
		.reentry = !s->listener->reentry  ? ""
			   : tx->token[0] == '\0' ? "-"
						  : tx->token };
	s->wait = WAIT_STORED;
	smtp.n_begun++;
	s->commit = ipc_call(smtp.queue, MSG_MAIL_COMMIT, &m, body_on_stored, s);
}

static void
body_on_stored(const struct msg *m, void *arg)
{
	const struct msg_mail_stored *a = m == NULL ? NULL : m->body;
	struct session *s = arg;
	struct transaction *tx = s->tx;
	unsigned long long id = tx->id;
	char reply[REPLY_LEN_MAX + 1];

	s->commit = NULL;
	s->wait = WAIT_NONE;
	smtp.n_begun--;
	tx->id = 0; /* no longer ours to abort */
	if (a != NULL && a->reply[0] == '\0') {
		log_info("%s smtp event=message id=%012llx from=%s size=%llu nrcpts=%u%s%.12s",
		    s->id, id, log_quote(tx->sender), (unsigned long long)tx->data.size,
		    tx->n_accepted, tx->token[0] == '\0' ? "" : " was=", tx->token);
		smtp.accepted++;
		s->n_messages++;
		s->idle = 0;
		smtp_count_changed();
		session_replyf(s, "250 2.0.0 %012llx accepted", id);
	} else {
		const char *text = a == NULL ? "" : a->reply;
		session_refuse(s, "DATA",
		    reply_clean(reply, text, text[0] == '5' ? VERDICT_NEVER : VERDICT_LATER,
			"451 4.3.0 not stored, try again later"));
	}
	cmd_mail_reset(s);
	session_run(s);
}

void
body_free(struct transaction *tx)
{
	smtp.held_len -= tx->body_len;
	free(tx->body);
	tx->body = NULL;
	tx->body_len = tx->body_cap = 0;
}
