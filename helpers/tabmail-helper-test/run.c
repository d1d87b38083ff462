/*
 * The helper under test as a child process: one socket pair as its 0 and 1, a pipe as its 2, nothing
 * else.  Called by all tests.  A process group of its own, so that whatever it started goes with it.
 *
 * Invariant: no wait without a deadline; buffers are evbuffers, waiting is poll(2), one child at a time.
 */
#include "local.h"

#include <bsd/unistd.h>
#include <errno.h>
#include <event2/buffer.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ERRORS_MAX 16384 /* bytes of stderr that are kept */
#define IN_MAX     (4 * 1024 * 1024)

static void reap(struct run *, int);

double
run_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
impossible(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(2);
}

static void
become(int fd, int err_fd)
{
	/* What a person's shell sets, as PYTHONUNBUFFERED, would hide faults. */
	static const char *const env[] = { TAB_ENV, NULL };

	setpgid(0, 0);
	signal(SIGPIPE, SIG_DFL);
	if (dup2(fd, STDIN_FILENO) == -1 || dup2(fd, STDOUT_FILENO) == -1 ||
	    dup2(err_fd, STDERR_FILENO) == -1)
		_exit(126);
	closefrom(STDERR_FILENO + 1);
	execvpe(options.command[0], options.command, (char *const *)env);
	dprintf(STDERR_FILENO, "%s: %s\n", options.command[0], strerror(errno));
	_exit(127);
}

struct run *
run_start(int buffer_bytes)
{
	struct run *r = calloc(1, sizeof(*r));
	int pair[2], err_pipe[2];

	if (r == NULL || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1 || pipe(err_pipe) == -1)
		impossible("cannot start the helper");
	if (buffer_bytes > 0)
		for (int i = 0; i < 2; i++)
			setsockopt(
			    pair[i], SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof(buffer_bytes));
	fflush(stdout);
	r->pid = fork();
	if (r->pid == -1)
		impossible("fork");
	if (r->pid == 0)
		become(pair[1], err_pipe[1]);
	setpgid(r->pid, r->pid);
	close(pair[1]);
	close(err_pipe[1]);
	r->fd = pair[0];
	r->err_fd = err_pipe[0];
	fcntl(r->fd, F_SETFL, O_NONBLOCK);
	fcntl(r->err_fd, F_SETFL, O_NONBLOCK);
	r->in = evbuffer_new();
	r->out = evbuffer_new();
	r->errors = evbuffer_new();
	r->reading = true;
	if (r->in == NULL || r->out == NULL || r->errors == NULL)
		impossible("cannot start the helper");
	return r;
}

void
run_put(struct run *r, const char *bytes, size_t len)
{
	evbuffer_add(r->out, bytes, len);
}

/* Bytes that are written and that the helper has not read yet; -1 where that cannot be known. */
static int
unread(const struct run *r)
{
	int n;

	return ioctl(r->fd, TIOCOUTQ, &n) == -1 ? -1 : n;
}

void
run_drip(struct run *r, const char *bytes, size_t len)
{
	double end = run_now() + options.secs;

	for (size_t i = 0; i < len && !r->eof; i++) {
		run_put(r, bytes + i, 1);
		run_flush(r, options.secs);
		do
			run_turn(r, 0);
		while (unread(r) > 0 && usleep(50) == 0 && run_now() < end);
		if (bytes[i] == '|')
			usleep(1000); /* so that it goes back to read */
	}
}

size_t
run_unsent(const struct run *r)
{
	return evbuffer_get_length(r->out);
}

void
run_discard(struct run *r)
{
	evbuffer_drain(r->out, evbuffer_get_length(r->out));
}

static void
take_errors(struct run *r)
{
	char buf[4096];
	ssize_t n = read(r->err_fd, buf, sizeof(buf));

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close(r->err_fd);
		r->err_fd = -1;
	} else if (evbuffer_get_length(r->errors) < ERRORS_MAX)
		evbuffer_add(r->errors, buf, (size_t)n);
}

static void
take_input(struct run *r)
{
	int n = evbuffer_read(r->in, r->fd, 65536);

	if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
		r->eof = true;
}

static void
put_output(struct run *r)
{
	if (evbuffer_write(r->out, r->fd) == -1 && errno != EAGAIN && errno != EINTR)
		evbuffer_drain(r->out, evbuffer_get_length(r->out)); /* its end is closed */
}

void
run_turn(struct run *r, double secs)
{
	bool reads = r->reading && !r->eof && evbuffer_get_length(r->in) < IN_MAX;
	bool writes = evbuffer_get_length(r->out) > 0;
	struct pollfd p[2] = {
		{ .fd = reads || writes ? r->fd : -1,
		    .events = (short)((reads ? POLLIN : 0) | (writes ? POLLOUT : 0)) },
		{ .fd = r->err_fd, .events = POLLIN },
	};

	int n = poll(p, 2, secs <= 0 ? 0 : (int)(secs * 1000) + 1);
	if (n <= 0)
		return;
	if (p[1].revents != 0)
		take_errors(r);
	if ((p[0].revents & POLLOUT) != 0)
		put_output(r);
	if (reads && (p[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
		take_input(r);
	else if (writes && (p[0].revents & (POLLHUP | POLLERR)) != 0)
		put_output(r);
}

bool
run_flush(struct run *r, double secs)
{
	double end = run_now() + secs;

	while (evbuffer_get_length(r->out) > 0 && !r->eof && run_now() < end)
		run_turn(r, end - run_now());
	return evbuffer_get_length(r->out) == 0;
}

enum run_got
run_line(struct run *r, double secs, char **line, size_t *line_len)
{
	double end = run_now() + secs;

	*line = NULL;
	for (;;) {
		size_t len;
		struct evbuffer_ptr lf = evbuffer_search_eol(r->in, NULL, &len, EVBUFFER_EOL_LF);

		if (lf.pos != -1 && lf.pos < TAB_LINE_MAX) {
			*line = evbuffer_readln(r->in, line_len, EVBUFFER_EOL_LF);
			return RUN_LINE;
		}
		if (evbuffer_get_length(r->in) > TAB_LINE_MAX) {
			*line = calloc(1, 101);
			if (*line != NULL)
				evbuffer_copyout(r->in, *line, 100);
			evbuffer_drain(r->in, evbuffer_get_length(r->in));
			return RUN_TOO_LONG;
		}
		if (r->eof) {
			reap(r, WNOHANG);
			return RUN_EOF;
		}
		double left = end - run_now();
		if (left <= 0)
			return RUN_NOTHING;
		run_turn(r, left);
	}
}

void
run_shut(struct run *r)
{
	run_flush(r, options.secs);
	shutdown(r->fd, SHUT_WR);
}

void
run_close(struct run *r)
{
	if (r->fd != -1)
		close(r->fd);
	r->fd = -1;
	r->eof = true;
	evbuffer_drain(r->out, evbuffer_get_length(r->out));
}

static void
reap(struct run *r, int flags)
{
	if (!r->ended && waitpid(r->pid, &r->status, flags) == r->pid)
		r->ended = true;
}

/* Its state, a letter of proc(5); 0 where that cannot be known. */
static char
state_of(const struct run *r)
{
	char path[64], line[1024], state = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)r->pid);
	FILE *f = fopen(path, "r");
	if (f == NULL)
		return 0;
	size_t n = fread(line, 1, sizeof(line) - 1, f);
	fclose(f);
	line[n] = '\0';
	const char *p = strrchr(line, ')');
	return p != NULL && sscanf(p + 1, " %c", &state) == 1 ? state : 0;
}

bool
run_wait(struct run *r, double secs, double *busy)
{
	double end = run_now() + secs;
	unsigned n = 0, awake = 0;

	for (reap(r, WNOHANG); !r->ended && run_now() < end; reap(r, WNOHANG)) {
		run_turn(r, 0);
		usleep(2000);
		n++;
		awake += state_of(r) == 'R';
	}
	if (busy != NULL)
		*busy = n == 0 ? 0 : (double)awake / n;
	return r->ended;
}

void
run_settle(struct run *r)
{
	double end = run_now() + options.secs, asleep_since = run_now();

	while (!r->eof && evbuffer_get_length(r->in) == 0 && run_now() < end &&
	       run_now() < asleep_since + QUIET_SEC) {
		run_turn(r, 0.01);
		char state = state_of(r);
		if (state != 0 && state != 'S')
			asleep_since = run_now();
	}
}

const char *
run_fate(const struct run *r, char *buf, size_t len)
{
	if (!r->ended)
		snprintf(
		    buf, len, "%s", r->eof ? "it closed its standard output" : "it still runs");
	else if (WIFSIGNALED(r->status))
		snprintf(buf, len, "it was ended by signal %d (%s)", WTERMSIG(r->status),
		    strsignal(WTERMSIG(r->status)));
	else
		snprintf(buf, len, "it ended with status %d", WEXITSTATUS(r->status));
	return buf;
}

char *
run_errors(struct run *r)
{
	while (r->err_fd != -1) {
		size_t before = evbuffer_get_length(r->errors);
		take_errors(r);
		if (evbuffer_get_length(r->errors) == before)
			break;
	}
	size_t len = evbuffer_get_length(r->errors);
	char *text = calloc(1, len + 1);
	if (text != NULL)
		evbuffer_remove(r->errors, text, len);
	return text;
}

void
run_free(struct run *r)
{
	if (r == NULL)
		return;
	kill(-r->pid, SIGKILL);
	reap(r, 0);
	if (r->fd != -1)
		close(r->fd);
	if (r->err_fd != -1)
		close(r->err_fd);
	evbuffer_free(r->in);
	evbuffer_free(r->out);
	evbuffer_free(r->errors);
	free(r);
}
