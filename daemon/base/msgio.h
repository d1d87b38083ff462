/*
 * Messages of ../msg.h for a process without a loop: the blocking twins of ipc.h.
 *
 * msg_write(): as ipc_send(); false with errno.  msg_read(): the next message, valid until the one after it;
 * 1, 0 at the end, -1 with errno (EBADMSG: it cannot be read, and was logged).
 */
#ifndef TABMAIL_MSGIO_H
#define TABMAIL_MSGIO_H

#include "msgcodec.h"

#include <sys/types.h>

struct msg_reader;
struct msg_reader *msg_reader_new(int fd); /* fd stays the caller's; to be given to free() */
bool msg_write(int fd, const struct msg *);
ssize_t msg_read(struct msg_reader *, struct msg *, int flags);

#endif
