/*
 * Under which keys a table may know an address or a name, best first.  Lower case, as the protocol has
 * keys; "user+tag" is also sought without its tag (RFC 5233).  Pure.
 */
#include "local.h"
#include "text.h"

#include <bsd/string.h>
#include <stdio.h>
#include <string.h>

struct names {
	char whole[LOCAL_MAX + 1], plain[LOCAL_MAX + 1]; /* plain: without its tag, or "" */
};

static void
take_names(struct names *n, const char *local)
{
	strlcpy(n->whole, local, sizeof(n->whole));
	text_lower(n->whole);
	const char *plus = strchr(n->whole, '+');
	size_t len = plus == NULL ? 0 : (size_t)(plus - n->whole);
	memcpy(n->plain, n->whole, len);
	n->plain[len] = '\0';
}

static size_t
rank(char keys[KEYS_MAX][ADDR_TEXT_LEN], size_t n, const char *ranked[KEYS_MAX])
{
	for (size_t i = 0; i < n; i++)
		ranked[i] = keys[i];
	return n;
}

size_t
keys_of_address(
    const struct addr *a, char keys[KEYS_MAX][ADDR_TEXT_LEN], const char *ranked[KEYS_MAX])
{
	struct names names;
	size_t n = 0;

	take_names(&names, a->local);
	snprintf(keys[n++], ADDR_TEXT_LEN, "%s@%s", names.whole, a->domain);
	if (names.plain[0] != '\0')
		snprintf(keys[n++], ADDR_TEXT_LEN, "%s@%s", names.plain, a->domain);
	snprintf(keys[n++], ADDR_TEXT_LEN, "%s", names.whole);
	if (names.plain[0] != '\0')
		snprintf(keys[n++], ADDR_TEXT_LEN, "%s", names.plain);
	snprintf(keys[n++], ADDR_TEXT_LEN, "@%s", a->domain);
	snprintf(keys[n++], ADDR_TEXT_LEN, "@");
	return rank(keys, n, ranked);
}

size_t
keys_of_name(const char *name, char keys[KEYS_MAX][ADDR_TEXT_LEN], const char *ranked[KEYS_MAX])
{
	struct names names;
	size_t n = 0;

	take_names(&names, name);
	snprintf(keys[n++], ADDR_TEXT_LEN, "%s", names.whole);
	if (names.plain[0] != '\0')
		snprintf(keys[n++], ADDR_TEXT_LEN, "%s", names.plain);
	return rank(keys, n, ranked);
}
