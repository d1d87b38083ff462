/* Resolves and connects (dial.h).  Called by attempt.c in a thread; touches nothing that it does not own. */
#include "dial.h"

#include <bsd/string.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ticks.h"

#define ADDRESSES_MAX 8
#define STAGGER_US    250000
#define KEEP_IDLE     30 /* seconds of silence until the kernel asks */
#define KEEP_INTERVAL 5
#define KEEP_COUNT    4
#define UNACKED_MS    20000 /* what the other side has not acknowledged for so long ends it */

static int dial_unix(const LDAPURLDesc *, char *);
static int race(struct addrinfo *, int64_t, char *);
static int begin(const struct addrinfo *, char *);
static int first_connected(struct pollfd *, nfds_t, int, char *);
static int settle(int);

int
dial(const LDAPURLDesc *url, int64_t deadline_us, char error[DIAL_ERROR_LEN])
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
	const char *host = url->lud_host;
	char port[12];

	if (strcmp(url->lud_scheme, "ldapi") == 0)
		return dial_unix(url, error);
	if (host == NULL || host[0] == '\0')
		host = "localhost";
	snprintf(port, sizeof(port), "%d", url->lud_port);
	int wrong = getaddrinfo(host, port, &hints, &found);
	if (wrong != 0) {
		snprintf(error, DIAL_ERROR_LEN, "%s: %s", host,
		    wrong == EAI_SYSTEM ? strerror(errno) : gai_strerror(wrong));
		return -1;
	}
	int fd = race(found, deadline_us, error);
	freeaddrinfo(found);
	return fd == -1 ? -1 : settle(fd);
}

static int
dial_unix(const LDAPURLDesc *url, char *error)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const char *path = url->lud_host;

	if (path == NULL || path[0] == '\0')
		path = "/var/run/slapd/ldapi";
	if (strlcpy(to.sun_path, path, sizeof(to.sun_path)) >= sizeof(to.sun_path)) {
		snprintf(error, DIAL_ERROR_LEN, "%s: the path is too long", path);
		return -1;
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd != -1 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	snprintf(error, DIAL_ERROR_LEN, "%s: %s", path, strerror(errno));
	if (fd != -1)
		close(fd);
	return -1;
}

/* Begins with one more address whenever the last has said nothing for STAGGER_US, or has failed. */
static int
race(struct addrinfo *next, int64_t deadline_us, char *error)
{
	struct pollfd fds[ADDRESSES_MAX];
	nfds_t n = 0;
	int fd = -1, open = 0;

	snprintf(error, DIAL_ERROR_LEN, "no address");
	while (fd == -1) {
		int64_t now = ticks_now(), until = deadline_us;
		if (now >= deadline_us) {
			snprintf(error, DIAL_ERROR_LEN, "no answer to the connection request");
			break;
		}
		if (next != NULL && n < ADDRESSES_MAX) {
			fds[n] = (struct pollfd){ .fd = begin(next, error), .events = POLLOUT };
			next = next->ai_next;
			open += fds[n].fd != -1;
			n++;
			if (next != NULL && now + STAGGER_US < until)
				until = now + STAGGER_US;
		}
		if (open == 0 && (next == NULL || n == ADDRESSES_MAX))
			break;
		if (open == 0)
			continue;
		int ready = poll(fds, n, (int)((until - now + 999) / 1000));
		if (ready > 0)
			fd = first_connected(fds, n, ready, error);
		open = 0;
		for (nfds_t i = 0; i < n; i++)
			open += fds[i].fd != -1;
	}
	for (nfds_t i = 0; i < n; i++)
		if (fds[i].fd != -1 && fds[i].fd != fd)
			close(fds[i].fd);
	return fd;
}

static int
begin(const struct addrinfo *to, char *error)
{
	int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd != -1 && (connect(fd, to->ai_addr, to->ai_addrlen) == 0 || errno == EINPROGRESS))
		return fd;
	snprintf(error, DIAL_ERROR_LEN, "%s", strerror(errno));
	if (fd != -1)
		close(fd);
	return -1;
}

/* One that is connected, or -1; those that failed are closed and -1 in the list. */
static int
first_connected(struct pollfd *fds, nfds_t n, int ready, char *error)
{
	for (nfds_t i = 0; i < n && ready > 0; i++) {
		int wrong = 0;
		socklen_t len = sizeof(wrong);

		if (fds[i].fd == -1 || fds[i].revents == 0)
			continue;
		ready--;
		if (getsockopt(fds[i].fd, SOL_SOCKET, SO_ERROR, &wrong, &len) == 0 && wrong == 0)
			return fds[i].fd;
		snprintf(error, DIAL_ERROR_LEN, "%s", strerror(wrong == 0 ? errno : wrong));
		close(fds[i].fd);
		fds[i].fd = -1;
	}
	return -1;
}

/* A side that vanishes without a word is noticed, also while nothing is asked. */
static int
settle(int fd)
{
	const struct {
		int level, name, value;
	} options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, KEEP_IDLE },
		{ IPPROTO_TCP, TCP_KEEPINTVL, KEEP_INTERVAL },
		{ IPPROTO_TCP, TCP_KEEPCNT, KEEP_COUNT },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKED_MS },
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
	return fd;
}
