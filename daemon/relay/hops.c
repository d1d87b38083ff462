/*
 * The hops of a route: each address of each of its hosts, in the order of preference.  They are
 * lookup's answer (ROUTE_FIND), which a route keeps for a while; connections that were made by an
 * older answer hold on to it.
 */
#include "hops.h"
#include "addr.h"
#include "dane.h"
#include "local.h"
#include "text.h"

#include <bsd/stdlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hops *
hops_new(void)
{
	struct hops *h = xcalloc(1, sizeof(*h));

	h->refs = 1;
	return h;
}

struct hops *
hops_hold(struct hops *h)
{
	h->refs++;
	return h;
}

void
hops_release(struct hops *h)
{
	if (h == NULL || --h->refs > 0)
		return;
	for (size_t i = 0; i < h->n; i++)
		host_release(h->v[i].host);
	for (unsigned i = 0; i < h->n_urls; i++)
		dane_free(h->danes[i]);
	free(h->urls);
	free(h->danes);
	free(h->v);
	free(h);
}

static void
add(struct hops *h, unsigned preference, const struct sockaddr_storage *addr, bool secure)
{
	char name[TARGET_TEXT_LEN], text[NETADDR_TEXT_LEN];
	const struct conf_url *u = &h->urls[h->n_urls - 1];

	h->v = xrealloc(h->v, h->n + 1, sizeof(h->v[0]));
	struct hop *hop = &h->v[h->n++];
	*hop = (struct hop){ .url = h->n_urls - 1, .preference = preference, .secure = secure };
	if (addr == NULL) {
		snprintf(name, sizeof(name), "%s", u->path);
	} else {
		hop->addr = *addr;
		netaddr_text(addr, text, sizeof(text));
		snprintf(name, sizeof(name), addr->ss_family == AF_INET6 ? "[%s]:%u" : "%s:%u",
		    text, u->port);
	}
	hop->host = host_get(name);
}

bool
hops_add(struct hops *h, const char *url, unsigned preference, bool secure, struct dane *dane,
    const struct sockaddr_storage *addrs, size_t n, int family)
{
	struct conf_url u;

	if (conf_url_parse(&u, url) != NULL || h->n >= HOPS_MAX) {
		dane_free(dane);
		return false;
	}
	h->urls = xrealloc(h->urls, h->n_urls + 1, sizeof(u));
	h->danes = xrealloc(h->danes, h->n_urls + 1, sizeof(dane));
	h->danes[h->n_urls] = dane;
	h->urls[h->n_urls++] = u;
	if (u.path[0] != '\0')
		add(h, preference, NULL, false);
	for (size_t i = 0; i < n && h->n < HOPS_MAX; i++)
		if (family == AF_UNSPEC || addrs[i].ss_family == family)
			add(h, preference, &addrs[i], secure);
	return true;
}

const struct conf_url *
hops_url(const struct hops *h, size_t i)
{
	return &h->urls[h->v[i].url];
}

const struct dane *
hops_dane(const struct hops *h, size_t i)
{
	return h->danes[h->v[i].url];
}

bool
hops_demand_other(const struct hops *other, const struct hops *h, size_t i)
{
	for (size_t k = 0; k < other->n; k++)
		if (other->v[k].host == h->v[i].host &&
		    strcmp(hops_url(other, k)->host, hops_url(h, i)->host) == 0 &&
		    !dane_is_same(hops_dane(other, k), hops_dane(h, i)))
			return true;
	return false;
}

const char *
hops_text(const struct hops *h, size_t i, char *buf, size_t len)
{
	const struct conf_url *u = hops_url(h, i);
	const struct sockaddr_storage *addr = &h->v[i].addr;
	struct sockaddr_storage literal;
	char a[NETADDR_TEXT_LEN];

	if (u->path[0] != '\0' || netaddr_parse(&literal, u->host, 0)) {
		snprintf(buf, len, "%s", h->v[i].host->name);
		return buf;
	}
	snprintf(buf, len, "%s[%s]:%u", u->host, netaddr_text(addr, a, sizeof(a)), u->port);
	return buf;
}

/*
 * Among hosts of equal preference the first one that is up has the same chance as the others; of one
 * host its addresses in their order.
 */
int
hops_pick(
    const struct hops *h, uint64_t tried, unsigned limit, uint32_t random, enum hops_none *why)
{
	unsigned n_hosts = 0, last_host = UINT32_MAX, preference = 0;
	int picked = -1;

	*why = HOPS_ALL_TRIED;
	for (size_t i = 0; i < h->n; i++) {
		const struct hop *hop = &h->v[i];
		/* A busy host is waited for: its mail is not for those that only stand in for it. */
		if ((picked != -1 || *why == HOPS_FULL) && hop->preference != preference)
			break;
		if (tried & (uint64_t)1 << i || hop->url == last_host)
			continue;
		if (host_is_down(hop->host)) {
			if (*why == HOPS_ALL_TRIED)
				*why = HOPS_DOWN;
			continue;
		}
		preference = hop->preference;
		if (!host_has_room(hop->host, limit)) {
			*why = HOPS_FULL;
			continue;
		}
		last_host = hop->url;
		if (random % ++n_hosts == 0)
			picked = (int)i;
	}
	return picked;
}
