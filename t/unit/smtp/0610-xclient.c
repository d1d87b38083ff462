/* The arguments of XCLIENT: what is taken, and what is refused. */
#include "smtp/local.h"
#include "tap.h"

#include <string.h>

static struct xclient x;

static const char *
parse(const char *args, bool login)
{
	char buf[COMMAND_LINE_MAX];

	snprintf(buf, sizeof(buf), "%s", args);
	return xclient_parse(&x, buf, login);
}

static void
address_is(const char *args, const char *want)
{
	char text[NETADDR_TEXT_LEN];

	ok(parse(args, false) == NULL, "%s", args);
	is(netaddr_text(&x.addr, text, sizeof(text)), want, "is %s", want);
}

static void
is_wrong(const char *args, bool login)
{
	const char *wrong = parse(args, login);

	ok(wrong != NULL && strncmp(wrong, "501 5.5.4 ", 10) == 0, "refused: %.60s", args);
}

int
main(void)
{
	char longest[400];

	ok(parse("NAME=spike.example ADDR=198.51.100.7 PORT=1234 PROTO=ESMTP HELO=x.example "
		 "LOGIN=bob DESTADDR=192.0.2.1 DESTPORT=25",
	       true) == NULL,
	    "all that there is");
	ok(x.has_name && x.has_addr && x.has_proto && x.has_helo && x.has_login && x.has_dest &&
		x.esmtp,
	    "all is there");
	is(x.name, "spike.example", "the name");
	is(x.helo, "x.example", "the name given to HELO");
	is(x.login, "bob", "the user");
	ok(parse("proto=smtp helo=y", false) == NULL && !x.esmtp && !x.has_addr && !x.has_name,
	    "letters of either case; only what was given");
	address_is("ADDR=198.51.100.7", "198.51.100.7");
	address_is("ADDR=IPV6:2001:db8::7", "2001:db8::7");
	address_is("ADDR=2001:db8::7", "2001:db8::7");
	address_is("ADDR=IPv6:::ffff:198.51.100.7", "198.51.100.7");
	ok(parse("NAME=[UNAVAILABLE] ADDR=[TEMPUNAVAIL] HELO=[unavailable] LOGIN=[UNAVAILABLE] "
		 "PORT=[UNAVAILABLE] PROTO=[UNAVAILABLE]",
	       true) == NULL,
	    "what is not known");
	ok(x.has_name && x.has_addr && x.has_helo && x.has_login && x.name[0] == '\0' &&
		x.helo[0] == '\0' && x.login[0] == '\0' && x.addr.ss_family == AF_UNSPEC,
	    "is told as such");
	ok(parse("LOGIN=bob+40example.org HELO=+5B198.51.100.7+5D", true) == NULL, "xtext");
	is(x.login, "bob@example.org", "is decoded");
	is(x.helo, "[198.51.100.7]", "in every value");
	ok(parse("ADDR=IPV6:::ffff:198.51.100.7", true) == NULL && x.addr.ss_family == AF_INET,
	    "an address of IPv4 in IPv6 is one of IPv4");
	is_wrong("", true);
	is_wrong("   ", true);
	is_wrong("NAME", true);
	is_wrong("NAME=", true);
	is_wrong("NAME=a b", true);
	is_wrong("NAME=..", true);
	is_wrong("NAME=a+0D+0AMAIL", true);
	is_wrong("HELO=a+00b", true);
	is_wrong("HELO=a+0", true);
	is_wrong("HELO=a+", true);
	is_wrong("HELO=a+4a", true);
	is_wrong("HELO=a(b", true);
	is_wrong("ADDR=198.51.100", true);
	is_wrong("ADDR=", true);
	is_wrong("ADDR=[198.51.100.7]", true);
	is_wrong("ADDR=IPV6:198.51.100.7", true);
	is_wrong("ADDR=198.51.100.7/24", true);
	is_wrong("PORT=65536", true);
	is_wrong("PORT=-1", true);
	is_wrong("PORT=", true);
	is_wrong("DESTPORT=x", true);
	is_wrong("PROTO=LMTP", true);
	is_wrong("LOGIN=", true);
	is_wrong("LOGIN=a:b", true);
	is_wrong("LOGIN=a+0Ab", true);
	is_wrong("LOGIN=bob", false);
	is_wrong("FOO=bar", true);
	memset(longest, 'a', sizeof(longest));
	memcpy(longest, "LOGIN=", 6);
	longest[6 + 255] = '\0';
	ok(parse(longest, true) == NULL, "255 bytes of a value");
	longest[6 + 255] = 'a';
	longest[6 + 256] = '\0';
	is_wrong(longest, true);
	return done();
}
