/*
 * relay: hands mail to other servers over SMTP and LMTP.
 *
 * queue says that something waits for a route (ROUTE_WAITS); relay opens connections, pulls a JOB
 * for each idle one (JOB_PULL), and answers for every recipient (JOB_RESULT).  It decides how mail
 * travels, never what is sent.  It is chrooted and opens nothing: names and UNIX sockets are
 * lookup's business (ROUTE_FIND, CONNECT_UNIX).
 *
 * Invariant: whatever is pulled is answered for; a job that relay takes down with it is rescheduled
 * by queue.
 */
#include "ipc.h"
#include "local.h"

static void on_channel(struct ipc *);
static void on_start(void);
static void on_route_waits(struct ipc *, struct msg *, void *);
static void on_route_retry(struct ipc *, struct msg *, void *);

struct relay relay;

static ipc_handler *const handlers[MSG_MAX] = {
	[MSG_ROUTE_WAITS] = on_route_waits,
	[MSG_ROUTE_RETRY] = on_route_retry,
	[MSG_ROUTE_HOST] = route_on_host,
	[MSG_CTL_ASK] = show_on_ask,
	[MSG_PKI] = trust_on_pki,
	[MSG_PKI_END] = trust_on_end,
};

const struct role_ops relay_role = {
	.handlers = handlers,
	.on_channel = on_channel,
	.on_start = on_start,
	.on_stop = route_stop,
};

static void
on_channel(struct ipc *ipc)
{
	if (ipc_peer(ipc) == ROLE_QUEUE)
		relay.queue = ipc;
	else if (ipc_peer(ipc) == ROLE_LOOKUP)
		relay.lookup = ipc;
}

static void
on_start(void)
{
	client_init();
}

static void
on_route_waits(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_route_waits *w = m->body;

	(void)ipc;
	(void)arg;
	route_waits(w->route, w->waiting);
}

static void
on_route_retry(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_route_retry *q = m->body;

	(void)ipc;
	(void)arg;
	route_retry(q->route);
}
