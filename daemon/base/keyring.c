/* Certificates and keys; see keyring.h. */
#include "keyring.h"
#include "text.h"
#include "tlsctx.h"

#include <bsd/string.h>
#include <bsd/sys/queue.h>
#include <stdlib.h>
#include <string.h>
#include <tls.h>
#include <unistd.h>

#define PART_LEN_MAX   (4u << 20) /* parent refuses longer files */
/* Forward secrecy and authenticated encryption for TLS 1.2; 1.3 has nothing else. */
#define CIPHERS_SECURE "ECDHE+AESGCM:ECDHE+CHACHA20"

struct kept {
	SLIST_ENTRY(kept) entry;
	struct pki pki;
	size_t len;
	unsigned char bytes[];
};

static SLIST_HEAD(, kept) kept = SLIST_HEAD_INITIALIZER(kept);

static void
drop(struct kept *k)
{
	SLIST_REMOVE(&kept, k, kept, entry);
	explicit_bzero(k->bytes, k->len);
	free(k);
}

static struct kept *
find(uint32_t index)
{
	struct kept *k;

	SLIST_FOREACH(k, &kept, entry)
		if (k->pki.index == index)
			return k;
	return NULL;
}

bool
keyring_put(const struct msg_pki *m)
{
	struct kept *old = find(m->index);
	size_t len = 0;

	if (m->certificate_len > PART_LEN_MAX || m->key_len > PART_LEN_MAX ||
	    m->ca_len > PART_LEN_MAX)
		return false;
	len = (size_t)m->certificate_len + m->key_len + m->ca_len;
	struct kept *k = xcalloc(1, sizeof(*k) + len);
	k->len = len;
	for (size_t at = 0; at < len;) {
		ssize_t n = pread(m->memfd, k->bytes + at, len - at, (off_t)at);
		if (n <= 0) {
			explicit_bzero(k->bytes, len);
			free(k);
			return false;
		}
		at += (size_t)n;
	}
	k->pki = (struct pki){ .index = m->index,
		.certificate = { k->bytes, m->certificate_len },
		.key = { k->bytes + m->certificate_len, m->key_len },
		.ca = { k->bytes + m->certificate_len + m->key_len, m->ca_len } };
	if (old != NULL)
		drop(old);
	SLIST_INSERT_HEAD(&kept, k, entry);
	return true;
}

const struct pki *
keyring_find(uint32_t index)
{
	struct kept *k = find(index);

	return k == NULL ? NULL : &k->pki;
}

void
keyring_wipe(void)
{
	struct kept *k;

	while ((k = SLIST_FIRST(&kept)) != NULL)
		drop(k);
}

/* --- Contexts */

static bool
set_common(struct tls_config *config, const char *protocols, const char *ciphers, char **error)
{
	uint32_t bits = TLS_PROTOCOLS_DEFAULT;

	/* Debian's libtls means more by its "secure": CBC, and RSA for the exchange of keys */
	if (ciphers == NULL || strcmp(ciphers, "secure") == 0 || strcmp(ciphers, "default") == 0)
		ciphers = CIPHERS_SECURE;
	if (protocols != NULL && tls_config_parse_protocols(&bits, protocols) == -1) {
		*error = xasprintf("protocols \"%s\" are not known", protocols);
		return false;
	}
	if (tls_config_set_protocols(config, bits) == -1 ||
	    tls_config_set_ciphers(config, ciphers) == -1) {
		const char *why = tls_config_error(config);
		*error = xasprintf("ciphers: %s", why == NULL ? "not known" : why);
		return false;
	}
	return true;
}

static bool
set_pairs(struct tls_config *config, const struct keyring_server *s, char **error)
{
	for (size_t i = 0; i < s->n_pki; i++) {
		const struct pki *k = s->pki[i];
		int wrong = i == 0 ? tls_config_set_keypair_mem(config, k->certificate.data,
					 k->certificate.len, k->key.data, k->key.len)
				   : tls_config_add_keypair_mem(config, k->certificate.data,
					 k->certificate.len, k->key.data, k->key.len);
		if (wrong == -1) {
			*error = xstrdup(tls_config_error(config));
			return false;
		}
	}
	return true;
}

struct tlsctx *
keyring_server(const struct keyring_server *s, char **error)
{
	struct tls_config *config = tls_config_new();

	if (config == NULL) {
		*error = xstrdup("out of memory");
		return NULL;
	}
	if (!set_common(config, s->protocols, s->ciphers, error) || !set_pairs(config, s, error)) {
		tls_config_free(config);
		return NULL;
	}
	if (s->verify != NULL) {
		tls_config_verify_client(config);
		if (tls_config_set_ca_mem(config, s->verify->data, s->verify->len) == -1) {
			*error = xstrdup(tls_config_error(config));
			tls_config_free(config);
			return NULL;
		}
	}
	tls_config_prefer_ciphers_server(config);
	/* who showed a certificate shows it each time: what a ticket says of it may be out of date */
	return tlsctx_server(config, s->verify == NULL, error);
}

struct tlsctx *
keyring_client(const struct keyring_client *c, char **error)
{
	struct tls_config *config = tls_config_new();
	int wrong = 0;

	if (config == NULL) {
		*error = xstrdup("out of memory");
		return NULL;
	}
	if (!set_common(config, c->protocols, c->ciphers, error)) {
		tls_config_free(config);
		return NULL;
	}
	if (c->pki != NULL && c->pki->key.len > 0)
		wrong = tls_config_set_keypair_mem(config, c->pki->certificate.data,
		    c->pki->certificate.len, c->pki->key.data, c->pki->key.len);
	if (wrong == 0 && c->verify != NULL) {
		wrong = tls_config_set_ca_mem(config, c->verify->data, c->verify->len);
	} else if (wrong == 0) {
		tls_config_insecure_noverifycert(config);
		tls_config_insecure_noverifyname(config);
		tls_config_insecure_noverifytime(config);
	}
	if (wrong != 0) {
		*error = xstrdup(tls_config_error(config));
		tls_config_free(config);
		return NULL;
	}
	return tlsctx_client(config, error);
}
