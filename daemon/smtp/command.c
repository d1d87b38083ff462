/*
 * The commands of SMTP: one table of their names and of the phases in which they are legal, so that
 * 503 stands in one place; and those commands that have no life of their own.
 *
 * Called by session.c with a whole line.  MAIL, RCPT and DATA are in files of their own.
 */
#include "conn.h"
#include "local.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

#define START (1u << PHASE_START)
#define READY (1u << PHASE_READY)
#define MAIL  (1u << PHASE_MAIL)
#define RCPT  (1u << PHASE_RCPT)
#define BDAT  (1u << PHASE_BDAT)
#define ANY   (START | READY | MAIL | RCPT | BDAT)
#define IDLE  (1u << 8) /* brings no mail nearer */

/* Whether a command takes arguments. */
enum args { ARGS_NONE, ARGS_SOME, ARGS_MAYBE };

static void cmd_helo(struct session *, char *args);
static void cmd_ehlo(struct session *, char *args);
static void cmd_rset(struct session *, char *args);
static void cmd_noop(struct session *, char *args);
static void cmd_vrfy(struct session *, char *args);
static void cmd_help(struct session *, char *args);
static void cmd_quit(struct session *, char *args);
static void cmd_http(struct session *, char *args);

static const struct command {
	const char *verb;
	void (*run)(struct session *, char *args); /* NULL: known, and not implemented */
	unsigned phases;
	enum args args;
} commands[] = {
	{ "HELO", cmd_helo, ANY | IDLE, ARGS_SOME },
	{ "EHLO", cmd_ehlo, ANY | IDLE, ARGS_SOME },
	{ "MAIL", cmd_mail, READY, ARGS_SOME },
	{ "RCPT", cmd_rcpt, MAIL | RCPT, ARGS_SOME },
	{ "DATA", cmd_data, RCPT, ARGS_NONE },
	{ "RSET", cmd_rset, ANY | IDLE, ARGS_NONE },
	{ "NOOP", cmd_noop, ANY | IDLE, ARGS_MAYBE },
	{ "VRFY", cmd_vrfy, ANY | IDLE, ARGS_SOME },
	{ "HELP", cmd_help, ANY | IDLE, ARGS_MAYBE },
	{ "QUIT", cmd_quit, ANY, ARGS_NONE },
	{ "BDAT", cmd_bdat, ANY, ARGS_MAYBE },
	{ "STARTTLS", cmd_starttls, ANY, ARGS_MAYBE },
	{ "AUTH", cmd_auth, ANY, ARGS_MAYBE },
	{ "XCLIENT", cmd_xclient, ANY, ARGS_MAYBE },
	{ "EXPN", NULL, ANY, ARGS_MAYBE },
	{ "TURN", NULL, ANY, ARGS_MAYBE },
	{ "ETRN", NULL, ANY, ARGS_MAYBE },
	{ "GET", cmd_http, ANY, ARGS_MAYBE },
	{ "HEAD", cmd_http, ANY, ARGS_MAYBE },
	{ "POST", cmd_http, ANY, ARGS_MAYBE },
	{ "PUT", cmd_http, ANY, ARGS_MAYBE },
	{ "CONNECT", cmd_http, ANY, ARGS_MAYBE },
	{ "OPTIONS", cmd_http, ANY, ARGS_MAYBE },
};

/* The reply to a command that is not legal now. */
static const char *const out_of_phase[] = {
	[PHASE_START] = "503 5.5.1 EHLO or HELO comes first",
	[PHASE_READY] = "503 5.5.1 MAIL comes first",
	[PHASE_MAIL] = "503 5.5.1 a transaction is open, and has no recipient",
	[PHASE_RCPT] = "503 5.5.1 a transaction is open: DATA or RSET",
	[PHASE_DATA] = "503 5.5.1 not now",
	[PHASE_BDAT] = "503 5.5.1 a message has begun: BDAT, or RSET",
};

void
command_run(struct session *s, char *line)
{
	char *args = smtp_parse_verb(line);
	const struct command *c = NULL;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]) && c == NULL; i++)
		if (strcmp(line, commands[i].verb) == 0)
			c = &commands[i];
	if (c == NULL) /* what was sent may be a password: it is not logged */
		session_refuse(s, "?", "500 5.5.2 unknown command");
	else if (c->run == NULL)
		session_refuse(s, c->verb, "502 5.5.1 not implemented");
	else if (starttls_is_missing(s) && (c->phases & START) == 0)
		session_refuse(s, c->verb, "530 5.7.0 STARTTLS comes first");
	else if ((c->phases & (1u << s->phase)) == 0)
		session_refuse(s, c->verb, out_of_phase[s->phase]);
	else if (c->args == ARGS_NONE && *args != '\0')
		session_refuse(s, c->verb, "501 5.5.4 no arguments are allowed");
	else if (c->args == ARGS_SOME && *args == '\0')
		session_refuse(s, c->verb, "501 5.5.4 an argument is missing");
	else
		c->run(s, args);
	if (c != NULL && (c->phases & IDLE) != 0)
		session_count_idle(s);
}

/* --- HELO, EHLO: RFC 5321 4.1.1.1; a transaction is dropped (4.1.4). */
static bool
greet(struct session *s, const char *verb, const char *name, bool esmtp)
{
	if (!smtp_parse_helo(name)) {
		session_refuse(s, verb, "501 5.5.2 no valid host name");
		return false;
	}
	cmd_mail_reset(s);
	free(s->helo);
	s->helo = xstrdup(name);
	s->esmtp = esmtp;
	s->phase = PHASE_READY;
	s->bad = 0;
	return true;
}

static void
cmd_helo(struct session *s, char *args)
{
	if (greet(s, "HELO", args, false))
		session_replyf(s, "250 %s", s->hostname);
}

static void
cmd_ehlo(struct session *s, char *args)
{
	if (!greet(s, "EHLO", args, true))
		return;
	session_replyf(s, "250-%s", s->hostname);
	session_reply(s, "250-PIPELINING");
	session_reply(s, "250-8BITMIME");
	session_reply(s, "250-SMTPUTF8");
	session_replyf(s, "250-SIZE %lld", (long long)smtp_max_len());
	if (cmd_auth_is_open(s))
		session_reply(s, "250-AUTH PLAIN LOGIN");
	if (s->listener->dsn)
		session_reply(s, "250-DSN");
	session_reply(s, "250-CHUNKING");
	session_reply(s, "250-ENHANCEDSTATUSCODES");
	if ((s->listener->tls == TLS_OFFERED || s->listener->tls == TLS_REQUIRED) &&
	    !conn_is_secure(s->conn) && certs_context(s->listener) != NULL)
		session_reply(s, "250-STARTTLS");
	if (s->xclient)
		session_replyf(s, "250-XCLIENT NAME ADDR PORT PROTO HELO%s DESTADDR DESTPORT",
		    s->listener->auth != AUTH_NONE ? " LOGIN" : "");
	session_reply(s, "250 HELP");
}

/* --- RSET, NOOP, VRFY, HELP, QUIT: 4.1.1.5 to 4.1.1.10 */
static void
cmd_rset(struct session *s, char *args)
{
	(void)args;
	cmd_mail_reset(s);
	s->bad = 0;
	session_reply(s, "250 2.0.0 reset");
}

static void
cmd_noop(struct session *s, char *args)
{
	(void)args;
	s->bad = 0;
	session_reply(s, "250 2.0.0 ok");
}

/*
 * 7.3: who is here is not told; RCPT tells it to those who have mail.  What is asked for makes no difference, nor
 * whether SMTPUTF8 stands behind it.
 */
static void
cmd_vrfy(struct session *s, char *args)
{
	(void)args;
	session_reply(s, "252 2.5.2 send some mail, it will be tried");
}

static void
cmd_help(struct session *s, char *args)
{
	(void)args;
	session_reply(s, "214-2.0.0 HELO EHLO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT");
	session_reply(s, "214 2.0.0 see RFC 5321");
}

static void
cmd_quit(struct session *s, char *args)
{
	(void)args;
	cmd_mail_reset(s);
	session_replyf(s, "221 2.0.0 %s bye", s->hostname);
	session_close(s, "quit", false);
}

/*
 * A browser, or another program on this machine, that was talked into sending us its request: what stands in the
 * request's body is somebody else's, and must not become commands of a trusted client.
 */
static void
cmd_http(struct session *s, char *args)
{
	(void)args;
	session_refuse(s, "HTTP", "554 5.5.1 this is SMTP, and no web server");
	session_close(s, "http", true);
}
