/*
 * The addresses of a route.  A literal and "localhost" are known at once; a name is lookup's
 * question, kept for KEEP_MS; a UNIX socket has none (route.c asks lookup for a connection).
 */
#include "addr.h"
#include "clock.h"
#include "ipc.h"
#include "local.h"
#include "text.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEP_MS 60000

static void on_resolved(const struct msg *, void *arg);

const char *
target_init(struct target *t, const char *route)
{
	*t = (struct target){ 0 };
	const char *wrong = conf_url_parse(&t->url, route);

	if (wrong != NULL)
		return wrong;
	if (t->url.scheme == URL_SMTP_TLS || t->url.scheme == URL_SMTPS)
		return "relaying over TLS is not built yet";
	if (t->url.auth)
		return "relaying with credentials is not built yet";
	if (t->url.path[0] != '\0') {
		t->is_fixed = true;
	} else if (netaddr_parse(&t->addrs[0], t->url.host, t->url.port)) {
		t->is_fixed = true;
		t->n_addrs = 1;
	} else if (strcmp(t->url.host, "localhost") == 0) {
		t->is_fixed = true;
		t->n_addrs = 2;
		netaddr_parse(&t->addrs[0], "127.0.0.1", t->url.port);
		netaddr_parse(&t->addrs[1], "::1", t->url.port);
	}
	return NULL;
}

bool
target_is_known(const struct target *t)
{
	return t->is_fixed || (t->n_addrs > 0 && clock_mono_ms() - t->resolved_ms < KEEP_MS);
}

void
target_resolve(struct target *t, struct route *r)
{
	if (t->call != NULL)
		return;
	t->call = ipc_call(relay.lookup, MSG_RESOLVE,
	    &(struct msg_resolve){ .host = t->url.host, .port = t->url.port }, on_resolved, r);
}

static void
on_resolved(const struct msg *m, void *arg)
{
	struct route *r = arg;
	struct target *t = route_target(r);

	t->call = NULL;
	if (m == NULL || m->type != MSG_RESOLVED) {
		route_on_resolved(r, "the resolver is gone");
		return;
	}
	const struct msg_resolved *a = m->body;
	size_t n = a->addrs.len / sizeof(struct sockaddr_storage);
	if (n == 0) {
		char *why = xasprintf("no address for %s: %.200s", t->url.host,
		    a->error[0] == '\0' ? "it has none" : a->error);
		route_on_resolved(r, why);
		free(why);
		return;
	}
	t->n_addrs = n < TARGET_ADDRS_MAX ? n : TARGET_ADDRS_MAX;
	memcpy(t->addrs, a->addrs.data, t->n_addrs * sizeof(t->addrs[0]));
	t->good = 0;
	t->resolved_ms = clock_mono_ms();
	route_on_resolved(r, NULL);
}

const char *
target_text(const struct target *t, size_t addr, char *buf, size_t len)
{
	char a[NETADDR_TEXT_LEN];

	if (t->url.path[0] != '\0' || addr >= t->n_addrs) {
		snprintf(buf, len, "%s", t->url.path[0] != '\0' ? t->url.path : t->url.host);
		return buf;
	}
	netaddr_text(&t->addrs[addr], a, sizeof(a));
	struct sockaddr_storage literal;
	if (netaddr_parse(&literal, t->url.host, 0))
		snprintf(buf, len, strchr(a, ':') == NULL ? "%s:%u" : "[%s]:%u", a, t->url.port);
	else
		snprintf(buf, len, "%s[%s]:%u", t->url.host, a, t->url.port);
	return buf;
}
