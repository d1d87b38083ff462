/*
 * MAIL: a transaction's beginning and end (RFC 5321 4.1.1.2, 1870, 6152, 3461, 6531).
 *
 * Who has logged in on a listener with `senders` is asked for first, at lookup: whether this address
 * is his.
 *
 * queue is asked for a message's id as soon as MAIL comes, and the client's reply does not wait for
 * it: DATA does.  At most one such question is open for a session.  What was begun at queue is
 * committed (cmd_data.c) or aborted here, also when the id arrives after the session has left.
 */
#include "conf.h"
#include "local.h"
#include "log.h"
#include "../role.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

/* The question for an id; it outlives its session. */
struct begin {
	struct session *session; /* NULL: left */
	bool wanted;             /* a transaction waits for it */
};

static unsigned offered(const struct session *);
static const char *refusal(const struct session *, const struct mail_params *);
static bool has_to_ask(const struct session *, bool null_sender);
static void ask_sender(struct session *);
static void sender_on_verdict(const struct msg *, void *arg);
static void accept_sender(struct session *);
static void begin(struct session *);
static void on_mail_id(const struct msg *, void *arg);
static void free_transaction(struct session *);

void
cmd_mail(struct session *s, char *args)
{
	char text[ADDR_TEXT_LEN];
	struct mail_params params;
	struct addr sender;
	const char *wrong = smtp_parse_mail(args, offered(s), &sender, &params);

	if (smtp.paused) {
		smtp.deferred++;
		smtp_count_changed();
		session_replyf(s, "421 4.3.2 %s takes no mail now", s->hostname);
		session_close(s, "paused", true);
		return;
	}
	if (wrong == NULL)
		wrong = refusal(s, &params);
	bool asks = wrong == NULL && has_to_ask(s, addr_text(&sender, text)[0] == '\0');
	if (asks && smtp.n_asked >= ASKED_MAX)
		wrong = "451 4.3.2 too busy, try again later";
	if (wrong != NULL) {
		session_refuse(s, "MAIL", wrong);
		if (strncmp(wrong, "421", 3) == 0)
			session_close(s, "messages", true);
		return;
	}
	struct transaction *tx = s->tx = xcalloc(1, sizeof(*tx));
	tx->sender = xstrdup(text);
	tx->envid = xstrdup(params.envid);
	tx->ret = params.ret;
	tx->utf8 = params.utf8;
	STAILQ_INIT(&tx->asked);
	STAILQ_INIT(&tx->accepted);
	if (asks)
		ask_sender(s);
	else
		accept_sender(s);
}

static unsigned
offered(const struct session *s)
{
	return (s->listener->dsn ? OFFERS_DSN : 0) |
	       (s->listener->auth != AUTH_NONE ? OFFERS_AUTH : 0);
}

static const char *
refusal(const struct session *s, const struct mail_params *params)
{
	if (s->listener->auth == AUTH_REQUIRED && !cmd_auth_is_open(s))
		return "530 5.7.0 STARTTLS and AUTH come first";
	if (s->listener->auth == AUTH_REQUIRED && s->auth == NULL)
		return "530 5.7.0 AUTH comes first";
	if (params->size > smtp_max_len())
		return "552 5.3.4 the message is too big";
	if (s->n_messages >= process.conf->limit.smtp.messages)
		return "421 4.7.0 too many messages in this session";
	if (smtp.full)
		return "452 4.3.1 too much memory in use, try again later";
	if (s->begin == NULL && smtp.n_begun >= ASKED_MAX)
		return "451 4.3.2 too busy, try again later";
	return NULL;
}

/* The null sender is no address of anybody's: a receipt (RFC 8098) has it. */
static bool
has_to_ask(const struct session *s, bool null_sender)
{
	return s->auth != NULL && s->listener->senders && (!null_sender || s->listener->masquerade);
}

static void
ask_sender(struct session *s)
{
	struct msg_ask_sender m = {
		.listener = s->listener->index, .user = s->auth, .sender = s->tx->sender
	};

	s->wait = WAIT_VERDICT;
	smtp.n_asked++;
	s->call = ipc_call(smtp.lookup, MSG_ASK_SENDER, &m, sender_on_verdict, s);
}

static void
sender_on_verdict(const struct msg *m, void *arg)
{
	const struct msg_verdict *v = m == NULL ? NULL : m->body;
	struct session *s = arg;
	char reply[REPLY_LEN_MAX + 1];

	s->call = NULL;
	s->wait = WAIT_NONE;
	smtp.n_asked--;
	if (v != NULL && v->verdict == VERDICT_ACCEPT) {
		accept_sender(s);
	} else {
		bool never = v != NULL && v->verdict == VERDICT_NEVER;
		cmd_mail_reset(s);
		session_refuse(s, "MAIL",
		    reply_clean(reply, v == NULL ? "" : v->reply,
			never ? VERDICT_NEVER : VERDICT_LATER,
			never ? "553 5.7.1 not your address" : "451 4.3.0 try again later"));
	}
	session_run(s);
}

static void
accept_sender(struct session *s)
{
	s->phase = PHASE_MAIL;
	s->bad = 0;
	session_reply(s, "250 2.1.0 ok");
	begin(s);
}

static void
begin(struct session *s)
{
	if (s->begin != NULL) { /* a RSET came before the answer: it serves now */
		s->begin->wanted = true;
		return;
	}
	s->begin = xcalloc(1, sizeof(*s->begin));
	*s->begin = (struct begin){ .session = s, .wanted = true };
	smtp.n_begun++;
	ipc_call(smtp.queue, MSG_MAIL_BEGIN, &(struct msg_mail_begin){}, on_mail_id, s->begin);
}

static void
on_mail_id(const struct msg *m, void *arg)
{
	const struct msg_mail_id *a = m == NULL ? &(struct msg_mail_id){ .reply = "" } : m->body;
	struct begin *b = arg;
	struct session *s = b->session;
	bool wanted = b->wanted;
	char reply[REPLY_LEN_MAX + 1];

	smtp.n_begun--;
	free(b);
	if (s != NULL)
		s->begin = NULL;
	if (s == NULL || !wanted) {
		if (a->id != 0)
			ipc_send(
			    smtp.queue, MSG_MAIL_ABORT, &(struct msg_mail_abort){ .id = a->id });
		return;
	}
	s->tx->id = a->id;
	if (a->id == 0)
		s->tx->refusal = xstrdup(
		    reply_clean(reply, a->reply, a->reply[0] == '5' ? VERDICT_NEVER : VERDICT_LATER,
			"451 4.3.0 try again later"));
	if (s->wait == WAIT_ID) {
		s->wait = WAIT_NONE;
		if (s->chunk.open)
			cmd_bdat_start(s);
		else
			cmd_data_start(s);
		session_run(s);
	}
}

void
cmd_mail_reset(struct session *s)
{
	if (s->tx == NULL)
		return;
	if (s->tx->id != 0)
		ipc_send(smtp.queue, MSG_MAIL_ABORT, &(struct msg_mail_abort){ .id = s->tx->id });
	if (s->begin != NULL)
		s->begin->wanted = false;
	free_transaction(s);
	s->phase = PHASE_READY;
}

void
cmd_mail_orphan(struct session *s)
{
	if (s->begin != NULL)
		s->begin->session = NULL;
	s->begin = NULL;
}

static void
free_transaction(struct session *s)
{
	struct transaction *tx = s->tx;
	struct rcpt *r;

	while ((r = STAILQ_FIRST(&tx->asked)) != NULL) {
		STAILQ_REMOVE_HEAD(&tx->asked, entry);
		cmd_rcpt_free(r);
	}
	while ((r = STAILQ_FIRST(&tx->accepted)) != NULL) {
		STAILQ_REMOVE_HEAD(&tx->accepted, entry);
		cmd_rcpt_free(r);
	}
	free(tx->sender);
	free(tx->envid);
	free(tx->refusal);
	body_free(tx);
	free(tx);
	s->tx = NULL;
}
