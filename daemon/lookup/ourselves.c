/*
 * Whether a mail exchanger is this host: mail for it would come back to us, and would count as from
 * local.  By its name: the configuration's and the listeners'.  By its address: loopback, and those
 * where a listener of ours has port 25.
 */
#include "local.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

bool
ourselves_is_name(const char *host, const char *also)
{
	const struct conf_listener *l;

	if (strcasecmp(host, process.conf->hostname) == 0 || strcasecmp(host, "localhost") == 0 ||
	    (also != NULL && *also != '\0' && strcasecmp(host, also) == 0))
		return true;
	STAILQ_FOREACH(l, &process.conf->listeners, entry)
		if (l->hostname != NULL && strcasecmp(host, l->hostname) == 0)
			return true;
	return false;
}

static bool
is_same(const struct sockaddr *a, const struct sockaddr_storage *b)
{
	if (a == NULL || a->sa_family != b->ss_family)
		return false;
	if (a->sa_family == AF_INET)
		return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
		       ((const struct sockaddr_in *)b)->sin_addr.s_addr;
	return a->sa_family == AF_INET6 &&
	       memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
		   &((const struct sockaddr_in6 *)b)->sin6_addr, sizeof(struct in6_addr)) == 0;
}

static bool
is_any(const struct sockaddr_storage *ss)
{
	if (ss->ss_family == AF_INET)
		return ((const struct sockaddr_in *)ss)->sin_addr.s_addr == INADDR_ANY;
	return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)ss)->sin6_addr);
}

/* An address of the interface, or the group of interfaces, that a listener names. */
static bool
is_at(const struct conf_listener *l, const struct ifaddrs *i)
{
	const char *name =
	    strcmp(l->where, "lo0") == 0 && if_nametoindex("lo0") == 0 ? "lo" : l->where;

	return strcmp(name, "all") == 0 || strcmp(name, i->ifa_name) == 0 ||
	       (strcmp(name, "egress") == 0 && (i->ifa_flags & IFF_LOOPBACK) == 0);
}

bool
ourselves_is_address(const struct sockaddr_storage *ss)
{
	const struct conf_listener *l;
	struct sockaddr_storage where;
	struct ifaddrs *all;
	bool ours = false;

	if (netaddr_is_loopback(ss) || is_any(ss))
		return true;
	STAILQ_FOREACH(l, &process.conf->listeners, entry)
		if (l->port == 25 && netaddr_parse(&where, l->where, 25) &&
		    is_same((struct sockaddr *)&where, ss))
			return true;
	if (getifaddrs(&all) == -1)
		return false;
	for (const struct ifaddrs *i = all; i != NULL && !ours; i = i->ifa_next) {
		if (!is_same(i->ifa_addr, ss))
			continue;
		STAILQ_FOREACH(l, &process.conf->listeners, entry)
			if (!l->socket && l->port == 25 &&
			    (is_at(l, i) ||
				(netaddr_parse(&where, l->where, 25) && is_any(&where))))
				ours = true;
	}
	freeifaddrs(all);
	return ours;
}
