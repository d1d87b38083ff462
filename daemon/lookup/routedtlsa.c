/*
 * The TLSA records of a route's hosts (RFC 7672): all are asked for at once, beside each host that has
 * addresses.  A host that may demand what could not be found out is as one that cannot be reached.
 */
#include "local.h"
#include "log.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

struct routed_tlsa {
	struct routed *routed;
	const char *domain;
	size_t waiting;
	void (*callback)(const char *error, void *arg);
	void *arg;
	struct host {
		struct routed_tlsa *all;
		struct routed_host *host;
	} hosts[ROUTED_HOSTS_MAX];
};

static void on_tlsa(const struct tlsa_answer *, void *);
static void finish(struct routed_tlsa *);

static bool
may_have_tlsa(const struct routed_host *h)
{
	return h->owner[0] != '\0' && h->url.scheme != URL_SMTP_NOTLS && h->url.scheme != URL_LMTP;
}

bool
routed_tlsa_ask(struct routed *routed, const char *domain,
    void (*callback)(const char *error, void *arg), void *arg)
{
	struct routed_tlsa *all;

	if (!dnssec_is_on())
		return false;
	all = xcalloc(1, sizeof(*all));
	*all = (struct routed_tlsa){
		.routed = routed, .domain = domain, .callback = callback, .arg = arg
	};
	for (size_t i = 0; i < routed->n; i++) {
		struct routed_host *h = &routed->hosts[i];
		if (!may_have_tlsa(h))
			continue;
		all->hosts[i] = (struct host){ all, h };
		all->waiting++;
		tlsa_find(h->url.host, h->owner, h->secure, h->url.port, on_tlsa, &all->hosts[i]);
	}
	if (all->waiting > 0)
		return true;
	free(all);
	return false;
}

/* What a certificate of a trust anchor may be for besides the records' own name (RFC 7672 3.2.2). */
static char *
other_names(const struct routed_tlsa *all, const struct routed_host *h)
{
	const struct routed *r = all->routed;

	if (!r->has_mx)
		return xstrdup(strcmp(h->tlsa_base, h->url.host) == 0 ? "" : h->url.host);
	if (!r->secure)
		return xstrdup("");
	if (strcmp(r->mx_owner, all->domain) == 0)
		return xstrdup(all->domain);
	return xasprintf("%s %s", all->domain, r->mx_owner);
}

static void
on_tlsa(const struct tlsa_answer *a, void *arg)
{
	struct host *host = arg;
	struct routed_tlsa *all = host->all;
	struct routed_host *h = host->host;

	if (a->why != NULL) {
		h->tlsa_error = xstrdup(a->why);
	} else if (a->set.len > 0) {
		void *set = xcalloc(1, a->set.len);
		memcpy(set, a->set.data, a->set.len);
		h->tlsa = (struct bytes){ set, a->set.len };
		h->tlsa_base = xstrdup(a->base);
		h->tlsa_names = other_names(all, h);
	}
	if (--all->waiting == 0)
		finish(all);
}

static void
free_one(struct routed_host *h)
{
	free((void *)(uintptr_t)h->tlsa.data);
	free(h->tlsa_base);
	free(h->tlsa_names);
	free(h->tlsa_error);
}

void
routed_tlsa_free(struct routed *r)
{
	for (size_t i = 0; i < r->n; i++)
		free_one(&r->hosts[i]);
}

static void
finish(struct routed_tlsa *all)
{
	struct routed *r = all->routed;
	char *error = NULL;
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++) {
		struct routed_host *h = &r->hosts[i];
		if (h->tlsa_error == NULL) {
			r->hosts[n++] = *h;
			continue;
		}
		log_info("dns event=host-left-out host=%s reason=%s", log_quote(h->url.host),
		    log_quote(h->tlsa_error));
		if (error == NULL)
			error =
			    xasprintf("TLSA records of %s (DANE): %s", h->url.host, h->tlsa_error);
		free_one(h);
	}
	r->n = n;
	all->callback(error, all->arg);
	free(error);
	free(all);
}
