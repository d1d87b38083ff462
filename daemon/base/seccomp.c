/*
 * The filter of system calls, the last step of a process into its sandbox (sandbox.h).
 *
 * A plain BPF program made from the table of syscalls.h: a dozen lines more than with libseccomp, and
 * one library less in the process that faces the Internet.  A call that is in no list raises SIGSYS;
 * its handler logs the number, and the process ends with a core of nothing secret: parent logs that,
 * and starts it anew.
 */
#include "log.h"
#include "sandbox.h"

#ifdef __linux__
#include "syscalls.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __x86_64__
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

#if defined(ARCH) && !defined(SANITIZED)

struct rule {
	uint32_t number;
	bool soft;
	int arg; /* -1: whatever its arguments are */
	uint32_t mask, value;
};

#define CALL(name) { __NR_##name, false, -1, 0, 0 },
#define SOFT(name) { __NR_##name, true, -1, 0, 0 },
#define ARG(name, arg, mask, value) \
	{ __NR_##name, false, (arg), (uint32_t)(mask), (uint32_t)(value) },
#define LIST(NAME)                                                                   \
	static const struct rule NAME##_rules[] = { SYSCALLS_##NAME(CALL, SOFT, ARG) \
		    SYSCALLS_LOOP(CALL, SOFT, ARG) }
LIST(SMTP);
LIST(RELAY);
LIST(LOOKUP);
LIST(QUEUE);
static const struct rule never_rules[] = { SYSCALLS_NEVER(CALL, ARG) };

#define PROGRAM_MAX 1024

struct program {
	struct sock_filter steps[PROGRAM_MAX];
	unsigned short n;
};

static void
put(struct program *p, struct sock_filter step)
{
	if (p->n == PROGRAM_MAX)
		log_bug("bug: the filter of system calls is too long");
	p->steps[p->n++] = step;
}

static void
put_load(struct program *p, size_t offset)
{
	put(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void
put_answer(struct program *p, uint32_t answer)
{
	put(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, answer));
}

/* Calls of another architecture's numbers have other meanings: they end it. */
static void
put_head(struct program *p)
{
	put_load(p, offsetof(struct seccomp_data, arch));
	put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0));
	put_answer(p, SECCOMP_RET_KILL_PROCESS);
	put_load(p, offsetof(struct seccomp_data, nr));
#ifdef __x86_64__
	put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1)); /* x32 */
	put_answer(p, SECCOMP_RET_KILL_PROCESS);
#endif
}

static void
put_rule(struct program *p, const struct rule *r, uint32_t answer)
{
	if (r->arg == -1) {
		put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, r->number, 0, 1));
		put_answer(p, answer);
		return;
	}
	put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, r->number, 0, 5));
	put_load(p, offsetof(struct seccomp_data, args[0]) + (size_t)r->arg * 8); /* low half */
	put(p, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, r->mask));
	put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, r->value, 0, 1));
	put_answer(p, answer);
	put_load(p, offsetof(struct seccomp_data, nr));
}

static bool
install(const struct rule *rules, size_t n, uint32_t answer, uint32_t otherwise)
{
	static struct program p;

	p.n = 0;
	put_head(&p);
	for (size_t i = 0; i < n; i++) {
		struct rule r = rules[i];
		if (r.number == __NR_tgkill)
			r.value = (uint32_t)getpid();
		put_rule(&p, &r, r.soft ? SECCOMP_RET_ERRNO | EACCES : answer);
	}
	/* glibc asks by clone3 first, whose flags no filter sees, and then by clone */
	put_rule(
	    &p, &(struct rule){ .number = __NR_clone3, .arg = -1 }, SECCOMP_RET_ERRNO | ENOSYS);
	put_answer(&p, otherwise);
	struct sock_fprog program = { .len = p.n, .filter = p.steps };
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

/* Only what a signal handler may call. */
static void
on_violation(int sig, siginfo_t *info, void *context)
{
	static const char head[] = ": bug: system call ", tail[] = " is not allowed here\n";
	char line[160], digits[12];
	size_t len = 0, n = 0;
	unsigned number = (unsigned)info->si_syscall;

	(void)context;
	for (const char *p = log_name(); *p != '\0' && len < 64; p++)
		line[len++] = *p;
	for (const char *p = head; *p != '\0'; p++)
		line[len++] = *p;
	do
		digits[n++] = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	while (n > 0)
		line[len++] = digits[--n];
	for (const char *p = tail; *p != '\0'; p++)
		line[len++] = *p;
	log_raw(line, len);
	signal(sig, SIG_DFL);
	syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), sig);
}

static void
watch_violations(void)
{
	struct sigaction sa = { .sa_sigaction = on_violation, .sa_flags = SA_SIGINFO | SA_NODEFER };

	sigaction(SIGSYS, &sa, NULL);
}

#define INSTALL(NAME)                                                                            \
	install(NAME##_rules, sizeof(NAME##_rules) / sizeof(NAME##_rules[0]), SECCOMP_RET_ALLOW, \
	    SECCOMP_RET_TRAP)

bool
seccomp_lock(enum sandbox_kind kind)
{
	watch_violations();
	switch (kind) {
	case SANDBOX_SMTP: return INSTALL(SMTP);
	case SANDBOX_RELAY: return INSTALL(RELAY);
	case SANDBOX_LOOKUP: return INSTALL(LOOKUP);
	case SANDBOX_QUEUE: return INSTALL(QUEUE);
	case SANDBOX_DELIVER:
		return install(never_rules, sizeof(never_rules) / sizeof(never_rules[0]),
		    SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ALLOW);
	}
	return false;
}

#else /* another architecture, or sanitizers, which make calls of their own */

bool
seccomp_lock(enum sandbox_kind kind)
{
	(void)kind;
	return false;
}

#endif
#else

bool
seccomp_lock(enum sandbox_kind kind)
{
	(void)kind;
	return false;
}

#endif
