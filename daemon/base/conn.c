/* A connection; see conn.h. */
#include "conn.h"
#include "text.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#define READ_SIZE   (16 * 1024)
#define INPUT_LIMIT (64 * 1024)
#define SEND_PIECE  (8 * 1024) /* so much is sent while more is written: the peer works meanwhile */

struct conn {
	int fd;
	const struct conn_ops *ops;
	void *arg;
	struct evbuffer *in, *out;
	struct event readable, writable, flush, deadline, reap;
	struct event_base *base;
	size_t input_limit;
	bool connecting, paused, eof, ended, freed, flush_set, reading;
	bool full; /* the socket took less than there was */
	int error;
};

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);
static void on_flush(evutil_socket_t fd, short what, void *arg);
static void on_deadline(evutil_socket_t fd, short what, void *arg);
static void on_reap(evutil_socket_t fd, short what, void *arg);
static void fail(struct conn *, enum conn_end, int error);

struct conn *
conn_new(struct event_base *base, int fd, const struct conn_ops *ops, void *arg)
{
	struct conn *c = xcalloc(1, sizeof(*c));

	*c = (struct conn){
		.fd = fd, .base = base, .ops = ops, .arg = arg, .input_limit = INPUT_LIMIT
	};
	c->in = evbuffer_new();
	c->out = evbuffer_new();
	event_assign(&c->readable, base, fd, EV_READ | EV_PERSIST, on_readable, c);
	event_assign(&c->writable, base, fd, EV_WRITE, on_writable, c);
	event_assign(&c->flush, base, -1, 0, on_flush, c);
	event_assign(&c->deadline, base, -1, 0, on_deadline, c);
	event_assign(&c->reap, base, -1, 0, on_reap, c);
	if (fd != -1) {
		evutil_make_socket_nonblocking(fd);
		event_add(&c->readable, NULL);
		c->reading = true;
	}
	return c;
}

struct conn *
conn_connect(struct event_base *base, const struct sockaddr *to, socklen_t to_len,
    const struct sockaddr *source, socklen_t source_len, const struct conn_ops *ops, void *arg)
{
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error = fd == -1 ? errno : 0;

	if (fd != -1 && source != NULL && bind(fd, source, source_len) == -1)
		error = errno;
	if (error == 0 && connect(fd, to, to_len) == -1 && errno != EINPROGRESS)
		error = errno;
	struct conn *c = conn_new(base, fd, ops, arg);
	c->connecting = true;
	c->error = error;
	if (c->reading) {
		event_del(&c->readable);
		c->reading = false;
	}
	if (error != 0)
		event_active(&c->writable, EV_WRITE, 0);
	else
		event_add(&c->writable, NULL);
	return c;
}

void
conn_free(struct conn *c)
{
	if (c->freed)
		return;
	c->freed = c->ended = true;
	event_del(&c->readable);
	event_del(&c->writable);
	event_del(&c->flush);
	event_del(&c->deadline);
	if (c->fd != -1)
		close(c->fd);
	event_active(&c->reap, EV_TIMEOUT, 0);
}

static void
on_reap(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	evbuffer_free(c->in);
	evbuffer_free(c->out);
	free(c);
}

struct evbuffer *
conn_in(struct conn *c)
{
	return c->in;
}

struct evbuffer *
conn_out(struct conn *c)
{
	return c->out;
}

int
conn_fd(const struct conn *c)
{
	return c->fd;
}

void
conn_limit_input(struct conn *c, size_t len)
{
	c->input_limit = len;
}

/* Reads when somebody wants input and there is room for it. */
static void
set_reading(struct conn *c)
{
	bool wanted = !c->paused && !c->connecting && !c->ended && !c->eof &&
		      evbuffer_get_length(c->in) < c->input_limit;

	if (wanted == c->reading)
		return;
	c->reading = wanted;
	if (wanted)
		event_add(&c->readable, NULL);
	else
		event_del(&c->readable);
}

void
conn_pause(struct conn *c)
{
	c->paused = true;
	set_reading(c);
}

void
conn_resume(struct conn *c)
{
	c->paused = false;
	set_reading(c);
	if (evbuffer_get_length(c->in) > 0 && c->reading)
		event_active(&c->readable, EV_READ, 0);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	struct evbuffer_iovec piece;

	(void)what;
	if (evbuffer_reserve_space(c->in, READ_SIZE, &piece, 1) != 1) {
		fail(c, CONN_ERROR, ENOMEM);
		return;
	}
	ssize_t n = recv(fd, piece.iov_base, piece.iov_len, MSG_DONTWAIT);
	if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
		if (evbuffer_get_length(c->in) > 0)
			c->ops->on_input(c->arg); /* resumed, with input left over */
		return;
	}
	if (n == 0 && c->ops->on_eof != NULL) {
		c->eof = true;
		set_reading(c);
		c->ops->on_eof(c->arg);
		return;
	}
	if (n <= 0) {
		fail(c, n == 0 ? CONN_CLOSED : CONN_ERROR, n == 0 ? 0 : errno);
		return;
	}
	piece.iov_len = (size_t)n;
	evbuffer_commit_space(c->in, &piece, 1);
	c->ops->on_input(c->arg);
	if (!c->freed)
		set_reading(c);
}

/* An error of an early write is met again by on_flush(), and told from the loop. */
void
conn_send(struct conn *c)
{
	if (c->ended)
		return;
	if (!c->connecting && !c->full && evbuffer_get_length(c->out) >= SEND_PIECE)
		c->full = evbuffer_write(c->out, c->fd) == -1 || evbuffer_get_length(c->out) > 0;
	if (c->flush_set)
		return;
	c->flush_set = true;
	event_active(&c->flush, EV_TIMEOUT, 0);
}

static void
on_flush(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	c->flush_set = c->full = false;
	if (c->connecting)
		return;
	conn_flush(c);
	if (c->ended)
		return;
	c->full = evbuffer_get_length(c->out) > 0;
	if (c->full)
		event_add(&c->writable, NULL);
	else if (c->ops->on_drained != NULL)
		c->ops->on_drained(c->arg);
}

void
conn_flush(struct conn *c)
{
	if (c->ended || c->connecting)
		return;
	while (evbuffer_get_length(c->out) > 0) {
		int n = evbuffer_write(c->out, c->fd);
		if (n > 0)
			continue;
		if (n == -1 && errno != EAGAIN && errno != EINTR)
			fail(c, CONN_ERROR, errno);
		return;
	}
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	socklen_t len = sizeof(c->error);

	if (!c->connecting) {
		on_flush(fd, what, arg);
		return;
	}
	if (c->error == 0)
		getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &c->error, &len);
	if (c->error != 0) {
		fail(c, CONN_ERROR, c->error);
		return;
	}
	c->connecting = false;
	set_reading(c);
	c->ops->on_connected(c->arg);
	if (!c->freed)
		conn_send(c);
}

void
conn_deadline(struct conn *c, int sec)
{
	if (c->ended)
		return;
	if (sec == 0) {
		event_del(&c->deadline);
		return;
	}
	/* Timeouts of one length share a queue: setting one costs no search. */
	struct timeval tv = { sec, 0 };
	const struct timeval *common = event_base_init_common_timeout(c->base, &tv);
	event_add(&c->deadline, common == NULL ? &tv : common);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	fail(arg, CONN_TIMEOUT, 0);
}

static void
fail(struct conn *c, enum conn_end how, int error)
{
	if (c->ended)
		return;
	c->ended = true;
	event_del(&c->readable);
	event_del(&c->writable);
	event_del(&c->deadline);
	c->ops->on_end(how, error, c->arg);
}
