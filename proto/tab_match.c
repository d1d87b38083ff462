/*
 * Matching of domains, mail addresses and regular expressions in a tab_set.
 *
 * A wildcard *.example.org is looked up by the suffixes of the domain asked for, so it costs one
 * probe a label.  A * elsewhere (mx*.example.org) and regular expressions are tried one by one.
 */
#include "tab_local.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MATCH_MAX   1024  /* bytes of a key beyond which only the exact entry matches */
#define REGEXES_MAX 10000 /* compiled ones take kilobytes each */

struct tab_globs {
	uint32_t n;
	uint32_t entries[]; /* those whose domain has a * elsewhere than in a leading "*." */
};

struct tab_regexes {
	uint32_t n; /* of the set's entries, in order */
	uint32_t n_bad, first_bad;
	struct {
		regex_t re;
		bool good;
	} all[];
};

/* Whether text matches a pattern in which * stands for any bytes; regardless of case. */
static bool
glob(const char *pattern, const char *text)
{
	const char *star = NULL, *mark = NULL;

	while (*text != '\0') {
		if (*pattern == '*') {
			star = pattern++;
			mark = text;
		} else if (strncasecmp(pattern, text, 1) == 0) {
			pattern++;
			text++;
		} else if (star != NULL) {
			pattern = star + 1;
			text = ++mark;
		} else
			return false;
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

static const char *
domain_of(const char *key)
{
	const char *at = strrchr(key, '@');

	return at == NULL ? key : at + 1;
}

static bool
is_glob(const char *key)
{
	const char *domain = domain_of(key);

	if (strncmp(domain, "*.", 2) == 0)
		domain += 2;
	return strchr(domain, '*') != NULL && strcmp(domain, "*") != 0;
}

static const struct tab_globs *
globs_of(struct tab_set *s)
{
	if (s->globs != NULL)
		return s->globs;
	uint32_t n = 0;
	for (uint32_t i = 0; i < s->n; i++)
		n += is_glob(s->entries[i].key);
	s->globs = tab_alloc(1, sizeof(*s->globs) + n * sizeof(s->globs->entries[0]));
	for (uint32_t i = 0; i < s->n; i++)
		if (is_glob(s->entries[i].key))
			s->globs->entries[s->globs->n++] = i;
	return s->globs;
}

/*
 * The entry LOCAL DOMAIN where LOCAL is exact ("user@", "@", or "" for a domain alone) and DOMAIN
 * matches: exact, *.suffix from the longest, *, then the others.
 */
static const struct tab_entry *
match_under(struct tab_set *s, const char *local, size_t local_len, const char *domain)
{
	char buf[MATCH_MAX + 4];
	const struct tab_globs *globs = globs_of(s);
	const struct tab_entry *e;
	size_t domain_len = strlen(domain);

	memcpy(buf, local, local_len);
	memcpy(buf + local_len, domain, domain_len);
	if ((e = tab_set_find(s, buf, local_len + domain_len)) != NULL)
		return e;
	buf[local_len] = '*';
	for (const char *dot = strchr(domain, '.'); dot != NULL; dot = strchr(dot + 1, '.')) {
		size_t len = strlen(dot);

		if (dot == domain)
			continue;
		memcpy(buf + local_len + 1, dot, len);
		if ((e = tab_set_find(s, buf, local_len + 1 + len)) != NULL)
			return e;
	}
	if ((e = tab_set_find(s, buf, local_len + 1)) != NULL)
		return e;
	for (uint32_t i = 0; i < globs->n; i++) {
		e = &s->entries[globs->entries[i]];
		const char *pattern = domain_of(e->key);
		if ((size_t)(pattern - e->key) == local_len &&
		    strncasecmp(e->key, local, local_len) == 0 && glob(pattern, domain))
			return e;
	}
	return NULL;
}

const struct tab_entry *
tab_match_domain(struct tab_set *s, const char *domain)
{
	/* An '@' would make it look like an address among the entries. */
	if (*domain == '\0' || strlen(domain) > MATCH_MAX || strchr(domain, '@') != NULL)
		return tab_set_find(s, domain, strlen(domain));
	return match_under(s, "", 0, domain);
}

const struct tab_entry *
tab_match_mailaddr(struct tab_set *s, const char *addr)
{
	const struct tab_entry *e;
	size_t len = strlen(addr);
	const char *at = strrchr(addr, '@');

	if (len == 0 || len > MATCH_MAX) /* the null sender is nobody's address */
		return tab_set_find(s, addr, len);
	if (at == NULL)
		at = addr + len;
	size_t user_len = (size_t)(at - addr);
	const char *plus = memchr(addr, '+', user_len);
	const char *domain = *at == '@' ? at + 1 : "";
	char user[MATCH_MAX + 2];

	/* user+tag, then user: each at its domain, then of any. */
	for (bool tagged = true;; tagged = false) {
		size_t n = tagged || plus == NULL ? user_len : (size_t)(plus - addr);

		memcpy(user, addr, n);
		user[n] = '@';
		if (n > 0 && *domain != '\0' && (e = match_under(s, user, n + 1, domain)) != NULL)
			return e;
		if (n > 0 && (e = tab_set_find(s, user, n)) != NULL)
			return e;
		if (!tagged || plus == NULL)
			break;
	}
	if (*domain != '\0' && (e = match_under(s, "@", 1, domain)) != NULL)
		return e;
	return tab_set_find(s, "@", 1);
}

static void
compile(struct tab_set *s)
{
	struct tab_regexes *r = tab_alloc(1, sizeof(*r) + s->n * sizeof(r->all[0]));

	r->n = s->n;
	for (uint32_t i = 0; i < r->n; i++) {
		const char *pattern = s->entries[i].key;

		if (strncmp(pattern, "(?i)", 4) == 0) /* as OpenSMTPD has it */
			pattern += 4;
		r->all[i].good =
		    regcomp(&r->all[i].re, pattern, REG_EXTENDED | REG_NOSUB | REG_ICASE) == 0;
		if (!r->all[i].good && r->n_bad++ == 0)
			r->first_bad = i;
	}
	s->regexes = r;
}

/* An expression that is none is an error only when no other one matches. */
enum tab_answer
tab_match_regex(
    struct tab_set *s, const char *key, const struct tab_entry **found, const char **reason)
{
	if (s->n > REGEXES_MAX) {
		*reason = "more than 10000 regular expressions";
		return TAB_ERROR;
	}
	if (s->regexes == NULL)
		compile(s);
	for (uint32_t i = 0; i < s->n; i++) {
		if (s->regexes->all[i].good &&
		    regexec(&s->regexes->all[i].re, key, 0, NULL, 0) == 0) {
			*found = &s->entries[i];
			return TAB_FOUND;
		}
	}
	if (s->regexes->n_bad == 0)
		return TAB_MISSING;
	*reason = tab_set_print(
	    s, "not a regular expression: %.200s", s->entries[s->regexes->first_bad].key);
	return TAB_ERROR;
}

void
tab_match_free(struct tab_globs *globs, struct tab_regexes *r)
{
	free(globs);
	for (uint32_t i = 0; r != NULL && i < r->n; i++)
		if (r->all[i].good)
			regfree(&r->all[i].re);
	free(r);
}
