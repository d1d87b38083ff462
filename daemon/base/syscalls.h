/*
 * Which system calls a role makes: the table behind the filter of seccomp.c.
 *
 * CALL(name): allowed.  SOFT(name): answered EACCES, for libraries try it and live without (a log
 * that was closed, a file of time zones).  ARG(name, n, mask, value): allowed where argument n, under
 * the mask, has the value; of tgkill the value is our own pid.  What is in no list ends the process.
 */
#ifndef TABMAIL_SYSCALLS_H
#define TABMAIL_SYSCALLS_H

/* clang-format off */
#define SYSCALLS_LOOP(CALL, SOFT, ARG) \
	CALL(read) CALL(pread64) CALL(write) CALL(readv) CALL(writev) CALL(close) CALL(fcntl) CALL(lseek) \
	CALL(recvmsg) CALL(sendmsg) CALL(recvmmsg) CALL(sendmmsg) CALL(recvfrom) CALL(sendto) \
	CALL(getsockopt) CALL(setsockopt) CALL(getsockname) CALL(getpeername) CALL(shutdown) \
	CALL(epoll_create1) CALL(epoll_ctl) CALL(epoll_pwait) CALL(ppoll) CALL(pselect6) CALL(eventfd2) \
	CALL(pipe2) CALL(dup) CALL(dup3) CALL(futex) CALL(sched_yield) CALL(sched_getaffinity) \
	CALL(clock_gettime) CALL(clock_nanosleep) CALL(nanosleep) CALL(gettimeofday) CALL(timerfd_create) \
	CALL(timerfd_settime) CALL(getpid) CALL(gettid) CALL(getuid) CALL(geteuid) CALL(getgid) \
	CALL(getegid) CALL(getrandom) CALL(getrusage) CALL(uname) CALL(sysinfo) ARG(prlimit64, 0, 0xffffffffu, 0) \
	CALL(munmap) CALL(mremap) CALL(madvise) CALL(brk) CALL(membarrier) CALL(rseq) \
	CALL(rt_sigaction) CALL(rt_sigprocmask) CALL(rt_sigreturn) CALL(sigaltstack) ARG(tgkill, 0, 0xffffffffu, 0) \
	CALL(restart_syscall) CALL(exit) CALL(exit_group) CALL(fstat) SYSCALLS_OLD(CALL) \
	ARG(mmap, 2, PROT_EXEC, 0) ARG(mprotect, 2, PROT_EXEC, 0) SOFT(mmap) SOFT(mprotect) \
	SYSCALLS_STAT(CALL) SOFT(readlinkat) SOFT(faccessat) SYSCALLS_OLD_SOFT(SOFT)

/* What newer architectures have no more. */
#ifdef __x86_64__
#define SYSCALLS_OLD(CALL) CALL(poll) CALL(select) CALL(epoll_wait) CALL(time) CALL(arch_prctl) CALL(dup2) \
	CALL(pipe) CALL(epoll_create)
#define SYSCALLS_OLD_SOFT(SOFT) SOFT(stat) SOFT(lstat) SOFT(open) SOFT(access) SOFT(readlink)
#else
#define SYSCALLS_OLD(CALL)
#define SYSCALLS_OLD_SOFT(SOFT)
#endif
#define SYSCALLS_STAT(CALL) CALL(newfstatat)

/* Sessions; no file, no connection of its own. */
#define SYSCALLS_SMTP(CALL, SOFT, ARG) \
	CALL(accept4) ARG(ioctl, 1, 0xffffffffu, FIONREAD) SOFT(ioctl) SOFT(openat) SOFT(socket) SOFT(connect)

/* Connections to others; no file. */
#define SYSCALLS_RELAY(CALL, SOFT, ARG) \
	CALL(connect) CALL(bind) ARG(socket, 0, 0xffffffffu, AF_INET) ARG(socket, 0, 0xffffffffu, AF_INET6) \
	ARG(ioctl, 1, 0xffffffffu, FIONREAD) SOFT(ioctl) SOFT(openat) SOFT(socket)

/* The DNS, threads for crypt(3), local sockets for relay, files to read: those of the resolver; what
 * addresses and interfaces there are. */
#define SYSCALLS_LOOKUP(CALL, SOFT, ARG) \
	ARG(socket, 0, 0xffffffffu, AF_UNIX) ARG(socket, 0, 0xffffffffu, AF_INET) \
	ARG(socket, 0, 0xffffffffu, AF_INET6) ARG(socket, 0, 0xffffffffu, AF_NETLINK) SOFT(socket) \
	CALL(ioctl) CALL(connect) CALL(bind) CALL(openat) CALL(getdents64) CALL(setpriority) \
	ARG(clone, 0, CLONE_THREAD, CLONE_THREAD) CALL(set_robust_list)

/* The spool, in SQLite; the control socket. */
#define SYSCALLS_QUEUE(CALL, SOFT, ARG) \
	CALL(accept4) CALL(ioctl) CALL(openat) CALL(pwrite64) CALL(fsync) CALL(fdatasync) CALL(ftruncate) \
	CALL(fallocate) CALL(unlinkat) CALL(renameat) CALL(renameat2) CALL(mkdirat) CALL(getdents64) \
	CALL(fchmod) CALL(fchown) CALL(fstatfs) CALL(statfs) CALL(getcwd) CALL(copy_file_range) \
	CALL(sendfile) CALL(utimensat) CALL(umask) CALL(linkat) SYSCALLS_QUEUE_OLD(CALL) \
	SOFT(socket) SOFT(connect)
#ifdef __x86_64__
#define SYSCALLS_QUEUE_OLD(CALL) CALL(unlink) CALL(rename) CALL(mkdir) CALL(rmdir) CALL(chmod) CALL(open) \
	CALL(stat) CALL(lstat) CALL(access) CALL(readlink) CALL(link)
#else
#define SYSCALLS_QUEUE_OLD(CALL)
#endif

/* What nobody's mail needs: refused to delivery workers and to the commands that they run.  A user
 * namespace would give all the rest back. */
#define SYSCALLS_NEVER(CALL, ARG) \
	ARG(clone, 0, CLONE_NEWUSER, CLONE_NEWUSER) \
	CALL(ptrace) CALL(process_vm_readv) CALL(process_vm_writev) CALL(bpf) CALL(perf_event_open) \
	CALL(userfaultfd) CALL(mount) CALL(umount2) CALL(pivot_root) CALL(chroot) CALL(unshare) CALL(setns) \
	CALL(kexec_load) CALL(init_module) CALL(finit_module) CALL(delete_module) CALL(reboot) \
	CALL(swapon) CALL(swapoff) CALL(keyctl) CALL(add_key) CALL(request_key) CALL(open_by_handle_at) \
	CALL(io_uring_setup) CALL(io_uring_enter) CALL(io_uring_register) CALL(personality) CALL(acct) \
	CALL(open_tree) CALL(move_mount) CALL(fsopen) CALL(fsconfig) CALL(fsmount) CALL(fspick) \
	CALL(mount_setattr) CALL(kexec_file_load) CALL(pidfd_getfd) CALL(process_madvise) \
	CALL(quotactl) CALL(settimeofday) CALL(clock_settime) CALL(adjtimex) CALL(sethostname)
/* clang-format on */

#endif
