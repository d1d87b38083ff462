/*
 * Replies of the server that relay talks to (RFC 5321 4.2), read line by line.  Pure: any bytes
 * are safe; a reply is at most TARGET_REPLY_MAX bytes; what is kept of it is one clean line.
 */
#ifndef TABMAIL_TARGET_REPLY_H
#define TABMAIL_TARGET_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define TARGET_REPLY_MAX  (64 * 1024) /* bytes of a reply, all its lines together */
#define TARGET_REPLY_TEXT 400         /* bytes of its text that are kept */

/* Start with {0}, and again after each whole reply. */
struct target_reply {
	unsigned code;    /* 200 to 599 once `whole` */
	bool whole;       /* its last line has been read */
	const char *line; /* the last line read, behind the code: valid as long as the input is */
	size_t line_len;
	size_t len;      /* bytes read of this reply */
	char status[12]; /* RFC 3463 "5.1.1", of the reply's class; or made from the code */
	char text[TARGET_REPLY_TEXT + 1]; /* "550 5.1.1 No such user", lines joined, printable */
	size_t text_len;
};

/*
 * Reads one line from the front of the input.  Returns its bytes; 0: it is not there whole yet;
 * -1: it is no reply, or too long, and nothing more can be made of this connection.
 */
ssize_t target_reply_line(struct target_reply *, const char *data, size_t len);

#endif
