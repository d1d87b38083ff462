/*
 * "listen on …": builds a listener.  Called by parse.y.
 */
#include "local.h"

#include "addr.h"
#include "tab_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
listening_begin(struct parser *p, const struct loc *loc, const struct loc *at, const char *where)
{
	struct conf_listener *l = xcalloc(1, sizeof(*l));

	if (where != NULL && (*where == '\0' || text_has_control(where) || strlen(where) > 255))
		fail(p, at, "listen: this is no interface, address or host");
	l->socket = where == NULL;
	l->where = where == NULL ? NULL : xstrdup(where);
	l->file = xstrdup(loc->file);
	l->line = loc->line;
	p->listener = l;
	/* listening_end() tells doubles, and parent/listen.c those by another name */
	(void)model_once(p, loc, "listen", "listen");
}

/* Whether an option is given once and means something on this kind of listener. */
static bool
fits(struct parser *p, const struct loc *loc, const char *group, const char *word)
{
	if (!model_once(p, loc, group, word))
		return false;
	if (p->listener->socket &&
	    (strcmp(group, "family") == 0 || strcmp(group, "port") == 0 ||
		strcmp(group, "tls") == 0 || strcmp(group, "auth") == 0 ||
		strcmp(group, "hostnames") == 0 || strcmp(group, "proxy-v2") == 0 ||
		strcmp(group, "xclient") == 0)) {
		fail(p, loc, "\"%s\" is not for the local socket", word);
		return false;
	}
	return true;
}

void
listening_family(struct parser *p, const struct loc *loc, const char *word)
{
	if (fits(p, loc, "family", word))
		p->listener->family = strcmp(word, "inet4") == 0 ? AF_INET : AF_INET6;
}

void
listening_port(struct parser *p, const struct loc *loc, const struct loc *at, const char *port)
{
	static const struct {
		const char *name;
		unsigned port;
	} names[] = { { "smtp", 25 }, { "submission", 587 }, { "smtps", 465 },
		{ "submissions", 465 } };

	if (!fits(p, loc, "port", "port"))
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(port, names[i].name) == 0) {
			p->listener->port = names[i].port;
			return;
		}
	p->listener->port = (unsigned)model_number(p, at, "port", port, 1, 65535);
}

void
listening_tls(struct parser *p, const struct loc *loc, const char *word)
{
	if (!fits(p, loc, "tls", word))
		return;
	p->listener->tls = strcmp(word, "tls") == 0     ? TLS_OFFERED
			   : strcmp(word, "smtps") == 0 ? TLS_SMTPS
							: TLS_REQUIRED;
}

/* Several: who connects names the one that he wants (SNI). */
static void
add_pki(struct parser *p, const struct loc *loc, const struct loc *at, const char *name)
{
	struct conf_listener *l = p->listener;
	char group[80];

	snprintf(group, sizeof(group), "pki %.64s", name);
	if (!model_once(p, loc, arena_strndup(&p->arena, group, strlen(group)), "pki"))
		return;
	if (l->n_pki == CONF_PKI_MAX)
		fail(p, at, "more than %d \"pki\" on a listener", CONF_PKI_MAX);
	else {
		model_ref(p, at, name, NULL, &l->pki[l->n_pki++]);
		p->refs->for_server = true;
	}
}

void
listening_auth(struct parser *p, const struct loc *loc, const char *word, const struct operand *o)
{
	struct conf_listener *l = p->listener;

	if (!fits(p, loc, "auth", word))
		return;
	l->auth = strcmp(word, "auth") == 0 ? AUTH_REQUIRED : AUTH_OPTIONAL;
	if (o != NULL)
		model_operand(p, o, word, &l->auth_table);
}

void
listening_table(struct parser *p, const struct loc *loc, const char *what, const struct operand *o)
{
	struct conf_listener *l = p->listener;

	if (!fits(p, loc, what, what))
		return;
	model_operand(p, o, what, strcmp(what, "senders") == 0 ? &l->senders : &l->hostnames);
}

void
listening_trusts(struct parser *p, const struct loc *loc, const char *what, const struct operand *o)
{
	struct conf_listener *l = p->listener;

	if (fits(p, loc, what, what))
		model_operand(p, o, what, strcmp(what, "xclient") == 0 ? &l->xclient : &l->proxy);
}

void
listening_name(struct parser *p, const struct loc *loc, const char *what, const struct loc *at,
    const char *value)
{
	struct conf_listener *l = p->listener;
	char shown[FAULT_SHOWN_LEN];
	const char *wrong;

	if (strcmp(what, "pki") == 0) {
		add_pki(p, loc, at, value);
		return;
	}
	if (!fits(p, loc, what, what))
		return;
	if (strcmp(what, "ciphers") == 0) {
		l->ciphers = xstrdup(value);
	} else if (strcmp(what, "protocols") == 0) {
		if (!check_protocols(value))
			fail(p, at, "protocols: \"%s\" is not a list like tlsv1.2,tlsv1.3",
			    fault_shown(value, shown));
		l->protocols = xstrdup(value);
	} else if (strcmp(what, "tag") == 0) {
		if ((wrong = check_name(value)) != NULL)
			fail(p, at, "tag \"%s\": %s", fault_shown(value, shown), wrong);
		l->tag = xstrdup(value);
	} else {
		if (!addr_is_domain(value))
			fail(p, at, "hostname: \"%s\" is not a host name",
			    fault_shown(value, shown));
		l->hostname = xstrdup(value);
	}
}

void
listening_flag(struct parser *p, const struct loc *loc, const char *word)
{
	struct conf_listener *l = p->listener;
	bool *flag = strcmp(word, "verify") == 0          ? &l->tls_verify
		     : strcmp(word, "masquerade") == 0    ? &l->masquerade
		     : strcmp(word, "mask-source") == 0   ? &l->mask_source
		     : strcmp(word, "received-auth") == 0 ? &l->received_auth
		     : strcmp(word, "reentry") == 0       ? &l->reentry
							  : &l->no_dsn;

	if (fits(p, loc, word, word))
		*flag = true;
}

/* The place where an option of this statement stands. */
static const struct loc *
place(const struct parser *p, const char *group)
{
	for (const struct seen *s = p->seen; s != NULL; s = s->next)
		if (strcmp(s->group, group) == 0)
			return &s->loc;
	return NULL;
}

static bool
is_loopback(const char *where)
{
	static const char *const names[] = { "lo", "lo0", "localhost", "::1", "[::1]" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(where, names[i]) == 0)
			return true;
	return strncmp(where, "127.", 4) == 0;
}

void
listening_end(struct parser *p)
{
	struct conf_listener *l = p->listener;
	struct conf *c = p->conf;
	const struct conf_listener *o;
	const struct loc *at = place(p, "listen");

	if (l->tls_verify && l->tls != TLS_REQUIRED && l->tls != TLS_SMTPS)
		fail(p, place(p, "verify"), "\"verify\" belongs to \"tls-require\" or \"smtps\"");
	for (const struct seen *s = p->seen; s != NULL && l->tls == TLS_NONE; s = s->next)
		if (strcmp(s->word, "pki") == 0 || strcmp(s->word, "ciphers") == 0 ||
		    strcmp(s->word, "protocols") == 0)
			fail(p, &s->loc, "\"%s\" belongs to \"tls\", \"tls-require\" or \"smtps\"",
			    s->word);
	if (l->masquerade && place(p, "senders") == NULL)
		fail(p, place(p, "masquerade"), "\"masquerade\" belongs to \"senders\"");
	if (l->reentry && l->tag == NULL)
		fail(p, place(p, "reentry"), "\"reentry\" belongs to \"tag\"");
	if (l->reentry && l->socket)
		fail(p, place(p, "reentry"), "\"reentry\" is not for the local socket");
	if (l->auth == AUTH_NONE && place(p, "senders") != NULL)
		fail(
		    p, place(p, "senders"), "\"senders\" belongs to \"auth\" or \"auth-optional\"");
	if (l->auth != AUTH_NONE && l->tls == TLS_NONE && !is_loopback(l->where))
		fail(p, place(p, "auth"),
		    "passwords would go over the network in clear: \"%s\" needs \"tls\", "
		    "\"tls-require\" or \"smtps\" here; only loopback may do without",
		    l->auth == AUTH_REQUIRED ? "auth" : "auth-optional");
	if (l->port == 0 && !l->socket)
		l->port = l->tls == TLS_SMTPS ? 465 : 25;
	STAILQ_FOREACH(o, &c->listeners, entry)
		if (o->socket && l->socket)
			fail(p, at, "\"listen on socket\" is given twice, first at line %u",
			    o->line);
		else if (!o->socket && !l->socket && o->port == l->port &&
			 strcmp(o->where, l->where) == 0 &&
			 (o->family == l->family || o->family == AF_UNSPEC ||
			     l->family == AF_UNSPEC))
			fail(p, at, "\"listen on %s port %u\" is given twice, first at line %u",
			    l->where, l->port, o->line);
	l->index = c->n_listeners++;
	STAILQ_INSERT_TAIL(&c->listeners, l, entry);
	p->listener = NULL;
}

/* smtp itself decides by these, before a client's first word: they are known when it starts. */
static void
check_trusted(
    struct parser *p, const struct conf_listener *l, const struct conf_table *t, const char *what)
{
	const struct conf_entry *e;
	struct loc at = p->lex.at; /* told last */
	char shown[FAULT_SHOWN_LEN];

	if (t == NULL)
		return;
	at.line = l->line;
	at.column = 1;
	if (!t->is_static)
		fail(p, &at,
		    "%s: the addresses must stand in the configuration, not behind a helper", what);
	STAILQ_FOREACH(e, &t->entries, entry)
		if (!tab_net_is(e->key))
			fail(p, &at, "%s: \"%s\" is no address and no network", what,
			    fault_shown(e->key, shown));
}

void
listening_check(struct parser *p)
{
	const struct conf_listener *l;

	STAILQ_FOREACH(l, &p->conf->listeners, entry) {
		check_trusted(p, l, l->proxy, "proxy-v2");
		check_trusted(p, l, l->xclient, "xclient");
	}
}
