/*
 * The questions of a channel that wait for their answers (ipc.c).  A call's id is its slot and a
 * generation: an answer that comes after its call was cancelled finds another, and is nobody's.
 */
#ifndef TABMAIL_CALLS_H
#define TABMAIL_CALLS_H

#include "ipc.h"

struct ipc_call {
	struct ipc *ipc;
	uint32_t id;
	enum msg_type awaits; /* the only message that may answer it */
	ipc_answer *answer;
	void *arg;
};

/* Start with {0}. */
struct calls {
	struct ipc_call **slots; /* by the low half of a call's id less 1 */
	size_t n;
	uint32_t next_free; /* where to look for a free slot first */
	uint16_t generation;
};

/* Ends the process when there are as many as ids can tell apart. */
struct ipc_call *calls_add(
    struct calls *, struct ipc *, enum msg_type awaits, ipc_answer *, void *arg);
struct ipc_call *calls_find(const struct calls *, uint32_t id); /* NULL: none, or not any more */
void calls_remove(struct calls *, struct ipc_call *);           /* frees it */
void calls_answer(struct calls *, struct ipc_call *, const struct msg *); /* and is rid of it */
void calls_end(struct calls *); /* all are answered NULL; what calls holds is freed */

#endif
