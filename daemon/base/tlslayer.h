/*
 * TLS between buffers: what came from the network goes into tlslayer_net_in(), what is to be sent
 * comes out of tlslayer_net_out(); plain text is read and written on the other side.  No socket, no
 * event: conn.c has those.
 */
#ifndef TABMAIL_TLSLAYER_H
#define TABMAIL_TLSLAYER_H

#include <stdbool.h>
#include <stddef.h>

struct evbuffer;
struct tls;
struct tlsctx;
struct tlslayer;

/* MORE: nothing more without input; DONE: all that was asked; CLOSED: the peer says no more. */
enum tlslayer_state { TLSLAYER_MORE, TLSLAYER_DONE, TLSLAYER_CLOSED, TLSLAYER_FAILED };

/* Holds the context.  name: a client's SNI, and what a verified certificate must be for. */
struct tlslayer *tlslayer_new(struct tlsctx *, const char *name);
void tlslayer_free(struct tlslayer *);

struct evbuffer *tlslayer_net_in(struct tlslayer *);
struct evbuffer *tlslayer_net_out(struct tlslayer *);
void tlslayer_eof(struct tlslayer *); /* the network gives no more */

enum tlslayer_state tlslayer_handshake(struct tlslayer *);
/* Decrypts into plain until that holds max bytes (DONE) or there is no more. */
enum tlslayer_state tlslayer_read(struct tlslayer *, struct evbuffer *plain, size_t max);
/* Encrypts from plain until that is empty (DONE), or net_out holds max bytes (MORE). */
enum tlslayer_state tlslayer_write(struct tlslayer *, struct evbuffer *plain, size_t max);
void tlslayer_close(struct tlslayer *); /* close_notify, once */

/* After FAILED: why.  Valid as long as the layer. */
const char *tlslayer_error(const struct tlslayer *);
/* To ask libtls about the peer; valid as long as the layer, once the handshake has begun. */
struct tls *tlslayer_tls(const struct tlslayer *);

#endif
