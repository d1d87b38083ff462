/*
 * What relay cannot do itself, being locked into an empty folder: host names, by libunbound on this
 * loop, and sockets of the file system, which are connected here and handed over.
 *
 * A name that does not exist is permanent; everything else that goes wrong is "try later".
 */
#include "local.h"
#include "log.h"
#include "text.h"

#include <arpa/nameser.h>
#include <bsd/string.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unbound-event.h>
#include <unbound.h>
#include <unistd.h>

#define ADDRS_MAX 32 /* of one host */

/* A host whose A and AAAA records are asked for at once. */
struct host {
	LIST_ENTRY(host) entry;
	struct ipc *ipc; /* NULL: it has gone */
	uint32_t call, port;
	unsigned waiting; /* questions out */
	bool exists, failed;
	struct sockaddr_storage addrs[ADDRS_MAX];
	size_t n_addrs;
};

static LIST_HEAD(, host) hosts = LIST_HEAD_INITIALIZER(hosts);
static struct ub_ctx *dns; /* NULL: "resolver none" */

static void ask(struct host *, const char *name, int type);
static void on_dns(void *, int rcode, void *packet, int len, int sec, char *why, int ratelimited);
static void take_records(struct host *, const unsigned char *packet, int len);
static void settle(struct host *);
static void refuse(struct ipc *, uint32_t call, const char *why, bool permanent);

void
resolve_init(void)
{
	const char *resolver = process.conf->resolver;

	if (resolver != NULL && strcmp(resolver, "none") == 0)
		return;
	dns = ub_ctx_create_event(process.base);
	if (dns == NULL)
		log_fatal("libunbound does not start");
	if (resolver != NULL)
		ub_ctx_set_fwd(dns, resolver);
	else
		ub_ctx_resolvconf(dns, NULL);
	ub_ctx_hosts(dns, NULL);
	/* A resolver on loopback is one that the administrator named. */
	ub_ctx_set_option(dns, "do-not-query-localhost:", "no");
}

void
resolve_on_resolve(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_resolve *q = m->body;

	(void)arg;
	if (dns == NULL) {
		refuse(ipc, m->call, "no resolver is configured (resolver none)", false);
		return;
	}
	if (!addr_is_domain(q->host)) {
		refuse(ipc, m->call, "no valid host name", true);
		return;
	}
	struct host *h = xcalloc(1, sizeof(*h));
	*h = (struct host){ .ipc = ipc, .call = m->call, .port = q->port, .waiting = 1 };
	LIST_INSERT_HEAD(&hosts, h, entry);
	ask(h, q->host, ns_t_aaaa);
	ask(h, q->host, ns_t_a);
	if (--h->waiting == 0)
		settle(h);
}

static void
ask(struct host *h, const char *name, int type)
{
	h->waiting++;
	if (ub_resolve_event(dns, name, type, ns_c_in, h, on_dns, NULL) != 0) {
		h->waiting--;
		h->failed = true;
	}
}

/* libunbound may call this inside ub_resolve_event(), from its cache: so the count starts at one. */
static void
on_dns(void *arg, int rcode, void *packet, int len, int sec, char *why, int ratelimited)
{
	struct host *h = arg;

	(void)sec;
	(void)why;
	(void)ratelimited;
	if (rcode == ns_r_noerror) {
		h->exists = true;
		take_records(h, packet, len);
	} else if (rcode != ns_r_nxdomain) {
		h->failed = true;
	}
	if (--h->waiting == 0)
		settle(h);
}

static void
take_records(struct host *h, const unsigned char *packet, int len)
{
	ns_msg msg;
	ns_rr rr;

	if (ns_initparse(packet, len, &msg) == -1)
		return;
	for (int i = 0; i < ns_msg_count(msg, ns_s_an) && h->n_addrs < ADDRS_MAX; i++) {
		if (ns_parserr(&msg, ns_s_an, i, &rr) == -1)
			return;
		struct sockaddr_storage *ss = &h->addrs[h->n_addrs];
		struct sockaddr_in *in4 = (struct sockaddr_in *)ss;
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;
		if (ns_rr_type(rr) == ns_t_a && ns_rr_rdlen(rr) == sizeof(in4->sin_addr)) {
			in4->sin_family = AF_INET;
			in4->sin_port = htons((uint16_t)h->port);
			memcpy(&in4->sin_addr, ns_rr_rdata(rr), sizeof(in4->sin_addr));
		} else if (ns_rr_type(rr) == ns_t_aaaa &&
			   ns_rr_rdlen(rr) == sizeof(in6->sin6_addr)) {
			in6->sin6_family = AF_INET6;
			in6->sin6_port = htons((uint16_t)h->port);
			memcpy(&in6->sin6_addr, ns_rr_rdata(rr), sizeof(in6->sin6_addr));
		} else {
			continue;
		}
		h->n_addrs++;
	}
}

static void
settle(struct host *h)
{
	if (h->ipc != NULL && h->n_addrs > 0)
		ipc_reply(h->ipc, h->call, MSG_RESOLVED,
		    &(struct msg_resolved){
			.addrs = { h->addrs, h->n_addrs * sizeof(h->addrs[0]) }, .error = "" });
	else if (h->ipc != NULL && h->failed)
		refuse(h->ipc, h->call, "the resolver has no answer now", false);
	else if (h->ipc != NULL)
		refuse(
		    h->ipc, h->call, h->exists ? "the host has no address" : "no such host", true);
	LIST_REMOVE(h, entry);
	free(h);
}

static void
refuse(struct ipc *ipc, uint32_t call, const char *why, bool permanent)
{
	ipc_reply(ipc, call, MSG_RESOLVED,
	    &(struct msg_resolved){ .error = why, .permanent = permanent });
}

/* Only a path that an action of the configuration names. */
static bool
is_configured(const char *path)
{
	const struct conf_rule *r;
	struct conf_url url;

	STAILQ_FOREACH(r, &process.conf->rules, entry) {
		char *route = conf_action_route(&r->action);
		bool same = route != NULL && conf_url_parse(&url, route) == NULL &&
			    strcmp(url.path, path) == 0;
		free(route);
		if (same)
			return true;
	}
	return false;
}

void
resolve_on_connect_unix(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_connect_unix *q = m->body;
	struct msg_connected_unix a = { .fd = -1, .error = "" };
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	(void)arg;
	if (q->path[0] == '\0' || !is_configured(q->path) ||
	    strlcpy(un.sun_path, q->path, sizeof(un.sun_path)) >= sizeof(un.sun_path)) {
		a.error = "no socket of the configuration";
	} else {
		a.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (a.fd == -1 || connect(a.fd, (struct sockaddr *)&un, sizeof(un)) == -1)
			a.error = strerror(errno);
	}
	if (a.error[0] != '\0' && a.fd != -1) {
		close(a.fd);
		a.fd = -1;
	}
	ipc_reply(ipc, m->call, MSG_CONNECTED_UNIX, &a);
	if (a.fd != -1)
		close(a.fd); /* ipc_reply made a duplicate */
}

void
resolve_channel_gone(struct ipc *ipc)
{
	struct host *h;

	LIST_FOREACH(h, &hosts, entry)
		if (h->ipc == ipc)
			h->ipc = NULL;
}
