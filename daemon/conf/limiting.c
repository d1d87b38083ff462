/*
 * "limit relay [for domain D] …": what other servers are spared, and which of these statements counts
 * for a domain.  Called by parse.y.  relay cannot ask a helper, so the domains stand in the
 * configuration.
 */
#include "local.h"
#include "idna.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define MESSAGES_DEFAULT 100 /* of one connection */

void
limiting_begin(struct parser *p, const struct loc *loc, const struct operand *domains)
{
	p->relay_limit = xcalloc(1, sizeof(*p->relay_limit));
	p->relay_limit->line = loc->line;
	if (domains != NULL)
		model_operand(p, domains, "limit", &p->relay_limit->domains);
}

/* "100", "10/s", "60/m", "1000/h", "5000/d": a number alone is one a minute. */
static void
set_rate(struct parser *p, const struct loc *at, const char *value)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = { { "/s", 1000 }, { "/m", 60000 }, { "/h", 3600000 }, { "/d", 86400000 },
		{ "", 60000 } };
	char shown[FAULT_SHOWN_LEN];
	size_t digits = strspn(value, "0123456789");

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(value + digits, units[i].unit) != 0)
			continue;
		char *number = arena_strndup(&p->arena, value, digits);
		p->relay_limit->rate = (unsigned)model_number(p, at, "rate", number, 1, 1000000);
		p->relay_limit->rate_ms = units[i].ms;
		return;
	}
	fail(p, at, "rate: \"%s\" is not a rate like 10/s, 60/m, 1000/h or 5000/d",
	    fault_shown(value, shown));
}

void
limiting_set(struct parser *p, const struct loc *loc, const char *what, const struct loc *at,
    const char *value)
{
	struct conf_relay_limit *l = p->relay_limit;

	if (!model_once(p, loc, what, what))
		return;
	if (strcmp(what, "connections") == 0)
		l->connections = (unsigned)model_number(p, at, what, value, 1, 10000);
	else if (strcmp(what, "messages") == 0)
		l->messages = (unsigned)model_number(p, at, what, value, 1, 1000000);
	else if (strcmp(what, "rate") == 0)
		set_rate(p, at, value);
	else
		l->family = strcmp(value, "inet4") == 0 ? AF_INET : AF_INET6;
}

void
limiting_end(struct parser *p)
{
	STAILQ_INSERT_TAIL(&p->conf->relay_limits, p->relay_limit, entry);
	p->relay_limit = NULL;
}

void
limiting_check(struct parser *p)
{
	const struct conf_relay_limit *l;

	STAILQ_FOREACH(l, &p->conf->relay_limits, entry) {
		struct loc at = p->lex.at; /* told last */
		at.line = l->line;
		at.column = 1;
		if (l->domains != NULL && !l->domains->is_static)
			fail(p, &at,
			    "limit relay: the domains must stand in the configuration, not behind "
			    "a "
			    "helper");
	}
}

static bool
names(const struct conf_table *domains, const char *domain)
{
	const struct conf_entry *e;
	char ascii[ADDR_TEXT_LEN];

	STAILQ_FOREACH(e, &domains->entries, entry) {
		bool other = idna_entry_ascii(ascii, sizeof(ascii), e->key);
		if (fnmatch(other ? ascii : e->key, domain, FNM_CASEFOLD) == 0)
			return true;
	}
	return false;
}

void
conf_relay_limit(const struct conf *c, const char *domain, struct conf_relay_limit *out)
{
	const struct conf_relay_limit *l;

	*out = (struct conf_relay_limit){ 0 };
	for (int all = 0; all <= 1; all++)
		STAILQ_FOREACH(l, &c->relay_limits, entry) {
			if (all ? l->domains != NULL
				: l->domains == NULL || !names(l->domains, domain))
				continue;
			if (out->connections == 0)
				out->connections = l->connections;
			if (out->messages == 0)
				out->messages = l->messages;
			if (out->family == AF_UNSPEC)
				out->family = l->family;
			if (out->rate == 0) {
				out->rate = l->rate;
				out->rate_ms = l->rate_ms;
			}
		}
	if (out->connections == 0)
		out->connections = c->limit.relay_connections;
	if (out->messages == 0)
		out->messages = MESSAGES_DEFAULT;
}
