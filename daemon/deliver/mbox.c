/*
 * mbox: one file for all messages, appended to under a lock (fcntl, and a dot-lock where the folder
 * allows one), each message behind a "From " line, such lines in it quoted.
 *
 * A reader may put a new file in the place of the old one while it has a lock, so what is appended to is the
 * file that has the name when we have all of them.
 *
 * Invariant: after a failure the file has its former length; an answer comes after the fsync.
 */
#include "clock.h"
#include "local.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STALE_SEC 300 /* age of a dot-lock that nobody holds any more */
#define RETRY_MS  50

static const char from_[] = "From ";

static bool dot_lock(int dir, const char *lock, bool *held);
static int open_locked(struct delivery *, int dir, const char *name, const char *folder);
static int open_box(struct delivery *, int dir, const char *name, const char *folder);
static bool lock_box(int fd, int64_t until_ms);
static int append(struct delivery *, int fd, int dir);

int mbox_lock_sec = 30;

/* --- Quoting */

size_t
mbox_quote(struct mbox_quote *q, const char *data, size_t len, char *out)
{
	char *start = out;

	for (const char *end = data + len; data < end; data++) {
		if (!q->in_line && *data == from_[q->matched]) {
			if (++q->matched < 5)
				continue;
			out = stpcpy(out, ">From ");
			q->matched = 0;
			q->in_line = true;
			continue;
		}
		if (q->matched > 0) {
			memcpy(out, from_, q->matched);
			out += q->matched;
			q->matched = 0;
		}
		*out++ = *data;
		q->in_line = *data != '\n';
	}
	return (size_t)(out - start);
}

/* At most 6 bytes: what was held back, the last line's end, an empty line. */
size_t
mbox_quote_end(struct mbox_quote *q, char *out)
{
	size_t n = q->matched;

	memcpy(out, from_, n);
	if (n > 0 || q->in_line)
		out[n++] = '\n';
	out[n++] = '\n';
	*q = (struct mbox_quote){ 0 };
	return n;
}

/* --- The file */

void
mbox_deliver(struct delivery *d)
{
	char *path, *lock, *slash;
	bool dotted = false;

	if (strchr(d->user, '/') != NULL || d->user[0] == '.' || d->user[0] == '\0') {
		delivery_end(d, OUTCOME_LATER, "4.3.5", "user %s: no such mailbox name", d->user);
		return;
	}
	path = d->action->arg == NULL ? xasprintf("/var/mail/%s", d->user)
				      : folder_path(d, d->action->arg);
	if (path == NULL)
		return;
	slash = strrchr(path, '/');
	*slash = '\0';
	int dir = folder_open(path[0] == '\0' ? "/" : path, d->home);
	if (dir == -1) {
		delivery_fail_errno(d, errno, path);
		free(path);
		return;
	}
	lock = xasprintf("%s.lock", slash + 1);
	int fd = -1;
	if (!dot_lock(dir, lock, &dotted))
		delivery_end(d, OUTCOME_LATER, "4.2.0", "the mailbox is locked");
	else
		fd = open_locked(d, dir, slash + 1, path);
	if (fd != -1) {
		int error = append(d, fd, dir);
		if (error > 0)
			delivery_fail_errno(d, error, "mbox");
		else if (error == 0)
			delivery_end(d, OUTCOME_DONE, "2.0.0", "delivered to mbox");
		close(fd);
	}
	if (dotted)
		unlinkat(dir, lock, 0);
	close(dir);
	free(lock);
	free(path);
}

/* Whether the file is ours; held: the lock stands.  Where none can be made, fcntl has to do. */
static bool
dot_lock(int dir, const char *lock, bool *held)
{
	int64_t until = clock_mono_ms() + mbox_lock_sec * 1000LL;
	struct stat st;

	for (;;) {
		int fd =
		    openat(dir, lock, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd != -1) {
			close(fd);
			*held = true;
			return true;
		}
		if (errno != EEXIST)
			return true;
		if (fstatat(dir, lock, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    time(NULL) - st.st_mtime > STALE_SEC && unlinkat(dir, lock, 0) == 0)
			continue;
		if (clock_mono_ms() >= until)
			return false;
		poll(NULL, 0, RETRY_MS);
	}
}

static bool
has_name(int fd, int dir, const char *name)
{
	struct stat ours, named;

	return fstat(fd, &ours) == 0 && fstatat(dir, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

/* The file that has the name when we have its lock. */
static int
open_locked(struct delivery *d, int dir, const char *name, const char *folder)
{
	int64_t until_ms = clock_mono_ms() + mbox_lock_sec * 1000LL;
	int fd;

	while ((fd = open_box(d, dir, name, folder)) != -1) {
		bool locked = lock_box(fd, until_ms);
		if (locked && has_name(fd, dir, name))
			return fd;
		close(fd);
		if (!locked || clock_mono_ms() >= until_ms) {
			delivery_end(d, OUTCOME_LATER, "4.2.0", "the mailbox is locked");
			return -1;
		}
	}
	return -1;
}

/* A plain file of the user's with one name, never a link, a FIFO or another's file. */
static int
open_box(struct delivery *d, int dir, const char *name, const char *folder)
{
	struct stat st;
	int fd = openat(dir, name,
	    O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);

	if (fd == -1) {
		int error = errno;
		char *path = xasprintf("%s/%s", folder, name);
		delivery_fail_errno(d, error, path);
		free(path);
		return -1;
	}
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || st.st_nlink != 1 ||
	    st.st_uid != geteuid()) {
		delivery_end(d, OUTCOME_LATER, "4.2.0",
		    "mbox: not a plain file of the user's with one name");
		close(fd);
		return -1;
	}
	return fd;
}

static bool
lock_box(int fd, int64_t until_ms)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	while (fcntl(fd, F_SETLK, &l) == -1) {
		if (clock_mono_ms() >= until_ms)
			return false;
		poll(NULL, 0, RETRY_MS);
	}
	return true;
}

static bool
put(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

static bool
put_head(struct delivery *d, int fd)
{
	char date[40];
	time_t now = time(NULL);
	struct tm tm;

	strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", gmtime_r(&now, &tm));
	char *header = delivery_header(d), *head = xstrdup(d->sender);
	for (char *p = head; *p != '\0'; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f)
			*p = '_';
	char *all =
	    xasprintf("From %s %s\n%s", head[0] == '\0' ? "MAILER-DAEMON" : head, date, header);
	bool good = put(fd, all, strlen(all));
	free(all);
	free(head);
	free(header);
	return good;
}

/* 0; an errno; -1: the body cannot be had, and the delivery has ended. */
static int
append(struct delivery *d, int fd, int dir)
{
	struct mbox_quote q = { 0 };
	struct stat st;
	struct bytes piece;
	char tail[8];
	int more, error = 0;

	if (fstat(fd, &st) == -1)
		return errno;
	char *out = xcalloc(2 * MSG_BODY_PIECE + 8, 1);
	char last = '\n';
	errno = EIO; /* for one that is shorter than it says */
	bool good = st.st_size == 0 || pread(fd, &last, 1, st.st_size - 1) == 1;
	if (good && last != '\n')
		good = put(fd, "\n\n", 2); /* an append that was cut off: ours begins a line */
	good = good && put_head(d, fd);
	while (good && (more = worker_body(d, &piece)) != 0) {
		if (more == -1 || piece.len > MSG_BODY_PIECE) {
			delivery_end(d, OUTCOME_LATER, "4.3.0", "the message could not be read");
			error = -1;
			break;
		}
		good = put(fd, out, mbox_quote(&q, piece.data, piece.len, out));
	}
	if (good && error == 0)
		good = put(fd, tail, mbox_quote_end(&q, tail)) && fsync(fd) == 0 &&
		       (st.st_size > 0 || fsync(dir) == 0); /* its name, too */
	if (!good)
		error = errno;
	free(out);
	if (error != 0 && ftruncate(fd, st.st_size) == -1)
		return errno;
	return error;
}
