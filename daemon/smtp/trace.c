/*
 * The Received field (RFC 5321 4.4) that is put in front of every message.
 *
 * Called by body.c; every name in it has been checked.  No name is looked up for it, so the client's is
 * "unknown" unless a trusted proxy told it.  Pure.
 */
#include "local.h"
#include "clock.h"
#include "text.h"

/* RFC 3848 */
static const char *
protocol(const struct trace *r)
{
	if (!r->esmtp)
		return "SMTP";
	if (r->tls)
		return r->authenticated ? "ESMTPSA" : "ESMTPS";
	return r->authenticated ? "ESMTPA" : "ESMTP";
}

void
trace_put(struct text *t, const struct trace *r)
{
	char literal[NETADDR_TEXT_LEN + 8], date[64];

	text_put(t, "Received: ");
	if (r->local)
		text_putf(t, "from localhost (local, from uid %lu)\n\t", (unsigned long)r->uid);
	else if (!r->masked)
		text_putf(t, "from %s (%s %s)\n\t", r->helo, r->name == NULL ? "unknown" : r->name,
		    netaddr_literal(r->client, literal, sizeof(literal)));
	text_putf(t, "by %s (tabmail) with %s", r->host, protocol(r));
	if (r->tls != NULL)
		text_putf(t, " (%s)", r->tls);
	text_putf(t, " id %s", r->id);
	if (r->auth != NULL)
		text_putf(t, "\n\t(authenticated as %s)", r->auth);
	if (r->rcpt != NULL)
		text_putf(t, "\n\tfor <%s>", r->rcpt);
	text_putf(t, ";\n\t%s\n", clock_rfc5322(r->wall_sec, date, sizeof(date)));
}
