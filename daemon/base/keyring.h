/*
 * Certificates and keys as parent read them and as others hold them: one set of files after the
 * other in a sealed memfd, and contexts made of them.
 *
 * Who receives PKI messages keeps what they bring with keyring_put() until PKI_END, makes his
 * contexts, and wipes the rest with keyring_wipe(): keys then stand in libtls alone.
 */
#ifndef TABMAIL_KEYRING_H
#define TABMAIL_KEYRING_H

#include "../msg.h"

#include <stdbool.h>

struct tlsctx;

/* Values of msg_pki.index that are no pki of the configuration. */
#define PKI_HOST   0xfffffffeu /* the host's own certificate, found in the usual places */
#define PKI_SYSTEM 0xffffffffu /* whom the system trusts: ca only */

/* PEM; a part that is not there has len 0. */
struct pki {
	uint32_t index;
	struct bytes certificate, key, ca;
};

/* Reads what a PKI message brings; m->memfd stays the caller's. False: it cannot be read. */
bool keyring_put(const struct msg_pki *);
const struct pki *keyring_find(uint32_t index); /* NULL: none; valid until the next put or wipe */
void keyring_wipe(void);

/* What a listener's context is made of. */
struct keyring_server {
	const struct pki *const *pki; /* the first is shown to who asks for none of the others */
	size_t n_pki;
	const char *ciphers, *protocols; /* NULL: the secure defaults */
	const struct bytes *verify; /* clients must have a certificate of these; NULL: need none */
};
/* NULL: *error says why (allocated). */
struct tlsctx *keyring_server(const struct keyring_server *, char **error);

/* What a client's is made of. */
struct keyring_client {
	const struct pki *pki; /* what is shown when it is asked for; NULL: nothing */
	const struct bytes
	    *verify; /* the server's certificate must be of these; NULL: any will do */
	const char *ciphers, *protocols;
};
struct tlsctx *keyring_client(const struct keyring_client *, char **error);

#endif
