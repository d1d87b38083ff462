/* Base64 of RFC 4648 4, strictly: no blanks, no missing padding, no bits left over.  Pure. */
#ifndef TABMAIL_BASE64_H
#define TABMAIL_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes that text of this length decodes to at most. */
#define BASE64_DECODED_MAX(text_len) ((text_len) / 4 * 3)
/* Bytes of the text for as many bytes, with NUL. */
#define BASE64_TEXT_LEN(len)         (((len) + 2) / 3 * 4 + 1)

/* Into out, which has room for BASE64_DECODED_MAX(strlen(text)) bytes; false: this is no base64. */
bool base64_decode(const char *text, void *out, size_t *out_len);

/* Into out, which has room for BASE64_TEXT_LEN(len); returns it. */
char *base64_encode(const void *data, size_t len, char *out);

#endif
