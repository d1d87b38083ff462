/*
 * Maildirs: a batch of messages at once.  All files are written into tmp/, all are made durable,
 * all are renamed into new/, then each new/ is made durable once: the batch shares the disk's
 * waits, as the spool's group commit does.
 *
 * Invariant: a file in new/ is whole and durable; before the answer its name is durable too.
 */
#include "local.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 16

struct maildir {
	char *path;
	int tmp, new;
	int error; /* of the last fsync of new/ */
};

/* One message of the batch; folder NULL: it has ended. */
struct file {
	struct delivery *delivery;
	struct maildir *folder;
	int fd;
	int error;
	char name[NAME_MAX + 1];
};

static struct maildir *find_folder(struct delivery *, struct maildir *, size_t *n);
static bool open_folder(struct delivery *, struct maildir *);
static void write_file(struct file *);
static void make_name(char *name, size_t len);
static void sync_all(struct file *, size_t n);
static void rename_all(struct file *, size_t n, struct maildir *, size_t n_folders);
static void give_up(struct file *, int error, const char *what);

void (*maildir_on_step)(const char *);
unsigned maildir_sync_threads = 4;

static void
step(const char *name)
{
	if (maildir_on_step != NULL)
		maildir_on_step(name);
}

void
maildir_deliver(struct delivery *const *deliveries, size_t n)
{
	static struct file files[WORKER_BATCH];
	struct maildir folders[WORKER_BATCH];
	size_t n_folders = 0;

	for (size_t i = 0; i < n; i++) {
		files[i] = (struct file){ .delivery = deliveries[i], .fd = -1 };
		files[i].folder = find_folder(deliveries[i], folders, &n_folders);
		if (files[i].folder != NULL)
			write_file(&files[i]);
		step("written");
	}
	sync_all(files, n);
	step("synced");
	rename_all(files, n, folders, n_folders);
	step("renamed");
	for (size_t i = 0; i < n; i++) {
		if (files[i].folder == NULL)
			continue;
		if (files[i].folder->error != 0)
			delivery_fail_errno(deliveries[i], files[i].folder->error, "maildir");
		else
			delivery_end(deliveries[i], OUTCOME_DONE, "2.0.0", "delivered to maildir");
	}
	for (size_t i = 0; i < n_folders; i++) {
		close(folders[i].tmp);
		close(folders[i].new);
		free(folders[i].path);
	}
}

/* --- Folders */

/* The folder of this delivery among those of the batch, or a new one; NULL: ended. */
static struct maildir *
find_folder(struct delivery *d, struct maildir *folders, size_t *n)
{
	const char *arg = d->action->arg;
	char *path = folder_path(d, arg == NULL ? "~/Maildir" : arg);

	if (path == NULL)
		return NULL;
	for (size_t i = 0; i < *n; i++) {
		if (strcmp(folders[i].path, path) == 0) {
			free(path);
			return &folders[i];
		}
	}
	struct maildir *f = &folders[*n];
	*f = (struct maildir){ .path = path, .tmp = -1, .new = -1 };
	if (!open_folder(d, f)) {
		free(path);
		return NULL;
	}
	(*n)++;
	return f;
}

static bool
open_folder(struct delivery *d, struct maildir *f)
{
	int cur = -1, dir = folder_open(f->path, d->home);

	if (dir != -1) {
		f->tmp = folder_open_at(dir, "tmp");
		f->new = f->tmp == -1 ? -1 : folder_open_at(dir, "new");
		cur = f->new == -1 ? -1 : folder_open_at(dir, "cur");
	}
	int error = errno;
	if (dir != -1)
		close(dir);
	if (cur != -1) {
		close(cur);
		return true;
	}
	if (f->tmp != -1)
		close(f->tmp);
	if (f->new != -1)
		close(f->new);
	if (error == ELOOP)
		delivery_end(d, OUTCOME_LATER, "4.2.0", "%s: a link stands in the way", f->path);
	else
		delivery_fail_errno(d, error, f->path);
	return false;
}

/* --- Files */

/* writev() of all, however the kernel cuts it. */
static bool
write_all(int fd, struct iovec *iov, int n)
{
	while (n > 0) {
		ssize_t done = writev(fd, iov, n);
		if (done == -1 && errno == EINTR)
			continue;
		if (done == -1)
			return false;
		while (n > 0 && (size_t)done >= iov->iov_len) {
			done -= (ssize_t)iov->iov_len;
			iov++;
			n--;
		}
		if (n > 0) {
			iov->iov_base = (char *)iov->iov_base + done;
			iov->iov_len -= (size_t)done;
		}
	}
	return true;
}

static void
write_file(struct file *f)
{
	struct bytes piece = { "", 0 };

	make_name(f->name, sizeof(f->name));
	f->fd = openat(
	    f->folder->tmp, f->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (f->fd == -1) {
		give_up(f, errno, "maildir");
		return;
	}
	char *header = delivery_header(f->delivery);
	int more = worker_body(f->delivery, &piece);
	struct iovec iov[2] = { { header, strlen(header) },
		{ (void *)(uintptr_t)piece.data, piece.len } };
	bool good = more != -1 && write_all(f->fd, iov, more == 1 ? 2 : 1);
	int error = errno;
	free(header);
	while (good && more == 1 && (more = worker_body(f->delivery, &piece)) == 1) {
		good = write_all(
		    f->fd, &(struct iovec){ (void *)(uintptr_t)piece.data, piece.len }, 1);
		error = errno;
	}
	if (more == -1)
		give_up(f, 0, "the message could not be read");
	else if (!good)
		give_up(f, error, "maildir");
}

/* Unique as the convention says: time, process, count, host. */
static void
make_name(char *name, size_t len)
{
	static unsigned count;
	char host[128];
	struct timespec now;

	snprintf(host, sizeof(host), "%s", worker_conf->hostname);
	for (char *p = host; *p != '\0'; p++)
		if (*p == '/' || *p == ':')
			*p = '_';
	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(name, len, "%lld.M%06ldP%ldQ%u.%s", (long long)now.tv_sec, now.tv_nsec / 1000,
	    (long)getpid(), ++count, host);
}

/* Ends the delivery; nothing of it stays. */
static void
give_up(struct file *f, int error, const char *what)
{
	if (error == 0)
		delivery_end(f->delivery, OUTCOME_LATER, "4.3.0", "%s", what);
	else
		delivery_fail_errno(f->delivery, error, what);
	if (f->fd != -1) {
		close(f->fd);
		unlinkat(f->folder->tmp, f->name, 0);
	}
	f->fd = -1;
	f->folder = NULL;
}

/* --- Durability */

struct sync {
	struct file *files;
	size_t n;
	atomic_size_t next;
};

static void *
sync_some(void *arg)
{
	struct sync *s = arg;
	size_t i;

	while ((i = atomic_fetch_add(&s->next, 1)) < s->n)
		if (s->files[i].fd != -1 && fsync(s->files[i].fd) == -1)
			s->files[i].error = errno;
	return NULL;
}

/* The kernel tells of data that did not reach the disk once: fsync() after this would call it written. */
static void
push(struct file *f, unsigned flags)
{
	if (f->fd == -1 || f->error != 0 || sync_file_range(f->fd, 0, 0, flags) == 0)
		return;
	if (errno != EINVAL && errno != ESPIPE && errno != ENOSYS) /* not of this file system */
		f->error = errno;
}

/*
 * First all data is handed to the disk and waited for, so that the journal's commit of the first
 * fsync covers all of them; what the others still wait for is the disk's cache, side by side.
 */
static void
sync_all(struct file *files, size_t n)
{
	struct sync s = { .files = files, .n = n };
	pthread_t threads[THREADS_MAX];
	size_t n_threads = 0, wanted = maildir_sync_threads < n ? maildir_sync_threads : n;

	for (size_t i = 0; i < n && n > 1; i++)
		push(&files[i], SYNC_FILE_RANGE_WRITE);
	for (size_t i = 0; i < n && n > 1; i++)
		push(&files[i], SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
				    SYNC_FILE_RANGE_WAIT_AFTER);
	while (n_threads + 1 < wanted && n_threads < THREADS_MAX &&
	       pthread_create(&threads[n_threads], NULL, sync_some, &s) == 0)
		n_threads++;
	sync_some(&s);
	for (size_t i = 0; i < n_threads; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < n; i++)
		if (files[i].error != 0)
			give_up(&files[i], files[i].error, "maildir");
}

static void
rename_all(struct file *files, size_t n, struct maildir *folders, size_t n_folders)
{
	for (size_t i = 0; i < n; i++) {
		struct file *f = &files[i];
		if (f->folder == NULL)
			continue;
		if (renameat(f->folder->tmp, f->name, f->folder->new, f->name) == -1) {
			give_up(f, errno, "maildir");
			continue;
		}
		close(f->fd);
		f->fd = -1;
	}
	for (size_t i = 0; i < n_folders; i++)
		if (fsync(folders[i].new) == -1)
			folders[i].error = errno;
}
