/*
 * AUTH: a client's login (RFC 4954), PLAIN (RFC 4616) and LOGIN.
 *
 *	cmd_auth           the mechanism, and what came with it
 *	cmd_auth_line      an answer to our challenge; "*" gives up
 *	got_plain          authorization identity, user, password
 *	got_login          the user, then the password
 *	ask                lookup; nothing that a helper's line could not hold leaves here
 *	auth_on_verdict    235, 535, or "try later"
 *
 * A password stands in the input's buffer, in a line, and in the question; each is wiped.  The log line
 * of a failure has the form that sshguard's and fail2ban's rules for OpenSMTPD match; when the client has left
 * before the answer, lookup writes it (lookup/auth.c).
 */
#include "base64.h"
#include "conf.h"
#include "conn.h"
#include "local.h"
#include "log.h"
#include "../role.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define USER_MAX      255
#define PASSWORD_MAX  1024
#define FAILURES_MAX  3 /* of one session */
#define CHALLENGE_MAX 16

static const char failed[] = "535 5.7.8 Authentication failed";

static void challenge(struct session *, enum auth_step, const char *text);
static void take(struct session *, char *base64);
static void got_plain(struct session *, char *data, size_t len);
static void got_login(struct session *, char *data, size_t len);
static void ask(struct session *, const char *user, const char *password);
static void auth_on_verdict(const struct msg *, void *arg);
static void give_up(struct session *, const char *reply);
static void fail(struct session *, const char *reply);

/* Whether a password may come over this connection. */
bool
cmd_auth_is_open(const struct session *s)
{
	return s->listener->auth != AUTH_NONE && !starttls_is_missing(s) &&
	       (session_is_private(s) || s->listener->loopback);
}

void
cmd_auth(struct session *s, char *args)
{
	char *initial = args + strcspn(args, " ");

	if (*initial != '\0')
		*initial++ = '\0';
	s->mechanism = strcasecmp(args, "PLAIN") == 0   ? "PLAIN"
		       : strcasecmp(args, "LOGIN") == 0 ? "LOGIN"
							: NULL;
	if (s->listener->auth == AUTH_NONE)
		session_refuse(s, "AUTH", "502 5.5.1 not implemented");
	else if (s->phase != PHASE_READY)
		session_refuse(
		    s, "AUTH", "503 5.5.1 EHLO comes first, and no transaction may be open");
	else if (*args == '\0')
		session_refuse(s, "AUTH", "501 5.5.4 an argument is missing");
	else if (!cmd_auth_is_open(s))
		session_refuse(s, "AUTH", "538 5.7.11 Encryption required: STARTTLS comes first");
	else if (s->auth != NULL)
		session_refuse(s, "AUTH", "503 5.5.1 this session has authenticated already");
	else if (!s->esmtp)
		session_refuse(s, "AUTH", "503 5.5.1 EHLO comes first");
	else if (s->mechanism == NULL)
		session_refuse(s, "AUTH", "504 5.5.4 no such mechanism: PLAIN and LOGIN are here");
	else if (strcmp(s->mechanism, "PLAIN") == 0 && *initial == '\0')
		challenge(s, AUTH_STEP_PLAIN, "");
	else if (*initial == '\0')
		challenge(s, AUTH_STEP_USER, "Username:");
	else {
		s->auth_step = s->mechanism[0] == 'P' ? AUTH_STEP_PLAIN : AUTH_STEP_USER;
		take(s, strcmp(initial, "=") == 0 ? initial + 1 : initial);
	}
}

static void
challenge(struct session *s, enum auth_step step, const char *text)
{
	char line[BASE64_TEXT_LEN(CHALLENGE_MAX)];

	s->auth_step = step;
	session_replyf(s, "334 %s", base64_encode(text, strlen(text), line));
}

void
cmd_auth_line(struct session *s, char *line)
{
	if (strcmp(line, "*") == 0)
		give_up(s, "501 5.7.0 given up");
	else
		take(s, line);
}

/* Decoded in place: it becomes shorter. */
static void
take(struct session *s, char *base64)
{
	size_t len;

	if (!base64_decode(base64, base64, &len)) {
		give_up(s, "501 5.5.2 this is no base64");
		return;
	}
	base64[len] = '\0';
	if (s->auth_step == AUTH_STEP_PLAIN)
		got_plain(s, base64, len);
	else
		got_login(s, base64, len);
}

static void
got_plain(struct session *s, char *data, size_t len)
{
	char *user = memchr(data, '\0', len);
	char *password =
	    user == NULL ? NULL : memchr(user + 1, '\0', (size_t)(data + len - user - 1));

	if (password == NULL) {
		give_up(s, "501 5.5.2 this is no PLAIN message");
		return;
	}
	user++;
	password++;
	session_user(s, user);
	if (strlen(password) != (size_t)(data + len - password))
		fail(s, failed); /* a NUL in the password */
	else if (data[0] != '\0' && strcmp(data, user) != 0)
		fail(s, failed); /* nobody may act for another */
	else
		ask(s, user, password);
}

static void
got_login(struct session *s, char *data, size_t len)
{
	bool whole = strlen(data) == len;

	if (s->auth_step == AUTH_STEP_PASSWORD) {
		if (whole)
			ask(s, s->user, data);
		else
			fail(s, failed);
		return;
	}
	session_user(s, whole ? data : "");
	challenge(s, AUTH_STEP_PASSWORD, "Password:");
}

/*
 * An empty password is refused before any question: a directory takes a bind with one for a good,
 * anonymous one (RFC 4513 5.1.2).  So is what would not be one line of a helper's protocol.
 */
static void
ask(struct session *s, const char *user, const char *password)
{
	size_t user_len = strlen(user), password_len = strlen(password);

	if (user_len == 0 || user_len > USER_MAX || strchr(user, ':') != NULL ||
	    text_has_control(user) || password_len == 0 || password_len > PASSWORD_MAX ||
	    strpbrk(password, "\r\n") != NULL) {
		fail(s, failed);
		return;
	}
	if (smtp.n_asked >= ASKED_MAX) {
		give_up(s, "454 4.7.0 too busy, try again later");
		return;
	}
	struct msg_ask_auth m = { .listener = s->listener->index,
		.client = s->client,
		.exempt = s->exempt,
		.user = user,
		.password = { password },
		.session = s->id,
		.host = s->client_name == NULL ? "unknown" : s->client_name,
		.mechanism = s->mechanism };
	s->auth_step = AUTH_STEP_NONE;
	s->wait = WAIT_VERDICT;
	smtp.n_asked++;
	s->call = ipc_call(smtp.lookup, MSG_ASK_AUTH, &m, auth_on_verdict, s);
}

static void
auth_on_verdict(const struct msg *m, void *arg)
{
	static const char later[] = "454 4.7.0 cannot tell now, try again later";
	const struct msg_verdict *v = m == NULL ? NULL : m->body;
	struct session *s = arg;
	char reply[REPLY_LEN_MAX + 1];

	s->call = NULL;
	s->wait = WAIT_NONE;
	smtp.n_asked--;
	if (v == NULL || v->verdict == VERDICT_LATER || v->verdict > VERDICT_NEVER) {
		give_up(s, reply_clean(reply, v == NULL ? "" : v->reply, VERDICT_LATER, later));
		if (strncmp(reply, "421", 3) == 0)
			session_close(s, "auth-failures", true);
	} else if (v->verdict == VERDICT_NEVER) {
		fail(s, reply_clean(reply, v->reply, VERDICT_NEVER, failed));
	} else {
		s->auth = s->user;
		s->user = NULL;
		s->bad = s->idle = 0;
		log_info("%s smtp event=authenticated address=%s user=%s mechanism=%s", s->id,
		    s->client, log_quote(s->auth), s->mechanism);
		session_reply(s, "235 2.7.0 Authentication succeeded");
	}
	session_run(s);
}

/* No answer: neither right nor wrong. */
static void
give_up(struct session *s, const char *reply)
{
	s->auth_step = AUTH_STEP_NONE;
	session_refuse(s, "AUTH", reply);
}

static void
fail(struct session *s, const char *reply)
{
	s->auth_step = AUTH_STEP_NONE;
	log_info("%s smtp event=failed-command address=%s host=%s "
		 "command=\"AUTH %s (user=%s)\" result=\"535 Authentication failed\"",
	    s->id, s->client, s->client_name == NULL ? "unknown" : s->client_name, s->mechanism,
	    log_quote(s->user));
	session_reply(s, reply);
	smtp.refused++;
	smtp_count_changed();
	if (++s->auth_failures < FAILURES_MAX)
		return;
	session_replyf(s, "421 4.7.0 %s too many failed logins", s->hostname);
	session_close(s, "auth-failures", true);
}
