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

/* RFC 6531 4.3; and nothing in it is for servers with SMTPUTF8 only. */
static void
traces_in_utf8(void)
{
	static const char *const words[] = { " with UTF8SMTP id", " with UTF8SMTPS (x) id",
		" with UTF8SMTPA id", " with UTF8SMTPSA (x) id" };

	for (int i = 0; i < 4; i++) {
		struct text t = { 0 };
		trace_put(&t, &(struct trace){ .helo = "x",
				  .client = "192.0.2.1",
				  .host = "y",
				  .id = "1",
				  .rcpt = "z\xc3\xab@x",
				  .auth = "j\xc3\xbc",
				  .esmtp = true,
				  .utf8 = true,
				  .tls = i & 1 ? "x" : NULL,
				  .authenticated = (i & 2) != 0 });
		ok(strstr(t.s, words[i]) != NULL, "%s", words[i]);
		ok(strstr(t.s, "(authenticated as j+C3+BC)") != NULL, "a user in UTF-8");
		ok(strstr(t.s, "for <") == NULL, "no recipient in UTF-8");
		text_free(&t);
	}
}

int
main(void)
{
	replies();
	traces();
	traces_in_utf8();
	return done();
}
