/*
 * "accept …" and "reject …": builds a rule.  Called by parse.y.  A rule's parts come in any order,
 * so what belongs together is checked at its end; an inline list becomes an anonymous table.
 */
#include "local.h"
#include "idna.h"

#include "addr.h"
#include "format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VIA_MAX 16 /* servers of a rule */

void
accepting_begin(struct parser *p, const struct loc *loc, bool reject)
{
	p->rule = xcalloc(1, sizeof(*p->rule));
	p->rule->reject = reject;
	p->rule->line = loc->line;
	(void)model_once(p, loc, "rule", reject ? "reject" : "accept");
}

/* One "!" before or behind the word; two are a mistake. */
static bool
negated(struct parser *p, const struct loc *loc, bool before, bool behind)
{
	if (before && behind)
		fail(p, loc, "\"!\" is given twice");
	return before || behind;
}

void
accepting_tagged(struct parser *p, const struct loc *loc, bool before, bool behind, const char *tag)
{
	char shown[FAULT_SHOWN_LEN];
	const char *wrong = check_name(tag);

	if (!model_once(p, loc, "tagged", "tagged"))
		return;
	if (wrong != NULL)
		fail(p, loc, "tag \"%s\": %s", fault_shown(tag, shown), wrong);
	p->rule->tag = xstrdup(tag);
	p->rule->tag_negated = negated(p, loc, before, behind);
}

void
accepting_authenticated(struct parser *p, const struct loc *loc)
{
	if (model_once(p, loc, "authenticated", "authenticated"))
		p->rule->authenticated = true;
}

void
accepting_from(struct parser *p, const struct loc *loc, enum conf_from from)
{
	static const char *const words[] = { "from local", "from any", "from source" };

	if (model_once(p, loc, "from", words[from]))
		p->rule->from = from;
}

void
accepting_for(struct parser *p, const struct loc *loc, enum conf_for to)
{
	static const char *const words[] = { "for local", "for any", "for domain" };

	if (model_once(p, loc, "for", words[to]))
		p->rule->to = to;
}

/* A value in the configuration that its service could never match is a mistake. */
static void
check_values(struct parser *p, const char *what, const struct words *words)
{
	char shown[FAULT_SHOWN_LEN], address[128], ascii[DOMAIN_MAX + 1];
	struct sockaddr_storage ss;

	for (const struct word *w = words->first; w != NULL; w = w->next) {
		fault_shown(w->key, shown);
		if (strcmp(what, "domain") == 0) {
			const char *domain = strncmp(w->key, "*.", 2) == 0 ? w->key + 2 : w->key;
			if (!idna_ascii(ascii, domain) && domain[0] != '[')
				fail(p, &w->loc, "domain: \"%s\" is not a domain", shown);
		} else if (strcmp(what, "source") == 0) {
			snprintf(address, sizeof(address), "%.*s",
			    (int)(strcspn(w->key, "/") < sizeof(address) ? strcspn(w->key, "/")
									 : 0),
			    w->key);
			if (!netaddr_parse(&ss, address, 0) && strcmp(w->key, "local") != 0)
				fail(p, &w->loc, "source: \"%s\" is not an address or network",
				    shown);
		}
	}
}

void
accepting_table(struct parser *p, const struct loc *loc, const char *what, bool before, bool behind,
    const struct operand *o)
{
	struct conf_rule *r = p->rule;
	struct conf_criterion plain = { 0 }, *c = &plain;
	/* from and for have counted themselves */
	bool counted = strcmp(what, "source") == 0 || strcmp(what, "domain") == 0;
	/* alias and virtual are two ways to say where a recipient leads */
	const char *group = strcmp(what, "virtual") == 0 ? "alias" : what;
	bool mapping = strcmp(what, "alias") == 0 || strcmp(what, "virtual") == 0 ||
		       strcmp(what, "userbase") == 0;

	if (!counted && !model_once(p, loc, group, what))
		return;
	if (strcmp(what, "source") == 0)
		c = &r->source;
	else if (strcmp(what, "domain") == 0)
		c = &r->domain;
	else if (strcmp(what, "sender") == 0)
		c = &r->sender;
	else if (strcmp(what, "recipient") == 0)
		c = &r->recipient;
	if (c->table != NULL)
		return; /* a second one: said already */
	c->negated = negated(p, loc, before, behind);
	if (o->words != NULL && o->words->first != NULL) {
		bool has_values = o->words->first->value != NULL;
		if (has_values != mapping)
			fail(p, &o->loc, "\"%s\" takes a %s", what,
			    mapping ? "mapping, { key = value }" : "list, { a, b }");
		else
			check_values(p, what, o->words);
	}
	model_operand(p, o, what,
	    strcmp(what, "alias") == 0      ? &r->alias
	    : strcmp(what, "virtual") == 0  ? &r->virtual
	    : strcmp(what, "userbase") == 0 ? &r->userbase
					    : &c->table);
}

void
accepting_expire(struct parser *p, const struct loc *loc, const struct loc *at, const char *value)
{
	if (model_once(p, loc, "expire", "expire"))
		p->rule->expire_sec = model_duration(p, at, "expire", value) / 1000;
}

void
accepting_bounce_warn(struct parser *p, const struct loc *loc, const struct words *times)
{
	int64_t sec[CONF_WARN_MAX];
	struct text t = { 0 };

	if (!model_once(p, loc, "bounce-warn", "bounce-warn"))
		return;
	size_t n = setting_warn_times(p, times, sec);
	for (size_t i = 0; i < n; i++)
		text_putf(&t, "%s%lld", i == 0 ? "" : ",", (long long)sec[i]);
	p->rule->bounce_warn = n == 0 ? xstrdup("none") : t.s;
}

static void
check_action(struct parser *p, const struct loc *at, enum action_kind kind, const char *arg)
{
	char shown[FAULT_SHOWN_LEN];
	const char *wrong = NULL;

	if (arg == NULL)
		return;
	bool folder = kind == ACTION_MAILDIR || kind == ACTION_MBOX;

	if (folder || kind == ACTION_MDA) {
		if ((wrong = format_check(arg)) != NULL)
			fail(p, at, "\"%s\": %s", fault_shown(arg, shown), wrong);
		else if (*arg == '\0')
			fail(p, at, "this is empty");
	}
	if (wrong == NULL && folder && *arg != '\0' && *arg != '/' && strcmp(arg, "~") != 0 &&
	    strncmp(arg, "~/", 2) != 0 && strncmp(arg, "%{user.directory}", 17) != 0)
		fail(p, at, "%s: \"%s\" must begin with \"/\" or \"~/\"",
		    kind == ACTION_MBOX ? "mbox" : "maildir", fault_shown(arg, shown));
	if (kind == ACTION_LMTP || kind == ACTION_RELAY) {
		struct conf_url url;
		char *text = kind == ACTION_RELAY || *arg == '/' || strncmp(arg, "lmtp:", 5) == 0
				 ? xasprintf("%s%s", *arg == '/' ? "lmtp:" : "", arg)
				 : xasprintf("lmtp://%s", arg);
		if ((wrong = conf_url_parse(&url, text)) != NULL)
			fail(p, at, "\"%s\": %s", fault_shown(arg, shown), wrong);
		else if (kind == ACTION_LMTP && url.scheme != URL_LMTP)
			fail(p, at, "\"%s\": lmtp takes lmtp:// alone", fault_shown(arg, shown));
		free(text);
	}
}

/* Servers in the order in which they are tried. */
void
accepting_via(struct parser *p, const struct loc *loc, const struct words *urls)
{
	struct conf_action *a = &p->rule->action;
	struct text t = { 0 };
	size_t n = 0;

	if (!model_once(p, loc, "via", "via"))
		return;
	for (const struct word *w = urls->first; w != NULL; w = w->next) {
		if (++n > VIA_MAX)
			fail(p, &w->loc, "via: more than %d servers", VIA_MAX);
		if (w->value != NULL || strchr(w->key, ',') != NULL)
			fail(p, &w->loc, "via: a URL is expected");
		check_action(p, &w->loc, ACTION_RELAY, w->key);
		text_putf(&t, "%s%s", n > 1 ? "," : "", w->key);
	}
	if (n == 0)
		fail(p, loc, "via: no server is named");
	free(a->arg);
	a->arg = t.s;
}

void
accepting_action(struct parser *p, const struct loc *loc, enum action_kind kind, const char *word,
    const char *arg)
{
	struct conf_action *a = &p->rule->action;

	if (!model_once(p, loc, "action", word))
		return;
	a->kind = kind;
	if (arg != NULL && a->arg == NULL) /* "via URL" may have come first */
		a->arg = xstrdup(arg);
	check_action(p, loc, kind, arg);
}

/* Addresses of ours, alone or with a host name each. */
static void
check_addresses(struct parser *p, const struct operand *o, bool named)
{
	char shown[FAULT_SHOWN_LEN];
	struct sockaddr_storage ss;

	for (const struct word *w = o->words == NULL ? NULL : o->words->first; w != NULL;
	     w = w->next) {
		if (!netaddr_parse(&ss, w->key, 0))
			fail(p, &w->loc, "\"%s\" is not an address", fault_shown(w->key, shown));
		else if (named && (w->value == NULL || !addr_is_domain(w->value)))
			fail(p, &w->loc, "hostnames takes a mapping, { address = name }");
		else if (!named && w->value != NULL)
			fail(p, &w->loc, "source takes a list, { address, address }");
	}
}

/* relay's tables: source, hostnames, auth, relayhost. */
void
accepting_action_table(
    struct parser *p, const struct loc *loc, const char *what, const struct operand *o)
{
	struct conf_action *a = &p->rule->action;
	char group[32];

	snprintf(group, sizeof(group), "relay %s", what);
	if (!model_once(p, loc, arena_strndup(&p->arena, group, strlen(group)), what))
		return;
	model_operand(p, o, what,
	    strcmp(what, "source") == 0      ? &a->source
	    : strcmp(what, "hostnames") == 0 ? &a->hostnames
	    : strcmp(what, "relayhost") == 0 ? &a->relayhost
					     : &a->auth);
	if (strcmp(what, "auth") == 0 && o->words != NULL)
		fail(
		    p, &o->loc, "auth: name a table; an action is shown, and would show passwords");
	if (strcmp(what, "source") == 0)
		check_addresses(p, o, false);
	else if (strcmp(what, "hostnames") == 0)
		check_addresses(p, o, true);
}

/* What "as" puts in the place of the sender or of a part of it. */
static bool
is_sender(const char *value)
{
	struct addr a;
	char *text = strchr(value, '@') == NULL ? xasprintf("%s@x.example", value)
		     : *value == '@'            ? xasprintf("x%s", value)
						: xstrdup(value);
	bool good = addr_parse(&a, text, strlen(text)) == NULL;

	free(text);
	return good;
}

void
accepting_action_option(struct parser *p, const struct loc *loc, const char *what,
    const struct loc *at, const char *value)
{
	struct conf_action *a = &p->rule->action;
	char shown[FAULT_SHOWN_LEN];

	if (!model_once(p, loc, what, what))
		return;
	if (strcmp(what, "rcpt-to") == 0) {
		a->rcpt_to = true;
		return;
	}
	if (strcmp(what, "as") == 0 && a->kind != ACTION_RELAY) {
		const char *wrong = check_name(value);
		if (wrong != NULL)
			fail(p, at, "user \"%s\": %s", fault_shown(value, shown), wrong);
		a->as_user = xstrdup(value);
		return;
	}
	if (strcmp(what, "backup") == 0) {
		if (value != NULL && !addr_is_domain(value))
			fail(p, at, "backup: \"%s\" is not a host name", fault_shown(value, shown));
		a->backup = text_lower(xstrdup(value == NULL ? "" : value));
		return;
	}
	if (strcmp(what, "as") == 0) {
		if (!is_sender(value))
			fail(p, at, "as: \"%s\" is not USER, @DOMAIN or USER@DOMAIN",
			    fault_shown(value, shown));
		char ascii[ADDR_TEXT_LEN];
		bool other =
		    strchr(value, '@') != NULL && idna_entry_ascii(ascii, sizeof(ascii), value);
		a->as = xstrdup(other ? ascii : value);
	} else if (strcmp(what, "hostname") == 0) {
		if (!addr_is_domain(value))
			fail(p, at, "hostname: \"%s\" is not a host name",
			    fault_shown(value, shown));
		a->hostname = xstrdup(value);
	} else if (strcmp(what, "pki") == 0) {
		a->pki = xstrdup(value);
		model_ref(p, at, arena_strndup(&p->arena, value, strlen(value)), NULL, NULL);
	} else if (strcmp(what, "tls") == 0) {
		a->tls = true;
	} else {
		a->verify = true;
	}
}

/* Options that stand without their action; each is told at its own place. */
static void
check_belonging(struct parser *p)
{
	static const struct {
		const char *group, *word, *action;
		unsigned kinds;
	} owners[] = {
		{ "as", "as", "\"mda\", \"lmtp\" or \"relay\"",
		    1u << ACTION_MDA | 1u << ACTION_LMTP | 1u << ACTION_RELAY },
		{ "rcpt-to", "rcpt-to", "\"lmtp\"", 1u << ACTION_LMTP },
		{ "via", "via", "\"relay\"", 1u << ACTION_RELAY },
		{ "relay source", "source", "\"relay\" or \"from\"", 1u << ACTION_RELAY },
		{ "relay hostnames", "hostnames", "\"relay\"", 1u << ACTION_RELAY },
		{ "relay auth", "auth", "\"relay\"", 1u << ACTION_RELAY },
		{ "hostname", "hostname", "\"relay\"", 1u << ACTION_RELAY },
		{ "pki", "pki", "\"relay\"", 1u << ACTION_RELAY },
		{ "backup", "backup", "\"relay\"", 1u << ACTION_RELAY },
		{ "relay relayhost", "relayhost", "\"relay\"", 1u << ACTION_RELAY },
		{ "tls", "tls", "\"relay\"", 1u << ACTION_RELAY },
		{ "verify", "verify", "\"relay\"", 1u << ACTION_RELAY },
	};

	for (const struct seen *s = p->seen; s != NULL; s = s->next)
		for (size_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++)
			if (strcmp(s->group, owners[i].group) == 0 &&
			    (owners[i].kinds & 1u << p->rule->action.kind) == 0)
				fail(p, &s->loc, "\"%s\" belongs to %s", owners[i].word,
				    owners[i].action);
}

/* The other side of lmtp is reached by TCP, or by a socket that _tabmail may connect to. */
static void
refuse_as_user(struct parser *p)
{
	for (const struct seen *s = p->seen; s != NULL; s = s->next)
		if (strcmp(s->group, "as") == 0 && p->rule->action.kind == ACTION_LMTP)
			model_unbuilt(p, &s->loc,
			    "\"as\" of lmtp: let the user _tabmail connect to the socket");
}

static void
refuse_tls(struct parser *p, const struct conf_url *u)
{
	for (const struct seen *s = p->seen; s != NULL; s = s->next)
		if (strcmp(s->group, "tls") == 0 || strcmp(s->group, "verify") == 0)
			fail(p, &s->loc, "\"%s\" demands TLS, which %s://%s forbids", s->word,
			    u->scheme == URL_LMTP ? "lmtp" : "smtp+notls", u->host);
}

/* What the parts of a relaying action mean together. */
static void
check_relay(struct parser *p, const struct loc *at)
{
	const struct conf_action *a = &p->rule->action;
	bool labels = false, auth = false;
	struct conf_url u;

	for (const char *urls = a->arg; urls != NULL;) {
		if (conf_url_next(&u, &urls) != NULL)
			continue;
		labels = labels || u.auth;
		if (u.scheme == URL_SMTP_NOTLS || u.scheme == URL_LMTP)
			refuse_tls(p, &u);
	}
	for (const struct seen *s = p->seen; s != NULL; s = s->next)
		auth = auth || strcmp(s->group, "relay auth") == 0;
	if (labels && !auth)
		fail(p, at, "a URL with LABEL@ needs \"auth <table>\", where LABEL is looked up");
	if (a->arg == NULL)
		return;
	for (const struct seen *s = p->seen; s != NULL; s = s->next)
		if (strcmp(s->word, "backup") == 0 || strcmp(s->word, "relayhost") == 0)
			fail(p, &s->loc, "\"%s\" contradicts \"via\"", s->word);
}

void
accepting_end(struct parser *p)
{
	struct conf_rule *r = p->rule;
	struct loc at = { 0 }, action = { 0 };

	for (const struct seen *s = p->seen; s != NULL; s = s->next) {
		if (strcmp(s->group, "rule") == 0)
			at = s->loc;
		else if (strcmp(s->group, "action") == 0)
			action = s->loc;
	}
	if (r->reject && action.line != 0)
		fail(p, &action, "a reject rule has no action");
	else if (!r->reject && action.line == 0)
		fail(p, &at,
		    "an accept rule needs an action: \"deliver to ...\", \"relay ...\" or "
		    "\"forward-only\"");
	else if (r->action.kind == ACTION_RELAY)
		check_relay(p, &action);
	if (r->reject || action.line != 0)
		check_belonging(p);
	refuse_as_user(p);
	r->index = ++p->conf->n_rules;
	STAILQ_INSERT_TAIL(&p->conf->rules, r, entry);
	p->rule = NULL;
}
