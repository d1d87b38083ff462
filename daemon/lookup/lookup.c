/*
 * lookup: answers every question that is put to the outside: to helpers, to the DNS.
 *
 * smtp asks for a recipient's verdict, queue for its expansion, relay for names and credentials.
 * The helpers' pipes are here; parent starts them.  It owns no mail: when it dies, nothing is lost.
 */
#include "local.h"
#include "log.h"

#include <stdlib.h>

static void
on_helper_exited(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_helper_exited *e = m->body;
	const struct conf_table *table = conf_table(process.conf, e->table);
	struct broker *broker = table == NULL ? NULL : table_broker(table);

	(void)ipc;
	(void)arg;
	if (broker != NULL)
		broker_on_exited(broker, e->pid, e->how);
}

static void
on_helper_stderr(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_helper_stderr *e = m->body;
	const struct conf_table *table = conf_table(process.conf, e->table);
	struct broker *broker = table == NULL ? NULL : table_broker(table);

	(void)ipc;
	(void)arg;
	if (broker == NULL)
		return;
	broker_on_stderr(broker, e->fd);
	m->fd = -1;
}

static void
on_start(void)
{
	table_init();
	dnssec_init();
}

/* smtp and relay come and go; without queue there is nothing left to do, and parent knows. */
static void
on_gone(struct ipc *ipc)
{
	if (ipc_peer(ipc) == ROLE_QUEUE)
		exit(0);
	verdict_channel_gone(ipc);
	auth_channel_gone(ipc);
	sender_channel_gone(ipc);
	resolve_channel_gone(ipc);
	source_channel_gone(ipc);
}

static ipc_handler *const handlers[MSG_MAX] = {
	[MSG_ASK_RCPT] = verdict_on_ask_rcpt,
	[MSG_ASK_LEFT] = verdict_on_ask_left,
	[MSG_ASK_AUTH] = auth_on_ask,
	[MSG_ASK_SENDER] = sender_on_ask,
	[MSG_EXPAND] = verdict_on_expand,
	[MSG_ROUTE_FIND] = resolve_on_route_find,
	[MSG_ASK_SECRET] = resolve_on_ask_secret,
	[MSG_CONNECT_UNIX] = resolve_on_connect_unix,
	[MSG_ASK_SOURCE] = source_on_ask,
	[MSG_ASK_NAME] = source_on_ask_name,
	[MSG_CTL_ASK] = tablectl_on_ask,
	[MSG_HELPER_EXITED] = on_helper_exited,
	[MSG_HELPER_STDERR] = on_helper_stderr,
};

const struct role_ops lookup_role = {
	.handlers = handlers,
	.on_start = on_start,
	.on_gone = on_gone,
};
