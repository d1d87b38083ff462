/*
 * One request on the control socket, and its answer line by line (base/row.h).  Called by ctl.c;
 * talks to queue.  What is read is handed on at once; between two pieces of a long answer, and when
 * the daemon pauses, the caller may show what it holds back.
 */
#include "local.h"
#include "row.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#define PAUSE_MS    100
#define SILENCE_MS  (180 * 1000) /* more than a table's timeout in use */
#define PATIENCE_MS (5 * 1000)
#define LINE_LEN    (256 * 1024)

struct answer {
	const struct ask_ops *ops;
	void *arg;
	char *buf; /* LINE_LEN bytes, and one for a NUL */
	size_t len;
	int exit_code; /* -1: goes on */
};

static bool send_request(int fd, const char *const *words);
static void take_lines(struct answer *);
static void take_line(struct answer *, char *line);

int
ask_connect(const char *socket_path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(socket_path) >= sizeof(un.sun_path)) {
		safe_warn("%s: too long a path for a socket", socket_path);
		return -1;
	}
	memcpy(un.sun_path, socket_path, strlen(socket_path) + 1);
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1) {
		safe_warn("socket: %s", strerror(errno));
		return -1;
	}
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0)
		return fd;
	int error = errno;
	close(fd);
	if (error == EACCES)
		safe_warn("%s: %s: this user may not ask tabmaild", socket_path, strerror(error));
	else
		safe_warn("tabmaild is not running? %s: %s", socket_path, strerror(error));
	errno = error;
	return -1;
}

int
ask(const char *socket_path, const char *const *words, const struct ask_ops *ops, void *arg)
{
	int fd = ask_connect(socket_path);

	return fd == -1 ? EX_TEMPFAIL : ask_on(fd, words, ops, arg);
}

int
ask_on(int fd, const char *const *words, const struct ask_ops *ops, void *arg)
{
	struct answer a = { .ops = ops, .arg = arg, .exit_code = -1 };
	int waited_ms = 0;
	bool heard = false;

	a.buf = xcalloc(1, LINE_LEN + 1);
	if (!send_request(fd, words)) {
		safe_warn("the request was not sent: %s", strerror(errno));
		a.exit_code = EX_TEMPFAIL;
	}
	while (a.exit_code == -1) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		int n = poll(&pfd, 1, PAUSE_MS);
		if (n == 0) {
			if (ops->on_pause != NULL)
				ops->on_pause(arg);
			waited_ms += PAUSE_MS;
			if (!heard && waited_ms == PATIENCE_MS)
				safe_warn(
				    "tabmaild has not answered yet; if its queue cannot start, "
				    "its log says why");
			if (waited_ms < SILENCE_MS)
				continue;
			safe_warn("tabmaild has said nothing for %d s", SILENCE_MS / 1000);
			a.exit_code = EX_TEMPFAIL;
			break;
		}
		waited_ms = 0;
		heard = true;
		ssize_t got = n == -1 ? -1 : read(fd, a.buf + a.len, LINE_LEN - a.len);
		if (got == -1 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got <= 0) {
			safe_warn("tabmaild ended in the middle of its answer%s%s",
			    got == 0 ? "" : ": ", got == 0 ? "" : strerror(errno));
			a.exit_code = EX_TEMPFAIL;
			break;
		}
		a.len += (size_t)got;
		take_lines(&a);
	}
	free(a.buf);
	close(fd);
	return a.exit_code;
}

static bool
send_request(int fd, const char *const *words)
{
	struct text line = { 0 };
	size_t sent = 0;

	for (size_t i = 0; words[i] != NULL; i++)
		row_put(&line, words[i]);
	text_put(&line, "\n");
	if (line.len - 1 > ROW_REQUEST_MAX) {
		text_free(&line);
		errno = EMSGSIZE;
		return false;
	}
	for (sent = 1; sent < line.len;) { /* the first TAB is none between words */
		ssize_t n = send(fd, line.s + sent, line.len - sent, MSG_NOSIGNAL);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			break;
		sent += (size_t)n;
	}
	/* who is turned away at once finds the reason there */
	bool all = sent == line.len || errno == EPIPE;
	text_free(&line);
	return all;
}

/* Hands on the whole lines of the buffer, and moves the rest to its start. */
static void
take_lines(struct answer *a)
{
	char *line = a->buf, *end = a->buf + a->len, *lf;

	while (a->exit_code == -1 && (lf = memchr(line, '\n', (size_t)(end - line))) != NULL) {
		*lf = '\0';
		take_line(a, line);
		line = lf + 1;
	}
	a->len = (size_t)(end - line);
	memmove(a->buf, line, a->len);
	if (a->exit_code == -1 && a->len == LINE_LEN) {
		safe_warn("tabmaild has sent a line without end");
		a->exit_code = EX_PROTOCOL;
	}
}

static void
take_line(struct answer *a, char *line)
{
	char *fields[ROW_FIELDS_MAX];
	size_t n = 0;

	if (line[0] != '\0' && line[1] == '\t')
		n = row_split(line + 2, fields, ROW_FIELDS_MAX);
	switch (line[0]) {
	case '.': a->exit_code = 0; break;
	case '!':
		if (a->ops->on_pause != NULL)
			a->ops->on_pause(a->arg); /* rows first, then the reason */
		safe_warn("%s", n > 0 && fields[0][0] != '\0' ? fields[0] : "it failed");
		a->exit_code = EXIT_FAILURE;
		break;
	case 'S':
	case 'H':
	case 'R':
	case 'D':
	case 'T': a->ops->on_line(line[0], fields, n, a->arg); break;
	default:
		safe_warn("tabmaild has sent what is no answer: %.60s", line);
		a->exit_code = EX_PROTOCOL;
	}
}
