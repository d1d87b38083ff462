/*
 * A password.  It has a type of its own, which no printf-like function takes: log_info("%s", secret)
 * does not compile.  What is held is wiped before it is freed.
 */
#ifndef TABMAIL_SECRET_H
#define TABMAIL_SECRET_H

#include <stdbool.h>
#include <stddef.h>

struct secret {
	const char *hidden; /* only secret_reveal() looks at it, and base/msgcodec.c */
};

struct secret secret_new(const char *, size_t len); /* copies */
void secret_free(struct secret *);                  /* wipes; empty afterwards */
const char *secret_reveal(struct secret); /* "" when there is none; for whoever checks it */

/* Wipes bytes that held one. */
void secret_wipe(void *, size_t len);

#endif
