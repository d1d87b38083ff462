/*
 * The lines of the control protocol between tabmailctl and the daemon (see ctl/ and queue/).  Pure.
 *
 * A request is one line: words with TAB between them.  The answer is any number of lines, of which
 * the first byte is the kind; before each field stands a TAB; in a field, backslash, TAB, LF and other
 * controls are written as \\ \t \n \xHH.
 *
 *	S name     a section begins (when an answer has several)
 *	H columns  names of the columns that follow: "name" text, "name#" a number, "name@" seconds since
 *	           1970 (0: none), "name%" a duration in seconds
 *	R fields   a row
 *	T text     a line for people, as it is
 *	D base64   bytes of a file
 *	.          the end, all well
 *	! reason   the end: it failed
 */
#ifndef TABMAIL_ROW_H
#define TABMAIL_ROW_H

#include <stddef.h>
#include <stdint.h>

struct text;

#define ROW_REQUEST_MAX (32 * 1024) /* bytes of a request */
#define ROW_FIELDS_MAX  32

/* Starts a line of that kind.  No LF is put at the end. */
void row_begin(struct text *, char kind);
void row_put(struct text *, const char *field);
void row_put_int(struct text *, int64_t);

/* A whole line of fields, the last NULL, appended. */
void row_line(struct text *, int kind, ...) __attribute__((sentinel));

/*
 * Cuts fields apart in place and removes the escapes; returns how many, at most max.  For a request
 * from its first byte, for an answer's line from behind the kind and its TAB.
 */
size_t row_split(char *fields, char **out, size_t max);

#endif
