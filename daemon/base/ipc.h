/*
 * A channel to another process: messages of ../msg.h over a SOCK_SEQPACKET pair, and questions
 * with their answers.  What is sent goes out together at the end of the loop's turn.
 *
 * A message that its row does not allow here, a packet that cannot be read, an answer of another type
 * than its question has: the channel is closed, logged, and on_end is called.  A process whose channel is
 * gone ends, or is ended by parent; so a breach ends the sender.
 */
#ifndef TABMAIL_IPC_H
#define TABMAIL_IPC_H

#include "msgcodec.h"

#include <sys/types.h>

struct event_base;
struct ipc;
struct ipc_call;

/* A message came.  Its body is valid until the handler returns.  May call ipc_close(). */
typedef void ipc_handler(struct ipc *, struct msg *, void *arg);

/* The answer to a call; NULL when the channel ended first.  Never called inside ipc_call(). */
typedef void ipc_answer(const struct msg *, void *arg);

struct ipc_ops {
	ipc_handler *const *handlers;            /* MSG_MAX of them, by type; NULL: a breach */
	void (*on_end)(struct ipc *, void *arg); /* the peer is gone; the ipc is freed afterwards */
	void (*on_drained)(struct ipc *, void *arg); /* backlog fell below half; may be NULL */
};

/* Takes fd over.  arg goes to every handler. */
struct ipc *ipc_new(
    struct event_base *, int fd, enum role self, enum role peer, const struct ipc_ops *, void *arg);

/* Closes at once, frees when it is safe.  Pending calls get NULL.  on_end is not called. */
void ipc_close(struct ipc *);

enum role ipc_peer(const struct ipc *);
void *ipc_arg(const struct ipc *);

/* body: struct msg_NAME of that type.  Its FD, if it has one, is sent and stays the caller's. */
void ipc_send(struct ipc *, enum msg_type, const void *body);

/* A question.  The handle is for ipc_cancel(); after its answer it is no longer valid. */
struct ipc_call *ipc_call(struct ipc *, enum msg_type, const void *body, ipc_answer *, void *arg);
void ipc_cancel(struct ipc_call *);
uint32_t ipc_call_id(const struct ipc_call *); /* msg->call at the other side */

/* Answers the question that had this call id (msg->call). */
void ipc_reply(struct ipc *, uint32_t call, enum msg_type, const void *body);

/* Bytes waiting to be sent; beyond IPC_BACKLOG_HIGH a sender should stop reading its own input. */
size_t ipc_backlog(const struct ipc *);
#define IPC_BACKLOG_HIGH (4 * 1024 * 1024)

/* Sends what waits now, as far as the socket takes it (before an exit). */
void ipc_flush(struct ipc *);

/* Handles what is there now, waiting wait_ms at most for it (before an exit, outside the loop). */
void ipc_receive(struct ipc *, int wait_ms);

/* A connected pair for a channel, close-on-exec; false with errno. */
bool ipc_pair(int fds[2]);

#endif
