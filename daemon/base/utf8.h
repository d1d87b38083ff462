/*
 * UTF-8 (RFC 3629), as far as addresses and text for people need it.  Pure.
 */
#ifndef TABMAIL_UTF8_H
#define TABMAIL_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes of the character at s, and its number; 0: it is none.  s ends with a NUL, which is one. */
size_t utf8_char(const char *s, uint32_t *code);

/* The same for a text of which `left` bytes are there: 0 also when the character goes on beyond them. */
size_t utf8_char_within(const char *s, size_t left, uint32_t *code);

/* Writes a character; how many bytes.  code: 1 to 0x10ffff, no surrogate. */
size_t utf8_encode(uint32_t code, char out[4]);

/* Whether it is shown, and neither acts on a terminal nor on how the text beside it reads. */
bool utf8_is_plain(uint32_t code);

/*
 * Whether a text of an address is UTF-8 of characters that are shown, and the joiners that belong to words of
 * some scripts.
 */
bool utf8_is_clean(const char *, size_t len);

bool utf8_is_ascii(const char *);

/* Whether a text holds an octet beyond ASCII. */
bool utf8_has_high(const char *, size_t len);

#endif
