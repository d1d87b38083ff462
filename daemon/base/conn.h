/*
 * A connection: two buffers, one deadline; plain, and from some point on TLS, if it is told so.
 *
 * Nothing is called inside a call; conn_free() is safe in every callback.
 */
#ifndef TABMAIL_CONN_H
#define TABMAIL_CONN_H

#include <sys/socket.h>

#include <stdbool.h>
#include <stddef.h>

struct conn;
struct evbuffer;
struct event_base;
struct tls;
struct tlsctx;

/* CONN_TLS: the handshake failed, or what came is no TLS; conn_tls_error() says why. */
enum conn_end { CONN_CLOSED, CONN_TIMEOUT, CONN_ERROR, CONN_TLS };

struct conn_ops {
	void (*on_connected)(void *arg); /* only after conn_connect() */
	void (*on_input)(void *arg);     /* there is new input in conn_in() */
	void (*on_drained)(void *arg);   /* after conn_send(): conn_out() is empty; may be NULL */
	/*
	 * The peer sends no more, and may still read; what is in conn_in() is still to be worked off.
	 * NULL: taken for the connection's end.
	 */
	void (*on_eof)(void *arg);
	void (*on_secure)(void *arg); /* after conn_tls(): the handshake is done; may be NULL */
	/* The connection has ended; error is for CONN_ERROR, else 0.  Not after conn_free(). */
	void (*on_end)(enum conn_end, int error, void *arg);
};

/* Takes fd over. */
struct conn *conn_new(struct event_base *, int fd, const struct conn_ops *, void *arg);

/* Starts to connect, from `source` when it is not NULL.  Errors come by on_end. */
struct conn *conn_connect(struct event_base *, const struct sockaddr *, socklen_t,
    const struct sockaddr *source, socklen_t, const struct conn_ops *, void *arg);

/* Closes at once; what waits in conn_out() is lost. */
void conn_free(struct conn *);

struct evbuffer *conn_in(struct conn *);
struct evbuffer *conn_out(struct conn *);
int conn_fd(const struct conn *);
bool conn_is_unbound(const struct conn *); /* in on_end: the source of conn_connect() is not ours */

/* Call after writing to conn_out(): it is sent at the end of the loop's turn. */
void conn_send(struct conn *);

/* Sends now what the socket takes, for a last word before an exit. */
void conn_flush(struct conn *);

/* The same with a word more; also in on_end, after a timeout.  Nothing in the midst of a handshake. */
void conn_last_word(struct conn *, const char *word);

/* The peer is told that nothing more will come; reading goes on. */
void conn_shutdown(struct conn *);

/* CONN_TIMEOUT unless it is called again within sec seconds; 0: none. */
void conn_deadline(struct conn *, int sec);

/* Stops and resumes reading; resuming calls on_input again when input is there. */
void conn_pause(struct conn *);
void conn_resume(struct conn *);

/* Reading stops by itself when conn_in() holds this many bytes (default 64 KiB). */
void conn_limit_input(struct conn *, size_t len);

/*
 * From now on TLS, as the context's side.  What stands in conn_out() still goes out in plain text;
 * conn_in() must be empty: what came before the handshake is nobody's (CVE-2011-0411).  Then
 * on_secure, or on_end with CONN_TLS.  The deadline is the caller's.  name: for clients, else NULL.
 */
void conn_tls(struct conn *, struct tlsctx *, const char *name);
/* The same of a connection that is TLS from its first byte: what stands in conn_in() belongs to it. */
void conn_tls_from_start(struct conn *, struct tlsctx *);
bool conn_is_secure(const struct conn *);
const char *conn_tls_error(const struct conn *); /* "" when there is none */
/* To ask libtls about the peer; NULL when it is not secure. */
struct tls *conn_tls_peer(const struct conn *);

#endif
