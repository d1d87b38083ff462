/* See msgio.h.  Called by the delivery workers, and by parent for what it tells a worker first. */
#include "msgio.h"
#include "log.h"
#include "passfd.h"
#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

bool
msg_write(int fd, const struct msg *m)
{
	static unsigned char buf[MSG_MAX_LEN];
	size_t len = msg_encode(m, buf, sizeof(buf));
	struct iovec iov = { buf, len };
	struct msghdr head = { .msg_iov = &iov, .msg_iovlen = 1 };
	union passfd control;
	ssize_t n;

	if (len == 0)
		log_bug("bug: %s does not fit a packet", msg_name(m->type));
	if (m->fd != -1)
		passfd_attach(&head, &control, m->fd);
	do
		n = sendmsg(fd, &head, MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	return n == (ssize_t)len;
}

struct msg_reader {
	int fd;
	size_t at, len; /* of the packet: what is read, and all */
	unsigned char packet[MSG_MAX_LEN];
};

struct msg_reader *
msg_reader_new(int fd)
{
	struct msg_reader *r = xcalloc(1, sizeof(*r));

	r->fd = fd;
	return r;
}

/* As msg_read(), of packets. */
static ssize_t
read_packet(struct msg_reader *r, int *fd, int flags)
{
	union passfd control;
	struct iovec iov = { r->packet, sizeof(r->packet) };
	struct msghdr head = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control) };
	ssize_t n;

	do
		n = recvmsg(r->fd, &head, flags | MSG_CMSG_CLOEXEC);
	while (n == -1 && errno == EINTR);
	if (n <= 0)
		return n;
	*fd = passfd_take(&head);
	r->at = 0;
	r->len = (size_t)n;
	return 1;
}

ssize_t
msg_read(struct msg_reader *r, struct msg *m, int flags)
{
	int fd = -1;

	if (r->at == r->len) {
		ssize_t n = read_packet(r, &fd, flags);
		if (n <= 0)
			return n;
	}
	*m = (struct msg){ .fd = fd };
	const unsigned char *message = r->packet + r->at;
	size_t len = msg_first_len(message, r->len - r->at);
	const char *wrong = msg_decode(m, message, len);
	r->at += len;
	if (wrong != NULL) {
		log_warn("breach message=%s reason=%s", msg_name(m->type), log_quote(wrong));
		if (m->fd != -1)
			close(m->fd);
		errno = EBADMSG;
		return -1;
	}
	return 1;
}
