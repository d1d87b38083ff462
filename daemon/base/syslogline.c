/* Lines to syslog; see syslogline.h.  Called by log.c alone. */
#include "syslogline.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS   100
#define HEAD_MAX  128
#define LINES_MAX 4096

static int fd = -1;
static const char *ident = "tabmail";
static char raw_head[HEAD_MAX]; /* of syslogline_raw(): made before */
static bool stuck;
static unsigned lost;

static void
reach(void)
{
	const struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };
	const struct timeval wait = { .tv_usec = WAIT_MS * 1000 };

	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return;
	close(fd);
	fd = -1;
}

void
syslogline_open(const char *name)
{
	ident = name;
	snprintf(raw_head, sizeof(raw_head), "<%d>%s: ", LOG_MAIL | LOG_CRIT, ident);
	reach();
}

/* false: it took nothing.  Where there is no syslog a line goes nowhere, and nobody is to be told. */
static bool
put(const char *text, size_t len)
{
	for (int tries = 0; tries < 2; tries++) {
		if (fd == -1)
			reach();
		if (fd == -1 || send(fd, text, len, MSG_NOSIGNAL | (stuck ? MSG_DONTWAIT : 0)) >= 0)
			break;
		if (errno == EAGAIN || errno == ENOBUFS || errno == EINTR)
			return false;
		close(fd); /* another one has taken its place, perhaps */
		fd = -1;
	}
	return true;
}

static size_t
compose(char *text, size_t size, int priority, const char *line)
{
	time_t now = time(NULL);
	char stamp[32];
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%b %e %H:%M:%S", &tm);
	int n = snprintf(text, size, "<%d>%s %s[%ld]: %s", LOG_MAIL | priority, stamp, ident,
	    (long)getpid(), line);
	return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

void
syslogline_send(int priority, const char *line)
{
	char text[LINES_MAX], note[64];

	if (lost > 0) {
		snprintf(note, sizeof(note), "log event=lost lines=%u", lost);
		if (!put(text, compose(text, sizeof(text), LOG_WARNING, note))) {
			lost++;
			return;
		}
		lost = 0;
		stuck = false;
	}
	if (put(text, compose(text, sizeof(text), priority, line)))
		return;
	stuck = true;
	lost++;
}

void
syslogline_raw(const char *line, size_t len)
{
	char text[HEAD_MAX + 256];
	size_t head = strlen(raw_head);

	if (fd == -1 || len > sizeof(text) - head)
		return;
	memcpy(text, raw_head, head);
	memcpy(text + head, line, len);
	if (len > 0 && line[len - 1] == '\n')
		len--;
	(void)send(fd, text, head + len, MSG_NOSIGNAL | MSG_DONTWAIT);
}
