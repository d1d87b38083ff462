/* xtext and its kin; see xtext.h. */
#include "xtext.h"
#include "text.h"
#include "utf8.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static int
hex_digit(char c)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *at = c == '\0' ? NULL : strchr(digits, c);

	return at == NULL ? -1 : (int)(at - digits);
}

/* The byte that "+HH" stands for; -1: it is no such thing. */
static int
plus_byte(const char *s)
{
	if (*s != '+' || hex_digit(s[1]) == -1 || hex_digit(s[2]) == -1)
		return -1;
	return hex_digit(s[1]) * 16 + hex_digit(s[2]);
}

/* The length of a character beyond ASCII that may stand in a parameter; 0: none. */
static size_t
high_len(const char *s)
{
	uint32_t code;
	size_t len = utf8_char(s, &code);

	return len > 1 && utf8_is_plain(code) ? len : 0;
}

bool
xtext_is_valid(const char *s, bool utf8)
{
	if (*s == '\0')
		return false;
	while (*s != '\0') {
		size_t len = 1;
		if ((unsigned char)*s >= 0x80) {
			len = utf8 ? high_len(s) : 0;
		} else if (*s == '+') {
			int byte = plus_byte(s);
			len = byte >= 0x20 && byte <= 0x7e ? 3 : 0;
		} else if (*s <= ' ' || *s == 0x7f || *s == '=') {
			len = 0;
		}
		if (len == 0)
			return false;
		s += len;
	}
	return true;
}

/*
 * "\x{HEX}" at s: its length, and the character; 0: it is none.  It stands for what cannot be written as it
 * is: a backslash, blanks, + and =, and what is not ASCII, without leading zeros.
 */
static size_t
embedded(const char *s, uint32_t *code)
{
	uint32_t c = 0;
	size_t n = 0;
	char bytes[5] = "";

	if (strncmp(s, "\\x{", 3) != 0)
		return 0;
	for (s += 3; n < 7 && hex_digit(*s) != -1; s++, n++)
		c = c * 16 + (uint32_t)hex_digit(*s);
	if (*s != '}' || n < 2 || n > 6 || (n > 2 && c >> (4 * (n - 1)) == 0) || c > 0x10ffff)
		return 0;
	if (c < 0x80 && c != ' ' && c != '+' && c != '=' && c != '\\')
		return 0;
	utf8_encode(c, bytes);
	return utf8_is_plain(c) && utf8_char(bytes, code) > 0 ? n + 4 : 0;
}

/* utf-8-addr-xtext, and with utf8 utf-8-addr-unitext. */
static bool
is_utf8_address(const char *s, bool utf8)
{
	uint32_t code;

	if (*s == '\0')
		return false;
	while (*s != '\0') {
		size_t len = 1;
		if ((unsigned char)*s >= 0x80)
			len = utf8 ? high_len(s) : 0;
		else if (*s == '\\')
			len = embedded(s, &code);
		else if (*s <= ' ' || *s == 0x7f || *s == '+' || *s == '=')
			len = 0;
		if (len == 0)
			return false;
		s += len;
	}
	return true;
}

static bool
is_of_type_utf8(const char *orcpt)
{
	return strncasecmp(orcpt, "utf-8;", 6) == 0;
}

bool
xtext_is_orcpt(const char *value, bool utf8)
{
	size_t type = strcspn(value, ";");

	if (type == 0 || value[type] == '\0' || strlen(value) > ORCPT_MAX)
		return false;
	for (size_t i = 0; i < type; i++)
		if (!isalnum((unsigned char)value[i]) && value[i] != '-')
			return false;
	return is_of_type_utf8(value) ? is_utf8_address(value + type + 1, utf8)
				      : xtext_is_valid(value + type + 1, false);
}

void
xtext_put_ascii(struct text *t, const char *s)
{
	uint32_t code;

	text_putn(t, "", 0);
	while (*s != '\0') {
		size_t len = utf8_char(s, &code);
		if (len > 1)
			text_putf(t, "\\x{%X}", (unsigned)code);
		else
			text_putn(t, len == 0 ? "?" : s, 1);
		s += len == 0 ? 1 : len;
	}
}

void
xtext_put_decoded(struct text *t, const char *orcpt)
{
	bool utf8 = is_of_type_utf8(orcpt);
	uint32_t code;
	char bytes[4];

	text_putn(t, "", 0);
	while (*orcpt != '\0') {
		size_t len = utf8 ? embedded(orcpt, &code) : 0;
		int byte = utf8 ? -1 : plus_byte(orcpt);
		if (len > 0) {
			text_putn(t, bytes, utf8_encode(code, bytes));
		} else if (byte > 0) {
			bytes[0] = (char)byte;
			text_putn(t, bytes, 1);
			len = 3;
		} else {
			text_putn(t, orcpt, len = 1);
		}
		orcpt += len;
	}
}
