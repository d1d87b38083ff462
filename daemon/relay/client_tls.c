/*
 * TLS of a connection (client.c): whether it is wanted, STARTTLS, the handshake, what came of it.
 *
 *	smtp://         STARTTLS when it is offered; when that fails, this hop once more in plain text
 *	smtp+notls://   never; lmtp neither
 *	smtp+tls://     STARTTLS or nothing; also with the rule's "tls" or "verify"
 *	smtps://        TLS from the first byte
 *
 * Invariant: nothing that the server said before the handshake counts after it, and what it sent
 * behind its reply to STARTTLS ends the attempt (CVE-2021-38371).
 */
#include "client.h"
#include "conn.h"
#include "log.h"
#include "text.h"
#include "tlsctx.h"

#include <event2/buffer.h>
#include <stdio.h>
#include <string.h>
#include <tls.h>

static const struct conf_action *
options(const struct client *c)
{
	return route_action(c->route);
}

enum client_tls
client_tls_wanted(const struct client *c)
{
	const struct conf_action *a = options(c);
	bool rule = a != NULL && (a->tls || a->verify);

	switch (client_url(c)->scheme) {
	case URL_SMTP: return rule ? CLIENT_TLS_MUST : c->plain ? CLIENT_TLS_NEVER : CLIENT_TLS_MAY;
	case URL_SMTP_TLS: return CLIENT_TLS_MUST;
	case URL_SMTPS: return CLIENT_TLS_AT_ONCE;
	case URL_SMTP_NOTLS:
	case URL_LMTP: break;
	}
	return CLIENT_TLS_NEVER;
}

/* Who demands more than others is no reason to keep them from this host. */
static void
refused(struct client *c, const char *why)
{
	client_fail(c, FAULT_OURS, "4.7.4", why);
}

bool
client_tls_next(struct client *c)
{
	enum client_tls wanted = client_tls_wanted(c);
	bool offered = (c->features & STARTTLS) != 0;

	if (conn_is_secure(c->conn) || wanted == CLIENT_TLS_NEVER ||
	    (wanted == CLIENT_TLS_MAY && !offered))
		return false;
	if (offered)
		client_go(c, STEP_STARTTLS);
	else
		refused(c, "TLS is required, and the server does not offer it");
	return true;
}

void
say_starttls(struct client *c)
{
	c->tls_begun = true;
	client_say(c, "STARTTLS\r\n", 10);
}

void
got_starttls(struct client *c, const struct target_reply *r)
{
	if (r->code == 220 && evbuffer_get_length(conn_in(c->conn)) > 0) {
		client_tls_failed(c, "the server sent text behind its reply to STARTTLS");
	} else if (r->code == 220) {
		client_tls_begin(c);
	} else if (client_tls_wanted(c) == CLIENT_TLS_MAY) {
		c->tls_begun = false;
		c->plain = true;
		client_ready(c); /* offered, and not to be had now */
	} else {
		refused(c, r->text);
	}
}

void
client_tls_begin(struct client *c)
{
	struct tlsctx *ctx = trust_context(options(c));

	c->tls_begun = true;
	if (ctx == NULL) {
		client_tls_failed(c, "there is no usable certificate");
		return;
	}
	conn_tls(c->conn, ctx, client_url(c)->host);
	client_go(c, STEP_TLS);
}

void
client_tls_on_secure(struct client *c)
{
	struct tls *tls = conn_tls_peer(c->conn);
	const struct conf_action *a = options(c);

	c->features = 0;
	c->size_limit = 0;
	snprintf(c->tls, sizeof(c->tls), "%s %s %s", tls_conn_version(tls), tls_conn_cipher(tls),
	    a != NULL && a->verify ? "verified" : "unverified");
	log_debug("host=%s event=tls %s", c->host, c->tls);
	client_go(c, client_tls_wanted(c) == CLIENT_TLS_AT_ONCE ? STEP_GREETING : STEP_EHLO);
}

bool
client_tls_is_fresh(const struct client *c)
{
	return c->tls_begun && c->attempt != NULL && c->step <= STEP_TLS;
}

void
client_tls_failed(struct client *c, const char *why)
{
	char text[300];

	snprintf(text, sizeof(text), "TLS: %s", why);
	client_fail(
	    c, client_tls_wanted(c) == CLIENT_TLS_MAY ? FAULT_TLS : FAULT_OURS, "4.7.5", text);
}
