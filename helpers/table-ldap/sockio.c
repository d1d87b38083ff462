/* The layer between libldap and a socket (sockio.h).  Called by link.c, and through liblber by libldap. */
#include "sockio.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define IN_SIZE      (64 * 1024)
#define OUT_FIRST    (16 * 1024)
#define OUT_MAX      (16 * 1024 * 1024) /* requests that nobody takes; link.c allows far less */
#define INCOMING_MAX (8 * 1024 * 1024)  /* bytes of one message */

static int
on_setup(Sockbuf_IO_Desc *d, void *arg)
{
	d->sbiod_pvt = arg;
	return 0;
}

static int
on_remove(Sockbuf_IO_Desc *d)
{
	(void)d;
	return 0;
}

static int
on_ctrl(Sockbuf_IO_Desc *d, int option, void *arg)
{
	struct sockio *io = d->sbiod_pvt;

	if (option == LBER_SB_OPT_DATA_READY && (io->in_len > 0 || io->over))
		return 1;
	return LBER_SBIOD_CTRL_NEXT(d, option, arg);
}

static ber_slen_t
on_read(Sockbuf_IO_Desc *d, void *to, ber_len_t len)
{
	struct sockio *io = d->sbiod_pvt;

	if (io->in_len == 0 && !io->over)
		sockio_fill(io);
	if (io->in_len == 0) {
		errno = EAGAIN;
		return io->over ? 0 : -1;
	}
	if (len > io->in_len)
		len = io->in_len;
	memcpy(to, io->in + io->in_start, len);
	io->in_start += len;
	io->in_len -= len;
	return (ber_slen_t)len;
}

static ber_slen_t
on_write(Sockbuf_IO_Desc *d, void *from, ber_len_t len)
{
	struct sockio *io = d->sbiod_pvt;

	if (io->out_start > 0 && io->out_start + io->out_len + len > io->out_size) {
		memmove(io->out, io->out + io->out_start, io->out_len);
		io->out_start = 0;
	}
	if (io->out_len + len > io->out_size) {
		size_t size = io->out_size == 0 ? OUT_FIRST : io->out_size;
		while (size < io->out_len + len && size <= OUT_MAX)
			size *= 2;
		unsigned char *more = size > OUT_MAX ? NULL : malloc(size);
		if (more == NULL) {
			io->over = true;
			errno = ENOBUFS;
			return -1;
		}
		/* Not realloc(): what is left behind may be a password. */
		if (io->out_len > 0)
			memcpy(more, io->out + io->out_start, io->out_len);
		if (io->out != NULL)
			explicit_bzero(io->out, io->out_size);
		free(io->out);
		io->out = more;
		io->out_start = 0;
		io->out_size = size;
	}
	memcpy(io->out + io->out_start + io->out_len, from, len);
	io->out_len += len;
	return (ber_slen_t)len;
}

static int
on_close(Sockbuf_IO_Desc *d)
{
	sockio_flush(d->sbiod_pvt); /* a farewell, if it can go at once */
	return 0;
}

static Sockbuf_IO layer = {
	.sbi_setup = on_setup,
	.sbi_remove = on_remove,
	.sbi_ctrl = on_ctrl,
	.sbi_read = on_read,
	.sbi_write = on_write,
	.sbi_close = on_close,
};

bool
sockio_attach(struct sockio *io, LDAP *ld, int fd)
{
	ber_len_t max = INCOMING_MAX;

	*io = (struct sockio){ .fd = fd, .in = malloc(IN_SIZE) };
	if (io->in == NULL)
		return false;
	return ldap_get_option(ld, LDAP_OPT_SOCKBUF, &io->sb) == LDAP_OPT_SUCCESS &&
	       ber_sockbuf_ctrl(io->sb, LBER_SB_OPT_SET_MAX_INCOMING, &max) == 1 &&
	       ber_sockbuf_add_io(io->sb, &layer, LBER_SBIOD_LEVEL_PROVIDER, io) == 0;
}

void
sockio_free(struct sockio *io)
{
	if (io->out != NULL)
		explicit_bzero(io->out, io->out_size);
	free(io->in);
	free(io->out);
	*io = (struct sockio){ .fd = -1 };
}

bool
sockio_fill(struct sockio *io)
{
	if (io->in_len > 0)
		memmove(io->in, io->in + io->in_start, io->in_len);
	io->in_start = 0;
	ssize_t n = recv(io->fd, io->in + io->in_len, IN_SIZE - io->in_len, MSG_DONTWAIT);
	if (n > 0)
		io->in_len += (size_t)n;
	else if (n == 0 ? io->in_len < IN_SIZE : errno != EAGAIN && errno != EINTR)
		io->over = true;
	return n > 0;
}

bool
sockio_has_input(struct sockio *io)
{
	return ber_sockbuf_ctrl(io->sb, LBER_SB_OPT_DATA_READY, NULL) > 0;
}

bool
sockio_flush(struct sockio *io)
{
	while (io->out_len > 0 && !io->over) {
		ssize_t n =
		    send(io->fd, io->out + io->out_start, io->out_len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			if (errno != EAGAIN)
				io->over = true;
			break;
		}
		explicit_bzero(io->out + io->out_start, (size_t)n);
		io->out_start += (size_t)n;
		io->out_len -= (size_t)n;
	}
	if (io->out_len == 0)
		io->out_start = 0;
	return io->out_len > 0;
}
