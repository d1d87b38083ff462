/* The log; see log.h.  Every process writes its own lines: no process waits for another to log. */
#include "log.h"
#include "syslogline.h"
#include "utf8.h"

#include <bsd/stdlib.h>
#include <bsd/vis.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_LEN 2048
#define QUOTE_LEN    300

static const char *process_name = "tabmail";
static bool stderr_wanted = true, plain;
static int verbosity;

__attribute__((format(printf, 2, 0))) static void write_line(
    int priority, const char *fmt, va_list ap);

void
log_open(const char *name, bool to_stderr, int verbose)
{
	process_name = name;
	stderr_wanted = to_stderr;
	verbosity = verbose;
	if (!to_stderr) {
		static char ident[32]; /* its pointer is kept */
		snprintf(ident, sizeof(ident), "tabmaild/%s", name);
		syslogline_open(ident);
	}
	tzset(); /* reads its file now: after chroot it could not */
}

void
log_plain(void)
{
	plain = true;
}

const char *
log_name(void)
{
	return process_name;
}

int
log_verbose(void)
{
	return verbosity;
}

void
log_debug(const char *fmt, ...)
{
	va_list ap;

	if (verbosity == 0)
		return;
	va_start(ap, fmt);
	write_line(LOG_DEBUG, fmt, ap);
	va_end(ap);
}

void
log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_line(LOG_INFO, fmt, ap);
	va_end(ap);
}

void
log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_line(LOG_WARNING, fmt, ap);
	va_end(ap);
}

void
log_bug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_line(LOG_CRIT, fmt, ap);
	va_end(ap);
	abort();
}

void
log_fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_line(LOG_CRIT, fmt, ap);
	va_end(ap);
	exit(1);
}

void
log_raw(const char *line, size_t len)
{
	if (!stderr_wanted)
		syslogline_raw(line, len);
	if (write(STDERR_FILENO, line, len) == -1)
		return;
}

/* Whether vis() would leave it alone; it is slow, and nearly all is plain. */
static bool
is_plain(char c)
{
	return c >= ' ' && c <= '~' && c != '"' && c != '\\';
}

const char *
log_quote(const char *text)
{
	static char bufs[8][QUOTE_LEN * 4 + 8];
	static unsigned next;
	char *buf = bufs[next++ % 8];
	char part[QUOTE_LEN + 1];

	snprintf(part, sizeof(part), "%s", text == NULL ? "" : text);
	char *out = buf;
	*out++ = '"';
	for (const char *p = part; *p != '\0';) {
		if (is_plain(*p)) {
			*out++ = *p++;
			continue;
		}
		uint32_t code;
		size_t len = utf8_char(p, &code);
		if (len > 1 && utf8_is_plain(code)) {
			memcpy(out, p, len);
			out += len;
			p += len;
		} else {
			int flags = VIS_CSTYLE | VIS_NL | VIS_TAB | VIS_DQ;
			out = vis(out, (unsigned char)*p, flags, (unsigned char)p[1]);
			p++;
		}
	}
	*out++ = '"';
	*out = '\0';
	return buf;
}

/* A line is written by one write(2), so that lines of several processes do not mix. */
static void
write_line(int priority, const char *fmt, va_list ap)
{
	char line[LINE_MAX_LEN];
	struct timespec now;
	struct tm tm;
	size_t len = 0;

	if (!stderr_wanted) {
		int saved = vsnprintf(line, sizeof(line), fmt, ap);
		if (saved >= 0)
			syslogline_send(priority, line);
		return;
	}
	if (!plain) {
		clock_gettime(CLOCK_REALTIME, &now);
		localtime_r(&now.tv_sec, &tm);
		len = strftime(line, sizeof(line), "%H:%M:%S", &tm);
		len += (size_t)snprintf(line + len, sizeof(line) - len,
		    ".%03ld %s: ", now.tv_nsec / 1000000, process_name);
	}
	int n = vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);
	if (n < 0)
		return;
	len += (size_t)n;
	if (len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) == -1)
		return; /* nobody is left to be told */
}
