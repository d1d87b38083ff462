/*
 * What tabmailctl shows of relay: routes, hosts, sources.  queue passes the question on (CTL_ASK) and
 * takes rows (base/row.h), then the end.
 */
#include "clock.h"
#include "ipc.h"
#include "local.h"
#include "row.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

struct show {
	struct ipc *ipc;
	uint32_t ask;
};

static void
send_row(const struct show *s, struct text *t)
{
	ipc_send(s->ipc, MSG_CTL_ROW, &(struct msg_ctl_row){ .ask = s->ask, .row = t->s });
	text_free(t);
}

static int64_t
left_sec(int64_t until_ms)
{
	int64_t ms = until_ms - clock_mono_ms();

	return ms > 0 ? (ms + 999) / 1000 : 0;
}

static void
tell_host(const struct host *h, void *arg)
{
	struct text t = { 0 };

	row_begin(&t, 'R');
	row_put(&t, h->name);
	row_put_int(&t, h->n_open);
	row_put_int(&t, h->window);
	row_put_int(&t, (int64_t)h->n_taken);
	row_put_int(&t, (int64_t)h->n_later);
	row_put_int(&t, (int64_t)h->n_failed);
	row_put_int(&t, left_sec(h->down_ms));
	row_put(&t, h->dane == NULL ? "" : h->dane);
	row_put(&t, h->reason == NULL ? "" : h->reason);
	send_row(arg, &t);
}

static void
tell_source(const struct source_view *v, void *arg)
{
	struct text t = { 0 };

	row_begin(&t, 'R');
	row_put(&t, v->source);
	row_put(&t, v->route);
	row_put_int(&t, (int64_t)v->n_used);
	row_put_int(&t, (int64_t)v->n_blamed);
	row_put_int(&t, (v->aside_ms + 999) / 1000);
	row_put(&t, v->reason);
	send_row(arg, &t);
}

static void
tell_route(const struct route_view *v, void *arg)
{
	struct text t = { 0 };

	row_begin(&t, 'R');
	row_put(&t, v->name);
	row_put_int(&t, (int64_t)v->n_connecting);
	row_put_int(&t, (int64_t)v->n_busy);
	row_put_int(&t, (int64_t)v->n_idle);
	row_put_int(&t, (int64_t)v->n_parcels);
	row_put_int(&t, left_sec(v->down_ms));
	row_put(&t, v->reason);
	send_row(arg, &t);
}

void
show_on_ask(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_ctl_ask *q = m->body;
	struct show s = { ipc, m->call };
	const char *error = "";
	struct text t = { 0 };

	(void)arg;
	if (strcmp(q->verb, "hosts") == 0) {
		row_line(&t, 'H', "host", "connections#", "window#", "taken#", "pushed-back#",
		    "failed#", "set-aside%", "dane", "reason", NULL);
		send_row(&s, &t);
		host_each(tell_host, &s);
	} else if (strcmp(q->verb, "sources") == 0) {
		row_line(
		    &t, 'H', "source", "route", "used#", "blamed#", "set-aside%", "reason", NULL);
		send_row(&s, &t);
		source_each(tell_source, &s);
	} else if (strcmp(q->verb, "routes") == 0) {
		row_line(&t, 'H', "route", "connecting#", "busy#", "idle#", "in-hand#",
		    "set-aside%", "reason", NULL);
		send_row(&s, &t);
		route_each(tell_route, &s);
	} else {
		error = "relay knows no such question";
	}
	ipc_reply(
	    ipc, m->call, MSG_CTL_END, &(struct msg_ctl_end){ .ask = m->call, .error = error });
}
