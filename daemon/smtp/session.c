/*
 * A session: from accept to the end of the connection.
 *
 * Called by smtp.c (session_new), by conn.h's callbacks, and by the commands when an answer has
 * come.  session_run() takes lines and data from the input as long as nothing is waited for; it is
 * the only reader.  A session is freed by its connection's callbacks only, never below
 * session_run(): commands mark it with session_close().
 */
#include "clock.h"
#include "conf.h"
#include "conn.h"
#include "local.h"
#include "log.h"
#include "../role.h"
#include "secret.h"
#include "text.h"

#include <bsd/stdlib.h>
#include <bsd/string.h>
#include <ctype.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CLOSE_SEC      30          /* for the last reply to go out */
#define LINGER_SEC     5           /* for the client to see it */
#define OUT_MAX        (64 * 1024) /* replies that a client has not fetched */
#define IDLE_FACTOR    10          /* commands that bring nothing, for each that may err */
#define INPUT_STOPS_AT (64 * 1024) /* conn.h's limit */

struct session_list session_list = TAILQ_HEAD_INITIALIZER(session_list);

static void session_on_input(void *);
static void session_on_eof(void *);
static void session_on_drained(void *);
static void session_on_secure(void *);
static void session_on_end(enum conn_end, int error, void *);
static enum line next_line(struct session *, char *line);

static const struct conn_ops conn_ops = { .on_input = session_on_input,
	.on_eof = session_on_eof,
	.on_secure = session_on_secure,
	.on_drained = session_on_drained,
	.on_end = session_on_end };

void
session_new(const struct listener *l, int fd, const struct peer *peer)
{
	struct session *s = xcalloc(1, sizeof(*s));

	s->listener = l;
	s->hostname = l->hostname;
	s->near = s->local = peer->local;
	s->xclient = peer->xclient;
	s->exempt = peer->exempt;
	s->uid = peer->uid;
	s->admission = peer->admission;
	strlcpy(s->client, peer->client, sizeof(s->client));
	snprintf(s->id, sizeof(s->id), "%08x%08x", arc4random(), arc4random());
	TAILQ_INSERT_TAIL(&session_list, s, entry);
	smtp.n_sessions++;
	smtp.sessions_total++;
	smtp_count_changed();
	s->born_ms = clock_mono_ms();
	s->conn = conn_new(process.base, fd, &conn_ops, s);
	patience_deadline(s);
	if (l->proxies != NULL) {
		peer_await(s);
		return;
	}
	if (l->submit)
		log_info(
		    "%s smtp event=connected address=local uid=%lu", s->id, (unsigned long)s->uid);
	else
		log_info("%s smtp event=connected address=%s", s->id, s->client);
	peer_name(s, NULL, session_open);
}

void
session_open(struct session *s)
{
	if (s->listener->tls == TLS_SMTPS)
		starttls_begin(s);
	else
		patience_greet(s);
}

static void
session_on_secure(void *arg)
{
	struct session *s = arg;

	starttls_on_secure(s);
	session_run(s);
}

static void
session_on_input(void *arg)
{
	struct session *s = arg;

	smtp_count_changed(); /* what it holds is looked at */
	if (s->wait == WAIT_PROXY)
		peer_read(s);
	else if (s->greeting != NULL)
		patience_early_talk(s);
	else if (s->lingering)
		evbuffer_drain(conn_in(s->conn), evbuffer_get_length(conn_in(s->conn)));
	else
		session_run(s);
}

/* A client that has sent all it had, and still reads: it gets its replies (nc -N). */
static void
session_on_eof(void *arg)
{
	struct session *s = arg;

	s->eof = true;
	if (s->lingering || s->wait == WAIT_PROXY)
		session_free(s, s->lingering ? s->reason : "proxy");
	else
		session_run(s);
}

static bool
waits(const struct session *s)
{
	return s->wait != WAIT_NONE || s->paused || (s->tx != NULL && s->tx->n_asked > 0) ||
	       evbuffer_get_length(conn_out(s->conn)) >= OUT_MAX;
}

void
session_run(struct session *s)
{
	static char line[COMMAND_LINE_MAX + 1];
	struct evbuffer *in = conn_in(s->conn);
	bool was_full = evbuffer_get_length(in) >= INPUT_STOPS_AT, worked = false;

	while (!s->closing && s->wait == WAIT_NONE && !s->paused &&
	       evbuffer_get_length(conn_out(s->conn)) < OUT_MAX) {
		if (s->phase == PHASE_DATA) {
			if (!cmd_data_read(s))
				break;
			continue;
		}
		if (s->chunk.open) {
			if (!cmd_bdat_read(s))
				break;
			continue;
		}
		enum line got = next_line(s, line);
		if (got == LINE_MORE)
			break;
		worked = true;
		switch (got) {
		case LINE_OK:
			if (s->auth_step != AUTH_STEP_NONE)
				cmd_auth_line(s, line);
			else
				command_run(s, line);
			break;
		case LINE_LONG:
			s->auth_step = AUTH_STEP_NONE;
			session_refuse(s, "?", "500 5.5.2 too long a line");
			break;
		case LINE_BARE_LF:
			s->auth_step = AUTH_STEP_NONE;
			session_refuse(s, "?", "500 5.5.2 lines end with CR LF, not with LF");
			break;
		case LINE_CONTROL:
			s->auth_step = AUTH_STEP_NONE;
			session_refuse(s, "?", "500 5.5.2 a CR or a NUL within a line");
			break;
		case LINE_MORE: break;
		}
	}
	secret_wipe(line, sizeof(line));
	if (s->eof && !waits(s))
		session_close(s, "closed", false); /* nothing is left to be done */
	if (s->closing)
		return;
	bool owed = patience_owes(s);
	if (owed != s->owed || (worked && s->phase != PHASE_DATA && !s->chunk.open)) {
		s->owed = owed;
		patience_deadline(s);
	}
	if (was_full && evbuffer_get_length(in) < INPUT_STOPS_AT && !s->paused)
		conn_resume(s->conn);
}

/* What is thrown away may be a piece of a password. */
static void
drain_wiped(struct evbuffer *in, size_t len)
{
	struct evbuffer_iovec iov;

	while (len > 0 && evbuffer_peek(in, 1, NULL, &iov, 1) > 0) {
		size_t n = iov.iov_len < len ? iov.iov_len : len;
		secret_wipe(iov.iov_base, n);
		evbuffer_drain(in, n);
		len -= n;
	}
}

/* The rest of a line that was refused. */
static bool
eat(struct session *s)
{
	struct evbuffer *in = conn_in(s->conn);
	struct evbuffer_ptr at = evbuffer_search(in, "\r\n", 2, NULL);
	size_t len = evbuffer_get_length(in);

	if (at.pos == -1) {
		drain_wiped(in, len == 0 ? 0 : len - 1); /* the last byte may be a CR */
		return false;
	}
	drain_wiped(in, (size_t)at.pos + 2);
	s->eating = false;
	return true;
}

/* While recipients wait for their verdicts, only a RCPT may run ahead, and not too many. */
static bool
may_run(const struct session *s, enum line got, const char *p)
{
	if (s->tx == NULL || s->tx->n_asked == 0)
		return true;
	return got == LINE_OK && strncasecmp(p, "RCPT TO:", 8) == 0 &&
	       s->tx->n_asked < RCPT_AHEAD_MAX && smtp.n_asked < ASKED_AHEAD_MAX;
}

/* A line that a password may stand in: one of AUTH, whole or not. */
static bool
is_secret(const struct session *s, const char *p, size_t len)
{
	return s->auth_step != AUTH_STEP_NONE ||
	       (len > 4 && strncasecmp(p, "AUTH", 4) == 0 && isblank((unsigned char)p[4]));
}

/* Takes the next line without its end.  LINE_MORE: there is none, or it has to wait. */
static enum line
next_line(struct session *s, char *line)
{
	struct evbuffer *in = conn_in(s->conn);
	size_t have, window, len;

	if (s->eating && !eat(s))
		return LINE_MORE;
	have = evbuffer_get_length(in);
	if (have == 0)
		return LINE_MORE;
	window = have < COMMAND_LINE_MAX ? have : COMMAND_LINE_MAX;
	char *p = (char *)evbuffer_pullup(in, (ev_ssize_t)window);
	enum line got = smtp_parse_scan(p, window, &len);
	if (got == LINE_MORE || !may_run(s, got, p))
		return LINE_MORE;
	s->eating = got == LINE_LONG || got == LINE_BARE_LF;
	if (got == LINE_OK) {
		memcpy(line, p, len - 2);
		line[len - 2] = '\0';
	}
	if (is_secret(s, p, len))
		drain_wiped(in, len);
	else
		evbuffer_drain(in, len);
	return got;
}

void
session_reply(struct session *s, const char *line)
{
	struct evbuffer *out = conn_out(s->conn);

	evbuffer_add(out, line, strlen(line));
	evbuffer_add(out, "\r\n", 2);
	conn_send(s->conn);
}

void
session_replyf(struct session *s, const char *fmt, ...)
{
	char line[REPLY_LEN_MAX + 1];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	session_reply(s, line);
}

static void
count_refusal(const char *reply)
{
	if (reply[0] == '4')
		smtp.deferred++;
	else
		smtp.refused++;
	smtp_count_changed();
}

/* A client that does nothing but err is shown the door, and so is, later, one that keeps itself busy. */
static void
count_bad(struct session *s)
{
	if (++s->bad < process.conf->limit.smtp.errors) {
		session_count_idle(s);
		return;
	}
	session_replyf(s, "421 4.7.0 %s too many refused commands", s->hostname);
	session_close(s, "errors", true);
}

void
session_count_idle(struct session *s)
{
	if (s->closing || ++s->idle < process.conf->limit.smtp.errors * IDLE_FACTOR)
		return;
	session_replyf(s, "421 4.7.0 %s too many commands, and no mail", s->hostname);
	session_close(s, "idle", true);
}

void
session_refuse(struct session *s, const char *verb, const char *reply)
{
	log_info("%s smtp event=refused address=%s command=%s reply=%s", s->id, s->client, verb,
	    log_quote(reply));
	session_reply(s, reply);
	count_refusal(reply);
	count_bad(s);
}

void
session_refuse_rcpt(struct session *s, const char *rcpt, const char *reply)
{
	log_info("%s smtp event=refused address=%s command=RCPT from=%s to=%s reply=%s", s->id,
	    s->client, log_quote(s->tx->sender), log_quote(rcpt), log_quote(reply));
	session_reply(s, reply);
	count_refusal(reply);
	if (strncmp(reply, "501", 3) == 0 || strncmp(reply, "555", 3) == 0)
		count_bad(s); /* an unknown address is no bad command */
}

void
session_close(struct session *s, const char *reason, bool linger)
{
	if (s->closing)
		return;
	s->closing = true;
	s->reason = reason;
	s->linger = linger;
	conn_pause(s->conn);
	conn_deadline(s->conn, CLOSE_SEC);
	conn_send(s->conn);
}

/* Replies are out. */
static void
session_on_drained(void *arg)
{
	struct session *s = arg;

	if (!s->closing) {
		session_run(s); /* it may have stopped for them */
	} else if (s->linger && !s->lingering) {
		/* Closing while input is unread would reset the connection, replies and all. */
		s->lingering = true;
		conn_shutdown(s->conn);
		conn_deadline(s->conn, LINGER_SEC);
		conn_resume(s->conn);
	} else if (!s->lingering) {
		session_free(s, s->reason);
	}
}

static void
session_on_end(enum conn_end how, int error, void *arg)
{
	static const char *const reasons[] = { [CONN_CLOSED] = "closed",
		[CONN_TIMEOUT] = "timeout",
		[CONN_ERROR] = "error",
		[CONN_TLS] = "tls" };
	struct session *s = arg;

	(void)error;
	if (how == CONN_TLS)
		starttls_failed(s);
	if (how == CONN_TIMEOUT && !s->closing)
		conn_last_word(s->conn, "421 4.4.2 too long without a command\r\n");
	session_free(s, s->closing ? s->reason : reasons[how]);
}

void
session_free(struct session *s, const char *reason)
{
	if (s->commit != NULL) {
		/* queue stores it, and nobody is told: the client will send it again */
		log_info(
		    "%s smtp event=unanswered id=%012llx", s->id, (unsigned long long)s->tx->id);
		ipc_cancel(s->commit);
		smtp.n_begun--;
		s->tx->id = 0;
	}
	if (s->call != NULL) {
		ipc_send(smtp.lookup, MSG_ASK_LEFT,
		    &(struct msg_ask_left){ .call = ipc_call_id(s->call) });
		ipc_cancel(s->call);
		smtp.n_asked--;
	}
	cmd_mail_reset(s);
	cmd_mail_orphan(s);
	peer_left(s);
	log_info("%s smtp event=disconnected address=%s reason=%s", s->id, s->client, reason);
	TAILQ_REMOVE(&session_list, s, entry);
	smtp.n_sessions--;
	admit_leave(&s->admission);
	if (s->greeting != NULL)
		event_free(s->greeting);
	smtp_count_changed();
	drain_wiped(conn_in(s->conn), evbuffer_get_length(conn_in(s->conn)));
	conn_free(s->conn);
	free(s->own_name);
	free(s->client_name);
	free(s->helo);
	free(s->user);
	free(s->auth);
	free(s);
}

bool
session_is_private(const struct session *s)
{
	return s->listener->submit || conn_is_secure(s->conn);
}

void
session_user(struct session *s, const char *user)
{
	free(s->user);
	s->user = xstrdup(user);
}

void
session_pause(struct session *s)
{
	s->paused = true;
	conn_pause(s->conn);
}

void
session_resume_all(void)
{
	struct session *s;

	TAILQ_FOREACH(s, &session_list, entry) {
		if (!s->paused)
			continue;
		s->paused = false;
		conn_resume(s->conn);
		session_run(s);
	}
}

void
session_stop_all(void)
{
	char line[REPLY_LEN_MAX];
	struct session *s;

	TAILQ_FOREACH(s, &session_list, entry) {
		snprintf(line, sizeof(line), "421 4.3.2 %s is going down, try again later\r\n",
		    s->hostname);
		conn_last_word(s->conn, s->closing ? "" : line);
		log_info("%s smtp event=disconnected address=%s reason=stop", s->id, s->client);
	}
}
