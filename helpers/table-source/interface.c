/* The addresses of interfaces, as the kernel has them now.  Called by table-source.c. */
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "local.h"

/* Of the link alone, and others that no server could answer to, are left out: lines_address(). */
static bool
take(struct iface_addr *to, const struct ifaddrs *a)
{
	char text[NI_MAXHOST];

	if (a->ifa_addr == NULL || (a->ifa_flags & IFF_UP) == 0)
		return false;
	int af = a->ifa_addr->sa_family;
	socklen_t len = af == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	if ((af != AF_INET && af != AF_INET6) ||
	    getnameinfo(a->ifa_addr, len, text, sizeof(text), NULL, 0, NI_NUMERICHOST) != 0 ||
	    !lines_address(text, to->text, &to->family))
		return false;
	/* An address with a label of its own is named by that: "eth0:1". */
	snprintf(to->name, sizeof(to->name), "%.*s", (int)strcspn(a->ifa_name, ":"), a->ifa_name);
	return true;
}

struct iface_addr *
interface_addrs(size_t *n)
{
	struct ifaddrs *all;

	*n = 0;
	if (getifaddrs(&all) == -1)
		return NULL;
	struct iface_addr *addrs = calloc(ADDRS_MAX, sizeof(*addrs));
	for (const struct ifaddrs *a = all; a != NULL && addrs != NULL && *n < ADDRS_MAX;
	     a = a->ifa_next)
		if (take(&addrs[*n], a))
			(*n)++;
	freeifaddrs(all);
	return addrs;
}
