/* Domains with characters beyond ASCII; see idna.h. */
#include "idna.h"
#include "text.h"
#include "utf8.h"

#include <bsd/string.h>
#include <idn2.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/*
 * UTS 46 without the transition from 2003 (ß stays ß), so that capitals and wide letters are what they look
 * like; the result must be a domain all the same: what maps to "/" or "@" is none.
 */
bool
idna_ascii(char out[DOMAIN_MAX + 1], const char *domain)
{
	uint8_t *ascii = NULL;

	if (utf8_is_ascii(domain)) {
		if (strlcpy(out, domain, DOMAIN_MAX + 1) > DOMAIN_MAX)
			return false;
		text_lower(out);
		return addr_is_domain(out);
	}
	if (strlen(domain) > DOMAIN_MAX || !utf8_is_clean(domain, strlen(domain)))
		return false;
	if (idn2_lookup_u8(
		(const uint8_t *)domain, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
		return false;
	bool fits = strlcpy(out, (const char *)ascii, DOMAIN_MAX + 1) <= DOMAIN_MAX;
	idn2_free(ascii);
	return fits && addr_is_domain(text_lower(out));
}

/* An A-label begins somewhere in it. */
static bool
has_a_label(const char *domain)
{
	for (const char *p = domain; p != NULL; p = strchr(p, '.')) {
		p += *p == '.';
		if (strncasecmp(p, "xn--", 4) == 0)
			return true;
	}
	return false;
}

bool
idna_unicode(char out[IDNA_TEXT_LEN], const char *domain)
{
	char *text = NULL;

	if (!has_a_label(domain) || strlen(domain) > DOMAIN_MAX ||
	    idn2_to_unicode_8z8z(domain, &text, 0) != IDN2_OK)
		return false;
	bool other = strlcpy(out, text, IDNA_TEXT_LEN) < IDNA_TEXT_LEN && strcmp(out, domain) != 0;
	idn2_free(text);
	return other;
}

/* Where its domain begins. */
static size_t
domain_at(const char *entry)
{
	const char *at = strrchr(entry, '@'), *domain = at == NULL ? entry : at + 1;

	if (strncmp(domain, "*.", 2) == 0)
		domain += 2;
	return (size_t)(domain - entry);
}

bool
idna_entry_ascii(char *out, size_t size, const char *entry)
{
	char ascii[DOMAIN_MAX + 1];
	size_t at = domain_at(entry);

	if (utf8_is_ascii(entry + at) || !idna_ascii(ascii, entry + at))
		return false;
	return (size_t)snprintf(out, size, "%.*s%s", (int)at, entry, ascii) < size;
}

bool
idna_key_unicode(char *out, size_t size, const char *key)
{
	char text[IDNA_TEXT_LEN];
	size_t at = domain_at(key);

	if (!idna_unicode(text, key + at))
		return false;
	return (size_t)snprintf(out, size, "%.*s%s", (int)at, key, text) < size;
}
