/*
 * Domains with characters beyond ASCII (RFC 5890): the form that people write, bücher.example, and the one
 * that the DNS has, xn--bcher-kva.example.  They are the same domain; inside the daemon it has the second
 * form.  By libidn2.  Pure.
 */
#ifndef TABMAIL_IDNA_H
#define TABMAIL_IDNA_H

#include "addr.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * The form that the DNS has, lower case; false: it is no domain.  What is ASCII already is taken if it is
 * well-formed.
 */
bool idna_ascii(char out[DOMAIN_MAX + 1], const char *domain);

/* The form that people write; false: it is the same. */
#define IDNA_TEXT_LEN (4 * DOMAIN_MAX + 1)
bool idna_unicode(char out[IDNA_TEXT_LEN], const char *domain);

/*
 * An entry or key of a table, "user@bücher.example", "@bücher.example", "*.bücher.example", with the other
 * form of its domain; false: it has none.
 */
bool idna_entry_ascii(char *out, size_t size, const char *entry);
bool idna_key_unicode(char *out, size_t size, const char *key);

#endif
