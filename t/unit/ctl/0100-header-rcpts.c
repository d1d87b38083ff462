/* The recipients of a header: RFC 5322's address lists, its odd forms, and what is none. */
#include "tap.h"

#include "ctl/local.h"

/* The addresses with blanks between them, or "!" and the complaint up to its colon. */
static const char *
list(const char *text, size_t len)
{
	static struct text out;
	struct rcpts r = { 0 };
	char buf[ADDR_TEXT_LEN];
	char *wrong = rcpts_add_list(&r, text, len);

	out.len = 0;
	text_putn(&out, "", 0);
	if (wrong != NULL) {
		char *quote = strstr(wrong, ": \"");
		if (quote != NULL)
			*quote = '\0';
		text_putf(&out, "!%s", wrong);
	}
	for (size_t i = 0; wrong == NULL && i < r.n; i++)
		text_putf(&out, "%s%s", i == 0 ? "" : " ", addr_text(&r.addrs[i], buf));
	free(wrong);
	rcpts_free(&r);
	return out.s;
}

static void
test_lists(void)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "", "" },
		{ " \t ", "" },
		{ "bob", "bob" },
		{ "bob@example.org", "bob@example.org" },
		{ "<bob@example.org>", "bob@example.org" },
		{ "<bob>", "bob" },
		{ "a@x.org,b@x.org", "a@x.org b@x.org" },
		{ " a@x.org ,\n\tb@x.org\r\n ", "a@x.org b@x.org" },
		{ ",,a@x.org,, ,b,", "a@x.org b" },
		{ "a@x.org, a@x.org, A@x.org, a@X.ORG", "a@x.org A@x.org" },
		{ "Bob <bob@x.org>", "bob@x.org" },
		{ "Bob Q. Public <bob@x.org>", "bob@x.org" },
		{ "\"Public, Bob\" <bob@x.org>, c@x.org", "bob@x.org c@x.org" },
		{ "\"a \\\" <evil@x.org>\" <bob@x.org>", "bob@x.org" },
		{ "bob@x.org <bob@x.org>", "bob@x.org" },
		{ "b\xc3\xb6"
		  "b <bob@x.org>",
		    "bob@x.org" },
		{ "=?UTF-8?Q?B=C3=B6b?= <bob@x.org>", "bob@x.org" },
		{ "bob@x.org (Bob, the (nested) one)", "bob@x.org" },
		{ "(c1) bob (c2) @ (c3) x . org (c4)", "bob@x.org" },
		{ "a@x.org (un \\) , still), b@x.org", "a@x.org b@x.org" },
		{ "john . doe @ x.org", "john.doe@x.org" },
		{ "\"john doe\"@x.org", "\"john doe\"@x.org" },
		{ "\"john\".\"doe\"@x.org", "john.doe@x.org" },
		{ "\"a@b\"@x.org", "\"a@b\"@x.org" },
		{ "\"q\\\"uote\"@x.org", "\"q\\\"uote\"@x.org" },
		{ "\"fol\n ded\"@x.org", "\"fol ded\"@x.org" },
		{ "bob@[192.0.2.1]", "bob@[192.0.2.1]" },
		{ "bob@[IPv6:2001:db8::1]", "bob@[IPv6:2001:db8::1]" },
		{ "<@a.org,@b.org:bob@x.org>", "bob@x.org" },
		{ "undisclosed-recipients:;", "" },
		{ "undisclosed-recipients: ;, a@x.org", "a@x.org" },
		{ "Friends: a@x.org, Bob <b@x.org>; , c", "a@x.org b@x.org c" },
		{ "\"My: friends\": a@x.org;", "a@x.org" },
		{ "bob+tag=x/y{z}@x.org", "bob+tag=x/y{z}@x.org" },
		{ "|/bin/sh@x.org", "|/bin/sh@x.org" },
		{ "a@x.org b@x.org", "!two words where an address is expected" },
		{ "bob smith", "!two words where an address is expected" },
		{ "Bob <a@x.org> <b@x.org>", "!something else after an address" },
		{ "<a@x.org> b", "!something else after an address" },
		{ "a@x.org; b@x.org", "!a ; outside a group" },
		{ "g: a@x.org", "!a group without its ;" },
		{ "g: h: a@x.org;;", "!no address" },
		{ "<a@x.org", "!a < without its >" },
		{ "<a@x.org, b@x.org>", "!a < without its >" },
		{ "Bob <>", "!an empty address" },
		{ "<@a.org bob@x.org>", "!a source route without its colon" },
		{ "@x.org", "!no local part before the @" },
		{ "a@", "!no address" },
		{ "a@@x.org", "!no address" },
		{ "a@b@x.org", "!no address" },
		{ ".a@x.org", "!a dot where none may be" },
		{ "a..b@x.org", "!a dot where none may be" },
		{ "a.@x.org", "!no local part before the @" },
		{ "a@x.org.", "!a dot where none may be" },
		{ "\"\"@x.org", "!an empty local part" },
		{ "\"a", "!a quote that does not end" },
		{ "a (b", "!a comment that does not end" },
		{ "a@[192.0.2.1", "!a [ without its ]" },
		{ "a@[x]", "!no valid address literal" },
		{ "a)b@x.org", "!a character that may not stand there" },
		{ "b\xc3\xb6"
		  "b@x.org",
		    "b\xc3\xb6"
		    "b@x.org" },
		{ "\"a\tb\"@x.org", "!a control character" },
		{ "a\x01"
		  "b@x.org",
		    "!a character that may not stand there" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char shown[128] = "";
		for (size_t j = 0; cases[i].in[j] != '\0' && j < sizeof(shown) - 1; j++)
			shown[j] = (unsigned char)cases[i].in[j] < ' ' ? '~' : cases[i].in[j];
		is(list(cases[i].in, strlen(cases[i].in)), cases[i].out, "%s", shown);
	}
	is(list("a\0b@x.org", 9), "!a character that may not stand there", "a NUL in an atom");
	is(list("\"a\0b\"@x.org", 11), "!a NUL in an address", "a NUL in a quoted string");
}

/* Nesting and length cost nothing but time. */
static void
test_bounds(void)
{
	struct text t = { 0 };

	for (int i = 0; i < 100000; i++)
		text_put(&t, "(");
	is(list(t.s, t.len), "!a comment that does not end", "100,000 open comments");
	for (int i = 0; i < 100000; i++)
		text_put(&t, ")");
	text_put(&t, "a@x.org");
	is(list(t.s, t.len), "a@x.org", "closed again");

	t.len = 0;
	for (int i = 0; i <= RCPTS_MAX; i++)
		text_putf(&t, "u%d@x.org,", i);
	is(list(t.s, t.len), "!too many recipients", "%d recipients", RCPTS_MAX + 1);

	t.len = 0;
	for (int i = 0; i < 5000; i++)
		text_put(&t, "a");
	is(list(t.s, t.len), "!too long a local part", "a local part of 5,000");
	text_free(&t);

	/* every start and every end of a list with everything in it: no crash, no endless loop */
	static const char all[] =
	    "G: \"a\\\" b\" <@x,@y:c.d@e.f>, (c(d)\\)) e@[192.0.2.1];, \"q\".r@s.t\n u";
	size_t n = 0;
	for (size_t from = 0; from < sizeof(all) - 1; from++)
		for (size_t len = 0; len <= sizeof(all) - 1 - from; len++) {
			char *copy = xstrndup(all + from, len);
			n += list(copy, len) != NULL;
			free(copy);
		}
	ok(n > 1000, "%zu pieces of a list", n);
}

static const char *
header(const char *text)
{
	static struct text out;
	struct rcpts r = { 0 };
	char buf[ADDR_TEXT_LEN];
	char *wrong = rcpts_add_header(&r, text, strlen(text));

	out.len = 0;
	text_put(&out, wrong == NULL ? "" : wrong);
	for (size_t i = 0; wrong == NULL && i < r.n; i++)
		text_putf(&out, "%s%s", i == 0 ? "" : " ", addr_text(&r.addrs[i], buf));
	free(wrong);
	rcpts_free(&r);
	return out.s;
}

static void
test_headers(void)
{
	is(header(""), "", "no header");
	is(header("To: a@x.org\nSubject: To: b@x.org\nCC: c@x.org\nbcc : d@x.org\n"),
	    "a@x.org c@x.org d@x.org", "To, Cc, Bcc in any case, a blank before the colon");
	is(header("To: a@x.org,\n b@x.org,\n\tc@x.org\nX-To: d@x.org\nTo-Do: e@x.org\n"),
	    "a@x.org b@x.org c@x.org", "folded lines; other fields");
	is(header("To: a@x.org\nTo: b@x.org\nCc: a@x.org\n"), "a@x.org b@x.org",
	    "several fields, each address once");
	is(header("To: a@x.org\nResent-To: b@x.org\nResent-Bcc: c@x.org\n"), "b@x.org c@x.org",
	    "Resent fields stand for all");
	is(header("To: a@x.org\nCc: <b\n"), "Cc: a < without its >: \" <b\n\"",
	    "a complaint names the field");

	char text[] = "To: a\nBcc: b,\n c\nSubject: Bcc: d\nresent-bcc: e\nX: y\n";
	size_t len = rcpts_strip_bcc(text, strlen(text));
	text[len] = '\0';
	is(text, "To: a\nSubject: Bcc: d\nX: y\n", "Bcc fields are taken out");
	ok(rcpts_header_has("A: b\nFROM : x\n", 14, "From"), "has From");
	ok(!rcpts_header_has("A: b\n From: x\n", 14, "From"), "a folded line is no field");
	ok(!rcpts_header_has("From", 4, "From"), "a field without colon is none");
}

int
main(void)
{
	test_lists();
	test_bounds();
	test_headers();
	return done();
}
