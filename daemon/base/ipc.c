/*
 * A channel to another process; see ipc.h.
 *
 * Sending appends messages to a packet until that is full; one flush at the end of the loop's turn hands
 * over as many packets as one sendmmsg takes.  Receiving takes up to BATCH packets with one recvmmsg.
 * The kernel's work is by packet: with one message in each it was a sixth of all that a message cost.
 */
#include "ipc.h"
#include "calls.h"
#include "log.h"
#include "passfd.h"
#include "text.h"

#include <bsd/sys/queue.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH      8
#define PACKET_LEN (32 * 1024) /* of short messages together; a longer one has one for itself */

struct packet {
	STAILQ_ENTRY(packet) entry;
	size_t len, room;
	int fd; /* ours: a duplicate, or -1 */
	unsigned char data[];
};

static struct packet *spare; /* of PACKET_LEN */

struct ipc {
	struct event_base *base;
	int fd;
	enum role self, peer;
	const struct ipc_ops *ops;
	void *arg;
	struct event readable, writable, flush, reap;
	STAILQ_HEAD(, packet) out;
	size_t backlog;
	bool was_high, flush_set, ended, busy;
	struct calls calls;
};

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void receive_all(struct ipc *, const unsigned char *packet, size_t len, int fd);
static void receive(struct ipc *, const void *message, size_t len, int fd);
static void on_flush(evutil_socket_t fd, short what, void *arg);
static bool send_batch(struct ipc *);
static void end(struct ipc *, const char *why);
static void on_reap(evutil_socket_t fd, short what, void *arg);

struct ipc *
ipc_new(struct event_base *base, int fd, enum role self, enum role peer, const struct ipc_ops *ops,
    void *arg)
{
	struct ipc *ipc = xcalloc(1, sizeof(*ipc));

	*ipc = (struct ipc){
		.base = base, .fd = fd, .self = self, .peer = peer, .ops = ops, .arg = arg
	};
	STAILQ_INIT(&ipc->out);
	evutil_make_socket_nonblocking(fd);
	event_assign(&ipc->readable, base, fd, EV_READ | EV_PERSIST, on_readable, ipc);
	event_assign(&ipc->writable, base, fd, EV_WRITE, on_flush, ipc);
	event_assign(&ipc->flush, base, -1, 0, on_flush, ipc);
	event_assign(&ipc->reap, base, -1, 0, on_reap, ipc);
	event_add(&ipc->readable, NULL);
	return ipc;
}

enum role
ipc_peer(const struct ipc *ipc)
{
	return ipc->peer;
}

void *
ipc_arg(const struct ipc *ipc)
{
	return ipc->arg;
}

size_t
ipc_backlog(const struct ipc *ipc)
{
	return ipc->backlog;
}

bool
ipc_pair(int fds[2])
{
	int size = 1024 * 1024; /* the kernel takes what it allows */

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == -1)
		return false;
	for (int i = 0; i < 2; i++)
		setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return true;
}

/* A packet that has been taken or sent; most hold no secret, and cost nothing here. */
static void
wipe(void *packet, size_t len)
{
	struct msg_header header = { 0 };

	if (len < sizeof(header))
		return;
	memcpy(&header, packet, sizeof(header));
	if (msg_has_secret(header.type))
		explicit_bzero(packet, len);
}

static struct packet *
add_packet(struct ipc *ipc, size_t room)
{
	struct packet *p = NULL;

	if (room == PACKET_LEN) {
		p = spare;
		spare = NULL;
	}
	if (p == NULL)
		p = xrealloc(NULL, sizeof(*p) + room, 1);
	p->len = 0;
	p->room = room;
	p->fd = -1;
	STAILQ_INSERT_TAIL(&ipc->out, p, entry);
	return p;
}

static void
free_packet(struct packet *p)
{
	if (p->fd != -1)
		close(p->fd);
	wipe(p->data, p->len);
	if (spare == NULL && p->room == PACKET_LEN)
		spare = p;
	else
		free(p);
}

/* A message behind those of the last packet, or, with a descriptor or a secret, in one of its own. */
static void
append(struct ipc *ipc, const struct msg *m)
{
	static unsigned char buf[MSG_MAX_LEN];
	bool alone = m->fd != -1 || msg_has_secret(m->type);
	struct packet *p = STAILQ_LAST(&ipc->out, packet, entry);
	size_t len = 0;

	if (p != NULL && !alone)
		len = msg_encode(m, p->data + p->len, p->room - p->len);
	if (len == 0) {
		len = msg_encode(m, buf, sizeof(buf));
		if (len == 0)
			log_bug("bug: %s does not fit a packet", msg_name(m->type));
		p = add_packet(ipc, alone || len > PACKET_LEN ? len : PACKET_LEN);
		p->fd = m->fd == -1 ? -1 : fcntl(m->fd, F_DUPFD_CLOEXEC, 3);
		memcpy(p->data, buf, len);
		wipe(buf, len);
	}
	p->len += len;
	ipc->backlog += len;
}

static void
enqueue(struct ipc *ipc, const struct msg *m)
{
	if (ipc->ended)
		return;
	if (!msg_allowed(m->type, ipc->self, ipc->peer))
		log_bug("bug: %s may not be sent to %s", msg_name(m->type), role_name(ipc->peer));
	append(ipc, m);
	if (ipc->backlog > IPC_BACKLOG_HIGH)
		ipc->was_high = true;
	if (!ipc->flush_set) {
		ipc->flush_set = true;
		event_active(&ipc->flush, EV_TIMEOUT, 0);
	}
}

void
ipc_send(struct ipc *ipc, enum msg_type type, const void *body)
{
	enqueue(ipc, &(struct msg){ .type = type, .fd = msg_body_fd(type, body), .body = body });
}

void
ipc_reply(struct ipc *ipc, uint32_t call, enum msg_type type, const void *body)
{
	enqueue(ipc, &(struct msg){ .type = type,
			 .call = call,
			 .answer = true,
			 .fd = msg_body_fd(type, body),
			 .body = body });
}

struct ipc_call *
ipc_call(struct ipc *ipc, enum msg_type type, const void *body, ipc_answer *answer, void *arg)
{
	if (msg_answer(type) == MSG_NONE)
		log_bug("bug: %s is no question", msg_name(type));
	struct ipc_call *call = calls_add(&ipc->calls, ipc, msg_answer(type), answer, arg);

	enqueue(
	    ipc, &(struct msg){
		     .type = type, .call = call->id, .fd = msg_body_fd(type, body), .body = body });
	return call;
}

/* The answer, if it still comes, finds another generation in its slot and is dropped. */
void
ipc_cancel(struct ipc_call *call)
{
	calls_remove(&call->ipc->calls, call);
}

uint32_t
ipc_call_id(const struct ipc_call *call)
{
	return call->id;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	static unsigned char data[BATCH][MSG_MAX_LEN];
	struct ipc *ipc = arg;
	struct mmsghdr heads[BATCH];
	struct iovec iov[BATCH];
	union passfd control[BATCH];

	(void)what;
	for (int i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ data[i], MSG_MAX_LEN };
		heads[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i],
			.msg_iovlen = 1,
			.msg_control = control[i].space,
			.msg_controllen = sizeof(control[i]) };
	}
	int n = recvmmsg(fd, heads, BATCH, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end(ipc, n == 0 || errno == ECONNRESET ? NULL : strerror(errno));
		return;
	}
	ipc->busy = true;
	for (int i = 0; i < n; i++) {
		int passed = passfd_take(&heads[i].msg_hdr);
		if (ipc->ended) {
			if (passed != -1)
				close(passed);
		} else if (heads[i].msg_len == 0) { /* the end of a SEQPACKET stream */
			end(ipc, NULL);
		} else {
			receive_all(ipc, data[i], heads[i].msg_len, passed);
			wipe(data[i], heads[i].msg_len);
		}
	}
	ipc->busy = false;
}

void
ipc_receive(struct ipc *ipc, int wait_ms)
{
	struct pollfd p = { .fd = ipc->fd, .events = POLLIN };

	if (!ipc->ended && poll(&p, 1, wait_ms) == 1)
		on_readable(ipc->fd, EV_READ, ipc);
}

/* The messages of a packet; a descriptor is the first one's. */
static void
receive_all(struct ipc *ipc, const unsigned char *packet, size_t len, int fd)
{
	for (size_t at = 0, n; at < len && !ipc->ended; at += n, fd = -1) {
		n = msg_first_len(packet + at, len - at);
		receive(ipc, packet + at, n, fd);
	}
}

static void
receive(struct ipc *ipc, const void *message, size_t len, int fd)
{
	struct msg m = { .fd = fd };
	const char *wrong = msg_decode(&m, message, len);
	struct ipc_call *call = wrong == NULL && m.answer ? calls_find(&ipc->calls, m.call) : NULL;

	if (wrong == NULL && !msg_allowed(m.type, ipc->peer, ipc->self))
		wrong = "not allowed on this channel";
	if (wrong == NULL && !m.answer &&
	    (ipc->ops->handlers == NULL || ipc->ops->handlers[m.type] == NULL))
		wrong = "not expected here";
	if (wrong == NULL && call != NULL && m.type != call->awaits)
		wrong = "the answer to another question";
	if (wrong != NULL) {
		log_warn("breach from=%s message=%s reason=%s", role_name(ipc->peer),
		    msg_name(m.type), log_quote(wrong));
		if (fd != -1)
			close(fd);
		end(ipc, wrong);
		return;
	}
	if (!m.answer) {
		ipc->ops->handlers[m.type](ipc, &m, ipc->arg);
	} else if (call != NULL) {
		calls_answer(&ipc->calls, call, &m);
		return; /* an answer's FD belongs to who asked */
	}
	if (m.fd != -1)
		close(m.fd);
}

static void
on_flush(evutil_socket_t fd, short what, void *arg)
{
	struct ipc *ipc = arg;

	(void)fd;
	(void)what;
	ipc->flush_set = false;
	ipc_flush(ipc);
}

void
ipc_flush(struct ipc *ipc)
{
	while (!ipc->ended && !STAILQ_EMPTY(&ipc->out))
		if (!send_batch(ipc))
			break;
	if (ipc->was_high && ipc->backlog < IPC_BACKLOG_HIGH / 2 && !ipc->ended) {
		ipc->was_high = false;
		if (ipc->ops->on_drained != NULL)
			ipc->ops->on_drained(ipc, ipc->arg);
	}
}

static void
drop_packet(struct ipc *ipc)
{
	struct packet *p = STAILQ_FIRST(&ipc->out);

	STAILQ_REMOVE_HEAD(&ipc->out, entry);
	ipc->backlog -= p->len;
	free_packet(p);
}

/* Sends some of what waits; false when the socket takes no more now. */
static bool
send_batch(struct ipc *ipc)
{
	struct mmsghdr heads[BATCH];
	struct iovec iov[BATCH];
	union passfd control[BATCH];
	struct packet *p;
	unsigned n = 0;

	STAILQ_FOREACH(p, &ipc->out, entry) {
		iov[n] = (struct iovec){ p->data, p->len };
		heads[n].msg_hdr = (struct msghdr){ .msg_iov = &iov[n], .msg_iovlen = 1 };
		if (p->fd != -1)
			passfd_attach(&heads[n].msg_hdr, &control[n], p->fd);
		if (++n == BATCH)
			break;
	}
	int sent = sendmmsg(ipc->fd, heads, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent == -1) {
		if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS)
			event_add(&ipc->writable, NULL);
		else
			end(ipc, errno == EPIPE || errno == ECONNRESET ? NULL : strerror(errno));
		return false;
	}
	for (int i = 0; i < sent; i++)
		drop_packet(ipc);
	return true;
}

static void
shut(struct ipc *ipc)
{
	ipc->ended = true;
	event_del(&ipc->readable);
	event_del(&ipc->writable);
	event_del(&ipc->flush);
	close(ipc->fd);
	while (!STAILQ_EMPTY(&ipc->out))
		drop_packet(ipc);
	event_active(&ipc->reap, EV_TIMEOUT, 0);
}

/* The peer is gone, or has broken the rules. */
static void
end(struct ipc *ipc, const char *why)
{
	if (ipc->ended)
		return;
	if (why != NULL)
		log_warn("channel peer=%s ended reason=%s", role_name(ipc->peer), log_quote(why));
	shut(ipc);
	if (ipc->ops->on_end != NULL)
		ipc->ops->on_end(ipc, ipc->arg);
}

void
ipc_close(struct ipc *ipc)
{
	if (!ipc->ended)
		shut(ipc);
}

static void
on_reap(evutil_socket_t fd, short what, void *arg)
{
	struct ipc *ipc = arg;

	(void)fd;
	(void)what;
	calls_end(&ipc->calls);
	free(ipc);
}
