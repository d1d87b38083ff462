/*
 * The list of table-source from its argument: the path of a file, or the list itself with commas
 * between the lines.  Called by table-source.c; talks to the file system only.  All of it, or nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "local.h"

#define FILE_MAX (1024 * 1024)

static bool
load_argument(struct lines *all, const char *argument, char error[ERROR_LEN])
{
	char why[ERROR_LEN], *copy = strdup(argument), *rest = copy, *entry;

	if (copy == NULL) {
		snprintf(error, ERROR_LEN, "out of memory");
		return false;
	}
	while ((entry = strsep(&rest, ",")) != NULL) {
		const char *wrong = lines_add(all, entry, why);
		if (wrong != NULL) {
			snprintf(error, ERROR_LEN, "in the argument: %.300s", wrong);
			break;
		}
	}
	free(copy);
	return entry == NULL;
}

/* A regular file, opened without waiting: a FIFO would hold us for ever. */
static char *
read_file(const char *path, const char **why)
{
	struct stat st;
	char *text = NULL;
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	ssize_t n = 0;

	if (fd == -1) {
		*why = strerror(errno);
		return NULL;
	}
	if (fstat(fd, &st) == -1)
		*why = strerror(errno);
	else if (!S_ISREG(st.st_mode))
		*why = S_ISDIR(st.st_mode) ? "a directory, not a file" : "not a regular file";
	else if (st.st_size >= FILE_MAX)
		*why = "the file is larger than a megabyte";
	else if ((text = calloc(1, FILE_MAX + 1)) == NULL)
		*why = "out of memory";
	for (size_t len = 0; text != NULL && *why == NULL && len < FILE_MAX; len += (size_t)n)
		if ((n = read(fd, text + len, FILE_MAX - len)) == -1)
			*why = strerror(errno);
		else if (n == 0) {
			*why = memchr(text, '\0', len) != NULL ? "a NUL byte" : NULL;
			break;
		}
	close(fd);
	if (*why == NULL)
		return text;
	free(text);
	return NULL;
}

static bool
load_file(struct lines *all, const char *path, char error[ERROR_LEN])
{
	char line_error[ERROR_LEN], *line;
	const char *why = NULL;
	unsigned n = 0;
	char *text = read_file(path, &why), *rest = text;

	if (text == NULL) {
		snprintf(error, ERROR_LEN, "%.200s: %s", path, why);
		return false;
	}
	while ((line = strsep(&rest, "\n")) != NULL) {
		n++;
		if ((why = lines_add(all, line, line_error)) != NULL) {
			snprintf(error, ERROR_LEN, "%.200s:%u: %s", path, n, why);
			break;
		}
	}
	free(text);
	return line == NULL;
}

struct lines *
load_lines(const char *argument, char error[ERROR_LEN])
{
	struct lines *all = calloc(1, sizeof(*all));

	if (all == NULL) {
		snprintf(error, ERROR_LEN, "out of memory");
		return NULL;
	}
	bool good = argument[0] == '/' ? load_file(all, argument, error)
				       : load_argument(all, argument, error);
	if (good)
		return all;
	lines_free(all);
	return NULL;
}
