/* A descriptor beside a packet (SCM_RIGHTS). */
#ifndef TABMAIL_PASSFD_H
#define TABMAIL_PASSFD_H

#include <sys/socket.h>

/* The space for it; for receiving, msg_control points here, msg_controllen is its size. */
union passfd {
	struct cmsghdr align;
	char space[CMSG_SPACE(sizeof(int))];
};

/* The descriptor that came, the caller's now, or -1. */
int passfd_take(struct msghdr *);

/* fd goes with what is sent, and stays the caller's. */
void passfd_attach(struct msghdr *, union passfd *, int fd);

#endif
