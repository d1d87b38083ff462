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
		if (m->criterion == BY_END) {
			settle(m, MATCH_RULE, "");
			return;
		}
		switch (test(m)) {
		case YES: m->criterion++; break;
		case NO: next_rule(m); break;
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
	m->waiting = table_ask(c->table, TAB_CHECK, service, key, on_answer, m);
	return WAITS;
}

static void
on_answer(enum tab_answer answer, const char *value, void *arg)
{
	struct match *m = arg;

	m->waiting = NULL;
	if (answer == TAB_ERROR) {
		settle(m, MATCH_LATER, value);
		return;
	}
	if ((answer == TAB_FOUND) != m->negated)
		m->criterion++;
	else
		next_rule(m);
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
