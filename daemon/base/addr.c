/* Mail addresses and network addresses; see addr.h. */
#include "addr.h"
#include "idna.h"
#include "text.h"
#include "utf8.h"

#include <arpa/inet.h>
#include <bsd/string.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *parse_local(struct addr *, const char *p, const char *end, const char **at);
static const char *parse_domain(struct addr *, const char *p, const char *end);
static bool is_atext(unsigned char c);

const char *
addr_parse(struct addr *a, const char *text, size_t len)
{
	const char *end = text + len;
	const char *at, *wrong;

	*a = (struct addr){ 0 };
	if ((wrong = parse_local(a, text, end, &at)) != NULL)
		return wrong;
	if (at == end || *at != '@')
		return "no @ after the local part";
	return parse_domain(a, at + 1, end);
}

const char *
addr_parse_path(struct addr *a, const char *text, bool null_ok, const char **rest)
{
	const char *p = text;
	const char *end;
	bool quoted = false;

	*a = (struct addr){ 0 };
	if (*p++ != '<')
		return "no < before the address";
	for (end = p; *end != '\0' && (quoted || *end != '>'); end++) {
		if (*end == '\\' && quoted && end[1] != '\0')
			end++;
		else if (*end == '"')
			quoted = !quoted;
	}
	if (*end != '>')
		return "no > after the address";
	*rest = end + 1;
	if (p == end)
		return null_ok ? NULL : "an empty address";
	if (*p == '@') { /* a source route: to be accepted, and ignored */
		const char *colon = memchr(p, ':', (size_t)(end - p));
		if (colon == NULL)
			return "a source route without its colon";
		p = colon + 1;
	}
	if ((size_t)(end - p) == strlen("postmaster") &&
	    strncasecmp(p, "postmaster", strlen("postmaster")) == 0) {
		strlcpy(a->local, "postmaster", sizeof(a->local));
		return NULL;
	}
	return addr_parse(a, p, (size_t)(end - p));
}

/* The bytes of a character beyond ASCII (RFC 6532 3.1) that a local part may hold; 0: it may not. */
static size_t
utf8_taken(const char *p, const char *end)
{
	uint32_t code;
	size_t len = utf8_char_within(p, (size_t)(end - p), &code);

	return utf8_is_clean(p, len) ? len : 0;
}

static const char *
parse_local(struct addr *a, const char *p, const char *end, const char **at)
{
	size_t n = 0;
	bool quoted = p < end && *p == '"';

	if (quoted)
		p++;
	for (; p < end; p++) {
		unsigned char c = (unsigned char)*p;
		if (quoted && c == '"')
			break;
		if (!quoted && c == '@')
			break;
		if (quoted && c == '\\' && p + 1 < end)
			c = (unsigned char)*++p;
		if (c >= 0x80) {
			size_t len = utf8_taken(p, end);
			if (len == 0)
				return "an octet that is no character of UTF-8, or one that is not "
				       "shown";
			if (n + len > LOCAL_MAX)
				return "too long a local part";
			memcpy(a->local + n, p, len);
			n += len;
			p += len - 1;
			continue;
		}
		if (c < 0x20 || c == 0x7f)
			return "a control character";
		if (!quoted && !is_atext(c) && c != '.')
			return "a character that must be quoted";
		if (!quoted && c == '.' && (n == 0 || a->local[n - 1] == '.'))
			return "a dot where none may be";
		if (n == LOCAL_MAX)
			return "too long a local part";
		a->local[n++] = (char)c;
	}
	if (quoted) {
		if (p == end)
			return "a quote that does not end";
		p++;
	} else if (n > 0 && a->local[n - 1] == '.') {
		return "a dot where none may be";
	}
	if (n == 0)
		return "an empty local part";
	a->local[n] = '\0';
	*at = p;
	return NULL;
}

static const char *
parse_domain(struct addr *a, const char *p, const char *end)
{
	size_t len = (size_t)(end - p);
	char given[DOMAIN_MAX + 1];
	struct sockaddr_storage ss;

	if (len == 0)
		return "an empty domain";
	if (len > DOMAIN_MAX)
		return "too long a domain";
	memcpy(given, p, len);
	given[len] = '\0';
	if (strlen(given) != len)
		return "a NUL in the domain";
	if (given[0] != '[')
		return idna_ascii(a->domain, given) ? NULL : "no valid domain";
	memcpy(a->domain, given, len + 1);
	return netaddr_parse(&ss, a->domain, 0) ? NULL : "no valid address literal";
}

const char *
addr_text(const struct addr *a, char buf[ADDR_TEXT_LEN])
{
	bool plain = true;
	size_t n = 0;

	buf[0] = '\0';
	if (a->local[0] == '\0')
		return buf;
	for (const char *p = a->local; *p != '\0'; p++)
		if (!is_atext((unsigned char)*p) &&
		    (*p != '.' || p == a->local || p[1] == '.' || p[1] == '\0'))
			plain = false;
	if (!plain)
		buf[n++] = '"';
	for (const char *p = a->local; *p != '\0'; p++) {
		if (!plain && (*p == '"' || *p == '\\'))
			buf[n++] = '\\';
		buf[n++] = *p;
	}
	if (!plain)
		buf[n++] = '"';
	buf[n] = '\0';
	if (a->domain[0] != '\0')
		snprintf(buf + n, ADDR_TEXT_LEN - n, "@%s", a->domain);
	return buf;
}

/* RFC 5322 3.2.3; beyond ASCII RFC 6532 3.2 */
static bool
is_atext(unsigned char c)
{
	return c >= 0x80 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

bool
addr_is_domain(const char *s)
{
	size_t label = 0;

	if (strlen(s) > DOMAIN_MAX)
		return false;
	for (; *s != '\0'; s++) {
		if (*s == '.') {
			if (label == 0 || s[-1] == '-' || s[1] == '\0')
				return false;
			label = 0;
			continue;
		}
		bool alnum = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
			     (*s >= '0' && *s <= '9');
		if (!alnum && *s != '_' && (*s != '-' || label == 0))
			return false;
		if (++label > 63)
			return false;
	}
	return label > 0 && s[-1] != '-';
}

bool
netaddr_parse(struct sockaddr_storage *ss, const char *text, unsigned port)
{
	char buf[NETADDR_TEXT_LEN];
	struct sockaddr_in *in4 = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

	*ss = (struct sockaddr_storage){ 0 };
	if (strlcpy(buf, text, sizeof(buf)) >= sizeof(buf))
		return false;
	char *p = buf;
	if (*p == '[') {
		size_t len = strlen(p);
		if (p[len - 1] != ']')
			return false;
		p[len - 1] = '\0';
		p++;
		if (strncasecmp(p, "IPv6:", 5) == 0)
			p += 5;
	}
	if (inet_pton(AF_INET, p, &in4->sin_addr) == 1) {
		in4->sin_family = AF_INET;
		in4->sin_port = htons((uint16_t)port);
		return true;
	}
	if (inet_pton(AF_INET6, p, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)port);
		return true;
	}
	return false;
}

const char *
netaddr_text(const struct sockaddr_storage *ss, char *buf, size_t len)
{
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)ss;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;

	strlcpy(buf, "local", len);
	if (ss->ss_family == AF_INET)
		inet_ntop(AF_INET, &in4->sin_addr, buf, (socklen_t)len);
	else if (ss->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], buf, (socklen_t)len);
	else if (ss->ss_family == AF_INET6)
		inet_ntop(AF_INET6, &in6->sin6_addr, buf, (socklen_t)len);
	return buf;
}

bool
netaddr_is_loopback(const struct sockaddr_storage *ss)
{
	if (ss->ss_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)ss)->sin_addr.s_addr) >> 24 == 127;
	if (ss->ss_family != AF_INET6)
		return false;
	const struct in6_addr *in6 = &((const struct sockaddr_in6 *)ss)->sin6_addr;
	return IN6_IS_ADDR_LOOPBACK(in6) || (IN6_IS_ADDR_V4MAPPED(in6) && in6->s6_addr[12] == 127);
}

socklen_t
netaddr_len(const struct sockaddr_storage *ss)
{
	return ss->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

unsigned
netaddr_port(const struct sockaddr_storage *ss)
{
	if (ss->ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)ss)->sin6_port);
	return ntohs(((const struct sockaddr_in *)ss)->sin_port);
}

const char *
netaddr_literal(const char *address, char *buf, size_t len)
{
	snprintf(buf, len, "[%s%s]", strchr(address, ':') != NULL ? "IPv6:" : "", address);
	return buf;
}

const char *
netaddr_network(const char *address, unsigned bits4, unsigned bits6, char *buf, size_t len)
{
	struct sockaddr_storage ss;
	char text[NETADDR_TEXT_LEN];

	if (!netaddr_parse(&ss, address, 0)) {
		snprintf(buf, len, "%s", address);
		return buf;
	}
	bool four = ss.ss_family == AF_INET;
	unsigned bits = four ? bits4 : bits6, n = four ? 4 : 16;
	unsigned char *bytes = four ? (unsigned char *)&((struct sockaddr_in *)&ss)->sin_addr
				    : (unsigned char *)&((struct sockaddr_in6 *)&ss)->sin6_addr;
	for (unsigned i = 0; i < n; i++) {
		unsigned keep = bits > i * 8 ? bits - i * 8 : 0;
		bytes[i] = keep >= 8 ? bytes[i] : (unsigned char)(bytes[i] & (0xff00u >> keep));
	}
	snprintf(buf, len, "%s/%u", netaddr_text(&ss, text, sizeof(text)), bits);
	return buf;
}

void
netaddr_bind_early(int fd, int family)
{
#ifdef IPV6_FREEBIND
	int on = 1;

	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on));
#else
	(void)fd;
	(void)family;
#endif
}
