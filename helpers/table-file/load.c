/*
 * Reads a table file into a new set: the whole of it, or nothing.  Called by table-file.c at the start
 * and, in a thread, for an update; talks to the file system only.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "local.h"
#include "tab_helper.h"
#include "tab_set.h"

/*
 * A regular file, opened without waiting: a FIFO would hold us for ever.  NULL with *why.
 */
static FILE *
open_regular(const char *path, const char **why)
{
	struct stat st;
	FILE *f = NULL;
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

	if (fd == -1) {
		*why = strerror(errno);
		return NULL;
	}
	if (fstat(fd, &st) == -1)
		*why = strerror(errno);
	else if (S_ISDIR(st.st_mode))
		*why = "a directory, not a file";
	else if (!S_ISREG(st.st_mode))
		*why = "not a regular file";
	else if ((f = fdopen(fd, "r")) == NULL)
		*why = strerror(errno);
	if (f == NULL)
		close(fd);
	return f;
}

/* One line into buf, its LF left away.  False at the end; *why when it cannot be read. */
static bool
read_line(FILE *f, char *buf, size_t size, size_t *len, const char **why)
{
	size_t n = 0;
	int c;

	while ((c = getc_unlocked(f)) != EOF && c != '\n') {
		if (n == size - 1) {
			*why = "line longer than 65535 bytes";
			return true;
		}
		buf[n++] = (char)c;
	}
	if (ferror(f))
		*why = strerror(errno);
	*len = n;
	return c == '\n' || n > 0 || *why != NULL;
}

static const char *
read_all(FILE *f, struct parse *p, char *buf)
{
	const char *why = NULL;
	size_t len;

	while (read_line(f, buf, TAB_LINE_MAX, &len, &why)) {
		if (why != NULL) {
			p->line++;
			return why;
		}
		if ((why = parse_line(p, buf, len)) != NULL)
			return why;
	}
	return parse_end(p);
}

struct tab_set *
load_file(const char *path, char error[LOAD_ERROR_LEN])
{
	const char *why = NULL;
	struct parse p;
	FILE *f = open_regular(path, &why);

	if (f == NULL) {
		snprintf(error, LOAD_ERROR_LEN, "%s: %s", path, why);
		return NULL;
	}
	struct tab_set *set = tab_set_new();
	char *buf = malloc(TAB_LINE_MAX);
	parse_start(&p, set);
	why = buf == NULL ? "out of memory" : read_all(f, &p, buf);
	if (why != NULL) {
		snprintf(error, LOAD_ERROR_LEN, "%s:%u: %s", path, p.line, why);
		tab_set_free(set);
		set = NULL;
	} else if (p.n_double > 0)
		tab_log("%s:%u: %u keys stand there more than once, the last one counts", path,
		    p.first_double, p.n_double);
	parse_free(&p);
	free(buf);
	fclose(f);
	return set;
}
