/*
 * The listening sockets: bound once by parent, which may need root for it, and handed to smtp and
 * queue whenever those start.  So nobody is refused a connection while a process is restarted.
 */
#include "local.h"
#include "addr.h"
#include "conf.h"
#include "log.h"
#include "text.h"

#include <bsd/string.h>
#include <errno.h>
#include <ifaddrs.h>
#include <libgen.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKETS_MAX 256
#define BACKLOG     4096 /* the kernel cuts it to what it allows */

static struct {
	int fd;
	uint32_t index; /* of the listener, LISTENER_SUBMIT or LISTENER_CONTROL */
} sockets[SOCKETS_MAX];
static size_t n_sockets;

static void complain(const struct conf_listener *, const char *what, const char *why);
static const char *bind_error(int error, const struct sockaddr_storage *);
static bool open_listener(const struct conf_listener *);
static bool open_interface(const struct conf_listener *, bool *any);
static bool open_address(
    const struct conf_listener *, const struct sockaddr_storage *, bool of_interface);
static bool open_unix(const char *path, uint32_t index, mode_t mode);
static bool keep_socket(int fd, uint32_t index, const char *what);
static bool is_egress(const struct ifaddrs *);

bool
listen_open(void)
{
	const struct conf_listener *l;
	char *submit = conf_submit_socket(parent.conf);
	bool good = true;

	STAILQ_FOREACH(l, &parent.conf->listeners, entry)
		if (!l->socket && !open_listener(l))
			good = false;
	good = good && open_unix(parent.conf->socket, LISTENER_CONTROL, 0666) &&
	       open_unix(submit, LISTENER_SUBMIT, 0666);
	free(submit);
	return good;
}

/* An interface or a group of them, an address, or a name that the system's hosts file knows. */
static bool
open_listener(const struct conf_listener *l)
{
	struct addrinfo hints = { .ai_family = l->family, .ai_socktype = SOCK_STREAM };
	struct addrinfo *found, *ai;
	struct sockaddr_storage ss;
	bool any = false, good = true;
	char port[8];

	if (netaddr_parse(&ss, l->where, l->port))
		return open_address(l, &ss, false);
	if (!open_interface(l, &any))
		return false;
	if (any)
		return true;
	snprintf(port, sizeof(port), "%u", l->port);
	int error = getaddrinfo(l->where, port, &hints, &found);
	if (error != 0) {
		complain(l, l->where, "no such interface, address or host");
		return false;
	}
	for (ai = found; ai != NULL && good; ai = ai->ai_next) {
		ss = (struct sockaddr_storage){ 0 };
		memcpy(&ss, ai->ai_addr, ai->ai_addrlen);
		good = open_address(l, &ss, false);
	}
	freeaddrinfo(found);
	return good;
}

/* lo0 is what BSD calls Linux's lo; egress is every interface that is up and no loopback. */
static bool
open_interface(const struct conf_listener *l, bool *any)
{
	struct ifaddrs *all, *i;
	bool good = true;
	const char *name =
	    strcmp(l->where, "lo0") == 0 && if_nametoindex("lo0") == 0 ? "lo" : l->where;

	if (getifaddrs(&all) == -1) {
		log_warn("interfaces: %s", strerror(errno));
		return false;
	}
	for (i = all; i != NULL && good; i = i->ifa_next) {
		struct sockaddr_storage ss = { 0 };
		if (strcmp(i->ifa_name, name) != 0 &&
		    !(strcmp(name, "egress") == 0 && is_egress(i)) && strcmp(name, "all") != 0)
			continue;
		*any = true;
		if (i->ifa_addr == NULL ||
		    (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6) ||
		    (l->family != AF_UNSPEC && l->family != i->ifa_addr->sa_family))
			continue;
		memcpy(&ss, i->ifa_addr,
		    i->ifa_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in)
						      : sizeof(struct sockaddr_in6));
		if (ss.ss_family == AF_INET)
			((struct sockaddr_in *)&ss)->sin_port = htons((uint16_t)l->port);
		else
			((struct sockaddr_in6 *)&ss)->sin6_port = htons((uint16_t)l->port);
		good = open_address(l, &ss, true);
	}
	freeifaddrs(all);
	return good;
}

static bool
is_egress(const struct ifaddrs *i)
{
	return (i->ifa_flags & (IFF_UP | IFF_LOOPBACK)) == IFF_UP;
}

/* Without a file it is the listener of a configuration that has none. */
static void
complain(const struct conf_listener *l, const char *what, const char *why)
{
	if (l->file == NULL)
		log_warn("listen on %s, the default: %s", what, why);
	else
		log_warn("%s:%u: listen on %s: %s", l->file, l->line, what, why);
}

/* Whether one of our own sockets stands in the way, also that of all addresses. */
static bool
is_ours(const struct sockaddr_storage *ss)
{
	char text[NETADDR_TEXT_LEN], other[NETADDR_TEXT_LEN];
	const char *all = ss->ss_family == AF_INET ? "0.0.0.0" : "::";

	netaddr_text(ss, text, sizeof(text));
	for (size_t i = 0; i < n_sockets; i++) {
		struct sockaddr_storage s = { 0 };
		socklen_t len = sizeof(s);
		if (getsockname(sockets[i].fd, (struct sockaddr *)&s, &len) == -1 ||
		    s.ss_family != ss->ss_family || netaddr_port(&s) != netaddr_port(ss))
			continue;
		netaddr_text(&s, other, sizeof(other));
		if (strcmp(text, other) == 0 || strcmp(text, all) == 0 || strcmp(other, all) == 0)
			return true;
	}
	return false;
}

static const char *
bind_error(int error, const struct sockaddr_storage *ss)
{
	static char text[160];

	snprintf(text, sizeof(text), "%s%s", strerror(error),
	    error == EADDRINUSE && is_ours(ss) ? "; a \"listen\" before it has this port"
	    : error == EADDRINUSE ? "; is another mail server running?  \"ss -ltnp\" shows it"
	    : error == EACCES     ? "; an ordinary user needs a port above 1023"
				  : "");
	return text;
}

/* of_interface: the kernel has told us of it, and may still be checking it. */
static bool
open_address(const struct conf_listener *l, const struct sockaddr_storage *ss, bool of_interface)
{
	char text[NETADDR_TEXT_LEN], what[NETADDR_TEXT_LEN + 16];
	int on = 1;

	if (l->family != AF_UNSPEC && l->family != ss->ss_family)
		return true;
	netaddr_text(ss, text, sizeof(text));
	snprintf(what, sizeof(what), "%s port %u", text, l->port);
	int fd = socket(ss->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1 && errno == EAFNOSUPPORT)
		return true; /* a kernel without IPv6 */
	if (fd == -1) {
		complain(l, what, strerror(errno));
		return false;
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (of_interface)
		netaddr_bind_early(fd, ss->ss_family);
	if (ss->ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)ss, netaddr_len(ss)) == -1 ||
	    listen(fd, BACKLOG) == -1) {
		complain(l, what, bind_error(errno, ss));
		close(fd);
		return false;
	}
	return keep_socket(fd, l->index, what);
}

/*
 * Any local user may connect; what he may do is decided by his credentials.  A socket of a daemon
 * that has gone is replaced, one that answers is not.
 */
static bool
open_unix(const char *path, uint32_t index, mode_t mode)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct stat st;

	if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode)) {
		log_warn("socket %s: something else has this name", path);
		return false;
	}
	if (strlcpy(un.sun_path, path, sizeof(un.sun_path)) >= sizeof(un.sun_path)) {
		log_warn(
		    "socket %s: the path is longer than %zu bytes", path, sizeof(un.sun_path) - 1);
		return false;
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd != -1 && connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0) {
		log_warn("socket %s: another tabmaild is running", path);
		close(fd);
		return false;
	}
	if (fd != -1)
		close(fd);
	unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1 || bind(fd, (struct sockaddr *)&un, sizeof(un)) == -1 ||
	    chmod(path, mode) == -1 || listen(fd, BACKLOG) == -1) {
		log_warn("socket %s: %s", path, strerror(errno));
		if (fd != -1)
			close(fd);
		return false;
	}
	return keep_socket(fd, index, path);
}

static bool
keep_socket(int fd, uint32_t index, const char *what)
{
	if (n_sockets == SOCKETS_MAX) {
		log_warn("listen on %s: more than %d sockets", what, SOCKETS_MAX);
		close(fd);
		return false;
	}
	log_debug("listen on=%s", log_quote(what));
	sockets[n_sockets].fd = fd;
	sockets[n_sockets++].index = index;
	return true;
}

void
listen_give(struct ipc *ipc, enum role role)
{
	for (size_t i = 0; i < n_sockets; i++) {
		bool control = sockets[i].index == LISTENER_CONTROL;
		if ((role == ROLE_QUEUE && control) || (role == ROLE_SMTP && !control))
			ipc_send(ipc, MSG_LISTENER,
			    &(struct msg_listener){
				.index = sockets[i].index, .fd = sockets[i].fd });
	}
}

void
listen_close(void)
{
	char *submit = conf_submit_socket(parent.conf);

	unlink(parent.conf->socket);
	unlink(submit);
	free(submit);
}
