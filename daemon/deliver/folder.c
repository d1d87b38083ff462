/*
 * Paths of an action, and the folders on them.  A worker has the user's own rights, so a link can
 * lead it nowhere that its user could not go; but a folder shared by several users may hold another
 * user's link.  So no link is followed but root's and those on the way to the home itself.
 */
#include "format.h"
#include "local.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool has_dot_dot(const char *path);
static int enter(int dir, const char *name, int how);

char *
folder_path(struct delivery *d, const char *format)
{
	char id[32];
	const char *error;

	snprintf(id, sizeof(id), "%012llx", (unsigned long long)d->id);
	char *path = format_expand(format,
	    &(struct format_values){ .sender = d->sender,
		.rcpt = d->rcpt,
		.dest = d->dest,
		.user = d->user,
		.directory = d->home,
		.id = id },
	    true, &error);
	if (path == NULL) {
		delivery_end(d, OUTCOME_LATER, "4.3.5", "%s: %s", format, error);
		return NULL;
	}
	if (path[0] != '/') {
		const char *rest = strncmp(path, "~/", 2) == 0 ? path + 2 : path;
		char *below = xasprintf("%s/%s", d->home, rest);
		free(path);
		path = below;
	}
	if (has_dot_dot(path)) {
		delivery_end(d, OUTCOME_LATER, "4.3.5", "%s: \"..\" is refused", path);
		free(path);
		return NULL;
	}
	return path;
}

static bool
has_dot_dot(const char *path)
{
	for (const char *p = path; (p = strstr(p, "..")) != NULL; p++)
		if ((p == path || p[-1] == '/') && (p[2] == '\0' || p[2] == '/'))
			return true;
	return false;
}

int
folder_open(const char *path, const char *home)
{
	size_t home_len = strlen(home);
	bool below = strncmp(path, home, home_len) == 0 && path[home_len] == '/';
	int dir = open(below ? home : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char name[NAME_MAX + 1];

	for (const char *p = below ? path + home_len : path; dir != -1;) {
		p += strspn(p, "/");
		size_t len = strcspn(p, "/");
		if (len == 0)
			break;
		if (len > NAME_MAX) {
			close(dir);
			errno = ENAMETOOLONG;
			return -1;
		}
		memcpy(name, p, len);
		name[len] = '\0';
		p += len;
		int next = enter(dir, name, O_PATH);
		int error = errno;
		close(dir);
		errno = error;
		dir = next;
	}
	if (dir == -1)
		return -1;
	int folder = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error = errno;
	close(dir);
	errno = error;
	return folder;
}

int
folder_open_at(int dir, const char *name)
{
	return enter(dir, name, O_RDONLY);
}

/* Durable before anything is put into it. */
static int
make(int dir, const char *name)
{
	if (mkdirat(dir, name, 0700) == -1 && errno != EEXIST)
		return -1;
	int parent = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent == -1)
		return errno == EACCES ? 0 : -1; /* one that may not be read: no more can be done */
	int result = fsync(parent);
	close(parent);
	return result;
}

static int
enter(int dir, const char *name, int how)
{
	struct stat st;
	int flags = how | O_DIRECTORY | O_CLOEXEC;
	int fd = openat(dir, name, flags | O_NOFOLLOW);

	if (fd != -1)
		return fd;
	if (errno == ENOENT && make(dir, name) == 0)
		return openat(dir, name, flags | O_NOFOLLOW);
	if ((errno == ELOOP || errno == ENOTDIR) &&
	    fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode)) {
		if (st.st_uid == 0)
			return openat(dir, name, flags);
		errno = ELOOP;
	}
	return -1;
}
