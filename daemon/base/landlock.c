/*
 * Landlock: what of the file system a process may still touch, also where there is no chroot.
 *
 * smtp and relay: nothing.  lookup: reads.  queue: its spool.  A delivery worker is not held by it: its
 * paths are the user's own, and a command may need any.  A kernel without it is no fault.
 */
#include "sandbox.h"

#include <stddef.h>

#ifdef __linux__
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif

#define READS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FIRST_VERSION                                                         \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | READS | \
	    LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |  \
	    LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |      \
	    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |      \
	    LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |    \
	    LANDLOCK_ACCESS_FS_MAKE_SYM)

static bool
allow(int rules, const char *path, __u64 access)
{
	struct landlock_path_beneath_attr beneath = { .allowed_access = access,
		.parent_fd = open(path, O_PATH | O_CLOEXEC) };

	if (beneath.parent_fd == -1)
		return false;
	long error = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0);
	close(beneath.parent_fd);
	return error == 0;
}

bool
landlock_lock(enum sandbox_kind kind, const char *folder)
{
	struct landlock_ruleset_attr all = { .handled_access_fs = FIRST_VERSION };
	bool good = true;

	if (kind == SANDBOX_DELIVER)
		return false;
	int rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);
	if (rules == -1)
		return false;
	if (kind == SANDBOX_LOOKUP)
		good = allow(rules, "/", READS);
	else if (kind == SANDBOX_QUEUE)
		good = allow(rules, folder, FIRST_VERSION & ~(__u64)LANDLOCK_ACCESS_FS_EXECUTE);
	good = good && syscall(SYS_landlock_restrict_self, rules, 0) == 0;
	close(rules);
	return good;
}

#else

bool
landlock_lock(enum sandbox_kind kind, const char *folder)
{
	(void)kind;
	(void)folder;
	return false;
}

#endif
