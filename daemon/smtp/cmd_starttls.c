/*
 * STARTTLS (RFC 3207), and TLS from the first byte on listeners with smtps.
 *
 *	cmd_starttls            220, the session as if it were new, conn_tls()
 *	starttls_begin          the same without a word, for smtps
 *	starttls_on_secure      logged; smtps: the greeting
 *	starttls_failed         logged
 *
 * Invariant: nothing that came before the handshake is used after it: what was sent behind STARTTLS
 * ends the session (CVE-2011-0411), and name, phase and transaction are dropped.
 */
#include "conn.h"
#include "local.h"
#include "log.h"
#include "text.h"

#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <tls.h>

#define HANDSHAKE_SEC 60

void
cmd_starttls(struct session *s, char *args)
{
	if (s->listener->tls == TLS_NONE || certs_context(s->listener) == NULL) {
		session_refuse(s, "STARTTLS", "502 5.5.1 not implemented");
	} else if (conn_is_secure(s->conn)) {
		session_refuse(s, "STARTTLS", "503 5.5.1 TLS is on already");
	} else if (*args != '\0') {
		session_refuse(s, "STARTTLS", "501 5.5.4 no arguments are allowed");
	} else if (s->tx != NULL) {
		session_refuse(s, "STARTTLS", "503 5.5.1 a transaction is open");
	} else if (s->auth != NULL) {
		session_refuse(s, "STARTTLS", "503 5.5.1 AUTH was before it, in plain text");
	} else if (!s->esmtp) {
		session_refuse(s, "STARTTLS", "503 5.5.1 EHLO comes first");
	} else if (evbuffer_get_length(conn_in(s->conn)) > 0) {
		session_refuse(s, "STARTTLS", "503 5.5.1 commands behind STARTTLS in plain text");
		session_close(s, "early", true);
	} else {
		session_reply(s, "220 2.0.0 ready for TLS");
		starttls_begin(s);
	}
}

void
starttls_begin(struct session *s)
{
	cmd_mail_reset(s);
	free(s->helo);
	s->helo = NULL;
	s->esmtp = false;
	s->phase = PHASE_START;
	s->wait = WAIT_TLS;
	if (s->listener->tls ==
	    TLS_SMTPS) /* behind a proxy's header its first bytes may have come */
		conn_tls_from_start(s->conn, certs_context(s->listener));
	else
		conn_tls(s->conn, certs_context(s->listener), NULL);
	conn_deadline(s->conn, HANDSHAKE_SEC);
}

void
starttls_on_secure(struct session *s)
{
	struct tls *tls = conn_tls_peer(s->conn);
	const char *name = tls_conn_servername(tls);

	s->wait = WAIT_NONE;
	log_info("%s smtp event=tls address=%s protocol=%s cipher=%s bits=%d sni=%s resumed=%s "
		 "verified=%s",
	    s->id, s->client, tls_conn_version(tls), tls_conn_cipher(tls),
	    tls_conn_cipher_strength(tls), log_quote(name == NULL ? "" : name),
	    tls_conn_session_resumed(tls) ? "yes" : "no", s->listener->tls_verify ? "yes" : "no");
	conn_deadline(s->conn, smtp.timeout_sec);
	if (s->listener->tls == TLS_SMTPS)
		patience_greet(s);
}

void
starttls_failed(struct session *s)
{
	log_info("%s smtp event=tls-failed address=%s reason=%s", s->id, s->client,
	    log_quote(conn_tls_error(s->conn)));
}

bool
starttls_is_missing(const struct session *s)
{
	return s->listener->tls == TLS_REQUIRED && !conn_is_secure(s->conn);
}

const char *
starttls_text(const struct session *s, char *buf, size_t len)
{
	struct tls *tls = conn_tls_peer(s->conn);

	if (tls == NULL)
		return NULL;
	snprintf(buf, len, "%s %s", tls_conn_version(tls), tls_conn_cipher(tls));
	return buf;
}
