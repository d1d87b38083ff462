/*
 * By what a host is known: its TLSA records (RFC 7672), as lookup found them, and whether the certificates
 * that it shows are those.  The only file of relay that calls libcrypto, for libtls verifies by
 * authorities alone.
 */
#ifndef RELAY_DANE_H
#define RELAY_DANE_H

#include "../msg.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* TLS is demanded; a certificate too, unless none of the records can be used. */
struct dane {
	char *base;  /* the name that they are for, by which the server is asked */
	char *names; /* others that a certificate may be for, blanks between them */
	size_t n;    /* records that can be used */
	struct tlsa *records;
	size_t len;
	unsigned char set[];
};

/* NULL: there are no records. */
struct dane *dane_new(const char *base, const char *names, struct bytes set);
void dane_free(struct dane *);
/* Whether both demand the same; but for `names`. */
bool dane_is_same(const struct dane *, const struct dane *);
bool dane_demands_certificate(const struct dane *); /* NULL: no */

enum dane_match {
	DANE_MISMATCH,
	DANE_BY_BASE, /* by the server's own key, or as that name */
	DANE_BY_NAME, /* as one of `names`: that depends on the domain whose mail it is */
};
/* chain: PEM, the server's own certificate first.  why: of MISMATCH. */
enum dane_match dane_verify(
    const struct dane *, const uint8_t *chain, size_t chain_len, char *why, size_t why_len);

#endif
