/*
 * What every process but parent does first: open its log, give up root, receive the configuration
 * and its channels, then run its loop.  A role is a struct role_ops; daemon/<role>/ holds it.
 *
 * Who may talk to whom stands in msg.h.  The order of life:
 *
 *	parent execs tabmaild -x ROLE; descriptor 3 is the channel to parent
 *	CONFIG, then any of CHANNEL and LISTENER, then START   -> on_start(), READY
 *	CHANNEL again when a peer was started anew             -> on_channel()
 *	a channel ends                                         -> on_gone()
 */
#ifndef TABMAIL_ROLE_H
#define TABMAIL_ROLE_H

#include "ipc.h"

struct conf;

/* The process itself; one per process, filled in before on_start(). */
struct process {
	enum role role;
	uint32_t instance; /* among those of its role, from 0 */
	const struct conf *conf;
	struct event_base *base;
	struct ipc *parent;
};
extern struct process process;

struct role_ops {
	ipc_handler *const *handlers;     /* MSG_MAX, for the channels to all peers */
	void (*on_start)(void);           /* configuration and first channels are there */
	void (*on_channel)(struct ipc *); /* before on_start() for the first ones */
	void (*on_gone)(struct ipc *);    /* NULL: end the process */
	void (*on_drained)(struct ipc *); /* may be NULL */
	void (*on_listener)(uint32_t index, int fd); /* takes fd over */
	void (*on_stop)(void); /* SIGTERM, or parent gone; then exit(0). May be NULL */
};

/* The entry of each role, in daemon/<role>/<role>.c. */
extern const struct role_ops smtp_role, lookup_role, queue_role, relay_role;

/*
 * A delivery worker has no loop: daemon/deliver/deliver.c.  It has become the uid it works for already; its channel to parent at ROLE_FD gives CONFIG, CHANNEL (queue) and START.
 */
_Noreturn void deliver_worker(void);

/* Runs the role until it is told to stop. root: folder to chroot to, or NULL. */
_Noreturn void role_main(enum role, const char *user, const char *root);

/* Descriptor of the channel to parent in a new process. */
#define ROLE_FD 3

/* parent: the process that forks; daemon/parent/parent.c.  Returns the exit status. */
struct parent_options {
	const char *program;       /* path of tabmaild, to exec */
	const char *file;          /* configuration file */
	const char *const *macros; /* "name=value", NULL at the end */
	bool foreground;
	int verbose;
};
int parent_main(const struct parent_options *);
/*
 * Whether every helper's program is there and its table's "user" may run it; what is wrong has been
 * logged.  starting: now, and as us; a missing program is no fault then, for it may come yet.
 */
bool parent_check_helpers(const struct conf *, bool starting);
/* Reads the certificates and keys that the configuration needs; false: a line for each fault. */
struct text;
bool pki_open(const struct conf *, struct text *errors);

#endif
