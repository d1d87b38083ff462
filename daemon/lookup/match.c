/*
 * Which rule takes a recipient: the rules in order, the criteria of each in order, first match wins.
 *
 * A criterion that asks a table waits for its answer; an ERROR ends the match as "try later", for
 * neither "matches" nor "does not" would be true.
 */
#include "local.h"
#include "log.h"
#include "text.h"

#include <bsd/string.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The criteria of a rule, in the order in which they are looked at: what is cheap comes first. */
enum criterion { BY_TAG, BY_AUTH, BY_SOURCE, BY_DOMAIN, BY_SENDER, BY_RECIPIENT, BY_END };

struct match {
	const struct facts *facts;
	struct addr rcpt;
	bool internal;
	const struct conf_rule *rule; /* the one that is looked at; NULL: behind the last */
	enum criterion criterion;
	bool negated; /* of the criterion that waits */
	struct question *waiting;
	struct event begin;
	match_answer *answer;
	void *arg;
};

/* What a criterion says of a recipient; WAITS: its table has been asked. */
enum opinion { YES, NO, WAITS };

static void on_begin(evutil_socket_t, short, void *);
static void step(struct match *);
static enum opinion test(struct match *);
static enum opinion test_source(struct match *);
static enum opinion test_domain(struct match *);
static enum opinion ask(
    struct match *, const struct conf_criterion *, enum tab_service, const char *key);
static void on_answer(enum tab_answer, const char *, void *);
static void next_rule(struct match *);
static void settle(struct match *, enum match_result, const char *reason);
static void tell(const struct match *, const char *answer, const char *error);

struct match *
match_start(const struct facts *facts, const struct addr *rcpt, bool internal, match_answer *answer,
    void *arg)
{
	struct match *m = xcalloc(1, sizeof(*m));

	*m = (struct match){ .facts = facts,
		.rcpt = *rcpt,
		.internal = internal,
		.rule = STAILQ_FIRST(&process.conf->rules),
		.answer = answer,
		.arg = arg };
	text_lower(m->rcpt.local);
	event_assign(&m->begin, process.base, -1, 0, on_begin, m);
	event_active(&m->begin, EV_TIMEOUT, 0);
	return m;
}

void
match_cancel(struct match *m)
{
	event_del(&m->begin);
	if (m->waiting != NULL)
		table_cancel(m->waiting);
	free(m);
}

static void
on_begin(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	step(arg);
}

/* Goes on until a criterion waits or the match is settled. */
static void
step(struct match *m)
{
	while (m->rule != NULL) {
		if (m->criterion == BY_TAG && m->facts->explain != NULL)
			explain_rule(m->facts->explain, m->rule);
		if (m->criterion == BY_END) {
			settle(m, MATCH_RULE, "");
			return;
		}
		switch (test(m)) {
		case YES:
			tell(m, "yes", "");
			m->criterion++;
			break;
		case NO:
			tell(m, "no", "");
			next_rule(m);
			break;
		case WAITS: return;
		}
	}
	settle(m, MATCH_NONE, "");
}

static void
next_rule(struct match *m)
{
	m->rule = STAILQ_NEXT(m->rule, entry);
	m->criterion = BY_TAG;
}

static enum opinion
test(struct match *m)
{
	const struct conf_rule *r = m->rule;
	char text[ADDR_TEXT_LEN];

	m->negated = false;
	switch (m->criterion) {
	case BY_TAG:
		if (r->tag == NULL)
			return YES;
		return (strcmp(m->facts->tag, r->tag) == 0) != r->tag_negated ? YES : NO;
	case BY_AUTH: return !r->authenticated || m->facts->auth[0] != '\0' ? YES : NO;
	case BY_SOURCE: return test_source(m);
	case BY_DOMAIN: return test_domain(m);
	case BY_SENDER:
		/* the null sender is "" and in no list */
		addr_text(&m->facts->sender, text);
		return ask(m, &r->sender, TAB_MAILADDR, text_lower(text));
	case BY_RECIPIENT: return ask(m, &r->recipient, TAB_MAILADDR, addr_text(&m->rcpt, text));
	case BY_END: return YES;
	}
	return NO;
}

/* What an alias of ours leads to comes from this host; so does who has authenticated. */
static enum opinion
test_source(struct match *m)
{
	switch (m->rule->from) {
	case FROM_ANY: return YES;
	case FROM_LOCAL:
		return m->facts->local || m->internal || m->facts->auth[0] != '\0' ? YES : NO;
	case FROM_SOURCE: return ask(m, &m->rule->source, TAB_NETADDR, m->facts->client);
	}
	return NO;
}

static enum opinion
test_domain(struct match *m)
{
	switch (m->rule->to) {
	case FOR_ANY: return YES;
	case FOR_LOCAL: return match_is_local_domain(m->rcpt.domain) ? YES : NO;
	case FOR_DOMAIN: return ask(m, &m->rule->domain, TAB_DOMAIN, m->rcpt.domain);
	}
	return NO;
}

/* "postmaster" without a domain is this host's (RFC 5321 4.5.1). */
bool
match_is_local_domain(const char *domain)
{
	return domain[0] == '\0' || strcasecmp(domain, "localhost") == 0 ||
	       strcasecmp(domain, process.conf->hostname) == 0;
}

/* The key is lower case but for what the address keeps; none given: the criterion is not asked. */
static enum opinion
ask(struct match *m, const struct conf_criterion *c, enum tab_service service, const char *key)
{
	if (c->table == NULL)
		return YES;
	m->negated = c->negated;
	m->waiting =
	    explain_ask(m->facts->explain, c->table, TAB_CHECK, service, key, on_answer, m);
	return WAITS;
}

static void
on_answer(enum tab_answer answer, const char *value, void *arg)
{
	struct match *m = arg;

	m->waiting = NULL;
	if (answer == TAB_ERROR) {
		tell(m, "try-later", value[0] != '\0' ? value : "the helper answers with an error");
		settle(m, MATCH_LATER, value);
		return;
	}
	if ((answer == TAB_FOUND) != m->negated) {
		tell(m, "yes", "");
		m->criterion++;
	} else {
		tell(m, "no", "");
		next_rule(m);
	}
	step(m);
}

static void
settle(struct match *m, enum match_result result, const char *reason)
{
	match_answer *answer = m->answer;
	const struct conf_rule *rule = m->rule;
	void *arg = m->arg;

	/* reason lives in the question, which outlives its callback */
	match_cancel(m);
	answer(result, rule, reason, arg);
}

/* --- In words, for explain.c */

static void
put_asked(struct text *what, struct text *why, const char *word, const struct conf_criterion *c,
    const char *key, bool in)
{
	bool named = c->table->name[0] != '<'; /* else it stands in the rule */
	const char *name = named ? c->table->name : "the rule's list";

	text_putf(what, "%s%s", word, c->negated ? " !" : "");
	text_put(what, named ? " <" : " { ... }");
	if (named)
		text_putf(what, "%s>", name);
	text_putf(why, "%s is %sin %s%s%s", key[0] == '\0' ? "the null sender" : key,
	    in ? "" : "not ", named ? "<" : "", name, named ? ">" : "");
}

static void
tell_source(const struct match *m, struct text *what, struct text *why, bool in)
{
	const struct facts *f = m->facts;

	switch (m->rule->from) {
	case FROM_ANY: text_put(what, "from any"); break;
	case FROM_SOURCE:
		put_asked(what, why, "from source", &m->rule->source, f->client, in);
		break;
	case FROM_LOCAL:
		text_put(what, "from local");
		if (f->local)
			text_put(why, "the client is this host");
		else if (m->internal)
			text_put(why, "an alias of ours leads here");
		else if (f->auth[0] != '\0')
			text_putf(why, "the client has authenticated as %s", f->auth);
		else
			text_putf(why, "the client is %s, and has not authenticated", f->client);
		break;
	}
}

static void
tell_domain(const struct match *m, struct text *what, struct text *why, bool in)
{
	const char *domain = m->rcpt.domain;

	switch (m->rule->to) {
	case FOR_ANY: text_put(what, "for any"); break;
	case FOR_LOCAL:
		text_put(what, "for local");
		text_putf(why, "%s is %sthis host (%s)", domain[0] == '\0' ? "no domain" : domain,
		    in ? "" : "not ", process.conf->hostname);
		break;
	case FOR_DOMAIN: put_asked(what, why, "for domain", &m->rule->domain, domain, in); break;
	}
}

/* What a criterion that the rule names has said; error: why it could not. */
static void
tell(const struct match *m, const char *answer, const char *error)
{
	const struct conf_rule *r = m->rule;
	struct text what = { 0 }, why = { 0 };
	char text[ADDR_TEXT_LEN];
	bool in = (strcmp(answer, "yes") == 0) != m->negated;

	if (m->facts->explain == NULL)
		return;
	text_put(&what, "");
	text_put(&why, "");
	switch (m->criterion) {
	case BY_TAG:
		if (r->tag == NULL)
			break;
		text_putf(&what, "tagged %s%s", r->tag_negated ? "! " : "", r->tag);
		if (m->facts->tag[0] != '\0')
			text_putf(&why, "the tag is %s", m->facts->tag);
		else
			text_put(&why, "there is no tag");
		break;
	case BY_AUTH:
		if (!r->authenticated)
			break;
		text_put(&what, "authenticated");
		if (m->facts->auth[0] != '\0')
			text_putf(&why, "as %s", m->facts->auth);
		else
			text_put(&why, "the client has not authenticated");
		break;
	case BY_SOURCE: tell_source(m, &what, &why, in); break;
	case BY_DOMAIN: tell_domain(m, &what, &why, in); break;
	case BY_SENDER:
		if (r->sender.table != NULL)
			put_asked(&what, &why, "sender", &r->sender,
			    addr_text(&m->facts->sender, text), in);
		break;
	case BY_RECIPIENT:
		if (r->recipient.table != NULL)
			put_asked(
			    &what, &why, "recipient", &r->recipient, addr_text(&m->rcpt, text), in);
		break;
	case BY_END: break;
	}
	if (error[0] != '\0') {
		why.len = 0;
		text_put(&why, error);
	}
	if (what.len > 0)
		explain_criterion(m->facts->explain, what.s, answer, why.s);
	text_free(&what);
	text_free(&why);
}
