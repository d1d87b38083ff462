/*
 * The keywords of the file (settings.h): each with what it takes and where that goes.  Called by
 * settings.c for each line.  Pure.
 *
 * Keywords that OpenSMTPD's helper has are taken as it takes them, so that its files serve here: one
 * without a value, or one that stands there again, is warned of and passed over.  Elsewhere both are faults.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <ldap.h>

#include "local.h"
#include "template.h"

typedef void (*take_fn)(struct settings_parse *, void *field, char *value);

static void take_url(struct settings_parse *, void *, char *);
static void take_text(struct settings_parse *, void *, char *);
static void take_path(struct settings_parse *, void *, char *);
static void take_password_file(struct settings_parse *, void *, char *);
static void take_bool(struct settings_parse *, void *, char *);
static void take_tls_verify(struct settings_parse *, void *, char *);
static void take_sasl(struct settings_parse *, void *, char *);
static void take_time(struct settings_parse *, void *, char *);
static void take_count(struct settings_parse *, void *, char *);
static void take_zero_or_count(struct settings_parse *, void *, char *);
static void take_attrs(struct settings_parse *, void *, char *);
static void take_filter(struct settings_parse *, void *, char *);
static void take_dn(struct settings_parse *, void *, char *);
static void take_scope(struct settings_parse *, void *, char *);

#define AT(member) offsetof(struct ldap_settings, member)

static const struct keyword {
	const char *word;
	take_fn take;
	size_t field;
	bool upstream;
} keywords[] = {
	{ "url", take_url, 0, true },
	{ "username", take_text, AT(connection.bind_dn), true },
	{ "password", take_text, AT(connection.password), true },
	{ "basedn", take_dn, AT(basedn), true },
	{ "scope", take_scope, AT(scope), false },
	{ "password_file", take_password_file, 0, false },
	{ "balance", take_bool, AT(connection.balance), false },
	{ "starttls", take_bool, AT(connection.starttls), false },
	{ "ca_file", take_path, AT(connection.ca_file), false },
	{ "certificate", take_path, AT(connection.certificate), false },
	{ "key", take_path, AT(connection.key), false },
	{ "tls_verify", take_tls_verify, AT(connection.tls_insecure), false },
	{ "sasl", take_sasl, AT(connection.sasl_external), false },
	{ "connect_timeout", take_time, AT(connection.connect_timeout_ms), false },
	{ "query_timeout", take_time, AT(connection.query_timeout_ms), false },
	{ "slow", take_time, AT(connection.slow_ms), false },
	{ "connections", take_count, AT(connection.connections), false },
	{ "bind_connections", take_count, AT(connection.bind_connections), false },
	{ "page_size", take_count, AT(connection.page_size), false },
	{ "referrals", take_bool, AT(connection.referrals), false },
	{ "alias_special_attributes", take_attrs, AT(special), false },
	{ "alias_leaf_attributes", take_attrs, AT(leaf), false },
	{ "group_depth", take_zero_or_count, AT(group_depth), false },
	{ "group_members", take_count, AT(group_members), false },
};

/* X_filter and its kin, for each service X. */
#define IN(member) offsetof(struct ldap_service, member)
static const struct keyword of_service[] = {
	{ "filter", take_filter, IN(filter), true },
	{ "attributes", take_attrs, IN(attrs), true },
	{ "basedn", take_dn, IN(basedn), false },
	{ "scope", take_scope, IN(scope), false },
	{ "dn", take_dn, IN(dn), false },
};

#define N(array) (sizeof(array) / sizeof((array)[0]))
#define WORD_LEN 64

/* Services that a file can have: not the matching of patterns, and not those of tabmail's own. */
static bool
is_offered(enum tab_service service)
{
	return (SETTINGS_OFFERED & 1u << service) != 0;
}

/* Calls back with each keyword there is, and where its value goes; until that says true. */
static bool
each_keyword(struct ldap_settings *s,
    bool (*seen)(const char *word, const struct keyword *, void *field, void *arg), void *arg)
{
	char word[WORD_LEN];

	for (size_t i = 0; i < N(keywords); i++)
		if (seen(keywords[i].word, &keywords[i], (char *)s + keywords[i].field, arg))
			return true;
	for (int service = 0; service < TAB_SERVICE_MAX; service++)
		for (size_t i = 0; i < N(of_service); i++) {
			const struct keyword *k = &of_service[i];

			if (!is_offered((enum tab_service)service) ||
			    (k->field == IN(dn) && service != TAB_AUTH))
				continue;
			snprintf(word, sizeof(word), "%s_%s",
			    tab_service_name((enum tab_service)service), k->word);
			if (seen(word, k, (char *)&s->services[service] + k->field, arg))
				return true;
		}
	return false;
}

struct search {
	const char *word;
	const struct keyword *found;
	void *field;
	char nearest[WORD_LEN];
	unsigned distance;
};

/* Edits from a to b: insert, remove, replace. */
static unsigned
distance(const char *a, const char *b)
{
	unsigned row[WORD_LEN + 1];
	size_t len = strlen(b);

	for (unsigned j = 0; j <= len; j++)
		row[j] = j;
	for (unsigned i = 1; *a != '\0'; a++, i++) {
		unsigned before = row[0];

		row[0] = i;
		for (size_t j = 1; j <= len; j++) {
			unsigned best = before + (*a != b[j - 1]);

			before = row[j];
			best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
			row[j] = before + 1 < best ? before + 1 : best;
		}
	}
	return row[len];
}

static bool
is_word(const char *word, const struct keyword *k, void *field, void *arg)
{
	struct search *s = arg;

	if (strcmp(word, s->word) == 0) {
		s->found = k;
		s->field = field;
		return true;
	}
	unsigned d = distance(s->word, word);
	if (d < s->distance) {
		s->distance = d;
		snprintf(s->nearest, sizeof(s->nearest), "%s", word);
	}
	return false;
}

bool
keyword_at(struct settings_parse *p, const char *word)
{
	p->line = 0;
	for (size_t i = 0; i < p->n_seen; i++)
		if (strcmp(p->seen[i].keyword, word) == 0) {
			p->line = p->seen[i].line;
			return true;
		}
	return false;
}

void
keyword_take(struct settings_parse *p, const char *word, char *value)
{
	size_t len = strlen(word);
	struct search s = { .word = word, .distance = len < 3 ? 2 : len < 9 ? 3 : 4 };
	unsigned line = p->line;

	if (len >= WORD_LEN || !each_keyword(p->s, is_word, &s)) {
		if (s.nearest[0] != '\0')
			settings_wrong(
			    p, "unknown keyword '%.60s': did you mean %s?", word, s.nearest);
		else
			settings_wrong(p, "unknown keyword '%.60s': see table-ldap(5)", word);
		return;
	}
	if (*value == '\0') {
		if (s.found->upstream)
			settings_warn(p, "%s has no value: the line is passed over", word);
		else
			settings_wrong(p, "%s has no value", word);
		return;
	}
	if (keyword_at(p, word)) {
		unsigned first = p->line;

		p->line = line;
		if (s.found->upstream)
			settings_warn(p, "%s stands in line %u already, which counts", word, first);
		else
			settings_wrong(p, "%s stands in line %u already: remove one", word, first);
		return;
	}
	p->line = line;
	if (p->n_seen < SETTINGS_KEYWORDS_MAX && (word = settings_keep(p, word)) != NULL) {
		p->seen[p->n_seen].keyword = word;
		p->seen[p->n_seen++].line = line;
	}
	s.found->take(p, s.field, value);
}

/* --- What the keywords take */

static bool
is_loopback(const char *host)
{
	return strcasecmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
	       strcmp(host, "[::1]") == 0;
}

/* host or host:port or [address]:port; cut behind the host, to be looked at. */
static const char *
check_host(char *host)
{
	char *end = *host == '[' ? strchr(host, ']') : NULL;

	if (*host == '[' && end == NULL)
		return "lacks a ]";
	end = end != NULL ? end + 1 : host + strcspn(host, ":");
	if (end == host)
		return "has no host";
	if (*end == ':') {
		char *rest;
		unsigned long port = strtoul(end + 1, &rest, 10);

		if (end[1] < '0' || end[1] > '9' || *rest != '\0' || port == 0 || port > 65535)
			return "has a port that is none";
	} else if (*end != '\0')
		return "has a host that is none";
	*end = '\0';
	if (strcspn(host, ",\"<>\\^`{|} ") != strlen(host))
		return "has a host that is none";
	return NULL;
}

/* One URL; a DN behind it, as LDAP URLs may have, is not looked at. */
static void
take_one_url(struct settings_parse *p, const char *url)
{
	static const struct {
		const char *prefix, *scheme;
		bool tls_after;
	} schemes[] = { { "ldap://", "ldap", false }, { "ldaps://", "ldaps", false },
		{ "ldapi://", "ldapi", false }, { "ldap+tls://", "ldap", true } };
	const char *scheme = "ldap", *host = url;
	bool clear = true;

	for (size_t i = 0; i < N(schemes); i++)
		if (strncasecmp(url, schemes[i].prefix, strlen(schemes[i].prefix)) == 0) {
			scheme = schemes[i].scheme;
			host = url + strlen(schemes[i].prefix);
			clear = strcmp(scheme, "ldap") == 0 && !schemes[i].tls_after;
			p->tls_urls = p->tls_urls || schemes[i].tls_after;
		}
	if (host == url && strstr(url, "://") != NULL) {
		settings_wrong(p, "'%.200s' begins with none of ldap://, ldaps://, ldapi://", url);
		return;
	}
	char name[300], uri[320];
	size_t len = strcspn(host, "/?");
	if (len >= sizeof(name)) {
		settings_wrong(p, "a url that is too long");
		return;
	}
	memcpy(name, host, len);
	name[len] = '\0';
	snprintf(uri, sizeof(uri), "%s://%s", scheme, name);
	const char *wrong = strcmp(scheme, "ldapi") == 0 ? NULL : check_host(name);
	if (wrong != NULL) {
		settings_wrong(p, "'%.200s' %s: write ldap://HOST:PORT", url, wrong);
		return;
	}
	p->clear_urls = p->clear_urls || (clear && !is_loopback(name));
	if (p->s->connection.n_urls == SETTINGS_SERVERS_MAX)
		settings_wrong(p, "more than %d servers", SETTINGS_SERVERS_MAX);
	else
		p->s->urls[p->s->connection.n_urls++] = settings_keep(p, uri);
	p->s->connection.urls = p->s->urls;
}

static void
take_url(struct settings_parse *p, void *field, char *value)
{
	char *url;

	(void)field;
	while ((url = strsep(&value, " \t")) != NULL) {
		size_t len = strlen(url);

		if (len > 0 && url[len - 1] == ',')
			url[len - 1] = '\0';
		if (*url != '\0')
			take_one_url(p, url);
	}
}

static void
take_text(struct settings_parse *p, void *field, char *value)
{
	*(const char **)field = settings_keep(p, value);
}

static void
take_path(struct settings_parse *p, void *field, char *value)
{
	if (*value != '/')
		settings_wrong(p, "'%.200s' is not a path that begins with /", value);
	else
		take_text(p, field, value);
}

static void
take_password_file(struct settings_parse *p, void *field, char *value)
{
	(void)field;
	take_path(p, &p->password_file, value);
}

static void
take_bool(struct settings_parse *p, void *field, char *value)
{
	bool yes = strcasecmp(value, "yes") == 0;

	if (!yes && strcasecmp(value, "no") != 0)
		settings_wrong(p, "'%.60s' is neither yes nor no", value);
	*(bool *)field = yes;
}

static void
take_tls_verify(struct settings_parse *p, void *field, char *value)
{
	bool verify = true;

	take_bool(p, &verify, value);
	*(bool *)field = !verify;
}

static void
take_sasl(struct settings_parse *p, void *field, char *value)
{
	if (strcasecmp(value, "external") != 0)
		settings_wrong(p, "'%.60s' is no mechanism here: external is the only one", value);
	*(bool *)field = true;
}

/* Milliseconds, from 500ms, 5s, 2m, or seconds alone. */
static void
take_time(struct settings_parse *p, void *field, char *value)
{
	static const struct {
		const char *name;
		unsigned ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "", 1000 } };
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	for (size_t i = 0; i < N(units) && *value >= '0' && *value <= '9'; i++)
		if (strcmp(end, units[i].name) == 0 && n > 0 && n <= 3600 * 1000ul / units[i].ms) {
			*(unsigned *)field = (unsigned)n * units[i].ms;
			return;
		}
	settings_wrong(p, "'%.60s' is no time: 500ms, 5s, 2m, at most an hour", value);
}

static void
take_number(struct settings_parse *p, unsigned *field, const char *value, unsigned least)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	if (*value < '0' || *value > '9' || *end != '\0' || n < least || n > 100000)
		settings_wrong(p, "'%.60s' is no number from %u to 100000", value, least);
	else
		*field = (unsigned)n;
}

static void
take_count(struct settings_parse *p, void *field, char *value)
{
	take_number(p, field, value, 1);
}

static void
take_zero_or_count(struct settings_parse *p, void *field, char *value)
{
	take_number(p, field, value, 0);
}

static void
take_attrs(struct settings_parse *p, void *field, char *value)
{
	static const char allowed[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.;";
	struct ldap_attrs *attrs = field;
	char *name;

	while ((name = strsep(&value, ", \t")) != NULL) {
		if (*name == '\0')
			continue;
		if (name[strspn(name, allowed)] != '\0')
			settings_wrong(p, "'%.60s' is not the name of an attribute", name);
		else if (attrs->n == SETTINGS_ATTRS_MAX)
			settings_wrong(p, "more than %d attributes", SETTINGS_ATTRS_MAX);
		else
			attrs->names[attrs->n++] = settings_keep(p, name);
	}
}

static void
take_filter(struct settings_parse *p, void *field, char *value)
{
	char why[TEMPLATE_WHY_LEN];
	struct template *t = template_new(TEMPLATE_FILTER, value, why);

	if (t == NULL)
		settings_wrong(p, "%s", why);
	*(struct template **)field = t;
}

/* A DN with places: with something in them it must be one that libldap can read. */
static void
take_dn(struct settings_parse *p, void *field, char *value)
{
	char why[TEMPLATE_WHY_LEN], *sample = NULL;
	struct template *t = template_new(TEMPLATE_DN, value, why);
	struct template_key key;
	LDAPDN dn = NULL;

	if (t == NULL) {
		settings_wrong(p, "%s", why);
		return;
	}
	*(struct template **)field = t;
	template_split(&key, "x@x.example", false, "x");
	if (template_fill(t, &key, &sample) != TEMPLATE_DONE ||
	    ldap_str2dn(sample, &dn, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS)
		settings_wrong(
		    p, "'%.200s' is no DN: it looks like ou=people,dc=example,dc=org", value);
	ldap_dnfree(dn);
	free(sample);
}

static void
take_scope(struct settings_parse *p, void *field, char *value)
{
	static const struct {
		const char *name;
		int scope;
	} scopes[] = { { "base", LDAP_SCOPE_BASE }, { "one", LDAP_SCOPE_ONELEVEL },
		{ "sub", LDAP_SCOPE_SUBTREE } };

	for (size_t i = 0; i < N(scopes); i++)
		if (strcmp(value, scopes[i].name) == 0) {
			*(int *)field = scopes[i].scope;
			return;
		}
	settings_wrong(p, "'%.60s' is no scope: base, one or sub", value);
}
