/*
 * The beginning of a connection (client.c): greeting, what we are called, EHLO or HELO, what the server
 * says it can do; then TLS and credentials where they are due, and it is ready.
 *
 *	got_greeting -> find_name [ask_name … on_name] -> say_ehlo, got_ehlo [say_helo, got_helo]
 *	             -> client_ready
 */
#include "client.h"
#include "conn.h"
#include "ipc.h"

#include <bsd/string.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static void find_name(struct client *);
static void on_name(const struct msg *, void *arg);

void
got_greeting(struct client *c, const struct target_reply *r)
{
	if (r->code / 100 == 2)
		find_name(c);
	else
		client_lost(c, r->status, r->text);
}

/* What we are called: by the table of addresses, by that of host names, by the action, or as always. */
static void
find_name(struct client *c)
{
	const struct conf_action *a = route_action(c->route);
	const char *name = a != NULL && a->hostname != NULL ? a->hostname : process.conf->hostname;

	if (c->helo[0] != '\0') {
		client_go(c, STEP_EHLO);
		return;
	}
	strlcpy(c->helo, name, sizeof(c->helo));
	/* a UNIX socket has no address to be named by */
	bool by_table = a != NULL && a->hostnames != NULL && client_url(c)->path[0] == '\0';
	client_go(c, by_table ? STEP_NAME : STEP_EHLO);
}

void
ask_name(struct client *c)
{
	struct sockaddr_storage own = { 0 };
	socklen_t len = sizeof(own);
	char text[NETADDR_TEXT_LEN];

	(void)getsockname(conn_fd(c->conn), (struct sockaddr *)&own, &len);
	c->call = ipc_call(relay.lookup, MSG_ASK_NAME,
	    &(struct msg_ask_name){ .table = route_action(c->route)->hostnames->index,
		.address = netaddr_text(&own, text, sizeof(text)) },
	    on_name, c);
}

static void
on_name(const struct msg *m, void *arg)
{
	struct client *c = arg;
	const struct msg_name *a = m == NULL || m->type != MSG_NAME ? NULL : m->body;
	char why[300];

	c->call = NULL;
	if (a == NULL || a->error[0] != '\0') {
		snprintf(why, sizeof(why), "our own name cannot be found out: %.200s",
		    a == NULL ? "lookup is gone" : a->error);
		client_fail(c, FAULT_OURS, "4.3.0", why);
		return;
	}
	if (a->name[0] != '\0')
		strlcpy(c->helo, a->name, sizeof(c->helo));
	client_go(c, STEP_EHLO);
}

void
say_ehlo(struct client *c)
{
	char line[300];
	int n = snprintf(line, sizeof(line), "%s %s\r\n", c->is_lmtp ? "LHLO" : "EHLO", c->helo);

	client_say(c, line, (size_t)n);
}

/* Whether the words of a keyword's line have this one. */
static bool
has_word(const char *line, size_t len, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i + n <= len; i++)
		if (line[i] == ' ' && i + 1 + n <= len && strncasecmp(line + i + 1, word, n) == 0 &&
		    (i + 1 + n == len || line[i + 1 + n] == ' '))
			return true;
	return false;
}

void
client_note_keyword(struct client *c, const char *line, size_t len)
{
	static const struct {
		const char *word;
		enum feature feature;
	} words[] = { { "PIPELINING", PIPELINING }, { "SIZE", SIZE }, { "8BITMIME", EIGHTBIT },
		{ "DSN", DSN }, { "STARTTLS", STARTTLS }, { "SMTPUTF8", SMTPUTF8 } };

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
	if (len > 5 && strncasecmp(line, "AUTH ", 5) == 0) {
		c->features |= has_word(line, len, "PLAIN") ? AUTH_PLAIN : 0;
		c->features |= has_word(line, len, "LOGIN") ? AUTH_LOGIN : 0;
	}
}

void
client_ready(struct client *c)
{
	struct attempt *a = c->attempt;

	if (client_tls_next(c))
		return;
	if (client_needs_auth(c)) {
		client_go(c, STEP_SECRET);
		return;
	}
	c->attempt = NULL;
	client_go(c, STEP_IDLE);
	attempt_on_ready(a, c);
}

void
got_ehlo(struct client *c, const struct target_reply *r)
{
	if (r->code / 100 == 2)
		client_ready(c);
	else if (r->code / 100 == 5 && !c->is_lmtp)
		client_go(c, STEP_HELO);
	else
		client_lost(c, r->status, r->text);
}

void
say_helo(struct client *c)
{
	char line[300];
	int n = snprintf(line, sizeof(line), "HELO %s\r\n", c->helo);

	client_say(c, line, (size_t)n);
}

void
got_helo(struct client *c, const struct target_reply *r)
{
	if (r->code / 100 == 2)
		client_ready(c);
	else
		client_lost(c, r->status, r->text);
}
