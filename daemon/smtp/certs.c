/*
 * The listeners' certificates: parent sends what it has read (PKI, then PKI_END), at the start and
 * when files were renewed; each listener with TLS gets a context made of them.  A session keeps the
 * context it began with, so a renewal drops nobody; one that cannot be used changes nothing.
 */
#include "conf.h"
#include "keyring.h"
#include "local.h"
#include "log.h"
#include "../role.h"
#include "tlsctx.h"

#include <stdlib.h>
#include <string.h>
#include <tls.h>

#define LISTENERS_MAX 256

static struct tlsctx *contexts[LISTENERS_MAX]; /* by the listener's index */

void
certs_on_pki(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_pki *p = m->body;

	(void)ipc;
	(void)arg;
	if (!keyring_put(p))
		log_warn("pki=%u event=unreadable", p->index);
}

static struct tlsctx *
make(const struct conf_listener *l, char **error)
{
	const struct pki *pki[CONF_PKI_MAX], *first;
	const struct bytes *trusted = NULL;
	size_t n = 0;

	for (unsigned i = 0; i < l->n_pki; i++)
		if ((pki[n] = keyring_find(l->pki[i]->index)) != NULL)
			n++;
	if (l->n_pki == 0 && (pki[0] = keyring_find(PKI_HOST)) != NULL)
		n = 1;
	first = n > 0 ? pki[0] : NULL;
	if (l->tls_verify) {
		const struct pki *system = keyring_find(PKI_SYSTEM);
		static const struct bytes nobody = { "", 0 };
		trusted = first != NULL && first->ca.len > 0 ? &first->ca
			  : system != NULL                   ? &system->ca
							     : &nobody;
	}
	return keyring_server(&(struct keyring_server){ .pki = pki,
				  .n_pki = n,
				  .ciphers = l->ciphers,
				  .protocols = l->protocols,
				  .verify = trusted },
	    error);
}

void
certs_on_end(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct conf_listener *l;

	(void)ipc;
	(void)m;
	(void)arg;
	STAILQ_FOREACH(l, &process.conf->listeners, entry) {
		char *error = NULL;
		if (l->tls == TLS_NONE || l->index >= LISTENERS_MAX)
			continue;
		struct tlsctx *x = make(l, &error);
		if (x == NULL) {
			log_warn("listener=%u event=certificates-kept reason=%s", l->index,
			    log_quote(error));
			free(error);
			continue;
		}
		tlsctx_drop(contexts[l->index]);
		contexts[l->index] = x;
	}
	keyring_wipe();
}

struct tlsctx *
certs_context(const struct listener *l)
{
	return l->index < LISTENERS_MAX ? contexts[l->index] : NULL;
}
