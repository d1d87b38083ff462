/* A report, composed and taken apart. */
#include "tap.h"
#include "queue/local.h"
#include "text.h"

struct process process;

static int
count(const char *hay, const char *needle)
{
	int n = 0;

	for (; (hay = strstr(hay, needle)) != NULL; hay++)
		n++;
	return n;
}

/* Warnings and reports of success. */
static void
test_kinds(struct bounce *b, struct bounce_rcpt *rcpts)
{
	struct text t = { 0 };

	for (int i = 0; i < 2; i++) {
		rcpts[i].kind = REPORT_DELAYED;
		rcpts[i].until = "Fri, 27 Nov 2026 20:08:48 +0000";
	}
	rcpts[1].text = "";
	bounce_compose(&t, b);
	is_int(count(t.s, "\nSubject: Your message is delayed; delivery goes on\n"), 1,
	    "a warning says so");
	is_int(count(t.s, "\nAction: delayed\n"), 2, "two are delayed");
	is_int(
	    count(t.s, "\nWill-Retry-Until: Fri, 27 Nov 2026 20:08:48 +0000\n"), 2, "until when");
	is_int(count(t.s, "is tried until Fri, 27 Nov 2026 20:08:48 +0000\n"), 2,
	    "people are told, too");
	is_int(count(t.s, "delivery goes on"), 2, "and that it goes on");
	is_int(count(t.s, "could not be"), 0, "nothing says that it failed");
	is_int(count(t.s, "\nDiagnostic-Code:"), 1, "without a try there is no diagnostic");
	is_int(count(t.s, "no try was made yet"), 1, "and it is said so");
	t.len = 0;
	rcpts[0].kind = REPORT_RELAYED;
	rcpts[1].kind = REPORT_EXPANDED;
	rcpts[0].status = rcpts[1].status = "2.0.0";
	bounce_compose(&t, b);
	is_int(count(t.s, "\nAction: relayed\nStatus: 2.0.0\nRemote-MTA: dns; mx .y\n"), 1,
	    "relayed, to whom");
	is_int(count(t.s, "\nAction: expanded\nStatus: 2.0.0\n"), 1, "expanded");
	is_int(count(t.s, "Will-Retry-Until"), 0, "no further try");
	t.len = 0;
	rcpts[0].kind = REPORT_DELIVERED;
	bounce_compose(&t, b);
	is_int(count(t.s, "\nAction: delivered\nStatus: 2.0.0\n"), 1, "delivered");
	is_int(count(t.s, "\nSubject: Your message was delivered\n"), 1, "in the subject");
	text_free(&t);
}

/* RFC 6533: addresses as they are where the sender's is such a one, else in ASCII. */
static void
test_utf8(void)
{
	struct bounce_rcpt rcpt = { .rcpt = "zo\xc3\xab@x.org",
		.orcpt = "utf-8;z\\x{EB}\xce\xb1@x.org",
		.status = "5.6.7",
		.text = "550 \xc3\xbc",
		.host = "",
		.kind = REPORT_FAILED };
	struct bounce b = { .hostname = "mail.example.org",
		.id = "00ab",
		.sender = "ann@x",
		.date = "now",
		.arrived = "then",
		.message_id = "00ac",
		.original = "Subject: \xc3\xa4\n",
		.original_len = 12,
		.utf8_original = true,
		.rcpts = &rcpt,
		.n_rcpts = 1 };
	struct text t = { 0 };

	bounce_compose(&t, &b);
	is_int(count(t.s, "report-type=delivery-status"), 1, "to an ASCII address");
	is_int(count(t.s, "\nContent-Type: message/delivery-status\n"), 1, "the ASCII report");
	is_int(count(t.s, "\nOriginal-Recipient: utf-8;z\\x{EB}\\x{3B1}@x.org\n"), 1, "ORCPT");
	is_int(count(t.s, "\nFinal-Recipient: utf-8; zo\\x{EB}@x.org\n"), 1, "the recipient");
	is_int(count(t.s, "\nContent-Type: message/global-headers\n"), 1, "a header in UTF-8");
	is_int(count(t.s, "charset=utf-8\n"), 1, "people read him");
	is_int(count(t.s, "    <zo\xc3\xab@x.org>\n"), 1, "as he is");
	is_int(count(t.s, "Content-Transfer-Encoding: 8bit\n"), 3, "8 bits are told of");
	is_int(count(t.s, "Diagnostic-Code: smtp; 550 ??\n"), 1, "a reply is ASCII");
	t.len = 0;
	b.utf8 = b.full = true;
	b.sender = "j\xc3\xbcrgen@x\nBcc: y";
	bounce_compose(&t, &b);
	is_int(count(t.s, "\nTo: <j\xc3\xbcrgen@x Bcc: y>\n"), 1, "to one in UTF-8");
	is_int(count(t.s, "report-type=global-delivery-status"), 1, "the other report");
	is_int(count(t.s, "\nContent-Type: message/global-delivery-status\n"), 1, "its type");
	is_int(count(t.s, "\nOriginal-Recipient: utf-8;z\xc3\xab\xce\xb1@x.org\n"), 1, "ORCPT");
	is_int(count(t.s, "\nFinal-Recipient: utf-8; zo\xc3\xab@x.org\n"), 1, "the recipient");
	is_int(count(t.s, "\nContent-Type: message/global\n"), 1, "the message");
	is_int(count(t.s, "Content-Transfer-Encoding: 8bit\n"), 4, "8 bits are told of");
	t.len = 0;
	b.utf8_original = false;
	rcpt = (struct bounce_rcpt){ .rcpt = "b@x\xff",
		.orcpt = "rfc822;b@x",
		.status = "5.0.0",
		.text = "",
		.host = "",
		.kind = REPORT_FAILED };
	bounce_compose(&t, &b);
	is_int(count(t.s, "\nFinal-Recipient: utf-8; b@x?\n"), 1, "what is no UTF-8 is not shown");
	is_int(count(t.s, "\nContent-Type: message/rfc822\n"), 1, "an ASCII message is one");
	text_free(&t);
}

int
main(void)
{
	static const char original[] = "Subject: =_report_00ab_0\nTo: b@x\n\n--=_report_00ab_1\n";
	struct bounce_rcpt rcpts[] = {
		{ .rcpt = "b@x",
		    .orcpt = "rfc822;B+2Bb+0AFoo:+zz@x",
		    .status = "5.1.1",
		    .text = "550 no\r\nAction: delivered\r\n\r\n--x",
		    .host = "mx\n.y",
		    .kind = REPORT_FAILED },
		{ .rcpt = "c@x\n\nStatus: 2.0.0",
		    .orcpt = "",
		    .status = "4.4.7",
		    .text =
			"a long text that goes on and on and on and on and on until it has to be "
			"folded somewhere",
		    .host = "",
		    .kind = REPORT_FAILED,
		    .expired = true },
	};
	struct bounce b = { .hostname = "mail.example.org",
		.id = "00ab",
		.sender = "a@x\nBcc: all@x",
		.envid = "E+2D1",
		.date = "Mon, 23 Nov 2026 20:08:48 +0000",
		.arrived = "Mon, 23 Nov 2026 20:08:47 +0000",
		.message_id = "00ac",
		.original = original,
		.original_len = sizeof(original) - 1,
		.full = true,
		.rcpts = rcpts,
		.n_rcpts = 2 };
	struct text t = { 0 };

	bounce_compose(&t, &b);
	printf("# %zu bytes\n", t.len);
	ok(strlen(t.s) == t.len && strchr(t.s, '\r') == NULL, "no NUL, no CR");
	is_int(
	    count(t.s, "boundary=\"=_report_00ab_2\""), 1, "a boundary that the message has not");
	is_int(count(t.s, "\n--=_report_00ab_2\n"), 3, "three parts");
	is_int(count(t.s, "\n--=_report_00ab_2--\n"), 1, "and an end");
	is_int(count(t.s, "\nAction: failed\n"), 2, "two failed");
	is_int(count(t.s, "\nAction: delivered"), 0, "foreign text makes no field");
	is_int(count(t.s, "\nStatus: 2"), 0, "nor does a recipient");
	is_int(count(t.s, "\nBcc:"), 0, "nor a sender");
	ok(strstr(t.s, "\nStatus: 5.1.1\nRemote-MTA: dns; mx .y\nDiagnostic-Code: smtp; 550 no") !=
		NULL,
	    "the remote side's word");
	ok(strstr(t.s, "\nDiagnostic-Code: X-tabmail; a long text") != NULL, "or ours");
	is_int(count(t.s, "not delivered in time; the last try said:\n"), 1, "one has expired");
	ok(strstr(t.s, "\nOriginal-Envelope-Id: E-1\nReporting-MTA: dns; mail.example.org\n") !=
		NULL,
	    "the envelope id, decoded");
	ok(strstr(
	       t.s, "\nOriginal-Recipient: rfc822;B+b Foo:+zz@x\nFinal-Recipient: rfc822; b@x\n") !=
		NULL,
	    "the recipients, original and final");
	ok(strstr(t.s, "\nAuto-Submitted: auto-replied\n") != NULL, "no answer is wanted");
	ok(strstr(t.s, original) != NULL, "the message as it was");
	size_t longest = 0;
	for (const char *p = t.s; *p != '\0'; p += strcspn(p, "\n") + 1)
		longest = strcspn(p, "\n") > longest ? strcspn(p, "\n") : longest;
	ok(longest < 100, "no long lines (%zu)", longest);
	is_int(bounce_header_len("A: b\n\nbody", 10), 5, "a header's length");
	is_int(bounce_header_len("\nbody", 5), 0, "no header");
	is_int(bounce_header_len("A: b\n", 5), 5, "nothing but a header");
	is_int(bounce_header_len("", 0), 0, "nothing");
	b.full = false;
	b.original = "Subject: \xc3\xa4\n";
	b.original_len = 12;
	t.len = 0;
	bounce_compose(&t, &b);
	ok(strstr(t.s, "text/rfc822-headers") != NULL, "headers only");
	is_int(count(t.s, "Content-Transfer-Encoding: 8bit"), 2, "with 8 bits, said so");
	test_kinds(&b, rcpts);
	test_utf8();
	text_free(&t);
	return done();
}
