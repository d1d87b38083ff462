/*
 * Lines to syslog, by a socket of our own: syslog(3) waits without end for a daemon that reads none, and is
 * not for handlers of signals.
 */
#ifndef TABMAIL_SYSLOGLINE_H
#define TABMAIL_SYSLOGLINE_H

#include <stddef.h>

/* Before chroot: it is connected now.  ident stays the caller's. */
void syslogline_open(const char *ident);

/*
 * A line of the facility mail.  Waits a tenth of a second at most, once, for a syslog that takes nothing; from
 * then on until it does, lines are counted and lost, and the first that goes says how many.
 */
void syslogline_send(int priority, const char *line);

/* The same of a handler of signals: critical, without waiting. */
void syslogline_raw(const char *line, size_t len);

#endif
