/*
 * That a message was here before, told by its header.  Pure.
 *
 * smtp puts a Received field in front of each message (smtp/trace.c), and so can count how often one came
 * through.  A message on its way to a proxy that hands it back gets one more in front, which holds a
 * token; when it comes back by a listener with `reentry`, the token is taken out and checked.  It is a
 * Received field because no signer signs those (RFC 6376 5.4.1): taking it out breaks no signature.
 */
#ifndef TABMAIL_PASSAGE_H
#define TABMAIL_PASSAGE_H

#include <stddef.h>

struct text;

#define PASSAGE_TOKEN_LEN 80 /* with NUL */

/* The field with a token, LF line ends.  host: our name; date: as in RFC 5322. */
void passage_put_token(struct text *, const char *host, const char *token, const char *date);

/*
 * Takes all such fields of this host out of the header that text begins with; returns the new length.
 * token: the first one's; "" when there was none.
 */
size_t passage_take_token(char *text, size_t len, const char *host, char token[PASSAGE_TOKEN_LEN]);

/* How many Received fields of this host are in the header that text begins with, those with tokens not. */
unsigned passage_count(const char *text, size_t len, const char *host);

#endif
