/*
 * The Received field (RFC 5321 4.4) that is put in front of every message.
 *
 * Called by body.c; every name in it has been checked.  No name is looked up for it, so the client's is
 * "unknown" unless a trusted proxy told it.  Pure.
 */
#include "local.h"
#include "clock.h"
#include "text.h"
#include "utf8.h"

#include <string.h>

/* RFC 3848, 6531 4.3 */
static const char *
protocol(const struct trace *r)
{
	static const char *const words[2][4] = { { "ESMTP", "ESMTPS", "ESMTPA", "ESMTPSA" },
		{ "UTF8SMTP", "UTF8SMTPS", "UTF8SMTPA", "UTF8SMTPSA" } };

	if (!r->esmtp && !r->utf8)
		return "SMTP";
	return words[r->utf8][(r->tls != NULL ? 1 : 0) + (r->authenticated ? 2 : 0)];
}

/* ASCII whatever it is: mail with ASCII addresses can then go to any server.  Nothing ends the comment before us. */
static void
put_user(struct text *t, const char *user)
{
	text_put(t, "\n\t(authenticated as ");
	for (; *user != '\0'; user++)
		text_putf(t,
		    (unsigned char)*user >= 0x80 || strchr("()\\", *user) != NULL ? "+%02X" : "%c",
		    (unsigned char)*user);
	text_put(t, ")");
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
		put_user(t, r->auth);
	if (r->rcpt != NULL && utf8_is_ascii(r->rcpt))
		text_putf(t, "\n\tfor <%s>", r->rcpt);
	text_putf(t, ";\n\t%s\n", clock_rfc5322(r->wall_sec, date, sizeof(date)));
}
