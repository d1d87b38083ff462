/*
 * RCPT: a recipient's life (RFC 5321 4.1.1.3, 3461): asked for at lookup, answered in its turn,
 * kept in the transaction when it was accepted.
 *
 * The one command that may run ahead: RCPTs of one pipeline are asked together, at most
 * RCPT_AHEAD_MAX at a time, and answered in the order in which they came.  No other command runs
 * while one is open (session.c).
 */
#include "clock.h"
#include "conf.h"
#include "local.h"
#include "log.h"
#include "../role.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

static struct rcpt *add_rcpt(struct session *, const struct addr *, const struct rcpt_params *);
static void ask(struct rcpt *);
static void rcpt_on_verdict(const struct msg *, void *arg);
static void answer(struct rcpt *, enum verdict, const char *reply);
static void answer_in_order(struct session *);

void
cmd_rcpt(struct session *s, char *args)
{
	struct addr addr = { 0 };
	struct rcpt_params params;
	struct transaction *tx = s->tx;
	unsigned offered = (s->listener->dsn ? OFFERS_DSN : 0) | (tx->utf8 ? OFFERS_UTF8 : 0);
	const char *wrong = smtp_parse_rcpt(args, offered, &addr, &params);

	if (wrong == NULL && tx->n_accepted + tx->n_asked >= process.conf->limit.recipients)
		wrong = "452 4.5.3 too many recipients";
	if (wrong == NULL && s->n_rcpts >= process.conf->limit.smtp.recipients)
		wrong = "452 4.5.3 too many recipients in this session";
	if (wrong == NULL && smtp.full)
		wrong = "452 4.3.1 too much memory in use, try again later";
	if (wrong == NULL && smtp.n_asked >= ASKED_MAX)
		wrong = "451 4.3.2 too busy, try again later";
	struct rcpt *r = add_rcpt(s, &addr, &params);
	if (wrong != NULL)
		answer(r, wrong[0] == '4' ? VERDICT_LATER : VERDICT_NEVER, wrong);
	else
		ask(r);
}

static struct rcpt *
add_rcpt(struct session *s, const struct addr *addr, const struct rcpt_params *params)
{
	char text[ADDR_TEXT_LEN];
	size_t len = strlen(addr_text(addr, text));
	struct rcpt *r = xcalloc(1, sizeof(*r) + len + 1);

	r->session = s;
	memcpy(r->address, text, len + 1);
	r->notify = params->notify;
	r->orcpt = xstrdup(params->orcpt);
	STAILQ_INSERT_TAIL(&s->tx->asked, r, entry);
	s->tx->n_asked++;
	s->n_rcpts++;
	return r;
}

static void
ask(struct rcpt *r)
{
	struct session *s = r->session;
	struct msg_ask_rcpt m = { .client = s->client,
		.helo = s->helo,
		.local = s->local,
		.tag = s->listener->tag,
		.auth = s->auth,
		.sender = s->tx->sender,
		.rcpt = r->address };

	smtp.n_asked++;
	r->call = ipc_call(smtp.lookup, MSG_ASK_RCPT, &m, rcpt_on_verdict, r);
}

static void
rcpt_on_verdict(const struct msg *m, void *arg)
{
	static const struct msg_verdict none = { .verdict = VERDICT_LATER, .reply = "" };
	static const char *const otherwise[] = { [VERDICT_ACCEPT] = "250 2.1.5 ok",
		[VERDICT_LATER] = "451 4.3.0 cannot tell now, try again later",
		[VERDICT_NEVER] = "550 5.1.1 no such recipient here" };
	const struct msg_verdict *v = m == NULL ? &none : m->body;
	enum verdict verdict = v->verdict <= VERDICT_NEVER ? v->verdict : VERDICT_LATER;
	struct rcpt *r = arg;
	struct session *s = r->session;
	char reply[REPLY_LEN_MAX + 1];

	smtp.n_asked--;
	r->call = NULL;
	answer(r, verdict, reply_clean(reply, v->reply, verdict, otherwise[verdict]));
	session_run(s);
}

static void
answer(struct rcpt *r, enum verdict verdict, const char *reply)
{
	r->reply = xstrdup(reply);
	r->accepted = verdict == VERDICT_ACCEPT;
	answer_in_order(r->session);
}

static void
answer_in_order(struct session *s)
{
	struct transaction *tx = s->tx;
	struct rcpt *r;

	while ((r = STAILQ_FIRST(&tx->asked)) != NULL && r->reply != NULL) {
		STAILQ_REMOVE_HEAD(&tx->asked, entry);
		tx->n_asked--;
		if (!r->accepted) {
			session_refuse_rcpt(s, r->address, r->reply);
			cmd_rcpt_free(r);
			continue;
		}
		session_reply(s, r->reply);
		free(r->reply);
		r->reply = NULL;
		STAILQ_INSERT_TAIL(&tx->accepted, r, entry);
		tx->n_accepted++;
		tx->worked_ms = clock_mono_ms();
		s->phase = PHASE_RCPT;
		s->bad = 0;
	}
}

void
cmd_rcpt_free(struct rcpt *r)
{
	if (r->call != NULL) {
		ipc_send(smtp.lookup, MSG_ASK_LEFT,
		    &(struct msg_ask_left){ .call = ipc_call_id(r->call) });
		ipc_cancel(r->call);
		smtp.n_asked--;
	}
	free(r->reply);
	free(r->orcpt);
	free(r);
}
