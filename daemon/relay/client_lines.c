/*
 * The lines that a transaction (client_mail.c) says of its envelope: MAIL and RCPT, with the
 * parameters that the server has keywords for, and whether it can be told them at all.
 */
#include "client.h"
#include "text.h"
#include "utf8.h"
#include "xtext.h"

#include <string.h>

static bool
is_xtext(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s <= ' ' || *s > '~')
			return false;
	return true;
}

/* "as": another sender, or another part of it; that of reports stays empty. */
static void
put_sender(struct client *c, struct text *t)
{
	const struct conf_action *a = route_action(c->route);
	const char *as = a == NULL ? NULL : a->as, *sender = c->parcel->sender;
	const char *at = strrchr(sender, '@');

	if (as == NULL || at == NULL)
		text_put(t, sender);
	else if (*as == '@')
		text_putn(t, sender, (size_t)(at - sender));
	if (as != NULL && at != NULL)
		text_put(t, as);
	if (as != NULL && at != NULL && strchr(as, '@') == NULL)
		text_put(t, at);
}

const char *
client_utf8_lack(struct client *c, size_t rcpt, const char **status)
{
	const struct parcel *p = c->parcel;
	static struct text sender;

	*status = "5.6.7";
	if (!utf8_is_ascii(p->rcpts[rcpt].dest))
		return "the recipient's address is not ASCII, which the server does not take "
		       "(SMTPUTF8)";
	sender.len = 0;
	put_sender(c, &sender);
	if (!utf8_is_ascii(sender.s))
		return "the sender's address is not ASCII, which the server does not take "
		       "(SMTPUTF8)";
	*status = "5.6.9";
	return p->utf8_head ? "the message's header is not ASCII, which the server does not take "
			      "(SMTPUTF8)"
			    : NULL;
}

void
client_put_mail(struct client *c, struct text *t)
{
	static const char *const ret[] = {
		[RET_NONE] = "", [RET_FULL] = " RET=FULL", [RET_HDRS] = " RET=HDRS"
	};
	struct parcel *p = c->parcel;

	p->dsn = (c->features & DSN) != 0;
	text_put(t, "MAIL FROM:<");
	put_sender(c, t);
	text_put(t, ">");
	if (c->features & SIZE)
		text_putf(t, " SIZE=%llu", (unsigned long long)p->size);
	if ((c->features & EIGHTBIT) && p->eightbit)
		text_put(t, " BODY=8BITMIME");
	if (p->utf8)
		text_put(t, " SMTPUTF8");
	if (c->features & DSN) {
		text_put(t, p->ret <= RET_HDRS ? ret[p->ret] : "");
		if (p->envid[0] != '\0' && is_xtext(p->envid))
			text_putf(t, " ENVID=%s", p->envid);
	}
	text_put(t, "\r\n");
}

static void
put_notify(struct text *t, unsigned notify)
{
	static const struct {
		enum dsn_notify bit;
		const char *word;
	} words[] = { { NOTIFY_SUCCESS, "SUCCESS" }, { NOTIFY_FAILURE, "FAILURE" },
		{ NOTIFY_DELAY, "DELAY" } };
	const char *before = " NOTIFY=";

	if (notify & NOTIFY_NEVER) {
		text_put(t, " NOTIFY=NEVER");
		return;
	}
	for (size_t i = 0; i < 3; i++) {
		if (!(notify & words[i].bit))
			continue;
		text_put(t, before);
		text_put(t, words[i].word);
		before = ",";
	}
}

/* Without SMTPUTF8 the form of RFC 6533 3 that is ASCII. */
static void
put_orcpt(struct text *t, const char *orcpt, bool utf8)
{
	if (!xtext_is_orcpt(orcpt, true))
		return;
	text_put(t, " ORCPT=");
	if (utf8)
		text_put(t, orcpt);
	else
		xtext_put_ascii(t, orcpt);
}

void
client_put_rcpt(const struct client *c, struct text *t, size_t i)
{
	const struct parcel_rcpt *rcpt = &c->parcel->rcpts[i];

	text_put(t, "RCPT TO:<");
	text_put(t, rcpt->dest);
	text_put(t, ">");
	if (c->features & DSN) {
		put_notify(t, rcpt->notify);
		put_orcpt(t, rcpt->orcpt, c->parcel->utf8);
	}
	text_put(t, "\r\n");
}
