/*
 * Whether a server's certificates are those of its TLSA records; see dane.h.
 *
 *	DANE-EE(3)   the server's own certificate is one of the records': no name, no date counts
 *	DANE-TA(2)   it was issued by one of the records', in a chain that is good today, for a name that is
 *	             expected.  The issuer stands in the chain, or whole in its record
 */
#include "dane.h"
#include "text.h"
#include "tlsa.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHAIN_MAX 16

/* A certificate as records tell of it. */
struct shown {
	X509 *x;
	unsigned char *certificate, *key; /* DER */
	int certificate_len, key_len;
};

struct dane *
dane_new(const char *base, const char *names, struct bytes set)
{
	if (set.len == 0)
		return NULL;
	struct dane *d = xcalloc(1, sizeof(*d) + set.len);
	memcpy(d->set, set.data, set.len);
	d->len = set.len;
	d->base = xstrdup(base);
	d->names = xstrdup(names);
	d->records = xcalloc(TLSA_MAX, sizeof(*d->records));
	d->n = tlsa_choose(
	    d->records, tlsa_unpack(d->records, TLSA_MAX, (struct bytes){ d->set, d->len }));
	return d;
}

void
dane_free(struct dane *d)
{
	if (d == NULL)
		return;
	free(d->records);
	free(d->base);
	free(d->names);
	free(d);
}

bool
dane_is_same(const struct dane *a, const struct dane *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a->base, b->base) == 0 && a->len == b->len &&
	       memcmp(a->set, b->set, a->len) == 0;
}

bool
dane_demands_certificate(const struct dane *d)
{
	return d != NULL && d->n > 0;
}

/* --- What the server shows */

static size_t
read_chain(struct shown *v, const uint8_t *pem, size_t len)
{
	BIO *bio = BIO_new_mem_buf(pem, (int)len);
	size_t n = 0;
	X509 *x;

	while (bio != NULL && n < CHAIN_MAX &&
	       (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		struct shown *s = &v[n++];
		*s = (struct shown){ .x = x };
		s->certificate_len = i2d_X509(x, &s->certificate);
		s->key_len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &s->key);
	}
	BIO_free(bio);
	ERR_clear_error(); /* the end of the text is one for it */
	return n;
}

static void
free_chain(struct shown *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		X509_free(v[i].x);
		OPENSSL_free(v[i].certificate);
		OPENSSL_free(v[i].key);
	}
}

static bool
is_of_a_record(const struct dane *d, enum tlsa_usage usage, const struct shown *s)
{
	if (s->certificate_len <= 0 || s->key_len <= 0)
		return false;
	for (size_t i = 0; i < d->n; i++)
		if (d->records[i].usage == usage &&
		    tlsa_matches(&d->records[i],
			(struct bytes){ s->certificate, (size_t)s->certificate_len },
			(struct bytes){ s->key, (size_t)s->key_len }))
			return true;
	return false;
}

/* --- Who vouches for it */

/* The trust anchors that are at hand; how many. */
static size_t
add_anchors(X509_STORE *store, const struct dane *d, const struct shown *v, size_t n)
{
	size_t anchors = 0;

	for (size_t i = 1; i < n; i++)
		if (is_of_a_record(d, TLSA_DANE_TA, &v[i]))
			anchors += X509_STORE_add_cert(store, v[i].x) == 1;
	for (size_t i = 0; i < d->n; i++) {
		const struct tlsa *t = &d->records[i];
		const unsigned char *der = t->data.data;
		if (t->usage != TLSA_DANE_TA || t->selector != TLSA_CERTIFICATE ||
		    t->matching != TLSA_FULL)
			continue;
		X509 *x = d2i_X509(NULL, &der, (long)t->data.len);
		anchors += x != NULL && X509_STORE_add_cert(store, x) == 1;
		X509_free(x);
	}
	return anchors;
}

/* X509_V_OK, or OpenSSL's reason. */
static int
verify_chain(X509_STORE *store, const struct shown *v, size_t n)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) *rest = sk_X509_new_null();
	int error = X509_V_ERR_OUT_OF_MEM;

	for (size_t i = 1; i < n && rest != NULL; i++)
		sk_X509_push(rest, v[i].x);
	if (ctx != NULL && rest != NULL && X509_STORE_CTX_init(ctx, store, v[0].x, rest) == 1) {
		X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_SERVER);
		X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_PARTIAL_CHAIN);
		error = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
	}
	X509_STORE_CTX_free(ctx);
	sk_X509_free(rest);
	return error;
}

static bool
is_for(const struct shown *s, const char *name, size_t len)
{
	return X509_check_host(s->x, name, len, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

static enum dane_match
check_names(const struct dane *d, const struct shown *s, char *why, size_t why_len)
{
	if (is_for(s, d->base, strlen(d->base)))
		return DANE_BY_BASE;
	for (const char *name = d->names; *name != '\0';) {
		size_t len = strcspn(name, " ");
		if (len > 0 && is_for(s, name, len))
			return DANE_BY_NAME;
		name += len + (name[len] == ' ');
	}
	snprintf(why, why_len, "the certificate is not for %s%s%s", d->base,
	    d->names[0] == '\0' ? "" : " ", d->names);
	return DANE_MISMATCH;
}

static enum dane_match
verify_by_anchors(const struct dane *d, const struct shown *v, size_t n, char *why, size_t why_len)
{
	X509_STORE *store = X509_STORE_new();
	enum dane_match match = DANE_MISMATCH;
	int error;

	if (store == NULL || add_anchors(store, d, v, n) == 0)
		snprintf(why, why_len, "no certificate is that of the TLSA records of %s", d->base);
	else if ((error = verify_chain(store, v, n)) != X509_V_OK)
		snprintf(why, why_len, "the trust anchor of %s: %s", d->base,
		    X509_verify_cert_error_string(error));
	else
		match = check_names(d, &v[0], why, why_len);
	X509_STORE_free(store);
	ERR_clear_error();
	return match;
}

enum dane_match
dane_verify(const struct dane *d, const uint8_t *chain, size_t chain_len, char *why, size_t why_len)
{
	struct shown v[CHAIN_MAX];
	size_t n = chain == NULL ? 0 : read_chain(v, chain, chain_len);
	enum dane_match match = DANE_MISMATCH;

	if (n == 0)
		snprintf(why, why_len, "the server shows no certificate");
	else if (is_of_a_record(d, TLSA_DANE_EE, &v[0]))
		match = DANE_BY_BASE;
	else
		match = verify_by_anchors(d, v, n, why, why_len);
	free_chain(v, n);
	return match;
}
