/*
 * What libtls has no word for, said to the library below it, OpenSSL or LibreSSL.
 *
 * Idle connections keep no buffers.  Sessions are resumed by tickets: libretls's own never are, for
 * what its callback returns means success to LibreSSL and none to OpenSSL.  libtls shows nobody its
 * SSL_CTX; but the library tells of each that is made (SSL_CTX_get_ex_new_index(3)).
 */
#ifndef TABMAIL_TLSNATIVE_H
#define TABMAIL_TLSNATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls;
struct tls_config;

/* Of a context, as long as its struct tls is not configured anew. */
struct tlsnative {
	void *ctx;       /* an SSL_CTX; NULL: none was made */
	int64_t keys_ms; /* when the keys of its tickets were drawn; 0: it gives none */
};

/* As tls_configure(). */
int tlsnative_configure(struct tlsnative *, struct tls *, struct tls_config *, bool tickets);

/* "has expired on 2026-01-31", "is valid from 2027-01-31 on": the first certificate of a PEM text; NULL: neither. */
const char *tlsnative_untimely(const char *pem, size_t len);

/* Before a connection: keys of tickets that are an hour old are replaced. */
void tlsnative_renew(struct tlsnative *);

#endif
