/*
 * What deliver's files share.
 *
 *	deliver.c  the worker's start and its loop
 *	worker.c   the channel to queue: jobs in, bodies, answers
 *	folder.c   paths of an action, and folders opened without following users' links
 *	maildir.c  many messages at once, made durable together
 *	mbox.c     one file, locked
 *	mda.c      commands, several at once
 */
#ifndef DELIVER_LOCAL_H
#define DELIVER_LOCAL_H

#include "../msg.h"
#include "conf.h"

#include <bsd/sys/queue.h>

#define WORKER_BATCH 64

/* A JOB in our hands.  A destination fills in outcome, status and text; deliver.c answers. */
struct delivery {
	STAILQ_ENTRY(delivery) entry;
	uint64_t job, id, size;
	const char *sender, *action_text, *user, *home, *dest, *rcpt;
	const struct conf_action *action;
	struct bytes body; /* the first piece */
	uint64_t read;     /* bytes that worker_body() has given out */
	uint32_t seq;
	enum outcome outcome;
	const char *status;
	char text[300];
};

extern const struct conf *worker_conf;

/* --- worker.c */
void worker_open(int fd, const struct conf *);
/* Takes the jobs that are there, at most WORKER_BATCH.  wait: for one at least; then 0: queue is gone. */
size_t worker_collect(struct delivery *batch[WORKER_BATCH], bool wait);
int worker_channel(void); /* to be polled for input; -1: queue is gone */
/* The next piece of the body: 1; 0: that was all; -1: it cannot be had. */
int worker_body(struct delivery *, struct bytes *piece);
void worker_answer(struct delivery *); /* sends the result and frees it */

/* What became of it: text is one line, status RFC 3463. */
void delivery_end(struct delivery *, enum outcome, const char *status, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* LATER, for an errno: a full disk has a status of its own. */
void delivery_fail_errno(struct delivery *, int error, const char *what);
/* "Return-Path: <…>\nDelivered-To: …\n"; allocated. */
char *delivery_header(const struct delivery *);

/* --- folder.c */
/* The format expanded and made absolute, below home unless it starts with "/".  NULL: ended. */
char *folder_path(struct delivery *, const char *format);
/*
 * Opens a folder, making what is missing (0700).  In front of the last component and below the
 * user's home no link is followed but root's.  -1 with errno.
 */
int folder_open(const char *path, const char *home);
int folder_open_at(int dir, const char *name); /* one component; made when missing */

/* --- maildir.c, mbox.c, mda.c */
void maildir_deliver(struct delivery *const *, size_t n);
extern void (*maildir_on_step)(const char *step); /* for tests: NULL */
extern unsigned maildir_sync_threads;

/* From_ quoting: a state machine over pieces.  Pure.  Writes at most 2 * len + 8 bytes. */
struct mbox_quote {
	unsigned matched; /* bytes of "From " seen at the start of a line */
	bool in_line;     /* {0}: the next byte is the first of a line */
};
size_t mbox_quote(struct mbox_quote *, const char *data, size_t len, char *out);
size_t mbox_quote_end(struct mbox_quote *, char *out); /* what was held back, and line ends */
void mbox_deliver(struct delivery *);
extern int mbox_lock_sec;

void mda_take(struct delivery *);
bool mda_is_busy(void); /* commands run, or wait for their turn */
/* Waits a moment for them and for the channel to queue (-1: it has ended); see mda.c. */
void mda_work(int channel);
extern int mda_limit_sec;

#endif
