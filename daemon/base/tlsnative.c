/* See tlsnative.h.  Called by tlsctx.c and parent/pki.c. */
#include "tlsnative.h"
#include "clock.h"

#include <bsd/stdlib.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <string.h>
#include <time.h>
#include <tls.h>

#define TICKETS_SEC 3600 /* so long a session may be resumed, and keys are used */
#define KEYS_LEN    80   /* SSL_CTX_set_tlsext_ticket_keys(3) */

static bool watching;
static void *made; /* the first context since then: the others are for more names (SNI) */

static void
on_made(void *ctx, void *value, CRYPTO_EX_DATA *data, int index, long n, void *arg)
{
	(void)value;
	(void)data;
	(void)index;
	(void)n;
	(void)arg;
	if (watching && made == NULL)
		made = ctx;
}

/* Nobody else knows them, and none outlives this process: a later session finds no use for them. */
static void
draw_keys(struct tlsnative *x)
{
	unsigned char keys[KEYS_LEN];

	arc4random_buf(keys, sizeof(keys));
	SSL_CTX_set_tlsext_ticket_keys(x->ctx, keys, sizeof(keys));
	explicit_bzero(keys, sizeof(keys));
	x->keys_ms = clock_mono_ms();
}

int
tlsnative_configure(struct tlsnative *x, struct tls *tls, struct tls_config *config, bool tickets)
{
	static int index = -1;

	if (index == -1)
		index = SSL_CTX_get_ex_new_index(0, NULL, on_made, NULL, NULL);
#ifdef LIBRESSL_VERSION_NUMBER
	if (tickets)
		tls_config_set_session_lifetime(config, TICKETS_SEC); /* it sees to the rest */
#endif
	made = NULL;
	watching = true;
	int result = tls_configure(tls, config);
	watching = false;
	*x = (struct tlsnative){ .ctx = result == -1 ? NULL : made };
	if (x->ctx == NULL)
		return result;
	SSL_CTX_set_mode(x->ctx, SSL_MODE_RELEASE_BUFFERS);
#ifdef SSL_OP_CLEANSE_PLAINTEXT /* what it has decrypted, passwords too, it forgets at once */
	SSL_CTX_set_options(x->ctx, SSL_OP_CLEANSE_PLAINTEXT);
#endif
#ifndef LIBRESSL_VERSION_NUMBER
	if (tickets) {
		SSL_CTX_set_timeout(x->ctx, TICKETS_SEC);
		SSL_CTX_clear_options(x->ctx, SSL_OP_NO_TICKET);
		draw_keys(x);
	} else {
		SSL_CTX_set_num_tickets(
		    x->ctx, 0); /* TLS 1.3 would give some that are never taken */
	}
#endif
	return result;
}

void
tlsnative_renew(struct tlsnative *x)
{
	if (x->keys_ms != 0 && clock_mono_ms() - x->keys_ms >= TICKETS_SEC * 1000)
		draw_keys(x);
}

const char *
tlsnative_untimely(const char *pem, size_t len)
{
	static char text[64];
	BIO *in = BIO_new_mem_buf(pem, (int)len);
	X509 *x = in == NULL ? NULL : PEM_read_bio_X509(in, NULL, NULL, NULL);
	const ASN1_TIME *when = NULL;
	struct tm tm;

	if (x != NULL && X509_cmp_current_time(X509_get0_notAfter(x)) < 0)
		when = X509_get0_notAfter(x);
	else if (x != NULL && X509_cmp_current_time(X509_get0_notBefore(x)) > 0)
		when = X509_get0_notBefore(x);
	bool bad = when != NULL && ASN1_TIME_to_tm(when, &tm) == 1;
	if (bad)
		strftime(text, sizeof(text),
		    when == X509_get0_notAfter(x) ? "has expired on %F" : "is valid from %F on",
		    &tm);
	X509_free(x);
	BIO_free(in);
	return bad ? text : NULL;
}
