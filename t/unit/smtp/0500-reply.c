/* Replies from elsewhere, and the trace field. */
#include "smtp/local.h"
#include "tap.h"
#include "text.h"

static void
replies(void)
{
	char out[REPLY_LEN_MAX + 1], big[3000];
	const char *later = "451 4.3.0 later", *never = "550 5.1.1 never", *yes = "250 2.1.5 ok";

	is(reply_clean(out, "", VERDICT_ACCEPT, yes), yes, "no text");
	is(reply_clean(out, "250 2.1.5 fine", VERDICT_ACCEPT, yes), "250 2.1.5 fine", "its text");
	is(reply_clean(out, "550 5.7.1 go away", VERDICT_NEVER, never), "550 5.7.1 go away", "5xx");
	is(reply_clean(out, "550 no", VERDICT_LATER, later), "451 4.3.0 later: 550 no",
	    "a reply of another class does not change the verdict");
	is(reply_clean(out, "no such user", VERDICT_NEVER, never), "550 5.1.1 never: no such user",
	    "a text without a code");
	is(reply_clean(out, "550-5.1.1 x", VERDICT_NEVER, never), "550 5.1.1 never: 550-5.1.1 x",
	    "a continued reply");
	is(reply_clean(out, "550 x\r\n250 y", VERDICT_NEVER, never), "550 x", "one line only");
	is(reply_clean(out,
	       "550 a\tb\x01"
	       "c\x80",
	       VERDICT_NEVER, never),
	    "550 a?b?c?", "controls and 8-bit");
	is(reply_clean(out, "", (enum verdict)77, later), later, "no verdict at all");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	memcpy(big, "550 ", 4);
	is_int(strlen(reply_clean(out, big, VERDICT_NEVER, never)), REPLY_LEN_MAX, "a long text");
}

static void
traces(void)
{
	struct text t = { 0 };
	struct trace r = { .helo = "client.example.net",
		.client = "192.0.2.1",
		.host = "mail.example.org",
		.id = "00000000002a",
		.rcpt = "bob@example.org",
		.esmtp = true };

	setenv("TZ", "UTC", 1);
	trace_put(&t, &r);
	is(t.s,
	    "Received: from client.example.net (unknown [192.0.2.1])\n"
	    "\tby mail.example.org (tabmail) with ESMTP id 00000000002a\n"
	    "\tfor <bob@example.org>;\n\tThu, 1 Jan 1970 00:00:00 +0000\n",
	    "the trace of a mail from elsewhere");
	text_free(&t);
	t = (struct text){ 0 };
	r.client = "2001:db8::1";
	r.rcpt = NULL;
	r.esmtp = false;
	trace_put(&t, &r);
	is(t.s,
	    "Received: from client.example.net (unknown [IPv6:2001:db8::1])\n"
	    "\tby mail.example.org (tabmail) with SMTP id 00000000002a;\n"
	    "\tThu, 1 Jan 1970 00:00:00 +0000\n",
	    "IPv6, HELO, several recipients");
	text_free(&t);
	t = (struct text){ 0 };
	r.local = true;
	r.uid = 1000;
	trace_put(&t, &r);
	ok(strncmp(t.s, "Received: from localhost (local, from uid 1000)\n\tby mail", 55) == 0,
	    "submitted here");
	text_free(&t);
	t = (struct text){ 0 };
	r.local = false;
	r.masked = true;
	trace_put(&t, &r);
	ok(strncmp(t.s, "Received: by mail.example.org (tabmail)", 39) == 0, "masked");
	text_free(&t);
}

int
main(void)
{
	replies();
	traces();
	return done();
}
