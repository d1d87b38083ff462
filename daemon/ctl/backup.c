/*
 * `tabmailctl queue backup FILE`: asks for the spool and writes it.  Called by ctl.c.
 *
 * The file is not there under its name before it is whole and on the disk, and only its owner may read it.
 */
#include "local.h"
#include "base64.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

struct backup {
	const char *path;
	int fd;
	uint64_t len;
	char *wrong;
};

static void on_line(char kind, char **fields, size_t n, void *arg);
static void put(struct backup *, const char *data, size_t len);

int
ctl_backup(const char *path, const char *socket_path, bool json)
{
	static const char *const request[] = { "queue", "backup", NULL };
	static const struct ask_ops ops = { .on_line = on_line };
	char *partial = xasprintf("%s.partial", path);
	struct backup b = { .path = partial };

	unlink(partial);
	b.fd = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (b.fd == -1) {
		safe_warn("%s: %s", partial, strerror(errno));
		free(partial);
		return EX_CANTCREAT;
	}
	int code = ask(socket_path, request, &ops, &b);
	if (code == 0 && b.wrong == NULL && b.len == 0)
		b.wrong = xstrdup("tabmaild has sent nothing");
	if (code == 0 && b.wrong == NULL && (fsync(b.fd) == -1 || rename(partial, path) == -1))
		b.wrong = xasprintf("%s: %s", path, strerror(errno));
	close(b.fd);
	if (b.wrong != NULL)
		safe_warn("%s", b.wrong);
	if (code == 0 && b.wrong != NULL)
		code = EX_IOERR;
	if (code != 0)
		unlink(partial);
	else
		printf(
		    json ? "[\n{\"bytes\":%llu}\n]\n" : "%llu bytes\n", (unsigned long long)b.len);
	free(b.wrong);
	free(partial);
	return code;
}

static void
on_line(char kind, char **fields, size_t n, void *arg)
{
	struct backup *b = arg;
	size_t len;

	if (b->wrong != NULL)
		return;
	if (kind != 'D' || n != 1) {
		b->wrong = xstrdup("tabmaild has sent what is no backup");
		return;
	}
	/* in place: what letters stand for is shorter */
	if (!base64_decode(fields[0], fields[0], &len))
		b->wrong = xstrdup("tabmaild has sent what is no base64");
	else
		put(b, fields[0], len);
}

static void
put(struct backup *b, const char *data, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = write(b->fd, data + done, len - done);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			b->wrong = xasprintf("%s: %s", b->path, strerror(errno));
			return;
		}
		done += (size_t)n;
	}
	b->len += len;
}
