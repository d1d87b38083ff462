/* Whom the From field names afterwards, and what stays of the author's display name. */
#include "smtp/local.h"
#include "tap.h"
#include "text.h"

static void
check(const char *head, const char *want, const char *name)
{
	struct text t = { 0 };

	masquerade(&t, head, strlen(head), "me@example.org");
	text_putn(&t, "", 1);
	ok(strcmp(t.s, want) == 0, "%s", name);
	text_free(&t);
}

static void
named(const char *from, const char *want)
{
	char head[512], whole[512];

	snprintf(head, sizeof(head), "From: %s\n\n", from);
	snprintf(whole, sizeof(whole), "From: %s<me@example.org>\n\n", want);
	check(head, whole, from);
}

int
main(void)
{
	named("Bob <x@y>", "Bob ");
	named("\"Bob B\" <x@y>", "\"Bob B\" ");
	named("Bj\xc3\xb6rn <x@y>", "Bj\xc3\xb6rn ");
	named("x@y", "");
	named("<x@y>", "");
	named("\"CEO <x@y>", "");
	named("CEO\" <x@y>", "");
	named("\" <x@y>", "");
	named("a \"CEO\" <x@y>", "");
	named("\"a\" \"b\" <x@y>", "");
	named("\"a\"b\" <x@y>", "");
	named("=?utf-8?q?ceo=40victim.example?= <x@y>", "");
	named("\"=?utf-8?b?Y2VvQHZpY3RpbQ==?=\" <x@y>", "");
	named("\"ceo@victim.example\" <x@y>", "");
	named("staff: CEO <x@y>", "");
	named("CEO> <x@y>", "");
	named("CEO (ceo) <x@y>", "");
	named("a\001b <x@y>", "");
	named("1 = 1? <x@y>", "1 = 1? ");
	check("A: b\n\nFrom: x\n", "A: b\nFrom: <me@example.org>\n\nFrom: x\n", "the body stays");
	check("From: a\nfrom : b\n\n", "From: <me@example.org>\n\n", "one From");
	return done();
}
