/*
 * A body on its way from the spool to a server: LF becomes CRLF, a dot in front of a line is
 * doubled (RFC 5321 4.5.2), a CR becomes a space, for what is sent holds no bare CR (2.3.8), and a line
 * longer than the standard allows is broken (4.5.3.1.6).  Pure.
 */
#ifndef TABMAIL_CLIENT_BODY_H
#define TABMAIL_CLIENT_BODY_H

#include <stdbool.h>
#include <stddef.h>

struct client_body {
	bool in_line; /* false: the next byte is the first of a line.  Start with {0} */
	size_t line_len;
};

#define CLIENT_LINE_MAX 998 /* bytes of a line without its CRLF */

/* Writes at most 2 * len + 3 bytes to out; how many. */
size_t client_body_encode(struct client_body *, const char *data, size_t len, char *out);

/* What ends the body: ".\r\n", with a line end in front when the last line had none. */
const char *client_body_end(const struct client_body *);

#endif
