/* Base64; see base64.h. */
#include "base64.h"

#include <stdint.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Four letters into up to three bytes; how many, 0 when they are no base64. */
static size_t
decode_four(const char *in, bool last, unsigned char *out)
{
	size_t pad = last && in[3] == '=' ? (in[2] == '=' ? 2 : 1) : 0;
	uint32_t bits = 0;

	for (size_t i = 0; i < 4 - pad; i++) {
		const char *at = in[i] == '\0' ? NULL : strchr(alphabet, in[i]);
		if (at == NULL)
			return 0;
		bits = bits << 6 | (uint32_t)(at - alphabet);
	}
	bits <<= 6 * pad;
	if ((pad == 1 && (bits & 0xff) != 0) || (pad == 2 && (bits & 0xffff) != 0))
		return 0;
	for (size_t i = 0; i < 3 - pad; i++)
		out[i] = (unsigned char)(bits >> (16 - 8 * i));
	return 3 - pad;
}

bool
base64_decode(const char *text, void *out, size_t *out_len)
{
	size_t len = strlen(text);
	unsigned char *o = out;

	*out_len = 0;
	if (len % 4 != 0)
		return false;
	for (size_t at = 0; at < len; at += 4) {
		size_t n = decode_four(text + at, at + 4 == len, o + *out_len);
		if (n == 0)
			return false;
		*out_len += n;
	}
	return true;
}

char *
base64_encode(const void *data, size_t len, char *out)
{
	const unsigned char *in = data;
	char *o = out;

	for (size_t at = 0; at < len; at += 3) {
		size_t n = len - at < 3 ? len - at : 3;
		uint32_t bits = (uint32_t)in[at] << 16 | (n > 1 ? (uint32_t)in[at + 1] << 8 : 0) |
				(n > 2 ? in[at + 2] : 0);
		for (size_t i = 0; i < 4; i++)
			*o++ = i <= n ? alphabet[bits >> (18 - 6 * i) & 63] : '=';
	}
	*o = '\0';
	return out;
}
