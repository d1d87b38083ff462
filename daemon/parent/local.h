/* What the files of parent share.  Only parent forks; nothing here reads from the network. */
#ifndef TABMAIL_PARENT_LOCAL_H
#define TABMAIL_PARENT_LOCAL_H

#include "conf.h"
#include "../role.h"

#include <sys/types.h>

struct text;

/* The process: options, configuration, loop.  One, in parent.c. */
extern struct parent {
	const struct parent_options *options;
	struct conf *conf;
	int memfd; /* the configuration's text, sealed */
	struct event_base *base;
	bool root;   /* started as root: privileges are separated */
	char *empty; /* the folder that smtp and relay are locked into */
} parent;

/* child.c: the four roles, supervised. */
void child_start_all(void);
void child_stop_all(void);            /* then parent_stopped() is called */
bool child_exited(pid_t, int status); /* false: none of ours */
void child_each(void (*)(struct ipc *, enum role));
struct ipc *child_channel(enum role); /* of its first instance; NULL when it is down */
void child_put_status(struct ipc *, uint32_t ask);
void parent_stopped(void);

/* errand.c: what lookup and queue ask of us: helpers, workers, status. */
extern ipc_handler *const errand_handlers[MSG_MAX];
bool errand_exited(pid_t, int status); /* a helper or a worker; false: none */
void errand_role_gone(enum role);      /* its helpers or workers are no longer known to anyone */

/* launch.c: fork and exec.  All return the pid, or -1 with errno; fd stays the caller's. */
pid_t launch_role(enum role, int fd, const char *root);
pid_t launch_worker(uid_t, gid_t, const char *user, int fd);
struct launch_helper {
	char *const *argv;
	const char *user; /* NULL: _tabmail; as an ordinary user: ourselves */
	int io;           /* becomes 0 and 1 */
	int err;          /* becomes 2 */
};
pid_t launch_helper(const struct launch_helper *);

/* helper.c: a table's program and user. */
#define HELPER_ARGS_MAX 64
struct helper_command {
	char *argv[HELPER_ARGS_MAX + 1]; /* into storage, and the table's arg */
	char *storage;
};
void helper_command(struct helper_command *, const struct conf *, const struct conf_table *);
void helper_command_free(struct helper_command *);
const char *helper_is_missing(const struct helper_command *); /* NULL, or why; static */
const char *helper_user(const struct conf_table *);           /* NULL: _tabmail */

/* listen.c: binds everything once; the sockets stay when smtp is started anew. */
bool listen_open(void); /* false: what failed has been logged */
void listen_give(struct ipc *, enum role);
void listen_close(void);

/* pki.c: certificates and keys. */
void pki_give(struct ipc *, enum role);
bool pki_renew(struct text *errors); /* false: some stay as they were; a line for each */

#endif
