/*
 * Routes: where a relaying action leads for a recipient's domain, as the one line of text under
 * which queue groups mail and relay keeps connections (conf.h).  Pure.
 *
 * What stands behind the first blank is the canonical text of the action's options, so that mail of
 * two rules shares connections only where both want the same of them.
 */
#include "local.h"

#include <stdlib.h>
#include <string.h>

/* URLs as they are always written; "secure://" is two of them. */
static void
put_urls(struct text *t, const char *list)
{
	struct conf_url u;

	while (list != NULL) {
		bool secure = strncasecmp(list, "secure", 6) == 0;
		const char *wrong = conf_url_next(&u, &list);
		char *one = wrong == NULL ? conf_url_text(&u) : NULL;
		text_putf(t, "%s%s", t->len == 0 ? "" : ",", one == NULL ? "" : one);
		free(one);
		if (wrong != NULL || !secure)
			continue;
		u.scheme = URL_SMTP_TLS;
		u.port = u.port == 465 ? 25 : u.port;
		one = conf_url_text(&u);
		text_putf(t, ",%s", one);
		free(one);
	}
}

char *
conf_action_route(const struct conf_action *a, const char *domain)
{
	struct text t = { 0 };

	switch (a->kind) {
	case ACTION_RELAY:
		if (a->relayhost != NULL)
			text_putf(&t, "relayhost:%s", domain);
		else if (a->arg != NULL)
			put_urls(&t, a->arg);
		else
			text_putf(&t, "mx:%s", domain);
		canon_relay_options(&t, a);
		return t.s;
	case ACTION_LMTP: {
		const char *prefix = *a->arg == '/'                     ? "lmtp:"
				     : strncmp(a->arg, "lmtp:", 5) == 0 ? ""
									: "lmtp://";
		char *text = xasprintf("%s%s", prefix, a->arg);
		put_urls(&t, text);
		free(text);
		return t.s;
	}
	case ACTION_NONE:
	case ACTION_MAILDIR:
	case ACTION_MBOX:
	case ACTION_MDA:
	case ACTION_FORWARD_ONLY: break;
	}
	return NULL;
}

static bool
is_here(const char *host)
{
	return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 ||
	       strcmp(host, "localhost") == 0;
}

bool
conf_action_is_proxy(const struct conf_action *a)
{
	const char *urls = a->arg;
	struct conf_url u;

	if (a->kind != ACTION_RELAY || urls == NULL)
		return false;
	while (urls != NULL)
		if (conf_url_next(&u, &urls) != NULL || u.scheme == URL_LMTP || !is_here(u.host))
			return false;
	return true;
}

static const struct conf_action *
find_options(const struct conf *conf, const char *options)
{
	static const struct conf_action none = { .kind = ACTION_RELAY };
	const struct conf_rule *r;

	if (*options == '\0')
		return &none;
	STAILQ_FOREACH(r, &conf->rules, entry) {
		struct text t = { 0 };
		if (r->action.kind != ACTION_RELAY)
			continue;
		text_put(&t, "");
		canon_relay_options(&t, &r->action);
		bool same = strcmp(t.s, options) == 0;
		text_free(&t);
		if (same)
			return &r->action;
	}
	return NULL;
}

void
conf_route_parse(struct conf_route *r, const struct conf *conf, const char *route)
{
	size_t len = strcspn(route, " ");

	r->action = find_options(conf, route + len);
	r->kind = strncmp(route, "mx:", 3) == 0           ? ROUTE_MX
		  : strncmp(route, "relayhost:", 10) == 0 ? ROUTE_RELAYHOST
							  : ROUTE_URLS;
	size_t skip = r->kind == ROUTE_MX ? 3 : r->kind == ROUTE_RELAYHOST ? 10 : 0;
	r->where = xstrndup(route + skip, len - skip);
}

void
conf_route_free(struct conf_route *r)
{
	free(r->where);
	r->where = NULL;
}
