/* What a process gives up at its start; see sandbox.h. */
#include "sandbox.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

static bool separated, locked_in, nnp; /* what sandbox_enter() has done */

static void
no_new_privileges(void)
{
#ifdef __linux__
	nnp = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
#endif
}

static void
drop_to(uid_t uid, gid_t gid, const char *user)
{
	if (setresgid(gid, gid, gid) == -1 || setresuid(uid, uid, uid) == -1)
		log_fatal("cannot become user %s: %s", user, strerror(errno));
	if (uid != 0 && setuid(0) == 0)
		log_fatal("could become root again after becoming %s", user);
}

void
sandbox_enter(const char *user, const char *root)
{
	uid_t uid;
	gid_t gid;

	if (geteuid() == 0) {
		if (!sandbox_user(user, &uid, &gid))
			log_fatal("no user %s", user);
		if (setgroups(1, &gid) == -1)
			log_fatal("setgroups: %s", strerror(errno));
		if (root != NULL && (chroot(root) == -1 || chdir("/") == -1))
			log_fatal("chroot to %s: %s", root, strerror(errno));
		locked_in = root != NULL;
		separated = true;
		drop_to(uid, gid, user);
	}
	no_new_privileges();
}

void
sandbox_become(uid_t uid, gid_t gid, const char *user)
{
	if (geteuid() == 0) {
		/* the name comes from a table: its groups are this uid's only if the system says so */
		const struct passwd *pw = getpwnam(user);
		bool his = pw != NULL && pw->pw_uid == uid;
		if ((!his || initgroups(user, gid) == -1) && setgroups(1, &gid) == -1)
			log_fatal("setgroups: %s", strerror(errno));
		drop_to(uid, gid, user);
	} else if (geteuid() != uid) {
		log_fatal("not root, so no other uid than %u", (unsigned)geteuid());
	}
}

void
sandbox_end_with(pid_t starter)
{
#ifdef __linux__
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
#endif
	if (getppid() != starter) /* it has ended before this */
		_exit(0);
}

const char *
sandbox_lock(enum sandbox_kind kind, const char *folder)
{
	static char force[64];
	const struct rlimit no_core = { 0, 0 };

	if (kind == SANDBOX_SMTP || kind == SANDBOX_LOOKUP || kind == SANDBOX_RELAY)
		(void)setrlimit(RLIMIT_CORE, &no_core);
	no_new_privileges();
	bool land = landlock_lock(kind, folder);
	bool calls = seccomp_lock(kind);
	snprintf(force, sizeof(force), "%s%s%s%s%s", separated ? "user " : "",
	    locked_in ? "chroot " : "", nnp ? "no-new-privs " : "", calls ? "seccomp " : "",
	    land ? "landlock " : "");
	size_t len = strlen(force);
	if (len > 0)
		force[len - 1] = '\0';
	return force;
}

bool
sandbox_user(const char *name, uid_t *uid, gid_t *gid)
{
	struct passwd *pw = getpwnam(name);

	if (pw == NULL)
		return false;
	if (uid != NULL)
		*uid = pw->pw_uid;
	if (gid != NULL)
		*gid = pw->pw_gid;
	return true;
}

int
sandbox_sealed(const char *name, const void *data, size_t len)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd == -1)
		return -1;
	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, (const char *)data + done, len - done);
		if (n == -1) {
			close(fd);
			return -1;
		}
		done += (size_t)n;
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) ==
	    -1) {
		close(fd);
		return -1;
	}
	return fd;
}
