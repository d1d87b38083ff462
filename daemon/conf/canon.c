/*
 * Canonical text of actions and rules: what an envelope keeps and what people are shown.  The
 * parser reads it back to the same.  Pure.
 */
#include "local.h"

#include <stdlib.h>
#include <string.h>

#define ENTRIES_SHOWN 64 /* of an inline table, in a rule's text */

void
canon_quoted(struct text *t, const char *s)
{
	text_put(t, "\"");
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			text_put(t, "\\");
		text_putn(t, s, 1);
	}
	text_put(t, "\"");
}

/* A name needs quotes only when the lexer would not take it for one word. */
static void
put_name(struct text *t, const char *name)
{
	if (check_name(name) == NULL)
		text_put(t, name);
	else
		canon_quoted(t, name);
}

static void
put_table(struct text *t, const struct conf_table *table, bool bare_ok)
{
	const struct conf_entry *e = STAILQ_FIRST(&table->entries);
	unsigned n = 0;

	if (table->name[0] != '<') {
		text_putf(t, " <%s>", table->name);
		return;
	}
	text_put(t, " ");
	if (bare_ok && e != NULL && e->value == NULL && STAILQ_NEXT(e, entry) == NULL) {
		canon_quoted(t, e->key);
		return;
	}
	text_put(t, "{");
	STAILQ_FOREACH(e, &table->entries, entry) {
		text_put(t, n == 0 ? " " : ", ");
		if (n++ == ENTRIES_SHOWN) {
			text_put(t, "...");
			break;
		}
		canon_quoted(t, e->key);
		if (e->value != NULL) {
			text_put(t, " = ");
			canon_quoted(t, e->value);
		}
	}
	text_put(t, " }");
}

static void
put_option(struct text *t, const char *word, const char *value)
{
	if (value == NULL)
		return;
	text_putf(t, " %s ", word);
	put_name(t, value);
}

static void
put_option_table(struct text *t, const char *word, const struct conf_table *table)
{
	if (table == NULL)
		return;
	text_putf(t, " %s", word);
	put_table(t, table, false);
}

/* What a relaying action says of its connections; each with a blank in front. */
void
canon_relay_options(struct text *t, const struct conf_action *a)
{
	put_option_table(t, "relayhost", a->relayhost);
	put_option_table(t, "source", a->source);
	put_option(t, "hostname", a->hostname);
	put_option_table(t, "hostnames", a->hostnames);
	put_option_table(t, "auth", a->auth);
	put_option(t, "as", a->as);
	put_option(t, "pki", a->pki);
	if (a->backup != NULL) {
		text_put(t, " backup");
		if (a->backup[0] != '\0') {
			text_put(t, " ");
			canon_quoted(t, a->backup);
		}
	}
	text_put(t, a->tls ? " tls" : "");
	text_put(t, a->verify ? " verify" : "");
}

static void
put_relay(struct text *t, const struct conf_action *a)
{
	text_put(t, "relay");
	for (const char *s = a->arg; s != NULL;) {
		size_t len = strcspn(s, ",");
		char *url = xstrndup(s, len);
		text_put(t, s == a->arg ? " via " : ", ");
		canon_quoted(t, url);
		free(url);
		s = s[len] == ',' ? s + len + 1 : NULL;
	}
	canon_relay_options(t, a);
}

char *
conf_action_text(const struct conf_action *a)
{
	struct text t = { 0 };

	text_put(&t, "");
	switch (a->kind) {
	case ACTION_NONE: break;
	case ACTION_MAILDIR:
		text_put(&t, "deliver to maildir ");
		canon_quoted(&t, a->arg == NULL ? "~/Maildir" : a->arg);
		break;
	case ACTION_MBOX:
		text_put(&t, "deliver to mbox");
		if (a->arg != NULL) {
			text_put(&t, " ");
			canon_quoted(&t, a->arg);
		}
		break;
	case ACTION_MDA:
		text_put(&t, "deliver to mda ");
		canon_quoted(&t, a->arg);
		put_option(&t, "as", a->as_user);
		break;
	case ACTION_LMTP:
		text_put(&t, "deliver to lmtp ");
		canon_quoted(&t, a->arg);
		text_put(&t, a->rcpt_to ? " rcpt-to" : "");
		put_option(&t, "as", a->as_user);
		break;
	case ACTION_RELAY: put_relay(&t, a); break;
	case ACTION_FORWARD_ONLY: text_put(&t, "forward-only"); break;
	}
	if (t.s == NULL)
		return xstrdup("");
	return t.s;
}

const struct conf_action *
conf_action_find(const struct conf *conf, const char *text)
{
	const struct conf_rule *r;

	STAILQ_FOREACH(r, &conf->rules, entry) {
		if (r->reject)
			continue;
		char *have = conf_action_text(&r->action);
		bool same = strcmp(have, text) == 0;
		free(have);
		if (same)
			return &r->action;
	}
	return NULL;
}

static void
put_criterion(struct text *t, const char *word, const struct conf_criterion *c)
{
	if (c->table == NULL)
		return;
	text_putf(t, " %s%s", word, c->negated ? " !" : "");
	put_table(t, c->table, true);
}

static void
put_warn(struct text *t, const char *sec)
{
	char buf[64];

	text_put(t, " bounce-warn ");
	if (strcmp(sec, "none") == 0)
		text_put(t, sec);
	for (const char *p = sec; *p >= '0' && *p <= '9'; p += *p == ',') {
		char *end;
		long long n = strtoll(p, &end, 10);
		text_putf(t, "%s%s", p == sec ? "" : ", ", text_of_duration(n, buf, sizeof(buf)));
		p = end;
	}
}

/* The rule as one statement, parts in the order of the manual; its tables must be known. */
char *
canon_rule(const struct conf_rule *r)
{
	struct text t = { 0 };
	char buf[64];

	text_put(&t, r->reject ? "reject" : "accept");
	if (r->tag != NULL)
		put_option(&t, r->tag_negated ? "tagged !" : "tagged", r->tag);
	if (r->authenticated)
		text_put(&t, " authenticated");
	text_put(&t, r->from == FROM_ANY     ? " from any"
		     : r->from == FROM_LOCAL ? " from local"
					     : "");
	put_criterion(&t, "from source", &r->source);
	put_criterion(&t, "sender", &r->sender);
	text_put(&t, r->to == FOR_ANY ? " for any" : r->to == FOR_LOCAL ? " for local" : "");
	put_criterion(&t, "for domain", &r->domain);
	put_option_table(&t, "alias", r->alias);
	put_option_table(&t, "virtual", r->virtual);
	put_criterion(&t, "recipient", &r->recipient);
	put_option_table(&t, "userbase", r->userbase);
	if (!r->reject) {
		char *action = conf_action_text(&r->action);
		text_putf(&t, " %s", action);
		free(action);
	}
	if (r->expire_sec != 0)
		text_putf(&t, " expire %s", text_of_duration(r->expire_sec, buf, sizeof(buf)));
	if (r->bounce_warn != NULL)
		put_warn(&t, r->bounce_warn);
	return t.s;
}
