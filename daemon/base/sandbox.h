/* What a process gives up at its start.  The only place that knows the platform. */
#ifndef TABMAIL_SANDBOX_H
#define TABMAIL_SANDBOX_H

#include <sys/types.h>

#include <stdbool.h>

#define USER_TABMAIL "_tabmail"    /* smtp, lookup, relay, helpers */
#define USER_QUEUE   "_tabmailq"   /* queue */
#define USER_PAM     "_tabmailpam" /* table-pam without a user of its own: may read shadow */

/*
 * As root: changes to `user` for good, into `root` first when it is not NULL.  As an ordinary user:
 * does nothing, for there is nothing to give up.  Ends the process when it cannot.
 */
void sandbox_enter(const char *user, const char *root);

/* For a delivery worker: root becomes uid and gid with the user's groups. Ends when it cannot. */
void sandbox_become(uid_t, gid_t, const char *user);

/*
 * The calling process is killed when `starter`, its parent, ends, however that does.  After the change of
 * user, which would undo it; it holds beyond an exec.
 */
void sandbox_end_with(pid_t starter);

/*
 * The last step, when everything is open that has to be: a filter of system calls (seccomp.c), no
 * files but those of the kind (landlock.c), no core for who holds passwords or keys.  folder: the
 * spool as queue sees it; NULL for others.  Returns what is in force, for people: "user chroot
 * no-new-privs seccomp landlock".
 */
enum sandbox_kind {
	SANDBOX_SMTP,
	SANDBOX_RELAY,
	SANDBOX_LOOKUP,
	SANDBOX_QUEUE,
	SANDBOX_DELIVER,
};
const char *sandbox_lock(enum sandbox_kind, const char *folder);
bool seccomp_lock(enum sandbox_kind);
bool landlock_lock(enum sandbox_kind, const char *folder);

/* Whether the user exists; fills in what is not NULL. */
bool sandbox_user(const char *name, uid_t *, gid_t *);

/* A memfd that holds `len` bytes and can never change; -1 with errno. */
int sandbox_sealed(const char *name, const void *data, size_t len);

#endif
