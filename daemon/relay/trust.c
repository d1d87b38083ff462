/*
 * What TLS to other servers needs: parent sends whom the system trusts and the pki that rules name
 * (PKI, then PKI_END), at the start and when files were renewed.
 */
#include "keyring.h"
#include "local.h"
#include "log.h"

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
	(void)ipc;
	(void)m;
	(void)arg;
}
