/*
 * XCLIENT: a trusted proxy tells for whom it speaks (Postfix's XCLIENT_README).
 *
 *	cmd_xclient    who may, and when; the new client's admission; 220, and the session begins again
 *
 * What an earlier XCLIENT told stays (a long one comes in pieces), but for the login and the name given to
 * HELO, which are those of this one.
 */
#include "conf.h"
#include "local.h"
#include "log.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

static void forget(struct session *);

static char *
known(const char *text)
{
	return *text == '\0' ? NULL : xstrdup(text);
}

void
cmd_xclient(struct session *s, char *args)
{
	struct xclient x;
	const char *wrong = NULL;

	if (!s->xclient) {
		session_refuse(s, "XCLIENT", "550 5.7.1 XCLIENT is not for you");
		return;
	}
	if (s->tx != NULL)
		wrong = "503 5.5.1 a transaction is open";
	else
		wrong = xclient_parse(&x, args, s->listener->auth != AUTH_NONE);
	if (wrong != NULL) {
		session_refuse(s, "XCLIENT", wrong);
		return;
	}
	forget(s);
	if (x.has_name) {
		free(s->client_name);
		s->client_name = known(x.name);
	}
	if (x.has_helo && (s->helo = known(x.helo)) != NULL)
		s->phase = PHASE_READY;
	s->esmtp = s->helo != NULL && x.has_proto && x.esmtp;
	if (x.has_login)
		s->auth = known(x.login);
	if (x.has_addr)
		wrong = peer_set(s, &x.addr, false);
	log_info("%s smtp event=xclient address=%s host=%s helo=%s user=%s", s->id, s->client,
	    s->client_name == NULL ? "unknown" : s->client_name,
	    log_quote(s->helo == NULL ? "" : s->helo), log_quote(s->auth == NULL ? "" : s->auth));
	if (wrong != NULL) {
		session_refuse(s, "XCLIENT", wrong);
		session_close(s, "limit", true);
	} else if (x.has_dest && x.dest.ss_family != AF_UNSPEC) {
		peer_name(s, &x.dest, patience_greet_now);
	} else {
		patience_greet_now(s);
	}
}

/* What the one said that was the client until now. */
static void
forget(struct session *s)
{
	free(s->helo);
	free(s->user);
	free(s->auth);
	s->helo = s->user = s->auth = NULL;
	s->auth_failures = s->bad = s->idle = 0;
	s->phase = PHASE_START;
}
