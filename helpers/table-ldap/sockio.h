/*
 * Reading and writing for a libldap handle on an event loop: a layer of liblber's, on top of the socket
 * and below TLS.  What libldap writes gathers in a buffer and goes out in one piece, so a write never
 * waits and never fails halfway; what arrives is read in large pieces and given to libldap from memory.
 */
#ifndef TABLE_LDAP_SOCKIO_H
#define TABLE_LDAP_SOCKIO_H

#include <ldap.h>
#include <stdbool.h>
#include <stddef.h>

struct sockio {
	int fd;
	Sockbuf *sb;
	unsigned char *in, *out;
	size_t in_start, in_len;
	size_t out_start, out_len, out_size;
	bool over; /* the other side has ended, or an error came */
};

/* Puts the layer under a handle; the struct stays where it is until the handle is gone. */
bool sockio_attach(struct sockio *, LDAP *, int fd);
void sockio_free(struct sockio *);

/* Reads once.  Whether bytes came; then, or when `over`, libldap is to be asked. */
bool sockio_fill(struct sockio *);

/* Whether libldap has something to work on without waiting. */
bool sockio_has_input(struct sockio *);

/* Writes what it can; whether something is left.  An error sets `over`. */
bool sockio_flush(struct sockio *);

#endif
