/*
 * What TLS to other servers shows and demands: parent sends whom the system trusts, and the pki
 * that rules name (PKI, then PKI_END), at the start and when files were renewed.  A context is made
 * for each kind of rule; connections keep theirs.
 *
 * Without "verify" any certificate will do.  Older ciphers will do for all: the alternative is plain
 * text, or mail that waits for somebody else's upgrade.
 */
#include "keyring.h"
#include "local.h"
#include "log.h"
#include "text.h"
#include "tlsctx.h"

#include <stdlib.h>
#include <string.h>

static struct trust {
	const char *pki; /* NULL: none */
	bool verify;
	struct tlsctx *ctx; /* NULL: it could not be made */
} * trusts;
static size_t n_trusts;

static void
make(struct trust *t)
{
	static const struct bytes nobody = { "", 0 };
	const struct pki *system = keyring_find(PKI_SYSTEM), *own = NULL;
	const struct bytes *trusted = NULL;
	const struct conf_pki *k;
	char *error = NULL;

	STAILQ_FOREACH(k, &process.conf->pkis, entry)
		if (t->pki != NULL && strcmp(k->name, t->pki) == 0)
			own = keyring_find(k->index);
	if (t->verify)
		trusted = own != NULL && own->ca.len > 0 ? &own->ca
			  : system != NULL               ? &system->ca
							 : &nobody;
	struct tlsctx *x = keyring_client(
	    &(struct keyring_client){ .pki = own, .verify = trusted, .ciphers = "compat" }, &error);
	if (x == NULL) {
		log_warn("pki=%s event=certificates-kept reason=%s",
		    log_quote(t->pki == NULL ? "" : t->pki), log_quote(error));
		free(error);
		return;
	}
	tlsctx_drop(t->ctx);
	t->ctx = x;
}

static struct trust *
find(const char *pki, bool verify)
{
	for (size_t i = 0; i < n_trusts; i++) {
		struct trust *t = &trusts[i];
		if (t->verify == verify && (pki == NULL) == (t->pki == NULL) &&
		    (pki == NULL || strcmp(pki, t->pki) == 0))
			return t;
	}
	return NULL;
}

static void
add(const char *pki, bool verify)
{
	if (find(pki, verify) != NULL)
		return;
	trusts = xrealloc(trusts, n_trusts + 1, sizeof(*trusts));
	trusts[n_trusts++] = (struct trust){ .pki = pki, .verify = verify };
}

struct tlsctx *
trust_context(const struct conf_action *a, bool any)
{
	struct trust *t = a == NULL ? find(NULL, false) : find(a->pki, a->verify && !any);

	return t == NULL ? NULL : t->ctx;
}

void
trust_on_pki(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_pki *p = m->body;

	(void)ipc;
	(void)arg;
	if (!keyring_put(p))
		log_warn("pki=%u event=unreadable", p->index);
}

void
trust_on_end(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct conf_rule *r;

	(void)ipc;
	(void)m;
	(void)arg;
	add(NULL, false);
	STAILQ_FOREACH(r, &process.conf->rules, entry)
		if (r->action.kind == ACTION_RELAY) {
			add(r->action.pki, r->action.verify);
			add(r->action.pki, false); /* for hosts that DANE verifies */
		}
	for (size_t i = 0; i < n_trusts; i++)
		make(&trusts[i]);
	keyring_wipe();
}
