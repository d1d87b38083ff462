/* A message that was here before: its token is taken out, our Received fields are counted. */
#include "passage.h"
#include "tap.h"
#include "text.h"

#define HOST "mail.example.org"
#define OURS                                                                             \
	"Received: from x (unknown [192.0.2.1])\n\tby " HOST " (tabmail) with ESMTP id " \
	"1;\n\tdate\n"
#define TOKEN(t) "Received: by " HOST " (tabmail) with reentry id " t ";\n\tdate\n"

static void
takes(const char *from, const char *to, const char *token, const char *name)
{
	char *text = xstrdup(from), got[PASSAGE_TOKEN_LEN];
	size_t len = passage_take_token(text, strlen(from), HOST, got);

	is(got, token, "%s: the token", name);
	ok(len == strlen(to) && memcmp(text, to, len) == 0, "%s: what is left", name);
	free(text);
}

static void
counts(const char *text, unsigned n, const char *name)
{
	is_int(passage_count(text, strlen(text), HOST), n, "%s", name);
}

int
main(void)
{
	struct text t = { 0 };

	passage_put_token(&t, HOST, "0123456789ab.1.2", "Mon, 1 Jan 2024 00:00:00 +0000");
	text_put(&t, "Subject: x\n\nbody\n");
	takes(t.s, "Subject: x\n\nbody\n", "0123456789ab.1.2", "as it was put");
	text_free(&t);

	takes("A: b\n" TOKEN("1.2.3") "C: d\n\nx", "A: b\nC: d\n\nx", "1.2.3", "behind others");
	takes(TOKEN("1.2.3"), "", "1.2.3", "nothing else");
	takes(TOKEN("1.2.3") TOKEN("4.5.6") "A: b\n", "A: b\n", "1.2.3", "two: the first counts");
	takes("RECEIVED: by MAIL.example.org (TABMAIL)\n  with reentry\n\t id\n 1.2.3; d\nA: b\n",
	    "A: b\n", "1.2.3", "folded otherwise");
	takes("A: b\n\n" TOKEN("1.2.3"), "A: b\n\n" TOKEN("1.2.3"), "", "in the body it is text");
	takes("no header\n" TOKEN("1.2.3"), "no header\n" TOKEN("1.2.3"), "",
	    "behind what is no header");
	takes("Received: by mail.example.net (tabmail) with reentry id 1.2.3; d\n",
	    "Received: by mail.example.net (tabmail) with reentry id 1.2.3; d\n", "",
	    "another host's");
	takes(TOKEN("1.2|3"), "", "", "a token of other characters is none, and goes");
	takes(TOKEN("111111111111111111111111111111111111111111111111111111111111111111111111111111"
		    "1111"),
	    "", "", "one that is too long is none, and goes");
	takes("", "", "", "an empty message");
	takes(OURS "A: b\n", OURS "A: b\n", "", "a usual Received field");
	takes("Received: by " HOST " (tabmail) with reentry id 1.2.3", "", "", "no end");

	counts(OURS OURS "A: b\n\n" OURS, 2, "our fields, in the header only");
	counts(OURS TOKEN("1.2.3") OURS, 2, "a token is none");
	counts("Received: from y by other.example.org (tabmail) with ESMTP id 1; d\n"
	       "X-Received: by " HOST " (tabmail) with x\n",
	    0, "others' fields");
	counts(
	    "received: from y\n by " HOST "\n (Tabmail) with SMTP; d\n", 1, "however it is folded");
	counts("Received: from xby " HOST " (tabmail) with SMTP; d\n", 0,
	    "not in the midst of a word");
	counts("", 0, "an empty message");
	return done();
}
