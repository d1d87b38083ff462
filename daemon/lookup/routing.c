/*
 * Where a route leads: its hosts in order, with their addresses.  relay asks (ROUTE_FIND), and so
 * does explain.
 *
 *	relayhost:D   the table's URLs for D, else as mx:D
 *	mx:D          the mail exchangers of D, or D itself (RFC 5321 5.1); "mx:[192.0.2.1]" itself
 *	URL,URL       in this order
 *
 * All addresses are asked for at once.  For good is only what the DNS says of a recipient's domain:
 * no such domain, a null MX (RFC 7505), no address, or that all roads lead to us.  What the
 * administrator wrote, and whatever could not be found out, is "later".
 */
#include "local.h"
#include "log.h"
#include "mx.h"
#include "text.h"

#include <arpa/nameser.h>
#include <bsd/stdlib.h>
#include <bsd/string.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A host's addresses of one family. */
struct half {
	struct routing *r;
	size_t host;
	size_t n;
	struct sockaddr_storage addrs[ROUTED_ADDRS_MAX / 2];
	bool secure;
	char owner[256];
};

struct routing {
	struct conf_route route;
	struct routed result;
	struct half (*halves)[2]; /* of each host: IPv6, IPv4 */
	size_t waiting;           /* answers that are out */
	bool by_mx;               /* what its hosts are stands in the DNS */
	bool exists, failed; /* a host's name does; something could not be found out just now */
	const char *why;
	struct event begin;
	routing_answer *answer;
	void *arg;
};

static void on_begin(evutil_socket_t, short, void *);
static void on_relayhost(enum tab_answer, const char *, void *);
static void ask_mx(struct routing *);
static void on_mx(const struct dns_answer *, void *);
static void take_urls(struct routing *, const char *urls);
static struct routed_host *add_host(struct routing *, unsigned preference);
static void ask_addresses(struct routing *);
static void on_address(const struct dns_answer *, void *);
static void choose(struct routing *);
static void on_tlsa(const char *error, void *);
static void finish(struct routing *);
static void fail(struct routing *, bool permanent, const char *status, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

void
routing_start(const char *route, routing_answer *answer, void *arg)
{
	struct routing *r = xcalloc(1, sizeof(*r));

	r->answer = answer;
	r->arg = arg;
	r->result.hosts = xcalloc(ROUTED_HOSTS_MAX, sizeof(struct routed_host));
	conf_route_parse(&r->route, process.conf, route);
	event_assign(&r->begin, process.base, -1, 0, on_begin, r);
	event_active(&r->begin, EV_TIMEOUT, 0);
}

static void
on_begin(evutil_socket_t fd, short what, void *arg)
{
	struct routing *r = arg;
	const struct conf_action *a = r->route.action;

	(void)fd;
	(void)what;
	if (a == NULL)
		fail(
		    r, false, "4.3.5", "no rule of the configuration has these options any longer");
	else if (r->route.kind == ROUTE_URLS)
		take_urls(r, r->route.where);
	else if (r->route.kind == ROUTE_RELAYHOST && a->relayhost != NULL)
		table_ask(a->relayhost, TAB_LOOKUP, TAB_RELAYHOST, r->route.where, on_relayhost, r);
	else
		ask_mx(r);
}

static void
on_relayhost(enum tab_answer answer, const char *value, void *arg)
{
	struct routing *r = arg;

	switch (answer) {
	case TAB_ERROR:
		fail(r, false, "4.4.3", "the table of relay hosts: %.200s",
		    *value == '\0' ? "the helper answers with an error" : value);
		break;
	case TAB_FOUND: take_urls(r, value); break;
	case TAB_MISSING: ask_mx(r); break;
	}
}

/* --- What hosts there are */

/* A URL that the administrator wrote, or a helper; blanks behind commas are taken out. */
static void
take_urls(struct routing *r, const char *urls)
{
	unsigned preference = 0;

	for (const char *rest = urls; rest != NULL;) {
		struct conf_url u;
		rest += strspn(rest, " \t");
		const char *wrong = conf_url_next(&u, &rest);
		if (wrong != NULL) {
			fail(r, false, "4.3.5", "relay URL \"%.200s\": %s", urls, wrong);
			return;
		}
		if (r->result.n < ROUTED_HOSTS_MAX)
			add_host(r, preference++)->url = u;
	}
	ask_addresses(r);
}

static void
ask_mx(struct routing *r)
{
	const char *domain = r->route.where;

	r->by_mx = true;
	if (domain[0] == '[') {
		char *url = xasprintf("smtp://%s", domain);
		const char *wrong = conf_url_parse(&add_host(r, 0)->url, url);
		free(url);
		if (wrong != NULL)
			fail(r, true, "5.1.3", "%s is no address literal", domain);
		else
			ask_addresses(r);
	} else if (!addr_is_domain(domain)) {
		fail(r, true, "5.1.2", "\"%.200s\" is no valid domain", domain);
	} else {
		dns_ask(domain, ns_t_mx, on_mx, r);
	}
}

static void
put_host(struct conf_url *u, const char *host)
{
	*u = (struct conf_url){ .scheme = URL_SMTP, .port = 25 };
	strlcpy(u->host, host, sizeof(u->host));
}

/* The best ones, when there are too many. */
static size_t
sort_mx(const struct dns_answer *a, struct mx *mx)
{
	bool loop;

	for (size_t i = 0; i < a->n; i++)
		mx[i] = (struct mx){ .preference = a->records[i].preference, .index = i };
	size_t n = mx_choose(mx, a->n, arc4random(), &loop);
	return n > ROUTED_HOSTS_MAX ? ROUTED_HOSTS_MAX : n;
}

static void
on_mx(const struct dns_answer *a, void *arg)
{
	struct routing *r = arg;
	const char *domain = r->route.where;
	struct mx mx[DNS_RECORDS_MAX];

	r->result.secure = a->secure;
	switch (a->result) {
	case DNS_ERROR: fail(r, false, "4.4.3", "MX of %s: %s", domain, a->why); return;
	case DNS_NONE: fail(r, true, "5.1.2", "the domain %s does not exist", domain); return;
	case DNS_EMPTY: put_host(&add_host(r, 0)->url, domain); break;
	case DNS_FOUND:
		if (a->n == 1 && a->records[0].name[0] == '\0') {
			fail(r, true, "5.1.10", "the domain %s takes no mail (null MX)", domain);
			return;
		}
		r->result.has_mx = true;
		strlcpy(r->result.mx_owner, a->owner, sizeof(r->result.mx_owner));
		size_t n = sort_mx(a, mx);
		for (size_t i = 0; i < n; i++)
			if (addr_is_domain(a->records[mx[i].index].name))
				put_host(&add_host(r, mx[i].preference)->url,
				    a->records[mx[i].index].name);
		break;
	}
	if (r->result.n == 0)
		fail(r, true, "5.1.2", "the MX of %s name no valid host", domain);
	else
		ask_addresses(r);
}

static struct routed_host *
add_host(struct routing *r, unsigned preference)
{
	struct routed_host *h = &r->result.hosts[r->result.n++];

	h->preference = preference;
	return h;
}

/* --- Their addresses */

static void
add_address(struct routed_host *h, const struct sockaddr_storage *ss)
{
	struct sockaddr_storage *to = &h->addrs[h->n_addrs++];

	*to = *ss;
	if (ss->ss_family == AF_INET6)
		((struct sockaddr_in6 *)to)->sin6_port = htons((uint16_t)h->url.port);
	else
		((struct sockaddr_in *)to)->sin_port = htons((uint16_t)h->url.port);
}

/* What needs no question: a literal, "localhost", a UNIX socket. */
static bool
is_known(struct routed_host *h)
{
	struct sockaddr_storage ss;

	if (h->url.path[0] != '\0')
		return true;
	if (strcmp(h->url.host, "localhost") == 0) {
		netaddr_parse(&ss, "127.0.0.1", 0);
		add_address(h, &ss);
		netaddr_parse(&ss, "::1", 0);
		add_address(h, &ss);
		return true;
	}
	if (!netaddr_parse(&ss, h->url.host, 0))
		return false;
	add_address(h, &ss);
	return true;
}

static void
ask_addresses(struct routing *r)
{
	r->halves = xcalloc(r->result.n, sizeof(*r->halves));
	for (size_t i = 0; i < r->result.n; i++) {
		struct routed_host *h = &r->result.hosts[i];
		if (is_known(h))
			continue;
		for (int v4 = 0; v4 <= 1; v4++) {
			struct half *half = &r->halves[i][v4];
			half->r = r;
			half->host = i;
			r->waiting++;
			dns_ask(h->url.host, v4 ? ns_t_a : ns_t_aaaa, on_address, half);
		}
	}
	if (r->waiting == 0)
		choose(r);
}

static void
on_address(const struct dns_answer *a, void *arg)
{
	struct half *half = arg;
	struct routing *r = half->r;
	struct routed_host *h = &r->result.hosts[half->host];

	if (a->result == DNS_ERROR) {
		r->failed = h->failed = true;
		r->why = a->why;
	}
	if (a->result == DNS_FOUND || a->result == DNS_EMPTY)
		r->exists = true;
	half->secure = a->secure;
	strlcpy(half->owner, a->owner, sizeof(half->owner));
	for (size_t i = 0; i < a->n && half->n < ROUTED_ADDRS_MAX / 2; i++)
		half->addrs[half->n++] = a->records[i].addr;
	if (--r->waiting == 0)
		choose(r);
}

/* Both families in turn, so that one that does not work costs one attempt. */
static void
join_halves(struct routing *r)
{
	for (size_t i = 0; i < r->result.n; i++) {
		struct half *v6 = &r->halves[i][0], *v4 = &r->halves[i][1];
		struct routed_host *h = &r->result.hosts[i];
		for (size_t k = 0; k < v6->n || k < v4->n; k++) {
			if (k < v6->n)
				add_address(h, &v6->addrs[k]);
			if (k < v4->n)
				add_address(h, &v4->addrs[k]);
		}
		h->secure =
		    (v6->n == 0 || v6->secure) && (v4->n == 0 || v4->secure) && v6->n + v4->n > 0;
		strlcpy(h->owner, v4->n > 0 ? v4->owner : v6->owner, sizeof(h->owner));
	}
}

/* --- Which of them */

static bool
is_ours(const struct routing *r, const struct routed_host *h)
{
	if (ourselves_is_name(h->url.host, r->route.action->backup))
		return true;
	for (size_t i = 0; i < h->n_addrs; i++)
		if (ourselves_is_address(&h->addrs[i]))
			return true;
	return false;
}

/* This host, and those that are not better than it, are left out. */
static bool
drop_ourselves(struct routing *r)
{
	struct routed_host left[ROUTED_HOSTS_MAX];
	struct mx mx[ROUTED_HOSTS_MAX];
	bool loop;

	for (size_t i = 0; i < r->result.n; i++)
		mx[i] = (struct mx){ .preference = r->result.hosts[i].preference,
			.index = i,
			.is_ours = is_ours(r, &r->result.hosts[i]) };
	size_t n = mx_choose(mx, r->result.n, arc4random(), &loop);
	for (size_t i = 0; i < n; i++)
		left[i] = r->result.hosts[mx[i].index];
	r->failed = false;
	for (size_t i = 0; i < n; i++)
		r->failed = r->failed || left[i].failed;
	for (size_t i = 0; i < n; i++)
		r->result.hosts[i] = left[i];
	r->result.n = n;
	return loop;
}

static void
choose(struct routing *r)
{
	bool loop = false;
	size_t n = 0;

	join_halves(r);
	if (r->by_mx)
		loop = drop_ourselves(r);
	if (loop && r->result.n == 0) {
		fail(r, true, "5.4.6", "mail for %s loops: its best mail exchanger is this host",
		    r->route.where);
		return;
	}
	for (size_t i = 0; i < r->result.n; i++)
		if (r->result.hosts[i].n_addrs > 0 || r->result.hosts[i].url.path[0] != '\0')
			r->result.hosts[n++] = r->result.hosts[i];
	size_t had = r->result.n;
	r->result.n = n;
	if (n > 0 && routed_tlsa_ask(&r->result, r->route.where, on_tlsa, r))
		return;
	if (n > 0)
		finish(r);
	else if (r->failed)
		fail(r, false, "4.4.3", "no address for %s: %s", r->result.hosts[0].url.host,
		    r->why);
	else if (had == 1 && !r->result.has_mx && r->by_mx)
		fail(r, true, "5.4.4", "the domain %s has neither MX nor address", r->route.where);
	else
		fail(r, r->by_mx, r->by_mx ? "5.4.4" : "4.4.4", "%s: %s",
		    had == 1 ? r->result.hosts[0].url.host : r->route.where,
		    r->exists  ? "the host has no address"
		    : had == 1 ? "no such host"
			       : "none of its mail hosts has an address");
}

/* The host that may demand what could not be found out was the last one. */
static void
on_tlsa(const char *error, void *arg)
{
	struct routing *r = arg;

	if (r->result.n == 0)
		fail(r, false, "4.4.3", "%s", error);
	else
		finish(r);
}

static void
fail(struct routing *r, bool permanent, const char *status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&r->result.error, fmt, ap) == -1)
		r->result.error = NULL;
	va_end(ap);
	r->result.n = 0;
	r->result.status = status;
	r->result.permanent = permanent;
	finish(r);
}

static void
finish(struct routing *r)
{
	r->answer(&r->result, r->arg);
	event_del(&r->begin);
	free(r->halves);
	routed_tlsa_free(&r->result);
	free(r->result.hosts);
	free(r->result.error);
	conf_route_free(&r->route);
	free(r);
}
