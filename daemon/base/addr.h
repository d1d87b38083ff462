/*
 * Mail addresses (RFC 5321 4.1.2) and network addresses.  Pure.
 */
#ifndef TABMAIL_ADDR_H
#define TABMAIL_ADDR_H

#include <sys/socket.h>

#include <stdbool.h>
#include <stddef.h>

#define LOCAL_MAX \
	128 /* RFC 5321 4.5.3.1.1 asks for 64 octets; longer ones are in use (SRS, VERP) */
#define DOMAIN_MAX 255 /* 4.5.3.1.2 */
#define ADDR_MAX   (LOCAL_MAX + 1 + DOMAIN_MAX)

/* A mailbox.  Both empty: the null reverse-path. Domain empty: "Postmaster" alone. */
struct addr {
	char local[LOCAL_MAX + 1]; /* case kept, a quoted string without its quotes */
	char domain[DOMAIN_MAX +
		    1]; /* lower case, ASCII (idna.h); an address literal keeps its brackets */
};

/*
 * Reads "local@domain" (no angle brackets) of the length given.  NULL, or what is wrong with it, a
 * static text.  Refuses controls, an empty part, and what is no dot-atom, quoted string, domain or
 * literal.  Beyond ASCII it is UTF-8 (RFC 6531 3.3): the local part stays as it is, the domain becomes the
 * form that the DNS has.  Who may not have that asks utf8_is_ascii() of the text.
 */
const char *addr_parse(struct addr *, const char *text, size_t len);

/*
 * Reads a path as MAIL and RCPT give it: "<…>", a source route dropped (RFC 5321 4.1.1.3), then
 * *rest points behind it.  With null_ok "<>" is the null reverse-path; "<postmaster>" is taken
 * without a domain.  NULL, or what is wrong.
 */
const char *addr_parse_path(struct addr *, const char *text, bool null_ok, const char **rest);

/* "local@domain", the local part quoted again where it must be, "" for the null path. */
const char *addr_text(const struct addr *, char buf[ADDR_MAX + 1 + LOCAL_MAX]);
#define ADDR_TEXT_LEN (ADDR_MAX + 1 + LOCAL_MAX)

/* Whether a domain name is well-formed: labels of letters, digits, hyphens, underscores. */
bool addr_is_domain(const char *);

/* "192.0.2.1", "[192.0.2.1]", "2001:db8::1", "[IPv6:2001:db8::1]", "[2001:db8::1]"; false: none. */
bool netaddr_parse(struct sockaddr_storage *, const char *text, unsigned port);

/* The address without port: "192.0.2.1"; a mapped IPv4 address as IPv4.  "local" for AF_UNIX. */
const char *netaddr_text(const struct sockaddr_storage *, char *buf, size_t len);
#define NETADDR_TEXT_LEN 64

/* 127.0.0.0/8 and ::1, also as a mapped IPv4 address. */
bool netaddr_is_loopback(const struct sockaddr_storage *);
/*
 * The network of an address, as text with its length: "192.0.2.0/24", "2001:db8::/64"; what is no
 * address stays as it is.  buf is returned.
 */
const char *netaddr_network(
    const char *address, unsigned bits4, unsigned bits6, char *buf, size_t len);

/*
 * Lets this socket bind to an address of an interface that the kernel does not give yet: IPv6 addresses
 * are looked at for duplicates for a second or two after a start (RFC 4862 5.4).  Where there is no such
 * option nothing happens.
 */
void netaddr_bind_early(int fd, int family);

socklen_t netaddr_len(const struct sockaddr_storage *);
unsigned netaddr_port(const struct sockaddr_storage *);

/* "[192.0.2.1]" or "[IPv6:…]" for HELO, Received and text (RFC 5321 4.1.3). */
const char *netaddr_literal(const char *address, char *buf, size_t len);

#endif
