/*
 * What the lines of the file must be together (settings.h): nothing that is needed may be missing, and
 * nothing may stand there that has no effect.  Called by settings.c behind the last line.  Pure.
 */
#include <stdio.h>
#include <string.h>

#include <ldap.h>

#include "local.h"
#include "template.h"

/* How many attributes a service takes, and what they are. */
static const struct {
	size_t least, most;
	const char *what;
} takes[TAB_SERVICE_MAX] = {
	[TAB_ALIAS] = { 1, SETTINGS_ATTRS_MAX, "the destinations" },
	[TAB_DOMAIN] = { 0, SETTINGS_ATTRS_MAX, "the domain" },
	[TAB_AUTH] = { 0, 0, "nothing" },
	[TAB_CREDENTIALS] = { 1, 2, "user, password" },
	[TAB_NETADDR] = { 0, SETTINGS_ATTRS_MAX, "the address" },
	[TAB_USERINFO] = { 3, 3, "uid, gid, home" },
	[TAB_SOURCE] = { 1, SETTINGS_ATTRS_MAX, "the addresses" },
	[TAB_MAILADDR] = { 0, SETTINGS_ATTRS_MAX, "the address" },
	[TAB_MAILADDRMAP] = { 1, SETTINGS_ATTRS_MAX, "the addresses" },
	[TAB_ADDRNAME] = { 1, SETTINGS_ATTRS_MAX, "the name" },
	[TAB_RELAYHOST] = { 1, SETTINGS_ATTRS_MAX, "the URL" },
};

void
settings_start(struct settings_parse *p)
{
	p->s->scope = LDAP_SCOPE_SUBTREE;
	p->s->group_depth = 10;
	p->s->group_members = 5000;
	for (int i = 0; i < TAB_SERVICE_MAX; i++)
		p->s->services[i].scope = LDAP_SCOPE_DEFAULT;
}

/* Whether "alias" + "_filter" stands in the file; then faults are of its line. */
static bool
at(struct settings_parse *p, enum tab_service service, const char *suffix, char word[64])
{
	snprintf(word, 64, "%s_%s", tab_service_name(service), suffix);
	return keyword_at(p, word);
}

static void
check_attributes(struct settings_parse *p, enum tab_service service)
{
	const char *name = tab_service_name(service);
	size_t n = p->s->services[service].attrs.n;
	char word[64];

	if (service == TAB_ALIAS)
		n += p->s->leaf.n;
	if (n < takes[service].least && !at(p, service, "attributes", word)) {
		at(p, service, "filter", word);
		settings_wrong(p, "%s needs %s_attributes: %s", word, name, takes[service].what);
	} else if (n < takes[service].least || (n > takes[service].most && takes[service].most > 0))
		settings_wrong(p, "%s_attributes takes %zu: %s", name,
		    n < takes[service].least ? takes[service].least : takes[service].most,
		    takes[service].what);
	else if (n > takes[service].most && at(p, service, "attributes", word))
		settings_warn(p, "%s has no effect: a bind needs no attribute", word);
}

bool
settings_is_list(const struct ldap_settings *s, enum tab_service service)
{
	const struct ldap_service *of = &s->services[service];
	const struct template *base = of->basedn != NULL ? of->basedn : s->basedn;
	bool lists = service == TAB_DOMAIN || service == TAB_NETADDR || service == TAB_MAILADDR;

	return lists && of->filter != NULL && of->attrs.n > 0 && !template_uses_key(of->filter) &&
	       (base == NULL || !template_uses_key(base));
}

static void
check_service(struct settings_parse *p, enum tab_service service)
{
	struct ldap_service *s = &p->s->services[service];
	static const char *const with_filter[] = { "attributes", "basedn", "scope" };
	const char *name = tab_service_name(service);
	char word[64];

	if (s->scope == LDAP_SCOPE_DEFAULT)
		s->scope = p->s->scope;
	if (s->filter == NULL) {
		for (size_t i = 0; i < 3; i++)
			if (at(p, service, with_filter[i], word))
				settings_warn(p, "%s has no effect without %s_filter", word, name);
		return;
	}
	check_attributes(p, service);
	at(p, service, "filter", word);
	if (s->basedn == NULL && p->s->basedn == NULL)
		settings_wrong(p, "%s needs basedn or %s_basedn: where to search", word, name);
	bool uses_key =
	    template_uses_key(s->filter) ||
	    (s->basedn != NULL ? template_uses_key(s->basedn)
			       : p->s->basedn != NULL && template_uses_key(p->s->basedn));
	if (service == TAB_SOURCE && uses_key)
		settings_wrong(
		    p, "%s has a place for a key, but a source is asked for without one", word);
	else if (service != TAB_SOURCE && service != TAB_RELAYHOST && !uses_key &&
		 !settings_is_list(p->s, service))
		settings_warn(
		    p, "%s has no place for the key (%%u): it is the same for all of them", word);
}

static void
check_groups(struct settings_parse *p)
{
	static const char *const words[] = { "alias_special_attributes", "alias_leaf_attributes",
		"group_depth", "group_members" };

	for (size_t i = 0; i < 4; i++) {
		if (!keyword_at(p, words[i]))
			continue;
		if (p->s->services[TAB_ALIAS].filter == NULL)
			settings_warn(p, "%s has no effect without alias_filter", words[i]);
		else if (i > 0 && p->s->special.n == 0)
			settings_warn(p, "%s has no effect without %s", words[i], words[0]);
	}
}

static void
check_identity(struct settings_parse *p)
{
	struct directory_settings *c = &p->s->connection;
	bool password = c->password != NULL || p->password_file != NULL;

	if (keyword_at(p, "password_file") && keyword_at(p, "password"))
		settings_wrong(p, "password and password_file: remove one");
	if (keyword_at(p, "username") && c->sasl_external)
		settings_warn(p, "username has no effect with sasl external");
	else if (c->bind_dn != NULL && !password)
		settings_wrong(p, "username needs password or password_file: a bind without one "
				  "would be anonymous");
	p->line = 0;
	if (c->bind_dn == NULL && password)
		settings_warn(p, "a password without username: searches are anonymous");
	if (c->bind_dn == NULL || c->sasl_external)
		c->bind_dn = c->password = NULL;
	if (keyword_at(p, "certificate") && c->key == NULL)
		settings_wrong(p, "certificate needs key: the file with its private key");
	if (keyword_at(p, "key") && c->certificate == NULL)
		settings_wrong(p, "key needs certificate");
}

static void
check_tls(struct settings_parse *p)
{
	struct directory_settings *c = &p->s->connection;
	struct ldap_service *auth = &p->s->services[TAB_AUTH];
	bool secrets = c->password != NULL || auth->filter != NULL || auth->dn != NULL;

	if (p->tls_urls && keyword_at(p, "starttls") && !c->starttls) {
		settings_wrong(p, "starttls no, but url has ldap+tls://");
		return;
	}
	c->starttls = c->starttls || p->tls_urls;
	if (keyword_at(p, "tls_verify") && c->tls_insecure)
		settings_warn(p, "tls_verify no: anybody on the way can be the server");
	if (keyword_at(p, "url") && p->clear_urls && secrets && !c->starttls)
		settings_warn(
		    p, "passwords go over the network in clear: use ldaps:// or starttls yes");
}

void
settings_check(struct settings_parse *p)
{
	struct ldap_service *auth = &p->s->services[TAB_AUTH];

	for (int i = 0; i < TAB_SERVICE_MAX; i++)
		check_service(p, (enum tab_service)i);
	check_groups(p);
	check_identity(p);
	check_tls(p);
	if (keyword_at(p, "auth_dn") && auth->filter != NULL)
		settings_wrong(p, "auth_dn and auth_filter: remove one");
	else if (auth->dn != NULL && !template_uses_key(auth->dn))
		settings_wrong(p, "auth_dn has no place for the user (%%u)");
	p->line = 0;
	if (p->s->connection.n_urls == 0 && !keyword_at(p, "url"))
		settings_wrong(p, "no url: which server is to be asked?");
	p->line = 0;
	if (p->wrong->n == 0 && settings_services(p->s) == 0)
		settings_wrong(p, "nothing can be asked: add alias_filter or its like");
}

unsigned
settings_meant(struct settings_parse *p)
{
	unsigned meant = 0;
	char word[64];

	for (int i = 0; i < TAB_SERVICE_MAX; i++)
		if (at(p, (enum tab_service)i, "filter", word))
			meant |= 1u << i;
	return keyword_at(p, "auth_dn") ? meant | TAB_OFFER(AUTH) : meant;
}
