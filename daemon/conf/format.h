/*
 * Format specifiers of actions, "%{user.directory}/%{rcpt.domain:lowercase}", as smtpd.conf(5)
 * of OpenSMTPD describes them: substrings [begin:end], modifiers lowercase, uppercase, strip.
 * Values that come from outside are sanitised.  Pure.
 */
#ifndef TABMAIL_FORMAT_H
#define TABMAIL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>

/* Addresses as text; "" where there is none. */
struct format_values {
	const char *sender;    /* sender, sender.user, sender.domain */
	const char *rcpt;      /* rcpt…: as the client gave it */
	const char *dest;      /* dest…: after expansion */
	const char *user;      /* user.username, %u */
	const char *directory; /* user.directory */
	const char *id;        /* message id */
};

/*
 * Expands.  sanitise: for a command line or a path below a home: every character of a value that
 * is not harmless becomes ':' (OpenSMTPD's MAILADDR_ESCAPE and more), "." and ".." as a whole path
 * component too.  Allocated; NULL: *error is a static text (unknown specifier, too long, …).
 */
char *format_expand(
    const char *format, const struct format_values *, bool sanitise, const char **error);

/* Checks a format when it is parsed: NULL or what is wrong, a static text. */
const char *format_check(const char *format);

#endif
