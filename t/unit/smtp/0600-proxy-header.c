/* The header of the PROXY protocol: what is one, cut anywhere; what is none, found as early as can be. */
#include "smtp/local.h"
#include "tap.h"

#include <string.h>

#define SIGNATURE                    "\r\n\r\n\0\r\nQUIT\n"
#define HEAD(version, protocol, len) SIGNATURE version protocol "\0" len
#define TCP4                         "\306\063\144\007\300\000\002\001\x12\x34\x00\x19"
#define TCP6                                                                                       \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x12\x34" \
	"\x00\x19"
#define MAPPED                                                                                     \
	"\0\0\0\0\0\0\0\0\0\0\xff\xff\306\063\144\007\0\0\0\0\0\0\0\0\0\0\xff\xff\300\000\002\001" \
	"\x12\x34\x00\x19"
#define TLV "\4\0\3abc"

static size_t len;
static struct sockaddr_storage from, to;

static enum proxy
header(const char *in, size_t in_len)
{
	len = 0;
	return proxy_header(in, in_len, &len, &from, &to);
}

/* The whole is `want`, every piece of it is not whole yet, and what follows does not matter. */
static void
is_header(
    const char *in, size_t in_len, enum proxy want, const char *a, const char *b, const char *what)
{
	char buf[512], text[NETADDR_TEXT_LEN];
	bool more = true;

	for (size_t n = 0; n < in_len; n++)
		more = more && header(in, n) == PROXY_MORE;
	ok(more, "%s: no piece of it is whole", what);
	memcpy(buf, in, in_len);
	memcpy(buf + in_len, "EHLO x\r\n", 8);
	ok(header(in, in_len) == want && len == in_len, "%s: it is whole", what);
	ok(header(buf, in_len + 8) == want && len == in_len, "%s: what follows is not its own",
	    what);
	if (a == NULL)
		return;
	is(netaddr_text(&from, text, sizeof(text)), a, "%s: the client", what);
	is(netaddr_text(&to, text, sizeof(text)), b, "%s: what he connected to", what);
	ok(netaddr_port(&from) == 0x1234 && netaddr_port(&to) == 25, "%s: ports", what);
}

/* Refused at this byte and not before. */
static void
is_none(const char *in, size_t in_len, const char *what)
{
	bool more = true;

	for (size_t n = 0; n < in_len; n++)
		more = more && header(in, n) == PROXY_MORE;
	ok(more && header(in, in_len) == PROXY_BAD, "%s: refused at once", what);
}

#define H(s) s, sizeof(s) - 1

int
main(void)
{
	is_header(
	    H(HEAD("\x21", "\x11", "\14") TCP4), PROXY_CLIENT, "198.51.100.7", "192.0.2.1", "TCP4");
	is_header(H(HEAD("\x21", "\x11", "\22") TCP4 TLV), PROXY_CLIENT, "198.51.100.7",
	    "192.0.2.1", "TCP4 and more");
	is_header(H(HEAD("\x21", "\x21", "\44") TCP6), PROXY_CLIENT, "2001:db8::7", "2001:db8::1",
	    "TCP6");
	is_header(H(HEAD("\x21", "\x21", "\44") MAPPED), PROXY_CLIENT, "198.51.100.7", "192.0.2.1",
	    "IPv4 in IPv6");
	ok(from.ss_family == AF_INET, "is IPv4");
	is_header(H(HEAD("\x20", "\x00", "\0")), PROXY_SELF, NULL, NULL, "LOCAL");
	is_header(
	    H(HEAD("\x20", "\x11", "\14") TCP4), PROXY_SELF, NULL, NULL, "LOCAL with addresses");
	is_none(H("E"), "SMTP");
	is_none(H("P"), "version 1");
	is_none(H("\r\n\r\n\0\r\nQUIS"), "a signature with a fault");
	is_none(H(SIGNATURE "\x11"), "version 1 in binary");
	is_none(H(SIGNATURE "\x22"), "a command that is none");
	is_none(H(HEAD("\x21", "\x00", "\0")), "a client that is not told");
	is_none(H(HEAD("\x21", "\x12", "\14")), "UDP");
	is_none(H(HEAD("\x21", "\x31", "\xd8")), "a UNIX socket");
	is_none(H(HEAD("\x21", "\x11", "\13")), "too short for IPv4");
	is_none(H(HEAD("\x21", "\x21", "\43")), "too short for IPv6");
	is_none(H(SIGNATURE "\x21\x11\x1f\xf1"), "longer than may be");
	is_none(H(SIGNATURE "\x20\x00\xff\xff"), "as LOCAL, too");
	return done();
}
