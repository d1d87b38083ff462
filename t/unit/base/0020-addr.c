/* addr.h: mailboxes and paths of RFC 5321, network addresses.  Security row 1. */
#include "addr.h"
#include "tap.h"

static void
mailbox(const char *text, const char *local, const char *domain)
{
	struct addr a;
	const char *wrong = addr_parse(&a, text, strlen(text));

	if (local == NULL) {
		ok(wrong != NULL, "refused: %s", text);
		return;
	}
	is(wrong, NULL, "taken: %s", text);
	is(a.local, local, "its local part");
	is(a.domain, domain, "its domain");
}

static void
mailboxes(void)
{
	char buf[ADDR_TEXT_LEN], local[300];
	struct addr a;

	mailbox("bob@example.org", "bob", "example.org");
	mailbox("Bob.Smith+tag@Example.ORG", "Bob.Smith+tag", "example.org");
	mailbox("\"a b\"@example.org", "a b", "example.org");
	mailbox("\"a\\\"b\"@example.org", "a\"b", "example.org");
	mailbox("bob@[192.0.2.1]", "bob", "[192.0.2.1]");
	mailbox("bob@[IPv6:2001:db8::1]", "bob", "[IPv6:2001:db8::1]");
	mailbox("a!#$%&'*+-/=?^_`{|}~z@x.org", "a!#$%&'*+-/=?^_`{|}~z", "x.org");
	mailbox("bob", NULL, NULL);
	mailbox("@example.org", NULL, NULL);
	mailbox("bob@", NULL, NULL);
	mailbox(";touch x;", NULL, NULL);
	mailbox(";touch x;@", NULL, NULL);
	mailbox("a b@example.org", NULL, NULL);
	mailbox(".bob@example.org", NULL, NULL);
	mailbox("bob.@example.org", NULL, NULL);
	mailbox("b..ob@example.org", NULL, NULL);
	mailbox("bob@-example.org", NULL, NULL);
	mailbox("bob@example-.org", NULL, NULL);
	mailbox("bob@example..org", NULL, NULL);
	mailbox("bob@example.org.", NULL, NULL);
	mailbox("bob@exa mple.org", NULL, NULL);
	mailbox("bob@[300.1.1.1]", NULL, NULL);
	mailbox("bob@[192.0.2.1", NULL, NULL);
	mailbox("\"bob@example.org", NULL, NULL);
	mailbox("b\xc3\xb6@example.org", "b\xc3\xb6", "example.org");
	mailbox("bob\n@example.org", NULL, NULL);
	mailbox("\"bob\r\n\"@example.org", NULL, NULL);
	for (const char *p = ";|&$`<>(){}'\"\\"; *p != '\0'; p++) {
		char text[] = { 'a', *p, 'b', '\0' };
		ok(addr_parse(&a, text, 3) != NULL, "without a domain refused: %s", text);
	}
	ok(addr_parse(&a, "a\0b@x.org", 9) != NULL, "a NUL is refused");
	memset(local, 'a', sizeof(local));
	memcpy(local + LOCAL_MAX, "@x.org", 7);
	is(addr_parse(&a, local, strlen(local)), NULL, "the longest local part");
	memset(local, 'a', sizeof(local));
	memcpy(local + LOCAL_MAX + 1, "@x.org", 7);
	ok(addr_parse(&a, local, strlen(local)) != NULL, "a longer one is refused");

	addr_parse(&a, "\"a b\\\\c\"@x.org", 14);
	is(addr_text(&a, buf), "\"a b\\\\c\"@x.org", "quoted again when it must be");
	addr_parse(&a, "\"plain\"@x.org", 13);
	is(addr_text(&a, buf), "plain@x.org", "and not when it need not");
}

static void
path(const char *text, bool null_ok, const char *want, const char *want_rest)
{
	char buf[ADDR_TEXT_LEN];
	const char *rest = NULL;
	struct addr a;
	const char *wrong = addr_parse_path(&a, text, null_ok, &rest);

	if (want == NULL) {
		ok(wrong != NULL, "refused: %s", text);
		return;
	}
	is(wrong, NULL, "taken: %s", text);
	is(addr_text(&a, buf), want, "the address");
	is(rest, want_rest, "what follows it");
}

static void
paths(void)
{
	path("<bob@x.org>", false, "bob@x.org", "");
	path("<bob@x.org> SIZE=5", false, "bob@x.org", " SIZE=5");
	path("<>", true, "", "");
	path("<> BODY=8BITMIME", true, "", " BODY=8BITMIME");
	path("<>", false, NULL, NULL);
	path("<Postmaster>", false, "postmaster", "");
	path("<@a.org,@b.org:bob@x.org>", false, "bob@x.org", "");
	path("<\"a>b\"@x.org> X", false, "\"a>b\"@x.org", " X");
	path("<bob@x.org", false, NULL, NULL);
	path("bob@x.org", false, NULL, NULL);
	path("<bob>", false, NULL, NULL);
	path("<@a.org>", false, NULL, NULL);
	path("<\"bob@x.org>", false, NULL, NULL);
}

static void
networks(void)
{
	struct sockaddr_storage ss;
	char buf[NETADDR_TEXT_LEN];

	ok(netaddr_parse(&ss, "192.0.2.1", 25), "IPv4");
	is(netaddr_text(&ss, buf, sizeof(buf)), "192.0.2.1", "as text");
	is_int(netaddr_port(&ss), 25, "its port");
	ok(netaddr_parse(&ss, "[IPv6:2001:DB8::1]", 25), "an IPv6 literal");
	is(netaddr_text(&ss, buf, sizeof(buf)), "2001:db8::1", "as text");
	ok(netaddr_parse(&ss, "::ffff:192.0.2.1", 0), "a mapped address");
	is(netaddr_text(&ss, buf, sizeof(buf)), "192.0.2.1", "is shown as IPv4");
	ok(!netaddr_parse(&ss, "example.org", 0), "a name is none");
	ok(!netaddr_parse(&ss, "[192.0.2.1", 0), "nor is half a bracket");
	ok(!netaddr_parse(&ss, "", 0), "nor nothing");
	is(netaddr_literal("2001:db8::1", buf, sizeof(buf)), "[IPv6:2001:db8::1]", "a literal");
	is(netaddr_literal("192.0.2.1", buf, sizeof(buf)), "[192.0.2.1]", "a literal");
}

int
main(void)
{
	mailboxes();
	paths();
	networks();
	return done();
}
