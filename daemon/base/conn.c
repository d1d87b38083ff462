/*
 * A connection; see conn.h.
 *
 *	plain    socket -> in, out -> socket
 *	secure   socket -> tls's net_in -> in, out -> tls's net_out -> socket
 *
 * The secure half is conntls.c.
 */
#include "connstate.h"
#include "text.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define READ_SIZE   (16 * 1024)
#define INPUT_LIMIT (64 * 1024)
#define SEND_PIECE  (8 * 1024) /* so much is sent while more is written: the peer works meanwhile */
#define NET_IN_MAX  (64 * 1024) /* read ahead of the decryption: some records */

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);
static void on_flush(evutil_socket_t fd, short what, void *arg);
static void on_deadline(evutil_socket_t fd, short what, void *arg);
static void on_reap(evutil_socket_t fd, short what, void *arg);

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
	bool unbound = false;

	if (fd != -1 && source != NULL) {
		int on = 1;
		/* Else every connection takes a port of its own at bind(), though their far ends differ. */
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
		unbound = bind(fd, source, source_len) == -1;
		error = unbound ? errno : 0;
	}
	if (error == 0 && connect(fd, to, to_len) == -1 && errno != EINPROGRESS)
		error = errno;
	struct conn *c = conn_new(base, fd, ops, arg);
	c->connecting = true;
	c->unbound = unbound;
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
	if (c->fd != -1) {
		if (c->secure) {
			tlslayer_close(c->tls);
			(void)evbuffer_write(tlslayer_net_out(c->tls), c->fd);
		}
		close(c->fd);
	}
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
	tlslayer_free(c->tls);
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

bool
conn_is_unbound(const struct conn *c)
{
	return c->unbound;
}

void
conn_limit_input(struct conn *c, size_t len)
{
	c->input_limit = len;
}

/* Reads when somebody wants input and there is room for it; nothing between the word TLS and its begin. */
void
conn_set_reading(struct conn *c)
{
	bool wanted = !c->paused && !c->connecting && !c->ended && !c->eof &&
		      (c->tls == NULL || c->tls_begun) &&
		      evbuffer_get_length(c->in) < c->input_limit;

	if (wanted == c->reading)
		return;
	c->reading = wanted;
	if (!wanted) {
		event_del(&c->readable);
		return;
	}
	if (!c->net_eof)
		event_add(&c->readable, NULL);
	if (c->undecrypted)
		event_active(&c->readable, EV_READ, 0);
}

void
conn_pause(struct conn *c)
{
	c->paused = true;
	conn_set_reading(c);
}

void
conn_resume(struct conn *c)
{
	c->paused = false;
	conn_set_reading(c);
	if (evbuffer_get_length(c->in) > 0 && c->reading)
		event_active(&c->readable, EV_READ, 0);
}

/* As recv(); into a buffer of the connection, plain or not. */
static ssize_t
take_input(struct conn *c)
{
	static char net[READ_SIZE];
	struct evbuffer_iovec piece;

	if (c->tls != NULL && evbuffer_get_length(tlslayer_net_in(c->tls)) >= NET_IN_MAX) {
		errno = EAGAIN; /* that first */
		return -1;
	}
	if (c->tls != NULL) {
		ssize_t n = c->net_eof ? 0 : recv(c->fd, net, sizeof(net), MSG_DONTWAIT);
		if (n > 0 && evbuffer_add(tlslayer_net_in(c->tls), net, (size_t)n) == -1) {
			errno = ENOMEM;
			return -1;
		}
		return n;
	}
	if (evbuffer_reserve_space(c->in, READ_SIZE, &piece, 1) != 1) {
		errno = ENOMEM;
		return -1;
	}
	ssize_t n = recv(c->fd, piece.iov_base, piece.iov_len, MSG_DONTWAIT);
	piece.iov_len = n > 0 ? (size_t)n : 0;
	evbuffer_commit_space(c->in, &piece, 1);
	return n;
}

void
conn_tell_eof(struct conn *c)
{
	if (c->ops->on_eof == NULL) {
		conn_fail(c, CONN_CLOSED, 0);
		return;
	}
	c->eof = true;
	conn_set_reading(c);
	c->ops->on_eof(c->arg);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	ssize_t n = take_input(c);
	bool none = n == -1 && (errno == EAGAIN || errno == EINTR);
	if (n == -1 && !none) {
		conn_fail(c, CONN_ERROR, errno);
		return;
	}
	if (c->tls != NULL) {
		if (n == 0 && !c->net_eof) {
			c->net_eof = true;
			tlslayer_eof(c->tls);
			event_del(&c->readable);
		}
		conn_decrypt(c);
		return;
	}
	if (n == 0) {
		conn_tell_eof(c);
		return;
	}
	if (!none || evbuffer_get_length(c->in) > 0) /* or resumed, with input left over */
		c->ops->on_input(c->arg);
	if (!c->freed)
		conn_set_reading(c);
}

/* 0, or an errno: as much of a buffer as the socket takes now. */
int
conn_write_out(struct conn *c, struct evbuffer *out)
{
	while (evbuffer_get_length(out) > 0) {
		int n = evbuffer_write(out, c->fd);
		if (n > 0)
			continue;
		return n == -1 && errno != EAGAIN && errno != EINTR ? errno : 0;
	}
	return 0;
}

/* An error of an early write is met again by on_flush(), and told from the loop. */
void
conn_send(struct conn *c)
{
	if (c->ended)
		return;
	if (!c->connecting && !c->full && c->tls == NULL &&
	    evbuffer_get_length(c->out) >= SEND_PIECE)
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
	if (c->tls_begun && evbuffer_get_length(tlslayer_net_out(c->tls)) > 0) {
		event_add(&c->writable, NULL);
		return;
	}
	if (c->tls_begun && !c->secure)
		return;
	c->full = evbuffer_get_length(c->out) > 0;
	if (c->full)
		event_add(&c->writable, NULL);
	else if (c->tls != NULL && !c->tls_begun)
		conn_begin_tls(c);
	else if (c->ops->on_drained != NULL)
		c->ops->on_drained(c->arg);
}

void
conn_flush(struct conn *c)
{
	if (c->ended || c->connecting)
		return;
	struct evbuffer *net = c->tls_begun ? tlslayer_net_out(c->tls) : c->out;
	size_t before;

	do {
		before = evbuffer_get_length(c->out);
		if (conn_encrypt(c) == TLSLAYER_FAILED) {
			conn_fail(c, CONN_TLS, 0);
			return;
		}
		int error = conn_write_out(c, net);
		if (error != 0) {
			conn_fail(c, CONN_ERROR, error);
			return;
		}
	} while (c->secure && evbuffer_get_length(net) == 0 && evbuffer_get_length(c->out) > 0 &&
		 evbuffer_get_length(c->out) < before);
}

void
conn_last_word(struct conn *c, const char *word)
{
	if (c->fd == -1 || c->freed || c->connecting || (c->tls != NULL && !c->secure))
		return;
	evbuffer_add(c->out, word, strlen(word));
	if (conn_encrypt(c) != TLSLAYER_FAILED)
		(void)conn_write_out(c, c->secure ? tlslayer_net_out(c->tls) : c->out);
}

void
conn_shutdown(struct conn *c)
{
	if (c->ended)
		return;
	if (c->secure) {
		tlslayer_close(c->tls);
		(void)conn_write_out(c, tlslayer_net_out(c->tls));
	}
	shutdown(c->fd, SHUT_WR);
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
		conn_fail(c, CONN_ERROR, c->error);
		return;
	}
	c->connecting = false;
	conn_set_reading(c);
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
	conn_fail(arg, CONN_TIMEOUT, 0);
}

void
conn_fail(struct conn *c, enum conn_end how, int error)
{
	if (c->ended)
		return;
	c->ended = true;
	event_del(&c->readable);
	event_del(&c->writable);
	event_del(&c->deadline);
	c->ops->on_end(how, error, c->arg);
}
