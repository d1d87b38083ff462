/*
 * Reads a configuration file and its includes into one text (conf.h, conf_read()).  Marker lines
 * (local.h) keep the origin of every line.  Called by parent and by "tabmaild -n" only: the other
 * processes get the text.
 */
#include "local.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_MAX  (16 * 1024 * 1024) /* bytes, includes and all */
#define DEPTH_MAX 16

struct reading {
	struct text out;
	char *error;
};

static bool read_file(struct reading *, const char *file, unsigned depth, const char *by);

__attribute__((format(printf, 2, 3))) static bool
stop(struct reading *r, const char *fmt, ...)
{
	va_list ap;
	char line[2048];

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	r->error = xstrdup(line);
	return false;
}

/* The whole of a regular file; by is "FILE:LINE:1: " of its include, or "". */
static bool
slurp(struct reading *r, const char *file, const char *by, struct text *t)
{
	char piece[65536];
	struct stat st;
	ssize_t n;
	bool fine = true;
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd == -1)
		return stop(r, "%s%s: %s", by, file, strerror(errno));
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
		close(fd);
		return stop(r, "%s%s: %s", by, file,
		    S_ISDIR(st.st_mode) ? "Is a directory" : "not a regular file");
	}
	while (fine && (n = read(fd, piece, sizeof(piece))) != 0) {
		if (n == -1)
			fine = stop(r, "%s%s: %s", by, file, strerror(errno));
		else if (r->out.len + t->len + (size_t)n > READ_MAX)
			fine = stop(r, "%s%s: the configuration is larger than 16 MiB", by, file);
		else
			text_putn(t, piece, (size_t)n);
	}
	close(fd);
	return fine;
}

/* The file that a line includes, relative to the includer's folder; NULL: the line is no include. */
static char *
included(const char *line, size_t len, const char *file)
{
	const char *s = line, *end = line + len;
	char quote = '\0';

	while (s < end && (*s == ' ' || *s == '\t'))
		s++;
	if (end - s < 9 || strncmp(s, "include", 7) != 0 || strchr(" \t\"'", s[7]) == NULL)
		return NULL;
	s += 7;
	while (s < end && (*s == ' ' || *s == '\t'))
		s++;
	if (s < end && (*s == '"' || *s == '\''))
		quote = *s++;
	const char *name = s;
	while (s < end && (quote != '\0' ? *s != quote : strchr(" \t\r#\"'{}<>=,$", *s) == NULL))
		s++;
	size_t name_len = (size_t)(s - name);
	if (quote != '\0' && s++ == end)
		return NULL;
	while (s < end && (*s == ' ' || *s == '\t' || *s == '\r'))
		s++;
	if (name_len == 0 || (s < end && *s != '#'))
		return NULL; /* the grammar tells what is wrong with it */
	const char *slash = strrchr(file, '/');
	if (*name == '/' || slash == NULL)
		return xstrndup(name, name_len);
	return xasprintf("%.*s%.*s", (int)(slash - file + 1), file, (int)name_len, name);
}

static bool
put_lines(struct reading *r, const char *file, unsigned depth, const struct text *t)
{
	const char *s = t->s, *end = t->s + t->len;
	bool continued = false;

	text_putf(&r->out, "%cF 1 %s\n", MARKER, file);
	for (unsigned line = 1; s < end; line++) {
		const char *eol = memchr(s, '\n', (size_t)(end - s));
		size_t len = (size_t)((eol == NULL ? end : eol) - s);
		const char *odd;
		char by[512];

		if ((odd = memchr(s, '\0', len)) == NULL)
			odd = memchr(s, MARKER, len);
		if (odd != NULL)
			return stop(r, "%s:%u:%zu: control character %d", file, line,
			    (size_t)(odd - s) + 1, *odd);
		char *other = continued ? NULL : included(s, len, file);
		if (other != NULL) {
			snprintf(by, sizeof(by), "%s:%u:1: ", file, line);
			bool fine = read_file(r, other, depth + 1, by);
			free(other);
			if (!fine)
				return false;
			text_putf(&r->out, "%cF %u %s\n", MARKER, line + 1, file);
		} else {
			text_putn(&r->out, s, len);
			text_put(&r->out, "\n");
		}
		size_t text_len = len > 0 && s[len - 1] == '\r' ? len - 1 : len;
		continued = text_len > 0 && s[text_len - 1] == '\\';
		s += len + 1;
		if (r->out.len > READ_MAX)
			return stop(r, "%s: the configuration is larger than 16 MiB", file);
	}
	return true;
}

static bool
read_file(struct reading *r, const char *file, unsigned depth, const char *by)
{
	struct text t = { 0 };
	bool fine;

	if (depth > DEPTH_MAX)
		return stop(r, "%sincludes are nested more than %d deep", by, DEPTH_MAX);
	if (text_has_control(file))
		return stop(r, "%sthe file's name has a control character", by);
	fine = slurp(r, file, by, &t);
	if (fine && t.s != NULL)
		fine = put_lines(r, file, depth, &t);
	text_free(&t);
	return fine;
}

static bool
put_macro(struct reading *r, const char *macro)
{
	size_t len =
	    strspn(macro, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

	if (len == 0 || macro[len] != '=')
		return stop(r, "-D %s: this is not NAME=VALUE", macro);
	if (text_has_control(macro))
		return stop(r, "-D %.*s: the value has a control character", (int)len, macro);
	text_putf(&r->out, "%cD %s\n", MARKER, macro);
	return true;
}

char *
conf_read(const char *file, const char *const *macros, size_t *len, char **error)
{
	struct reading r = { 0 };
	char *name = check_own_name();
	bool fine = true;

	text_putf(&r.out, "%cH %s\n", MARKER, name);
	free(name);
	for (; fine && macros != NULL && *macros != NULL; macros++)
		fine = put_macro(&r, *macros);
	if (fine)
		fine = read_file(&r, file, 0, "");
	if (!fine) {
		text_free(&r.out);
		*error = r.error;
		return NULL;
	}
	*len = r.out.len;
	return r.out.s;
}

const char *
conf_trust_anchor(const struct conf *conf)
{
	static const char *const usual[] = { "/usr/share/dns/root.key",
		"/var/lib/unbound/root.key" };

	if (conf->dane == DANE_NO)
		return NULL;
	if (conf->trust_anchor != NULL)
		return conf->trust_anchor;
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (access(usual[i], R_OK) == 0)
			return usual[i];
	return NULL;
}
