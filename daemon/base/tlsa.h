/*
 * TLSA records (RFC 6698, with RFC 7671 and 7672): which of a set may be used, and whether one is that of a
 * certificate.  Pure; what it reads comes from outside.
 */
#ifndef TABMAIL_TLSA_H
#define TABMAIL_TLSA_H

#include "../msg.h"

#include <stdbool.h>

#define TLSA_MAX      64 /* records of a set */
#define TLSA_TEXT_LEN 40

enum tlsa_usage { TLSA_PKIX_TA, TLSA_PKIX_EE, TLSA_DANE_TA, TLSA_DANE_EE };
enum tlsa_selector { TLSA_CERTIFICATE, TLSA_KEY };
enum tlsa_matching { TLSA_FULL, TLSA_SHA256, TLSA_SHA512 };

struct tlsa {
	unsigned usage, selector, matching; /* also values that are in no enum */
	struct bytes data;                  /* points into what was parsed */
};

/* False: these bytes are no such record. */
bool tlsa_parse(struct tlsa *, struct bytes rdata);

/*
 * Keeps those that SMTP can use (RFC 7672 3.1), and of their digests the strongest (RFC 7671 9); how many
 * are left.  None of some: TLS is demanded, and no certificate.
 */
size_t tlsa_choose(struct tlsa *, size_t n);

/* Whether it is that of a certificate, given as its DER and that of its SubjectPublicKeyInfo. */
bool tlsa_matches(const struct tlsa *, struct bytes certificate, struct bytes key);

/* "3 1 1 e3b0c44298fc…"; buf is returned. */
const char *tlsa_text(const struct tlsa *, char buf[TLSA_TEXT_LEN]);

/*
 * A set as messages carry it: each record's length in two bytes, then the record.  tlsa_unpack() takes
 * max at most and gives how many.
 */
size_t tlsa_packed_len(size_t rdata_len);
void tlsa_pack(unsigned char *to, struct bytes rdata);
size_t tlsa_unpack(struct tlsa *, size_t max, struct bytes set);

#endif
