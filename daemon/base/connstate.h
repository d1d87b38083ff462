/*
 * A connection from the inside: what conn.c (the socket) and conntls.c (TLS on it) share.  Others see
 * conn.h.
 */
#ifndef TABMAIL_CONNSTATE_H
#define TABMAIL_CONNSTATE_H

#include "conn.h"
#include "tlslayer.h"

#include <event2/event_struct.h>

struct conn {
	int fd;
	const struct conn_ops *ops;
	void *arg;
	struct evbuffer *in, *out;
	struct event readable, writable, flush, deadline, reap;
	struct event_base *base;
	size_t input_limit;
	bool connecting, paused, eof, ended, freed, flush_set, reading;
	bool unbound; /* the source of conn_connect() could not be bound */
	bool full;    /* the socket took less than there was */
	int error;
	struct tlslayer *tls; /* NULL: plain */
	bool tls_begun;       /* what was to go out in plain text has gone */
	bool secure;
	bool undecrypted; /* in was full: there is more without the socket being readable */
	bool net_eof;     /* the socket gives no more */
};

/* --- conn.c */
void conn_set_reading(struct conn *); /* after anything that it depends on has changed */
int conn_write_out(struct conn *, struct evbuffer *);
void conn_tell_eof(struct conn *);
void conn_fail(struct conn *, enum conn_end, int error);

/* --- conntls.c */
void conn_begin_tls(struct conn *);
void conn_decrypt(struct conn *);                /* there is something in net_in, or its end */
enum tlslayer_state conn_encrypt(struct conn *); /* out to net_out; nothing while it is plain */

#endif
