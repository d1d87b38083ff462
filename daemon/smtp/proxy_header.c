/*
 * The header that a proxy puts before a connection: the PROXY protocol, version 2 (its binary form).
 *
 * Called by peer.c with what has come so far, and again with more.  Pure.  A header that does not say
 * who the client is (a protocol that is not TCP) is none: he would be taken for the proxy, who is
 * trusted.  What proxies add behind the addresses is skipped.
 */
#include "local.h"

#include <netinet/in.h>
#include <string.h>

#define FIXED_LEN 16 /* signature, version and command, protocol, length */
#define TCP4_LEN  12
#define TCP6_LEN  36

enum { VERSION_LOCAL = 0x20, VERSION_PROXY = 0x21, TCP4 = 0x11, TCP6 = 0x21 };

static const unsigned char signature[12] = { '\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I',
	'T', '\n' };

/* ::ffff:192.0.2.1 is an IPv4 address, for limits and rules alike. */
static void
set_address(
    struct sockaddr_storage *ss, bool four, const unsigned char *address, const unsigned char *port)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in in4 = { .sin_family = AF_INET };

	*ss = (struct sockaddr_storage){ 0 };
	memcpy(&in4.sin_port, port, 2);
	memcpy(&in6.sin6_port, port, 2);
	if (!four)
		memcpy(&in6.sin6_addr, address, 16);
	if (!four && IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
		four = true;
		address += 12;
	}
	if (four)
		memcpy(&in4.sin_addr, address, 4);
	if (four)
		memcpy(ss, &in4, sizeof(in4));
	else
		memcpy(ss, &in6, sizeof(in6));
}

enum proxy
proxy_header(const char *in, size_t in_len, size_t *len, struct sockaddr_storage *from,
    struct sockaddr_storage *to)
{
	const unsigned char *p = (const unsigned char *)in;
	size_t known = in_len < sizeof(signature) ? in_len : sizeof(signature);

	if (memcmp(p, signature, known) != 0)
		return PROXY_BAD;
	if (in_len > 12 && p[12] != VERSION_PROXY && p[12] != VERSION_LOCAL)
		return PROXY_BAD;
	if (in_len < FIXED_LEN)
		return PROXY_MORE;
	size_t rest = (size_t)p[14] << 8 | p[15];
	bool self = p[12] == VERSION_LOCAL, four = p[13] == TCP4;
	if (!self && !four && p[13] != TCP6)
		return PROXY_BAD;
	if (rest > PROXY_HEADER_MAX - FIXED_LEN || (!self && rest < (four ? TCP4_LEN : TCP6_LEN)))
		return PROXY_BAD;
	if (in_len - FIXED_LEN < rest)
		return PROXY_MORE;
	*len = FIXED_LEN + rest;
	if (self)
		return PROXY_SELF;
	const unsigned char *addresses = p + FIXED_LEN;
	size_t each = four ? 4 : 16;
	set_address(from, four, addresses, addresses + 2 * each);
	set_address(to, four, addresses + each, addresses + 2 * each + 2);
	return PROXY_CLIENT;
}
