/*
 * Authentication of a connection (client.c) to a server whose URL has a label: AUTH PLAIN, else LOGIN
 * (RFC 4954, 4616).  The credentials come from lookup, for this connection alone, and are wiped once
 * they are said.
 *
 * Invariant: they go over TLS, to this host itself, or where the URL asks for clear text in so many
 * words (smtp+notls+auth://).  Where a server refuses them the mail waits: a wrong password is ours, and
 * nobody's mail comes back for it.
 */
#include "client.h"
#include "conn.h"
#include "ipc.h"
#include "text.h"

#include <bsd/string.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_MAX 4096 /* bytes of a user's name or password */

static void on_secret(const struct msg *, void *arg);

bool
client_needs_auth(const struct client *c)
{
	return client_url(c)->auth && !c->authenticated;
}

/* NULL, or why the credentials may not be said here. */
static const char *
why_not(const struct client *c)
{
	if (!(c->features & (AUTH_PLAIN | AUTH_LOGIN)))
		return "the server offers neither AUTH PLAIN nor AUTH LOGIN";
	if (conn_is_secure(c->conn) || client_url(c)->scheme == URL_SMTP_NOTLS ||
	    netaddr_is_loopback(&c->hops->v[c->hop].addr))
		return NULL;
	return "the connection is not encrypted, and credentials are not sent in clear";
}

void
say_secret(struct client *c)
{
	const char *wrong = why_not(c);

	if (wrong != NULL) {
		client_lost(c, "4.7.0", wrong);
		return;
	}
	c->call = ipc_call(relay.lookup, MSG_ASK_SECRET,
	    &(struct msg_ask_secret){
		.route = route_name(c->route), .label = client_url(c)->label },
	    on_secret, c);
}

static void
on_secret(const struct msg *m, void *arg)
{
	struct client *c = arg;
	const struct msg_secret *s = m == NULL ? NULL : m->body;

	c->call = NULL;
	if (s == NULL || m->type != MSG_SECRET) {
		client_lost(c, "4.3.0", "lookup is gone");
	} else if (s->error[0] != '\0') {
		client_lost(c, "4.7.0", s->error);
	} else if (strlen(s->user) > SECRET_MAX ||
		   strlen(secret_reveal(s->password)) > SECRET_MAX) {
		client_lost(c, "4.7.0", "the credentials are too long");
	} else {
		c->secret = xasprintf("%s%c%s", s->user, '\n', secret_reveal(s->password));
		client_go(c, c->features & AUTH_PLAIN ? STEP_AUTH : STEP_AUTH_LOGIN);
	}
}

void
client_forget_secret(struct client *c)
{
	if (c->secret != NULL)
		explicit_bzero(c->secret, strlen(c->secret));
	free(c->secret);
	c->secret = NULL;
}

/* before, base64 of the data, CRLF; all but what the socket takes is wiped. */
static void
say_base64(struct client *c, const char *before, const char *data, size_t len)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct text t = { 0 };
	char four[4];

	text_put(&t, before);
	for (size_t i = 0; i < len; i += 3) {
		unsigned v = (unsigned)(unsigned char)data[i] << 16;
		v |= i + 1 < len ? (unsigned)(unsigned char)data[i + 1] << 8 : 0;
		v |= i + 2 < len ? (unsigned)(unsigned char)data[i + 2] : 0;
		four[0] = digits[v >> 18];
		four[1] = digits[v >> 12 & 63];
		four[2] = i + 1 < len ? digits[v >> 6 & 63] : '=';
		four[3] = i + 2 < len ? digits[v & 63] : '=';
		text_putn(&t, four, 4);
	}
	text_put(&t, "\r\n");
	client_say(c, t.s, t.len);
	explicit_bzero(t.s, t.len);
	text_free(&t);
}

/* PLAIN: NUL user NUL password. */
void
say_auth(struct client *c)
{
	size_t len = strlen(c->secret) + 1;
	char *plain = xcalloc(1, len + 1);

	memcpy(plain + 1, c->secret, len);
	*strchr(plain + 1, '\n') = '\0';
	say_base64(c, "AUTH PLAIN ", plain, len);
	explicit_bzero(plain, len);
	free(plain);
	client_forget_secret(c);
}

void
got_auth(struct client *c, const struct target_reply *r)
{
	if (r->code != 235) {
		client_lost(c, "4.7.8", r->text);
		return;
	}
	c->authenticated = true;
	client_ready(c);
}

void
say_auth_login(struct client *c)
{
	client_say(c, "AUTH LOGIN\r\n", 12);
}

void
got_auth_login(struct client *c, const struct target_reply *r)
{
	if (r->code == 334)
		client_go(c, STEP_AUTH_USER);
	else
		client_lost(c, "4.7.8", r->text);
}

void
say_auth_user(struct client *c)
{
	say_base64(c, "", c->secret, strcspn(c->secret, "\n"));
}

void
got_auth_user(struct client *c, const struct target_reply *r)
{
	if (r->code == 334)
		client_go(c, STEP_AUTH_PASSWORD);
	else
		client_lost(c, "4.7.8", r->text);
}

void
say_auth_password(struct client *c)
{
	const char *password = strchr(c->secret, '\n') + 1;

	say_base64(c, "", password, strlen(password));
	client_forget_secret(c);
}
