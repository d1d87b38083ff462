/*
 * fork and exec.  Between the two only async-signal-safe calls, and the change of user.  What is
 * started holds descriptors 0, 1 and 2, and a role its channel at ROLE_FD: nothing else.
 */
#include "local.h"
#include "conf.h"
#include "log.h"
#include "sandbox.h"
#include "tab.h"
#include "text.h"

#include <bsd/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define ARGS_MAX 12

static const char *own_path(void);
static pid_t fork_clean(void);
static void keep(int fd, int as);

/* Our own program's path, by the kernel where it tells, for argv[0] may be relative. */
static const char *
own_path(void)
{
	static char path[PATH_MAX];

	if (path[0] == '\0') {
		ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
		if (n <= 0 && realpath(parent.options->program, path) == NULL)
			log_fatal("cannot find my own program, %s", parent.options->program);
	}
	return path;
}

/* A child without our signal handlers, in a session of its own: the terminal's ^C is for parent. */
static pid_t
fork_clean(void)
{
	sigset_t all, before;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	pid = fork();
	if (pid == 0) {
		for (int sig = 1; sig < NSIG; sig++)
			signal(sig, SIG_DFL);
		sigemptyset(&before);
		setsid();
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}

/* Moves fd to `as`, where exec leaves it open. */
static void
keep(int fd, int as)
{
	if (fd == as)
		fcntl(fd, F_SETFD, 0);
	else if (dup2(fd, as) == -1)
		_exit(126);
}

static pid_t
launch_self(const char **argv, int fd)
{
	const char *path = own_path();
	pid_t pid = fork_clean();

	if (pid != 0)
		return pid;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	keep(null, STDIN_FILENO);
	keep(null, STDOUT_FILENO);
	if (!parent.options->foreground)
		keep(null, STDERR_FILENO);
	keep(fd, ROLE_FD); /* last: null may lie there */
	closefrom(ROLE_FD + 1);
	execv(path, (char *const *)argv);
	_exit(127);
}

static size_t
common_args(const char **argv, const char *role)
{
	size_t n = 0;

	argv[n++] = "tabmaild";
	argv[n++] = "-x";
	argv[n++] = role;
	if (parent.options->foreground)
		argv[n++] = "-d";
	if (parent.options->verbose > 0)
		argv[n++] = "-v";
	return n;
}

pid_t
launch_role(enum role role, int fd, const char *root)
{
	const char *argv[ARGS_MAX] = { 0 };
	size_t n = common_args(argv, role_name(role));

	if (root != NULL) {
		argv[n++] = "-r";
		argv[n++] = root;
	}
	return launch_self(argv, fd);
}

/* It is root until it has changed to the user itself: the program need not be his to read. */
pid_t
launch_worker(uid_t uid, gid_t gid, const char *user, int fd)
{
	const char *argv[ARGS_MAX] = { 0 };
	size_t n = common_args(argv, role_name(ROLE_DELIVER));
	char who[128];

	snprintf(who, sizeof(who), "%u:%u:%s", (unsigned)uid, (unsigned)gid, user);
	argv[n++] = "-u";
	argv[n++] = who;
	return launch_self(argv, fd);
}

pid_t
launch_helper(const struct launch_helper *h)
{
	static const char *const env[] = { TAB_ENV, NULL };
	pid_t starter = getpid(), pid = fork_clean();

	if (pid != 0)
		return pid;
	/* io and err may lie where they are to go; err first to a place of its own */
	int err = fcntl(h->err, F_DUPFD_CLOEXEC, 10);
	int io = fcntl(h->io, F_DUPFD_CLOEXEC, 10);
	if (err == -1 || io == -1)
		_exit(126);
	keep(io, STDIN_FILENO);
	keep(io, STDOUT_FILENO);
	keep(err, STDERR_FILENO);
	closefrom(STDERR_FILENO + 1);
	/* a core would hold what it was asked, passwords among it; a hard limit stays */
	if (chdir("/") == -1 || setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }) == -1)
		_exit(126);
	const char *user = h->user == NULL ? USER_TABMAIL : h->user;
	sandbox_enter(user, NULL);
	if (parent.root && geteuid() == 0) { /* the user is another than he was at our start */
		dprintf(STDERR_FILENO, "user %s: a helper does not run as root\n", user);
		_exit(126);
	}
	sandbox_end_with(starter); /* one that hangs does not see its input's end */
	execve(h->argv[0], h->argv, (char *const *)env);
	dprintf(STDERR_FILENO, "cannot run %s: %s\n", h->argv[0], strerror(errno));
	_exit(127);
}
