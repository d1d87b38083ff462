/*
 * A message comes in from an smtp process: begin, body, recipients, commit or abort.
 *
 * A body of up to one piece waits in memory for its commit, and is then written with all the rest; of
 * a longer one each full piece is written as it arrives, under a mark, so that a start finds and removes
 * what was never committed.  Every message belongs to the channel that began it: another smtp process
 * can neither add to it nor end it.  Nor can it hand in texts that an smtp process in its right mind has refused:
 * such a message would be here for ever, and end whoever reads it.
 */
#include "local.h"
#include "clock.h"
#include "conf.h"
#include "log.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

#define REMAINS_MAX 1000
#define FULL        "452 4.3.1 Insufficient system storage"
#define TEXT_MAX \
	2048 /* bytes of any text of an envelope; all of them fit the packets that go out */

static struct messages open_messages = TAILQ_HEAD_INITIALIZER(open_messages);
static uint64_t remains[REMAINS_MAX];
static size_t n_remains;

void
intake_begin(struct ipc *ipc, struct msg *msg, void *arg)
{
	(void)arg;
	if (room_is_short() || journal_is_failing()) {
		static int64_t said_ms = -60000;
		if (clock_mono_ms() - said_ms >= 60000) {
			said_ms = clock_mono_ms();
			log_warn("queue intake refused reason=%s",
			    journal_is_failing() ? "\"the spool cannot be written\""
						 : "\"the file system of the spool is full\"");
		}
		queue_stats.refused++;
		ipc_reply(ipc, msg->call, MSG_MAIL_ID, &(struct msg_mail_id){ .reply = FULL });
		return;
	}
	struct message *m = message_new(message_next_id());
	m->open = true;
	m->from = ipc;
	m->next_n = 1;
	m->whole = true;
	TAILQ_INSERT_TAIL(&open_messages, m, arriving);
	ipc_reply(ipc, msg->call, MSG_MAIL_ID, &(struct msg_mail_id){ .id = m->d.id, .reply = "" });
}

static struct message *
find_open(struct ipc *ipc, uint64_t id)
{
	struct message *m = message_find(id);

	return m != NULL && m->open && m->from == ipc ? m : NULL;
}

static void
write_piece(struct message *m)
{
	if (m->d.pieces + 1 >= SPOOL_PIECES_MAX)
		m->too_long = true;
	else if (room_is_short() || !room_for(m->body_len))
		m->broken = true;
	else if ((!m->marked && !spool_put_mark(m->d.id)) ||
		 !spool_put_piece(m->d.id, m->d.pieces, m->body, m->body_len)) {
		log_warn("%s intake failed reason=%s", message_id(m), log_quote(spool_error()));
		m->broken = true;
		journal_commit(); /* rolls back when it must, and tells the others */
	} else {
		m->marked = true;
		m->d.pieces++;
		room_wrote(m->body_len);
		journal_wrote();
	}
	m->body_len = 0;
}

static void
append(struct message *m, const char *data, size_t len)
{
	if (m->body_len + len > m->body_cap) {
		size_t cap = m->body_len + len;
		m->body_cap = cap < 4096                  ? 4096
			      : cap < SPOOL_PIECE_LEN / 2 ? cap * 2
							  : SPOOL_PIECE_LEN;
		m->body = xrealloc(m->body, m->body_cap, 1);
	}
	memcpy(m->body + m->body_len, data, len);
	m->body_len += len;
}

void
intake_body(struct ipc *ipc, struct msg *msg, void *arg)
{
	const struct msg_mail_body *b = msg->body;
	struct message *m = find_open(ipc, b->id);
	const char *data = b->data.data;
	size_t len = b->data.len;

	(void)arg;
	if (m == NULL)
		return;
	m->d.size += len;
	room_took(len);
	while (len > 0 && !m->too_long && !m->broken) {
		if (m->body_len == SPOOL_PIECE_LEN)
			write_piece(m);
		size_t room = SPOOL_PIECE_LEN - m->body_len;
		size_t n = len < room ? len : room;
		append(m, data, n);
		data += n;
		len -= n;
	}
}

/* Of what goes into commands of SMTP no byte may end a line. */
static bool
is_sane(const char *s)
{
	return strlen(s) <= TEXT_MAX && !text_has_control(s);
}

void
intake_rcpt(struct ipc *ipc, struct msg *msg, void *arg)
{
	const struct msg_mail_rcpt *r = msg->body;
	struct message *m = find_open(ipc, r->id);

	(void)arg;
	if (m == NULL)
		return;
	if (m->next_n >= SPOOL_N_MAX / 2) {
		m->broken = true;
		return;
	}
	if (*r->rcpt == '\0' || !is_sane(r->rcpt) || !is_sane(r->orcpt)) {
		m->insane = true;
		return;
	}
	struct envelope *e = envelope_new(m,
	    &(struct spool_envelope){
		.n = m->next_n++, .rcpt = r->rcpt, .orcpt = r->orcpt, .notify = r->notify & 15 });
	e->state = ENVELOPE_FRESH;
}

/* The next commit deletes them, or one when there is room for that, or the next start. */
void
intake_remains(uint64_t id)
{
	if (n_remains < REMAINS_MAX)
		remains[n_remains++] = id;
	journal_wrote();
}

bool
intake_sweep(void)
{
	for (size_t i = 0; i < n_remains; i++)
		if (!spool_delete_marked(remains[i]))
			return false;
	return true;
}

void
intake_swept(void)
{
	n_remains = 0;
}

/* Takes an open message away, with what it has in the spool. */
static void
drop(struct message *m)
{
	TAILQ_REMOVE(&open_messages, m, arriving);
	if (m->marked)
		intake_remains(m->d.id);
	message_free(m);
}

void
intake_commit(struct ipc *ipc, struct msg *msg, void *arg)
{
	const struct msg_mail_commit *c = msg->body;
	struct message *m = find_open(ipc, c->id);
	const char *reply = "";
	struct envelope *e;

	(void)arg;
	if (m == NULL)
		reply = "451 4.3.0 Message is not known here";
	else if (m->insane || !is_sane(c->sender) || !is_sane(c->auth) || !is_sane(c->envid) ||
		 !is_sane(c->client) || strlen(c->helo) > TEXT_MAX || !is_sane(c->tag))
		reply = "554 5.6.0 This envelope is none";
	else if (m->too_long)
		reply = "552 5.3.4 Message too big";
	else if (m->broken)
		reply = FULL;
	else if (c->reentry[0] != '\0' && !reentry_check(c->reentry))
		reply = "550 5.7.1 Only mail that comes back from where this host sent it is taken "
			"here";
	else if (TAILQ_EMPTY(&m->envelopes))
		reply = "554 5.5.1 No valid recipients";
	if (*reply != '\0') {
		ipc_reply(ipc, msg->call, MSG_MAIL_STORED, &(struct msg_mail_stored){ reply });
		if (m != NULL)
			drop(m);
		return;
	}
	spool_message_copy(&m->d, &(struct spool_message){ .id = m->d.id,
				      .created = clock_wall_sec(),
				      .sender = c->sender,
				      .client = c->client,
				      .helo = c->helo,
				      .tag = c->tag,
				      .auth = c->auth,
				      .envid = c->envid,
				      .local = c->local,
				      .ret = c->ret,
				      .eightbit = c->eightbit,
				      .utf8 = c->utf8,
				      .size = m->d.size,
				      .pieces = m->d.pieces + (m->body_len > 0) });
	TAILQ_FOREACH(e, &m->envelopes, of_message) {
		e->d.created = e->d.next_try = m->d.created;
		warning_set(e);
	}
	m->call = msg->call;
	TAILQ_REMOVE(&open_messages, m, arriving);
	journal_add_message(m);
}

void
intake_abort(struct ipc *ipc, struct msg *msg, void *arg)
{
	const struct msg_mail_abort *a = msg->body;
	struct message *m = find_open(ipc, a->id);

	(void)arg;
	if (m != NULL)
		drop(m);
}

/* An smtp process has ended: nothing of what it began will be completed. */
void
intake_gone(struct ipc *ipc)
{
	struct message *m, *next;

	TAILQ_FOREACH_SAFE(m, &open_messages, arriving, next)
		if (m->from == ipc)
			drop(m);
}

/* Pieces since the last commit are lost: whoever had any must not be committed. */
void
intake_rolled_back(void)
{
	struct message *m;

	TAILQ_FOREACH(m, &open_messages, arriving)
		if (m->marked)
			m->broken = true;
}
