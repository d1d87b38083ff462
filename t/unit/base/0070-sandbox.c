/*
 * sandbox.h: what each role may still do after sandbox_lock(), tried by a child for each call: what its
 * table allows works, what a library may try is refused, anything else is a logged crash.
 */
#include "log.h"
#include "sandbox.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t tester; /* this process: another for those who try */

static const char *const kinds[] = { "smtp", "relay", "lookup", "queue", "deliver" };

/* Each returns 0 when it could do it, 1 when it was refused. */
static int
try_exec(void)
{
	char *const argv[] = { (char *)"/bin/true", NULL };

	execv(argv[0], argv);
	return 1;
}

static int
try_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid == -1;
}

static int
try_ptrace(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1;
}

static int
try_inet(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) == -1;
}

static int
try_packet(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0) == -1;
}

static int
try_read_file(void)
{
	return open("/etc/passwd", O_RDONLY) == -1;
}

static int
try_write_file(void)
{
	return open("/tmp/tabmail-sandbox-test", O_WRONLY | O_CREAT, 0600) == -1;
}

static int
try_kill(void)
{
	return kill(getppid(), 0) == -1;
}

static int
try_setuid(void)
{
	return setuid(getuid()) == -1;
}

static int
try_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		   0) == MAP_FAILED;
}

static void *
nothing(void *arg)
{
	return arg;
}

static int
try_thread(void)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, nothing, NULL) != 0 || pthread_join(thread, NULL) != 0;
}

static int
try_unshare(void)
{
	return unshare(CLONE_NEWUSER) == -1;
}

static int
try_namespace(void)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0)
		_exit(0);
	return pid == -1;
}

static int
try_limits_of_another(void)
{
	struct rlimit have;

	return prlimit(tester, RLIMIT_NOFILE, NULL, &have) == -1;
}

static int
try_limits(void)
{
	struct rlimit have;

	return getrlimit(RLIMIT_NOFILE, &have) == -1 || setrlimit(RLIMIT_NOFILE, &have) == -1;
}

static int
try_signal_to_another(void)
{
	return syscall(SYS_tgkill, tester, tester, 0) == -1;
}

static int
try_waiting_bytes(void)
{
	int fds[2], n;

	return pipe(fds) == -1 || ioctl(fds[0], FIONREAD, &n) == -1;
}

static int
try_interface(void)
{
	int fds[2];
	struct ifreq r = { .ifr_ifindex = 1 };

	if (pipe(fds) == -1)
		return 1;
	return ioctl(fds[0], SIOCGIFNAME, &r) == -1 && errno == EACCES; /* not: of no use there */
}

/* D: done, R: refused, C: a crash by SIGSYS that was logged; by kind, in the order above. */
static const struct {
	const char *name;
	int (*try)(void);
	const char *want;
} tries[] = {
	{ "execve", try_exec, "CCCCD" },
	{ "fork", try_fork, "CCCCD" },
	{ "ptrace", try_ptrace, "CCCCR" },
	{ "a connection's socket", try_inet, "RDDRD" },
	{ "a raw socket", try_packet, "RRRRD" },
	{ "reading /etc/passwd", try_read_file, "RR..D" },
	{ "kill", try_kill, "CCCCD" },
	{ "setuid", try_setuid, "CCCCD" },
	{ "memory to write and to run", try_code, "RRRRD" },
	{ "a thread", try_thread, "CCDCD" },
	{ "unshare", try_unshare, "CCCCR" },
	{ "a user namespace by clone", try_namespace, "CCCCR" },
	{ "its own limits", try_limits, "DDDDD" },
	{ "the limits of another", try_limits_of_another, "CCCCD" },
	{ "a signal to another's thread", try_signal_to_another, "CCCCD" },
	{ "how many bytes wait", try_waiting_bytes, "DDDDD" },
	{ "another ioctl", try_interface, "RRDDD" },
};

static char
attempt(enum sandbox_kind kind, int (*try)(void), bool *logged)
{
	char text[512] = "";
	int fds[2], status;

	if (pipe(fds) == -1)
		return '?';
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		log_open("smtp", true, 0);
		sandbox_lock(kind, "/tmp");
		_exit(try());
	}
	close(fds[1]);
	ssize_t n = read(fds[0], text, sizeof(text) - 1);
	close(fds[0]);
	waitpid(pid, &status, 0);
	*logged = n > 0 && strstr(text, "smtp: bug: system call ") != NULL;
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGSYS ? 'C' : '!';
	return WEXITSTATUS(status) == 0 ? 'D' : 'R';
}

int
main(void)
{
	int status;

	tester = getpid();
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		_exit(strstr(sandbox_lock(SANDBOX_SMTP, NULL), "seccomp") == NULL);
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		ok(true, "no filter here # SKIP sanitizers, or another architecture");
		return done();
	}
	for (enum sandbox_kind k = SANDBOX_SMTP; k <= SANDBOX_DELIVER; k++)
		for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
			bool logged;
			char want = tries[i].want[k], got = attempt(k, tries[i].try, &logged);
			if (want == '.')
				continue;
			/* the one that is refused may need root as well: unshare, raw sockets */
			ok(got == want || (want == 'D' && got == 'R' && geteuid() != 0),
			    "%s: %s: %c", kinds[k], tries[i].name, got);
			if (want == 'C')
				ok(logged || tries[i].try == try_thread,
				    "and the log names the call"); /* all signals are blocked */
		}
	bool logged;
	is_int(
	    attempt(SANDBOX_QUEUE, try_write_file, &logged), 'D', "queue writes below its spool");
	unlink("/tmp/tabmail-sandbox-test");
	is_int(attempt(SANDBOX_LOOKUP, try_read_file, &logged), 'D', "lookup reads");
	return done();
}
