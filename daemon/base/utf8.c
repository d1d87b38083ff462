/* UTF-8; see utf8.h. */
#include "utf8.h"

#include <string.h>

size_t
utf8_char(const char *s, uint32_t *code)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *p = (const unsigned char *)s;
	size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	uint32_t c = len == 1 ? p[0] : len == 2 ? p[0] & 0x1f : len == 3 ? p[0] & 0xf : p[0] & 7;

	if (len == 0 || p[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*code = c;
	return len;
}

size_t
utf8_char_within(const char *s, size_t left, uint32_t *code)
{
	char copy[5] = "";

	if (left == 0)
		return 0;
	memcpy(copy, s, left < 4 ? left : 4);
	return utf8_char(copy, code);
}

size_t
utf8_encode(uint32_t code, char out[4])
{
	static const unsigned char first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

	for (size_t i = len; i-- > 1; code >>= 6)
		out[i] = (char)(0x80 | (code & 0x3f));
	out[0] = (char)(first[len] | code);
	return len;
}

/* Controls (C0, DEL, C1), what has no width or changes the direction of text, no characters. */
bool
utf8_is_plain(uint32_t c)
{
	return !(c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200b && c <= 0x200f) ||
		 (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff ||
		 (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xfdd0 && c <= 0xfdef) ||
		 (c & 0xfffe) == 0xfffe);
}

bool
utf8_is_clean(const char *s, size_t len)
{
	uint32_t code;

	for (size_t at = 0, n; at < len; at += n) {
		n = utf8_char_within(s + at, len - at, &code);
		if (n == 0 || !(utf8_is_plain(code) || code == 0x200c || code == 0x200d))
			return false;
	}
	return true;
}

bool
utf8_is_ascii(const char *s)
{
	return !utf8_has_high(s, strlen(s));
}

bool
utf8_has_high(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] >= 0x80)
			return true;
	return false;
}
