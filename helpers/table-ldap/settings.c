/*
 * Reads the file of a table into settings (settings.h): lines here, what they say in keyword.c, what they
 * say together in settings_check.c.  Called by table-ldap.c at the start and, in a thread, for an update.
 *
 *	key value     key: value     key : value     # a comment; blanks around all of it do not count
 */
#include "settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "local.h"
#include "template.h"

#define FILE_MAX (1024 * 1024)

struct settings_text {
	struct settings_text *next;
	size_t len;
	char text[];
};

__attribute__((format(printf, 3, 0))) static void
add_fault(struct settings_parse *p, struct settings_faults *f, const char *fmt, va_list ap)
{
	char text[500], *line = NULL;

	vsnprintf(text, sizeof(text), fmt, ap);
	if (f->n++ >= SETTINGS_FAULTS_MAX)
		return;
	if (p->line == 0 ? asprintf(&line, "%s: %s", p->path, text) == -1
			 : asprintf(&line, "%s:%u: %s", p->path, p->line, text) == -1)
		line = NULL;
	f->text[f->n - 1] = line;
}

void
settings_wrong(struct settings_parse *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_fault(p, p->wrong, fmt, ap);
	va_end(ap);
}

void
settings_warn(struct settings_parse *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_fault(p, p->warnings, fmt, ap);
	va_end(ap);
}

void
settings_faults_clear(struct settings_faults *f)
{
	for (unsigned i = 0; i < SETTINGS_FAULTS_MAX; i++)
		free(f->text[i]);
	*f = (struct settings_faults){ .n = 0 };
}

const char *
settings_keep(struct settings_parse *p, const char *text)
{
	size_t len = strlen(text) + 1;
	struct settings_text *t = malloc(sizeof(*t) + len);

	if (t == NULL) {
		settings_wrong(p, "out of memory");
		return NULL;
	}
	t->len = len;
	t->next = p->s->texts;
	p->s->texts = t;
	return memcpy(t->text, text, len);
}

void
settings_free(struct ldap_settings *s)
{
	if (s == NULL)
		return;
	template_free(s->basedn);
	for (int i = 0; i < TAB_SERVICE_MAX; i++) {
		template_free(s->services[i].filter);
		template_free(s->services[i].dn);
		template_free(s->services[i].basedn);
	}
	while (s->texts != NULL) {
		struct settings_text *t = s->texts;

		s->texts = t->next;
		explicit_bzero(t->text, t->len); /* a password is among them */
		free(t);
	}
	free(s);
}

/*
 * A regular file as a text, the caller's to wipe and free; NULL with *why.  Opened without waiting: a
 * FIFO would hold us for ever.
 */
static char *
read_file(const char *path, size_t *len, mode_t *mode, const char **why)
{
	struct stat st;
	char *text = NULL;
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

	*why = NULL;
	if (fd == -1 && errno == EACCES)
		*why = "the helper may not read it: chown root:_tabmail, chmod 640, or whoever it "
		       "runs as";
	else if (fd == -1 || fstat(fd, &st) == -1)
		*why = strerror(errno);
	else if (!S_ISREG(st.st_mode))
		*why = "not a regular file";
	else if (st.st_size > FILE_MAX)
		*why = "longer than 1 MiB";
	else if ((text = malloc((size_t)st.st_size + 1)) == NULL)
		*why = "out of memory";
	else {
		ssize_t n = read(fd, text, (size_t)st.st_size);

		if (n == -1)
			*why = strerror(errno);
		*len = n == -1 ? 0 : (size_t)n;
		*mode = st.st_mode;
		text[*len] = '\0';
	}
	if (fd != -1)
		close(fd);
	if (*why != NULL) {
		free(text);
		text = NULL;
	}
	return text;
}

static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The keyword ends at the first blank or colon; more blanks, and a colon before a blank, part it from its value. */
static void
take_line(struct settings_parse *p, char *line, size_t len)
{
	p->line++;
	if (memchr(line, '\0', len) != NULL) {
		settings_wrong(p, "a NUL byte in the line: remove it");
		return;
	}
	while (len > 0 && is_blank(line[len - 1]))
		line[--len] = '\0';
	while (is_blank(*line))
		line++;
	if (*line == '\0' || *line == '#')
		return;
	char *value = line + strcspn(line, " \t:");
	if (*value != '\0')
		*value++ = '\0';
	while (is_blank(*value) || (*value == ':' && (value[1] == '\0' || is_blank(value[1]))))
		value++;
	keyword_take(p, line, value);
}

static void
take_password_file(struct settings_parse *p)
{
	const char *path = p->password_file, *why;
	size_t len;
	mode_t mode;
	char *text = read_file(path, &len, &mode, &why);

	keyword_at(p, "password_file");
	if (text == NULL) {
		settings_wrong(p, "password_file %s: %s", path, why);
		return;
	}
	if ((mode & S_IROTH) != 0)
		settings_warn(
		    p, "%s holds a password and everybody may read it: chmod o-r %s", path, path);
	size_t line_len = strcspn(text, "\r\n");
	if (line_len == 0 || strlen(text) != len)
		settings_wrong(p, "password_file %s: its first line is not a password", path);
	else {
		text[line_len] = '\0';
		p->s->connection.password = settings_keep(p, text);
	}
	explicit_bzero(text, len);
	free(text);
}

struct ldap_settings *
settings_load(const char *path, struct settings_faults *wrong, struct settings_faults *warnings,
    unsigned *meant)
{
	struct settings_parse p = { .path = path, .wrong = wrong, .warnings = warnings };
	size_t len = 0;
	mode_t mode = 0;
	const char *why;

	*wrong = *warnings = (struct settings_faults){ .n = 0 };
	*meant = 0;
	char *text = read_file(path, &len, &mode, &why);
	if (text == NULL || (p.s = calloc(1, sizeof(*p.s))) == NULL) {
		settings_wrong(&p, "%s", text == NULL ? why : "out of memory");
		free(text);
		return NULL;
	}
	settings_start(&p);
	for (char *line = text, *lf; line < text + len; line = lf + 1) {
		lf = memchr(line, '\n', (size_t)(text + len - line));
		if (lf == NULL)
			lf = text + len;
		*lf = '\0';
		take_line(&p, line, (size_t)(lf - line));
	}
	explicit_bzero(text, len);
	free(text);
	if (keyword_at(&p, "password") && (mode & S_IROTH) != 0)
		settings_warn(
		    &p, "the file holds a password and everybody may read it: chmod o-r %s", path);
	if (p.password_file != NULL)
		take_password_file(&p);
	settings_check(&p);
	*meant = settings_meant(&p);
	if (wrong->n == 0)
		return p.s;
	settings_free(p.s);
	return NULL;
}

unsigned
settings_services(const struct ldap_settings *s)
{
	unsigned services = 0;

	for (int i = 0; i < TAB_SERVICE_MAX; i++)
		if (s->services[i].filter != NULL || s->services[i].dn != NULL)
			services |= 1u << i;
	return services;
}
