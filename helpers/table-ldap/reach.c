/* How to reach the directory (reach.h).  Called by directory.c, and by the threads of attempt.c to let go. */
#include "reach.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SYSTEM_CAS "/etc/ssl/certs/ca-certificates.crt"

static void
set_default(unsigned *value, unsigned otherwise)
{
	if (*value == 0)
		*value = otherwise;
}

static bool
copy(const char **to, const char *from)
{
	*to = from == NULL ? NULL : strdup(from);
	return from == NULL || *to != NULL;
}

static bool
add_server(struct reach_server *to, const char *url, bool starttls)
{
	to->url = strdup(url);
	if (to->url == NULL)
		return false;
	if (ldap_url_parse(url, &to->desc) != LDAP_URL_SUCCESS) {
		to->desc = NULL;
		return true;
	}
	LDAPURLDesc *d = to->desc;
	to->tls = strcmp(d->lud_scheme, "ldaps") == 0;
	to->starttls = starttls && strcmp(d->lud_scheme, "ldap") == 0;
	if (d->lud_dn == NULL && d->lud_attrs == NULL && d->lud_filter == NULL &&
	    d->lud_exts == NULL)
		return true;
	/* What libldap would take from the rest of a URL, an extension say, we do not want. */
	LDAPURLDesc bare = { .lud_scheme = d->lud_scheme,
		.lud_host = d->lud_host,
		.lud_port = d->lud_port,
		.lud_scope = LDAP_SCOPE_DEFAULT };
	char *text = ldap_url_desc2str(&bare);
	if (text == NULL)
		return false;
	free(to->url);
	to->url = strdup(text);
	ldap_memfree(text);
	return to->url != NULL;
}

static bool
fill(struct reach *r, const struct directory_settings *s)
{
	for (size_t i = 0; i < s->n_urls; i++, r->n++)
		if (!add_server(&r->servers[i], s->urls[i], s->starttls))
			return false;
	if (s->ca_file == NULL && access(SYSTEM_CAS, R_OK) == 0) {
		if (!copy(&r->s.ca_file, SYSTEM_CAS))
			return false;
	} else if (!copy(&r->s.ca_file, s->ca_file))
		return false;
	return copy(&r->s.certificate, s->certificate) && copy(&r->s.key, s->key) &&
	       copy(&r->s.bind_dn, s->bind_dn) && copy(&r->s.password, s->password);
}

struct reach *
reach_new(const struct directory_settings *s)
{
	struct reach *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->holders = 1;
	r->s = *s;
	r->s.urls = NULL;
	r->s.ca_file = r->s.certificate = r->s.key = r->s.bind_dn = r->s.password = NULL;
	set_default(&r->s.connect_timeout_ms, 5000);
	set_default(&r->s.query_timeout_ms, 10000);
	set_default(&r->s.connections, 1);
	set_default(&r->s.bind_connections, 4);
	set_default(&r->s.page_size, 500);
	r->servers = calloc(s->n_urls == 0 ? 1 : s->n_urls, sizeof(*r->servers));
	if (r->servers == NULL || !fill(r, s)) {
		reach_release(r);
		return NULL;
	}
	if (s->balance && r->s.connections < r->n)
		r->s.connections = (unsigned)r->n;
	return r;
}

struct reach *
reach_hold(struct reach *r)
{
	atomic_fetch_add(&r->holders, 1);
	return r;
}

void
reach_release(struct reach *r)
{
	if (atomic_fetch_sub(&r->holders, 1) > 1)
		return;
	for (size_t i = 0; r->servers != NULL && i < r->n; i++) {
		free(r->servers[i].url);
		ldap_free_urldesc(r->servers[i].desc);
	}
	free(r->servers);
	if (r->s.password != NULL)
		explicit_bzero((char *)r->s.password, strlen(r->s.password));
	free((char *)r->s.password);
	free((char *)r->s.ca_file);
	free((char *)r->s.certificate);
	free((char *)r->s.key);
	free((char *)r->s.bind_dn);
	free(r);
}
