/*
 * TLS of a connection (client.c): whether it is wanted, STARTTLS, the handshake, what came of it.
 *
 *	smtp://         STARTTLS when it is offered; when that fails, this hop once more in plain text
 *	smtp+notls://   never; lmtp neither
 *	smtp+tls://     STARTTLS or nothing; also with the rule's "tls" or "verify"
 *	smtps://        TLS from the first byte
 *
 * A host with TLSA records (RFC 7672) has TLS or nothing, too, and when some of them can be used its
 * certificate is one of theirs, whatever "verify" would say of it.
 *
 * Invariant: nothing that the server said before the handshake counts after it, and what it sent
 * behind its reply to STARTTLS ends the attempt (CVE-2021-38371).
 */
#include "client.h"
#include "dane.h"
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

static const struct dane *
dane(const struct client *c)
{
	return hops_dane(c->hops, c->hop);
}

enum client_tls
client_tls_wanted(const struct client *c)
{
	const struct conf_action *a = options(c);
	bool must = (a != NULL && (a->tls || a->verify)) || dane(c) != NULL;

	switch (client_url(c)->scheme) {
	case URL_SMTP: return must ? CLIENT_TLS_MUST : c->plain ? CLIENT_TLS_NEVER : CLIENT_TLS_MAY;
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
	if (dane(c) != NULL)
		client_host(c)->dane = "failed";
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
		refused(c, dane(c) == NULL
			       ? "TLS is required, and the server does not offer it"
			       : "TLS is required by its TLSA records (DANE), and the server "
				 "does not offer it");
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
	bool by_dane = dane_demands_certificate(dane(c));
	struct tlsctx *ctx = trust_context(options(c), by_dane);

	c->tls_begun = true;
	if (ctx == NULL) {
		client_tls_failed(c, "there is no usable certificate");
		return;
	}
	conn_tls(c->conn, ctx, by_dane ? dane(c)->base : client_url(c)->host);
	client_go(c, STEP_TLS);
}

/* Whether the server is who it should be; *how is a word for people. */
static bool
is_expected(struct client *c, struct tls *tls, const char **how)
{
	const struct conf_action *a = options(c);
	struct host *host = client_host(c);
	char why[600];
	size_t len = 0;

	if (!dane_demands_certificate(dane(c))) {
		host->dane = dane(c) == NULL ? NULL : "unusable";
		*how = a != NULL && a->verify ? "verified" : "unverified";
		return true;
	}
	const uint8_t *chain = tls_peer_cert_chain_pem(tls, &len);
	enum dane_match match = dane_verify(dane(c), chain, len, why, sizeof(why));
	host->dane = match == DANE_MISMATCH ? "failed" : "verified";
	c->by_name = match == DANE_BY_NAME;
	/* that the domain's mail goes to this host is not said by it, unless its MX are signed */
	*how = c->hops->v[c->hop].secure ? "dane" : "dane-host";
	if (match == DANE_MISMATCH)
		client_tls_failed(c, why);
	return match != DANE_MISMATCH;
}

void
client_tls_on_secure(struct client *c)
{
	struct tls *tls = conn_tls_peer(c->conn);
	const char *how;

	if (!is_expected(c, tls, &how))
		return;
	c->features = 0;
	c->size_limit = 0;
	snprintf(
	    c->tls, sizeof(c->tls), "%s %s %s", tls_conn_version(tls), tls_conn_cipher(tls), how);
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
	const char *what = dane_demands_certificate(dane(c)) ? "TLS (DANE)" : "TLS";

	snprintf(text, sizeof(text), "%s: %s", what, why);
	client_fail(
	    c, client_tls_wanted(c) == CLIENT_TLS_MAY ? FAULT_TLS : FAULT_OURS, "4.7.5", text);
}
