/*
 * A disk that fails, for LD_PRELOAD into the daemon: what SQLite asks of the spool's files goes wrong as often
 * as a control file says.  The file is mapped at the load, before any chroot, so a test turns the faults on
 * and off while processes run and are started anew.  Only descriptors opened under a name with "spool.db" are
 * touched.  System calls are made directly, so nothing is asked of the dynamic linker.
 *
 * A write that fails has written half: what a torn write leaves.  A sync that fails has not synced.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FDS 1024

/* As t/lib/Tabmail/Storm.pm writes it: numbers of 32 bits. */
struct faults {
	uint32_t write, sync, read; /* of a million calls so many fail */
	uint32_t error;             /* errno of a write: EIO, ENOSPC */
	uint32_t calls, failed;     /* counted here */
};

static struct faults *faults;
static bool is_spool[FDS];

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at);
ssize_t pread64(int fd, void *data, size_t len, off64_t at);

__attribute__((constructor)) static void
load(void)
{
	const char *path = getenv("IOFAULT");
	int fd = path == NULL ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);

	if (fd == -1)
		return;
	void *p = mmap(NULL, sizeof(*faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		faults = p;
	syscall(SYS_close, fd);
}

static bool
fails(int fd, uint32_t of_a_million)
{
	static uint64_t state;

	if (faults == NULL || fd < 0 || fd >= FDS || !is_spool[fd])
		return false;
	__atomic_add_fetch(&faults->calls, 1, __ATOMIC_RELAXED);
	if (state == 0)
		state = (uint64_t)getpid() * 0x9e3779b97f4a7c15u;
	state = state * 6364136223846793005u + 1442695040888963407u;
	if ((state >> 33) % 1000000 >= of_a_million)
		return false;
	__atomic_add_fetch(&faults->failed, 1, __ATOMIC_RELAXED);
	return true;
}

int
open64(const char *path, int flags, ...)
{
	va_list ap;

	va_start(ap, flags);
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, va_arg(ap, unsigned));
	va_end(ap);
	if (fd >= 0 && fd < FDS)
		is_spool[fd] = strstr(path, "spool.db") != NULL;
	return fd;
}

ssize_t
pwrite64(int fd, const void *data, size_t len, off64_t at)
{
	if (faults != NULL && fails(fd, faults->write)) {
		syscall(SYS_pwrite64, fd, data, len / 2, at);
		errno = (int)faults->error;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, data, len, at);
}

ssize_t
pread64(int fd, void *data, size_t len, off64_t at)
{
	if (faults != NULL && fails(fd, faults->read)) {
		errno = EIO;
		return -1;
	}
	return syscall(SYS_pread64, fd, data, len, at);
}

int
fdatasync(int fd)
{
	if (faults != NULL && fails(fd, faults->sync)) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}
