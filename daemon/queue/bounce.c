/*
 * Composes a report about recipients: multipart/report of RFC 6522 with the message/delivery-status of
 * RFC 3464, marked as RFC 3834 has it.  Pure: report.c gives it all it needs.  Lines end in LF, as in the spool.
 *
 * What came from outside is one line of printable ASCII here, whatever it was before, but for addresses in
 * UTF-8; only the original message goes in as it is, behind a boundary that it cannot hold.
 *
 * A sender with such an address gets the report of RFC 6533 that has addresses as they are.  Another one gets them
 * written in ASCII, for nobody knows whether his servers have SMTPUTF8.
 */
#include "local.h"
#include "text.h"
#include "utf8.h"
#include "xtext.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static void put_header(struct text *, const struct bounce *, const char *boundary);
static void put_human(struct text *, const struct bounce *);
static void put_human_rcpt(struct text *, const struct bounce_rcpt *);
static void put_status(struct text *, const struct bounce *);
static void put_original(struct text *, const struct bounce *);
static void put_clean(struct text *, const char *name, const char *type, const char *value);
static void put_address(
    struct text *, const struct bounce *, const char *name, const char *type, const char *address);
static void put_orcpt(struct text *, const struct bounce *, const char *orcpt);
static void put_mta(struct text *, const char *host);
static void put_xtext(struct text *, const char *name, const char *value);
static void put_wrapped(struct text *, const char *indent, const char *value);
static void choose_boundary(char *, size_t, const struct bounce *);

void
bounce_compose(struct text *out, const struct bounce *b)
{
	char boundary[64];

	choose_boundary(boundary, sizeof(boundary), b);
	put_header(out, b, boundary);
	text_putf(out, "--%s\n", boundary);
	put_human(out, b);
	text_putf(out, "\n--%s\n", boundary);
	put_status(out, b);
	text_putf(out, "\n--%s\n", boundary);
	put_original(out, b);
	text_putf(out, "\n--%s--\n", boundary);
}

/* Bytes of the header with the LF of its last line; all, when no empty line ends it. */
size_t
bounce_header_len(const char *body, size_t len)
{
	if (len > 0 && body[0] == '\n')
		return 0;
	const char *end = len == 0 ? NULL : memmem(body, len, "\n\n", 2);
	return end == NULL ? len : (size_t)(end - body) + 1;
}

static void
choose_boundary(char *boundary, size_t len, const struct bounce *b)
{
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(boundary, len, "=_report_%s_%u", b->id, i);
		if (b->original_len == 0 ||
		    memmem(b->original, b->original_len, boundary, strlen(boundary)) == NULL)
			return;
	}
}

static const char *
subject(const struct bounce *b)
{
	enum report_kind kind = b->rcpts[0].kind;

	return b->undeliverable         ? "A bounce could not be delivered"
	       : kind == REPORT_FAILED  ? "Your message could not be delivered"
	       : kind == REPORT_CLEARED ? "Your delayed message was delivered"
	       : kind == REPORT_DELAYED ? "Your message is delayed; delivery goes on"
					: "Your message was delivered";
}

static bool
names_in_utf8(const struct bounce *b)
{
	for (size_t i = 0; i < b->n_rcpts; i++)
		if (!utf8_is_ascii(b->rcpts[i].rcpt))
			return true;
	return false;
}

static void
put_eightbit(struct text *out, bool eightbit)
{
	if (eightbit)
		text_put(out, "Content-Transfer-Encoding: 8bit\n");
}

static void
put_header(struct text *out, const struct bounce *b, const char *boundary)
{
	char sender[512];

	outcome_clean_address(sender, sizeof(sender), b->sender);
	text_putf(out,
	    "Date: %s\nFrom: Mail Delivery System <MAILER-DAEMON@%s>\nTo: <%s>\n"
	    "Subject: %s\nMessage-ID: <%s@%s>\n"
	    "Auto-Submitted: auto-replied\nMIME-Version: 1.0\n"
	    "Content-Type: multipart/report; report-type=%sdelivery-status;\n\tboundary=\"%s\"\n",
	    b->date, b->hostname, sender, subject(b), b->message_id, b->hostname,
	    b->utf8 ? "global-" : "", boundary);
	put_eightbit(
	    out, b->utf8 || names_in_utf8(b) || utf8_has_high(b->original, b->original_len));
	text_put(out, "\nThis is a delivery report in MIME format.\n\n");
}

static void
put_human(struct text *out, const struct bounce *b)
{
	enum report_kind kind = b->rcpts[0].kind;
	const char *whom = b->n_rcpts == 1 ? "the recipient" : "the recipients";

	text_putf(out, "Content-Type: text/plain; charset=%s\nContent-Description: Notification\n",
	    names_in_utf8(b) ? "utf-8" : "us-ascii");
	put_eightbit(out, names_in_utf8(b));
	text_putf(out, "\nThis is the mail server %s.\n\n", b->hostname);
	if (b->undeliverable)
		text_put(out,
		    "A message without a sender, most often a bounce, could not be delivered to\n"
		    "whom is named below, and there is nobody else to be told.  It follows.\n\n");
	else if (kind == REPORT_CLEARED)
		text_put(out, "You were told that this message is delayed.  It has been delivered "
			      "now.  Its\nheader follows.\n\n");
	else if (kind == REPORT_FAILED)
		text_putf(out,
		    "Your message could not be delivered to %s below, and will not be\n"
		    "tried again.  The reason is given with each.  %s of your message\n"
		    "follows.\n\n",
		    whom, b->full ? "A copy" : "The header");
	else if (kind == REPORT_DELAYED)
		text_putf(out,
		    "Your message has not been delivered yet to %s below.\n\n"
		    "This is only a notice: delivery goes on, until the time given with each, and\n"
		    "you need not send the message again.  Its header follows.\n\n",
		    whom);
	else
		text_put(out, "You asked to be told what became of your message.  The header of "
			      "your message\nfollows.\n\n");
	for (size_t i = 0; i < b->n_rcpts; i++)
		put_human_rcpt(out, &b->rcpts[i]);
}

static void
put_human_rcpt(struct text *out, const struct bounce_rcpt *r)
{
	char clean[512];

	outcome_clean_address(clean, sizeof(clean), r->rcpt);
	text_putf(out, "    <%s>\n", clean);
	switch (r->kind) {
	case REPORT_CLEARED:
		if (r->relayed) {
			text_put(out, "        was passed on to another server.\n");
			break;
		}
		/* FALLTHROUGH */
	case REPORT_DELIVERED: text_put(out, "        was delivered.\n"); return;
	case REPORT_RELAYED:
		text_put(out, "        was passed on to another server, which sends no report of "
			      "success.\n");
		break;
	case REPORT_EXPANDED:
		text_put(out, "        stands for several recipients, and was passed on to them.\n"
			      "        Their deliveries are not reported.\n");
		return;
	case REPORT_DELAYED: text_putf(out, "        is tried until %s\n", r->until); break;
	case REPORT_FAILED:
		if (r->expired)
			text_put(out, "        was not delivered in time; the last try said:\n");
		break;
	case REPORT_NONE: break;
	}
	if (*r->host != '\0') {
		outcome_clean(clean, sizeof(clean), r->host);
		text_putf(out, "        said by %s:\n", clean);
	}
	outcome_clean(clean, sizeof(clean), r->text);
	put_wrapped(out, "        ", *clean == '\0' ? "no try was made yet" : clean);
}

/* Begins with the code of an SMTP reply. */
static bool
is_reply(const char *s)
{
	return *s >= '2' && *s <= '5' && strspn(s, "0123456789") == 3;
}

/* RFC 3464, 2.2 and 2.3; RFC 6533. */
static void
put_status(struct text *out, const struct bounce *b)
{
	static const char *const actions[] = { [REPORT_NONE] = "failed",
		[REPORT_DELAYED] = "delayed",
		[REPORT_FAILED] = "failed",
		[REPORT_DELIVERED] = "delivered",
		[REPORT_RELAYED] = "relayed",
		[REPORT_EXPANDED] = "expanded" };
	const char *action;

	text_putf(out,
	    "Content-Type: message/%sdelivery-status\nContent-Description: Delivery report\n",
	    b->utf8 ? "global-" : "");
	put_eightbit(out, b->utf8);
	text_put(out, "\n");
	put_xtext(out, "Original-Envelope-Id", b->envid);
	text_putf(out, "Reporting-MTA: dns; %s\nArrival-Date: %s\n", b->hostname, b->arrived);
	for (size_t i = 0; i < b->n_rcpts; i++) {
		const struct bounce_rcpt *r = &b->rcpts[i];
		text_put(out, "\n");
		put_orcpt(out, b, r->orcpt);
		put_address(out, b, "Final-Recipient",
		    utf8_is_ascii(r->rcpt) ? "rfc822; " : "utf-8; ", r->rcpt);
		action = r->kind != REPORT_CLEARED ? actions[r->kind]
			 : r->relayed              ? "relayed"
						   : "delivered";
		text_putf(out, "Action: %s\nStatus: %s\n", action, r->status);
		if (r->kind == REPORT_EXPANDED || strcmp(action, "delivered") == 0)
			continue;
		put_mta(out, r->host);
		put_clean(
		    out, "Diagnostic-Code", is_reply(r->text) ? "smtp; " : "X-tabmail; ", r->text);
		if (r->kind == REPORT_DELAYED)
			text_putf(out, "Will-Retry-Until: %s\n", r->until);
	}
}

static void
put_original(struct text *out, const struct bounce *b)
{
	text_putf(out, "Content-Type: %s\nContent-Description: %s\n",
	    b->utf8_original ? b->full ? "message/global" : "message/global-headers"
	    : b->full        ? "message/rfc822"
			     : "text/rfc822-headers",
	    b->full ? "Undelivered message" : "Header of the message");
	put_eightbit(out, utf8_has_high(b->original, b->original_len));
	text_put(out, "\n");
	text_putn(out, b->original, b->original_len);
}

/* "Name: type value", folded; nothing when there is no value. */
static void
put_clean(struct text *out, const char *name, const char *type, const char *value)
{
	char clean[512];

	if (value == NULL || *value == '\0')
		return;
	outcome_clean(clean, sizeof(clean), value);
	if (*clean == '\0')
		return;
	text_putf(out, "%s: %s", name, type);
	put_wrapped(out, "\t", clean);
}

/* As it is where the report may hold it, or in ASCII. */
static void
put_address(struct text *out, const struct bounce *b, const char *name, const char *type,
    const char *address)
{
	struct text t = { 0 };
	char clean[512];

	if (b->utf8)
		text_put(&t, address);
	else
		xtext_put_ascii(&t, address);
	outcome_clean_address(clean, sizeof(clean), t.s);
	text_putf(out, "%s: %s", name, type);
	put_wrapped(out, "\t", clean);
	text_free(&t);
}

/* "utf-8;…" stays in the encoding of RFC 6533 unless the report may hold UTF-8. */
static void
put_orcpt(struct text *out, const struct bounce *b, const char *orcpt)
{
	struct text t = { 0 };

	if (orcpt == NULL || *orcpt == '\0')
		return;
	bool utf8 = strncasecmp(orcpt, "utf-8;", 6) == 0;
	if (!utf8 || b->utf8)
		xtext_put_decoded(&t, orcpt);
	else
		text_put(&t, orcpt);
	if (utf8)
		put_address(out, b, "Original-Recipient", "", t.s);
	else
		put_clean(out, "Original-Recipient", "", t.s);
	text_free(&t);
}

/* RFC 3461, 9.3: a name, or an address in brackets; a port is none of its business. */
static void
put_mta(struct text *out, const char *host)
{
	char name[256];

	outcome_clean(name, sizeof(name), host);
	if (strchr(name, ':') != NULL && strchr(name, ':') == strrchr(name, ':'))
		name[strcspn(name, ":")] = '\0';
	if (*name != '\0' && strspn(name, "0123456789.") == strlen(name))
		text_putf(out, "Remote-MTA: dns; [%s]\n", name);
	else
		put_clean(out, "Remote-MTA", "dns; ", name);
}

/* RFC 3461, 6.3: +2B is a byte here; whatever it is, put_clean() makes it harmless. */
static void
put_xtext(struct text *out, const char *name, const char *value)
{
	struct text decoded = { 0 };

	if (value == NULL)
		return;
	xtext_put_decoded(&decoded, value);
	put_clean(out, name, "", decoded.s);
	text_free(&decoded);
}

/* Breaks at spaces near 70 characters.  A header's first line has its name in front already. */
static void
put_wrapped(struct text *out, const char *indent, const char *value)
{
	bool header = *indent == '\t';

	for (bool first = true; *value != '\0'; first = false) {
		size_t len = strlen(value);
		if (len > 70) {
			len = 70;
			while (len > 20 && value[len] != ' ')
				len--;
			if (value[len] != ' ')
				len = strcspn(value, " ");
		}
		text_putf(out, "%s%.*s\n", header && first ? "" : indent, (int)len, value);
		value += len;
		value += strspn(value, " ");
	}
}
