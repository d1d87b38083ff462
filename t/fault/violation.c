/*
 * A process that was taken over, for LD_PRELOAD into the daemon: SIGUSR2 makes it call what no process of ours
 * may, ptrace(2).
 */
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

static void
on_signal(int number)
{
	(void)number;
	(void)syscall(SYS_ptrace, 0, 0, NULL, NULL);
}

__attribute__((constructor)) static void
load(void)
{
	signal(SIGUSR2, on_signal);
}
