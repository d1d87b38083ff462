/* See passfd.h.  Called by ipc.c and msgio.c. */
#include "passfd.h"

#include <string.h>
#include <unistd.h>

/* The space would hold two: a second is nobody's. */
int
passfd_take(struct msghdr *head)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(head);
	int fd = -1, more;

	if (c == NULL || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return -1;
	for (size_t at = 0; CMSG_LEN(at + sizeof(more)) <= c->cmsg_len; at += sizeof(more)) {
		memcpy(&more, CMSG_DATA(c) + at, sizeof(more));
		if (fd == -1)
			fd = more;
		else
			close(more);
	}
	return fd;
}

void
passfd_attach(struct msghdr *head, union passfd *control, int fd)
{
	memset(control, 0, sizeof(*control));
	head->msg_control = control->space;
	head->msg_controllen = sizeof(*control);
	struct cmsghdr *c = CMSG_FIRSTHDR(head);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
}
