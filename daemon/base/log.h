/*
 * The log: one event is one line, an id first, then `event key=value …`.  Goes to stderr (-d) or
 * to syslog under the facility mail.  Foreign text must pass through log_quote().
 */
#ifndef TABMAIL_LOG_H
#define TABMAIL_LOG_H

#include <stdbool.h>
#include <stddef.h>

/* Opens the log for the process `name` ("smtp").  Before chroot: syslog's socket is opened now. */
void log_open(const char *name, bool to_stderr, int verbose);

/* From now on its lines stand on stderr without time and name: for a person who checks something. */
void log_plain(void);

/* The process title and the prefix of its lines. */
const char *log_name(void);
int log_verbose(void);

#define LOG_PRINTF __attribute__((format(printf, 1, 2)))
void log_debug(const char *fmt, ...) LOG_PRINTF; /* with -v only */
void log_info(const char *fmt, ...) LOG_PRINTF;
void log_warn(const char *fmt, ...) LOG_PRINTF; /* something a person should look at */

/* A line as it is, LF and all: for a signal handler. */
void log_raw(const char *line, size_t len);

/* Impossible: our bug.  Logs and dumps core. */
_Noreturn void log_bug(const char *fmt, ...) LOG_PRINTF;

/* This process cannot start or go on; exit status 1.  The parent decides what comes then. */
_Noreturn void log_fatal(const char *fmt, ...) LOG_PRINTF;

/*
 * Foreign text, made safe for a line: "…" with controls, quotes, backslashes and what is no UTF-8 escaped, at
 * most 300 bytes of it.  One of eight static buffers: valid until the eighth call after this one.
 */
const char *log_quote(const char *text);

#endif
