/*
 * What TLS connections of one kind have in common: certificates, what they verify, protocols.
 *
 * Counted, because a connection may still be in its handshake when renewed files have replaced it:
 * who made it drops it, and it goes with the last connection.
 */
#ifndef TABMAIL_TLSCTX_H
#define TABMAIL_TLSCTX_H

#include <stdbool.h>
#include <stddef.h>

struct tls;
struct tls_config;
struct tlsctx;

/*
 * Takes the configuration over, also when it fails.  NULL: *error says why (allocated).  Keys are
 * wiped from the configuration; libtls keeps what it needs.  tickets: sessions may be resumed.
 */
struct tlsctx *tlsctx_server(struct tls_config *, bool tickets, char **error);
struct tlsctx *tlsctx_client(struct tls_config *, char **error);
struct tlsctx *tlsctx_hold(struct tlsctx *);
void tlsctx_drop(struct tlsctx *); /* NULL: nothing */

/* The context of a server, shared by its connections; for a client a new one of its own, or NULL. */
struct tls *tlsctx_take(struct tlsctx *);
bool tlsctx_is_server(const struct tlsctx *);

#endif
