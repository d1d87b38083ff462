/*
 * A transaction on a connection (client.c): what is said for a parcel, and what the server's
 * replies mean for its recipients.  A refusal of MAIL, DATA or the dot is each recipient's; LMTP
 * answers for each one.  client_lines.c has the lines, client_data.c sends the body.
 */
#include "client.h"
#include "conn.h"
#include "text.h"

#include <event2/buffer.h>
#include <string.h>

static void finish(struct client *);

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
	const char *lack, *status;

	p->utf8 = false;
	for (size_t i = 0; i < p->n_rcpts; i++) {
		struct parcel_rcpt *rcpt = &p->rcpts[i];
		rcpt->asked = rcpt->again = false;
		if (rcpt->state == PARCEL_ANSWERED)
			continue;
		lack = client_utf8_lack(c, i, &status);
		if (text_has_control(rcpt->dest) || text_has_control(p->sender))
			parcel_answer(
			    p, i, OUTCOME_FAILED, "5.1.3", "address with a control character", "");
		else if (c->size_limit != 0 && p->size > c->size_limit)
			parcel_answer(p, i, OUTCOME_FAILED, "5.3.4",
			    "the message is larger than the server takes", c->host);
		else if (lack != NULL && !(c->features & SMTPUTF8))
			parcel_answer(p, i, OUTCOME_FAILED, status, lack, c->host);
		else if (p->eightbit && !(c->features & EIGHTBIT) && !c->is_lmtp)
			/* RFC 6152 3 leaves this or conversion, which would break its signatures. */
			parcel_answer(p, i, OUTCOME_FAILED, "5.6.3",
			    "the message has 8-bit characters, which the server does not take "
			    "(8BITMIME)",
			    c->host);
		else
			rcpt->asked = true;
		p->utf8 = p->utf8 || (rcpt->asked && lack != NULL);
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

/* What the history of a message shows: which of our addresses it went from. */
static void
note_source(const struct client *c, struct parcel *p)
{
	struct sockaddr_storage own = { 0 };
	socklen_t len = sizeof(own);

	if (getsockname(conn_fd(c->conn), (struct sockaddr *)&own, &len) == 0 &&
	    own.ss_family != AF_UNIX)
		netaddr_text(&own, p->source, sizeof(p->source));
}

void
client_take(struct client *c, struct parcel *p)
{
	note_source(c, p);
	memcpy(p->tls, c->tls, sizeof(p->tls));
	c->parcel = p;
	c->answered = c->sent_all = c->has_rcpt = false;
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
		client_go(c, c->must_reset ? STEP_RSET : STEP_MAIL);
}

/*
 * Over, and the connection goes on, with the recipients that were too many for one transaction; unless
 * the server has said more than it was asked for, or has had its share.
 */
static void
finish(struct client *c)
{
	struct parcel *p = c->parcel;
	struct route *r = c->route;
	bool more = parcel_has_more(p);

	if (!more)
		parcel_free(p);
	c->parcel = NULL;
	c->piped = false;
	c->n_done++;
	if (c->must_end || evbuffer_get_length(conn_in(c->conn)) > 0 ||
	    c->n_done >= route_limit(r)->messages) {
		client_quit(c);
		if (more)
			route_take_back(r, p);
		route_on_busy_end(r);
	} else if (more) {
		client_take(c, p);
	} else {
		client_go(c, STEP_IDLE);
		route_on_done(r, c);
	}
}

bool
client_leave(struct client *c, const struct target_reply *r)
{
	const struct conf_action *a = route_action(c->route);
	const char *name = route_name(c->route);

	if (c->source[0] == '\0' || a == NULL || a->source == NULL ||
	    c->parcel->moves >= SOURCE_TRIES_MAX ||
	    !choice_is_policy(r->code, r->status, r->text, c->source) ||
	    !source_has_other(a->source, name, c->source))
		return false;
	source_blame(c->source, name, CHOICE_POLICY, r->text);
	c->parcel->moves++;
	return client_abandon(c);
}

/* RFC 5321 4.5.3.1.10; old servers say 552.  With another status it is about the mailbox. */
static bool
is_too_many(const struct target_reply *r)
{
	const char *detail = r->status[0] == '\0' ? "" : r->status + 1;

	return (r->code == 452 || r->code == 552) &&
	       (strncmp(detail, ".5.", 3) == 0 || strcmp(detail, ".0.0") == 0);
}

/* "550 …" is for good, "450 …" for later. */
static void
answer_by(struct client *c, size_t rcpt, const struct target_reply *r)
{
	enum outcome o = r->code / 100 == 2 ? OUTCOME_DONE
			 : r->code / 100 == 5 && !(c->step == STEP_RCPT && is_too_many(r))
			     ? OUTCOME_FAILED
			     : OUTCOME_LATER;
	const char *status = o == OUTCOME_LATER && r->status[0] != '4' ? "4.0.0" : r->status;

	parcel_answer(c->parcel, rcpt, o, status, r->text, c->host);
}

static void
note_taken(struct client *c)
{
	host_took(client_host(c), route_limit(c->route)->connections);
	if (c->source[0] != '\0')
		source_took(c->source, route_name(c->route));
}

/* A 4xx that is no recipient's is the host's: it has enough for now. */
static void
note_health(struct client *c, const struct target_reply *r)
{
	if (r->code / 100 == 4)
		host_pushed_back(client_host(c), r->text);
	else if (r->code / 100 == 2 && c->step == STEP_BODY)
		note_taken(c);
}

static void
answer_all_by(struct client *c, const struct target_reply *r)
{
	note_health(c, r);
	/* Who was one too many is meant by what the server thinks of itself only. */
	for (size_t i = 0; i < c->parcel->n_rcpts; i++)
		if (!c->parcel->rcpts[i].again || r->code / 100 == 4)
			answer_by(c, i, r);
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
		client_put_mail(c, &t);
	if (c->piped) {
		const struct parcel *p = c->parcel;
		for (size_t i = c->rcpt; i < p->n_rcpts; i = next_asked(p, i + 1))
			client_put_rcpt(c, &t, i);
		text_put(&t, "DATA\r\n");
	}
	client_say(c, t.s, t.len);
}

void
say_rset(struct client *c)
{
	say_from(c, STEP_RSET);
}

void
got_rset(struct client *c, const struct target_reply *r)
{
	if (r->code / 100 != 2) {
		client_lost(c, "4.5.0", r->text);
		return;
	}
	c->must_reset = false;
	client_go(c, STEP_MAIL);
}

void
say_mail(struct client *c)
{
	say_from(c, STEP_MAIL);
}

void
got_mail(struct client *c, const struct target_reply *r)
{
	if (client_leave(c, r))
		return;
	if (r->code / 100 != 2)
		answer_all_by(c, r);
	if (r->code / 100 == 2 || c->piped)
		client_go(c, STEP_RCPT);
	else
		finish(c);
}

void
say_rcpt(struct client *c)
{
	struct text t = { 0 };

	client_put_rcpt(c, &t, c->rcpt);
	client_say(c, t.s, t.len);
	text_free(&t);
}

void
got_rcpt(struct client *c, const struct target_reply *r)
{
	struct parcel *p = c->parcel;

	if (client_leave(c, r))
		return;
	c->has_rcpt = c->has_rcpt || r->code / 100 == 2;
	if (r->code / 100 == 2)
		parcel_accept(p, c->rcpt);
	else if (p->n_accepted > 0 && is_too_many(r))
		p->rcpts[c->rcpt].again = true;
	else
		answer_by(c, c->rcpt, r);
	c->rcpt = next_asked(p, c->rcpt + 1);
	if (c->rcpt < p->n_rcpts) {
		client_go(c, STEP_RCPT);
	} else if (c->piped || p->n_accepted > 0) {
		client_go(c, STEP_DATA);
	} else {
		c->must_reset = true;
		finish(c);
	}
}

void
say_data(struct client *c)
{
	client_say(c, "DATA\r\n", 6);
}

void
got_data(struct client *c, const struct target_reply *r)
{
	bool goes_on = r->code / 100 == 3;

	if (client_leave(c, r))
		return;
	c->piped = false;
	/* A 2xx here, or more behind the 354, is an answer to something else: believed, it would count as
	 * delivered what was never sent. */
	if (r->code / 100 == 2 || (goes_on && evbuffer_get_length(conn_in(c->conn)) > 0)) {
		client_lost(c, "4.5.0", "the server's answers are out of step at DATA");
		return;
	}
	if (goes_on && c->parcel->n_accepted > 0) {
		client_go(c, STEP_BODY);
	} else if (goes_on && c->has_rcpt) {
		/* It refused MAIL, and took recipients: with a dot they would get an empty message. */
		c->must_end = true;
		finish(c);
	} else if (goes_on) {
		client_go(c, STEP_EMPTY); /* RFC 2920 3.1: all were refused, and it awaits data */
	} else {
		answer_all_by(c, r);
		c->must_reset = true;
		finish(c);
	}
}

void
say_empty(struct client *c)
{
	client_say(c, ".\r\n", 3);
}

void
got_empty(struct client *c, const struct target_reply *r)
{
	(void)r;
	c->must_reset = true;
	finish(c);
}

/* LMTP answers once for each recipient that it accepted, in their order (RFC 2033 4.2). */
void
got_body(struct client *c, const struct target_reply *r)
{
	struct parcel *p = c->parcel;

	if (!c->sent_all) {
		if (r->code >= 400)
			answer_all_by(c, r);
		client_lost(c, "4.5.0", "the server answered before the end of the data");
		return;
	}
	if (!c->is_lmtp) {
		if (client_leave(c, r))
			return;
		answer_all_by(c, r);
		finish(c);
		return;
	}
	while (c->rcpt < p->n_rcpts && p->rcpts[c->rcpt].state != PARCEL_ACCEPTED)
		c->rcpt++;
	answer_by(c, c->rcpt, r);
	if (r->code / 100 == 2)
		note_health(c, r);
	if (p->n_accepted == 0)
		finish(c);
}
