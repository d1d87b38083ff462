/*
 * What is written and what is made durable, in order, for LD_PRELOAD into the daemon: so that a test can tell what a
 * power cut at any moment would have left (t/lib/Tabmail/PowerCut.pm).  Of files it sees the spool's database and
 * what delivery workers create; of folders, what is entered, renamed and removed in them.
 *
 * The log is a file that is mapped at the load, before any chroot: its first eight bytes are how long it is, and are
 * moved on before a record is filled in.  A write is recorded before it is made, a sync after it has returned, with
 * the length of the log when it was begun: only what is before that is durable.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 1024

enum kind { CREATE = 1, WRITE, TRUNCATE, SYNC, RENAME, UNLINK, MKDIR };

struct record {
	uint32_t len, kind; /* len: with what follows, a multiple of 8 */
	uint64_t ino,
	    other; /* other: the folder; of a rename the folder it goes to, and ino where it was */
	uint64_t at,
	    n; /* where in the file; of a sync, the log's length when it began; n: bytes that follow */
};

static struct {
	uint64_t len, size;
} * head;
static struct file {
	uint64_t ino;
	off_t at;
	bool wanted;
} files[FDS];

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at);
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);

__attribute__((constructor)) static void
load(void)
{
	const char *path = getenv("RECORD");
	struct stat st;
	int fd = path == NULL ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);

	if (fd == -1)
		return;
	if (fstat(fd, &st) == 0) {
		void *p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (p != MAP_FAILED)
			head = p;
	}
	syscall(SYS_close, fd);
}

static uint64_t
log_len(void)
{
	return head == NULL ? 0 : __atomic_load_n(&head->len, __ATOMIC_SEQ_CST);
}

/* When it is full it says so by its length, and nothing more is kept. */
static char *
put(enum kind kind, uint64_t ino, uint64_t other, uint64_t at, size_t n)
{
	uint32_t len = (uint32_t)(sizeof(struct record) + ((n + 7) & ~(size_t)7));

	if (head == NULL)
		return NULL;
	uint64_t where = __atomic_fetch_add(&head->len, len, __ATOMIC_SEQ_CST);
	if (where + len > head->size)
		return NULL;
	char *to = (char *)head + where;
	*(struct record *)to = (struct record){ len, kind, ino, other, at, n };
	return to + sizeof(struct record);
}

static void
put_names(enum kind kind, uint64_t ino, uint64_t other, const char *a, const char *b)
{
	size_t la = strlen(a) + 1, lb = b == NULL ? 0 : strlen(b) + 1;
	char *to = put(kind, ino, other, 0, la + lb);

	if (to != NULL) {
		memcpy(to, a, la);
		if (b != NULL)
			memcpy(to + la, b, lb);
	}
}

static uint64_t
ino_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

/* The folder of a path, and its last name. */
static uint64_t
folder_of(int dir, const char *path, const char **name)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	struct stat st;

	*name = slash == NULL ? path : slash + 1;
	if (slash == NULL)
		snprintf(folder, sizeof(folder), ".");
	else
		snprintf(
		    folder, sizeof(folder), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	if (slash == NULL && dir != AT_FDCWD)
		return ino_of(dir);
	return fstatat(dir, folder, &st, 0) == 0 ? st.st_ino : 0;
}

static int
open_any(int dir, const char *path, int flags, unsigned mode)
{
	struct stat st;
	bool spool = strstr(path, "spool.db") != NULL;
	bool mail = dir != AT_FDCWD && (flags & O_CREAT) != 0;
	bool old = (flags & O_CREAT) != 0 && (flags & O_EXCL) == 0 && (spool || mail) &&
		   fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
	int fd = (int)syscall(SYS_openat, dir, path, flags, mode);
	int error = errno;

	if (head != NULL && fd >= 0 && fd < FDS) {
		files[fd] = (struct file){ .ino = ino_of(fd), .wanted = spool || mail };
		if ((flags & O_CREAT) != 0 && !old && (spool || mail)) {
			const char *name;
			uint64_t folder = folder_of(dir, path, &name);
			put_names(CREATE, files[fd].ino, folder, name, NULL);
		}
	}
	errno = error;
	return fd;
}

#define MODE(flags, mode)                             \
	unsigned mode = 0;                            \
	if (((flags) & (O_CREAT | O_TMPFILE)) != 0) { \
		va_list ap;                           \
		va_start(ap, flags);                  \
		mode = va_arg(ap, unsigned);          \
		va_end(ap);                           \
	}

int
open(const char *path, int flags, ...)
{
	MODE(flags, mode)
	return open_any(AT_FDCWD, path, flags, mode);
}

int
open64(const char *path, int flags, ...)
{
	MODE(flags, mode)
	return open_any(AT_FDCWD, path, flags, mode);
}

int
openat(int dir, const char *path, int flags, ...)
{
	MODE(flags, mode)
	return open_any(dir, path, flags, mode);
}

int
openat64(int dir, const char *path, int flags, ...)
{
	MODE(flags, mode)
	return open_any(dir, path, flags, mode);
}

int
__open_2(const char *path, int flags)
{
	return open_any(AT_FDCWD, path, flags, 0);
}

int
__open64_2(const char *path, int flags)
{
	return open_any(AT_FDCWD, path, flags, 0);
}

int
__openat_2(int dir, const char *path, int flags)
{
	return open_any(dir, path, flags, 0);
}

int
__openat64_2(int dir, const char *path, int flags)
{
	return open_any(dir, path, flags, 0);
}

int
close(int fd)
{
	if (fd >= 0 && fd < FDS)
		files[fd] = (struct file){ 0 };
	return (int)syscall(SYS_close, fd);
}

static bool
wanted(int fd)
{
	return head != NULL && fd >= 0 && fd < FDS && files[fd].wanted;
}

ssize_t
pwrite64(int fd, const void *data, size_t len, off64_t at)
{
	char *to = wanted(fd) ? put(WRITE, files[fd].ino, 0, (uint64_t)at, len) : NULL;

	if (to != NULL)
		memcpy(to, data, len);
	return syscall(SYS_pwrite64, fd, data, len, at);
}

/* Of a new file, from its beginning on. */
ssize_t
writev(int fd, const struct iovec *iov, int n)
{
	ssize_t done = syscall(SYS_writev, fd, iov, n);

	if (done <= 0 || !wanted(fd))
		return done;
	int error = errno;
	char *to = put(WRITE, files[fd].ino, 0, (uint64_t)files[fd].at, (size_t)done);
	size_t left = (size_t)done;
	for (int i = 0; to != NULL && left > 0; i++) {
		size_t len = iov[i].iov_len < left ? iov[i].iov_len : left;
		memcpy(to, iov[i].iov_base, len);
		to += len;
		left -= len;
	}
	files[fd].at += done;
	errno = error;
	return done;
}

int
ftruncate64(int fd, off64_t len)
{
	if (wanted(fd))
		put(TRUNCATE, files[fd].ino, 0, (uint64_t)len, 0);
	return (int)syscall(SYS_ftruncate, fd, len);
}

static int
sync_any(int fd, long call)
{
	uint64_t began = log_len();
	int result = (int)syscall(call, fd);
	int error = errno;

	if (result == 0 && head != NULL && fd >= 0 && fd < FDS && files[fd].ino != 0)
		put(SYNC, files[fd].ino, 0, began, 0);
	errno = error;
	return result;
}

int
fsync(int fd)
{
	return sync_any(fd, SYS_fsync);
}

int
fdatasync(int fd)
{
	return sync_any(fd, SYS_fdatasync);
}

int
renameat(int from, const char *a, int to, const char *b)
{
	int result = (int)syscall(SYS_renameat, from, a, to, b);
	int error = errno;

	if (result == 0 && head != NULL)
		put_names(RENAME, ino_of(from), ino_of(to), a, b);
	errno = error;
	return result;
}

int
unlinkat(int dir, const char *path, int flags)
{
	const char *name;
	uint64_t folder = head == NULL ? 0 : folder_of(dir, path, &name);
	int result = (int)syscall(SYS_unlinkat, dir, path, flags);
	int error = errno;

	if (result == 0 && head != NULL)
		put_names(UNLINK, 0, folder, name, NULL);
	errno = error;
	return result;
}

int
unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int
mkdirat(int dir, const char *path, mode_t mode)
{
	int result = (int)syscall(SYS_mkdirat, dir, path, mode);
	int error = errno;
	struct stat st;

	if (result == 0 && head != NULL && fstatat(dir, path, &st, 0) == 0) {
		const char *name;
		uint64_t folder = folder_of(dir, path, &name);
		put_names(MKDIR, st.st_ino, folder, name, NULL);
	}
	errno = error;
	return result;
}
