/*
 * Settings and limits: the statements that may be given once.  Called by parse.y, with words of the arena;
 * what is wrong is told at once, and the model gets a usable value all the same.
 */
#include "local.h"
#include "idna.h"

#include "addr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_LEN_MAX (256LL * 1024 * 1024)

static void
set(char **field, const char *value)
{
	free(*field);
	*field = xstrdup(value);
}

static void
set_resolver(struct parser *p, const struct loc *loc, const char *value)
{
	char shown[FAULT_SHOWN_LEN];
	const char *at = strrchr(value, '@');
	size_t len = at == NULL ? strlen(value) : (size_t)(at - value);
	struct sockaddr_storage ss;
	char address[NETADDR_TEXT_LEN];

	free(p->conf->resolver);
	p->conf->resolver = xstrdup(value);
	if (strcmp(value, "none") == 0)
		return;
	snprintf(address, sizeof(address), "%.*s", (int)(len < sizeof(address) ? len : 0), value);
	if (!netaddr_parse(&ss, address, 53)) {
		fail(p, loc, "resolver: \"%s\" is not ADDRESS, ADDRESS@PORT or \"none\"",
		    fault_shown(value, shown));
		return;
	}
	int64_t port = at == NULL ? 53 : model_number(p, loc, "resolver: port", at + 1, 1, 65535);
	free(p->conf->resolver);
	p->conf->resolver =
	    xasprintf("%s@%lld", netaddr_text(&ss, address, sizeof(address)), (long long)port);
}

static void
set_dane(struct parser *p, const struct loc *loc, const char *value)
{
	char shown[FAULT_SHOWN_LEN];

	if (strcmp(value, "yes") == 0)
		p->conf->dane = DANE_YES;
	else if (strcmp(value, "no") == 0)
		p->conf->dane = DANE_NO;
	else if (strcmp(value, "auto") != 0)
		fail(p, loc, "dane: \"%s\" is neither \"auto\", \"yes\" nor \"no\"",
		    fault_shown(value, shown));
}

static void
set_message_len(struct parser *p, const struct loc *loc, const char *value)
{
	char shown[FAULT_SHOWN_LEN];
	int64_t size = text_size(value);

	if (size == -1)
		fail(p, loc, "max-message-size: \"%s\" is not a size like 35M, 512k or 100000",
		    fault_shown(value, shown));
	else if (size < 1024 || size > MESSAGE_LEN_MAX)
		fail(p, loc, "max-message-size: %s is not between 1k and 256M", value);
	else
		p->conf->max_message_len = size;
}

static void
set_spool_free(struct parser *p, const struct loc *loc, const char *value)
{
	char shown[FAULT_SHOWN_LEN];
	int64_t size = text_size(value);

	if (size == -1)
		fail(p, loc, "spool-free: \"%s\" is not a size like 500M or 2G",
		    fault_shown(value, shown));
	else
		p->conf->spool_free = size;
}

static bool
is_yes(struct parser *p, const struct loc *loc, const char *what, const char *value)
{
	char shown[FAULT_SHOWN_LEN];

	if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
		fail(p, loc, "%s: \"%s\" is neither \"yes\" nor \"no\"", what,
		    fault_shown(value, shown));
	return strcmp(value, "yes") == 0;
}

/* "none", an address, or a local part of this host. */
static void
set_double_bounce(struct parser *p, const struct loc *loc, const char *value)
{
	char shown[FAULT_SHOWN_LEN], ascii[ADDR_TEXT_LEN];
	struct addr addr;

	free(p->conf->double_bounce);
	p->conf->double_bounce = NULL;
	if (strcmp(value, "none") == 0)
		return;
	char *whole =
	    strchr(value, '@') != NULL ? xstrdup(value) : xasprintf("%s@localhost", value);
	const char *wrong = addr_parse(&addr, whole, strlen(whole));
	if (wrong != NULL)
		fail(p, loc, "double-bounce: \"%s\" is not an address: %s",
		    fault_shown(value, shown), wrong);
	free(whole);
	bool other = strchr(value, '@') != NULL && idna_entry_ascii(ascii, sizeof(ascii), value);
	p->conf->double_bounce = xstrdup(other ? ascii : value);
}

void
setting_take(struct parser *p, const struct loc *loc, const char *what, const struct loc *at,
    const char *value)
{
	struct conf *c = p->conf;
	char shown[FAULT_SHOWN_LEN];

	if (!model_once_of_all(p, loc, what))
		return;
	if (strcmp(what, "hostname") == 0) {
		if (!addr_is_domain(value))
			fail(p, at, "hostname: \"%s\" is not a host name",
			    fault_shown(value, shown));
		set(&c->hostname, value);
	} else if (strcmp(what, "spool") == 0) {
		if (check_path(p, at, what, value))
			set(&c->spool, value);
	} else if (strcmp(what, "socket") == 0) {
		if (check_path(p, at, what, value))
			set(&c->socket, value);
	} else if (strcmp(what, "helpers") == 0) {
		if (check_path(p, at, what, value))
			set(&c->helpers, value);
	} else if (strcmp(what, "resolver") == 0)
		set_resolver(p, at, value);
	else if (strcmp(what, "dane") == 0)
		set_dane(p, at, value);
	else if (strcmp(what, "trust-anchor") == 0) {
		if (check_path(p, at, what, value))
			set(&c->trust_anchor, value);
	} else if (strcmp(what, "first-uid") == 0)
		c->first_uid = (uid_t)model_number(p, at, what, value, 1, 4294967294);
	else if (strcmp(what, "expire") == 0)
		c->expire_sec = model_duration(p, at, what, value) / 1000;
	else if (strcmp(what, "max-message-size") == 0)
		set_message_len(p, at, value);
	else if (strcmp(what, "bounce-cleared") == 0)
		c->bounce_cleared = is_yes(p, at, what, value);
	else if (strcmp(what, "double-bounce") == 0)
		set_double_bounce(p, at, value);
	else if (strcmp(what, "spool-free") == 0)
		set_spool_free(p, at, value);
	else if (strcmp(what, "max-hops") == 0)
		c->max_hops = (unsigned)model_number(p, at, what, value, 1, 1000);
	else /* smtp processes */
		c->smtp_processes = (unsigned)model_number(p, at, what, value, 1, 64);
}

void
setting_limit(struct parser *p, const struct loc *loc, const char *what, const struct loc *at,
    const char *value)
{
	struct conf *c = p->conf;
	const struct {
		const char *what;
		unsigned *field;
		int64_t max;
	} limits[] = {
		{ "sessions", &c->limit.sessions, 1000000 },
		{ "recipients", &c->limit.recipients, 100000 },
		{ "relay-connections", &c->limit.relay_connections, 10000 },
		{ "deliveries", &c->limit.deliveries, 10000 },
		{ "route-deliveries", &c->limit.route_deliveries, 1000000 },
		{ "all-deliveries", &c->limit.all_deliveries, 1000000 },
	};

	if (!model_once_of_all(p, loc, what))
		return;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if (strcmp(what, limits[i].what) == 0)
			*limits[i].field =
			    (unsigned)model_number(p, at, what, value, 1, limits[i].max);
}

/* "none", or rising times: how many. */
size_t
setting_warn_times(struct parser *p, const struct words *times, int64_t sec[CONF_WARN_MAX])
{
	char shown[FAULT_SHOWN_LEN];
	size_t n = 0;

	if (strcmp(times->first->key, "none") == 0) {
		if (times->first->next != NULL)
			fail(p, &times->first->next->loc,
			    "bounce-warn: nothing may follow \"none\"");
		return 0;
	}
	for (const struct word *w = times->first; w != NULL; w = w->next) {
		int64_t each = model_duration(p, &w->loc, "bounce-warn", w->key) / 1000;
		if (n == CONF_WARN_MAX) {
			fail(p, &w->loc, "bounce-warn: more than %d times", CONF_WARN_MAX);
			break;
		}
		if (n > 0 && each <= sec[n - 1] && text_duration_ms(w->key) >= 1000)
			fail(p, &w->loc, "bounce-warn: \"%s\" is not later than the one before it",
			    fault_shown(w->key, shown));
		sec[n++] = each;
	}
	return n;
}

void
setting_bounce_warn(struct parser *p, const struct loc *loc, const struct words *times)
{
	struct conf *c = p->conf;

	if (model_once_of_all(p, loc, "bounce-warn"))
		c->n_bounce_warn = setting_warn_times(p, times, c->bounce_warn_sec);
}

void
setting_no_dnssec(struct parser *p, const struct loc *loc, const struct words *domains)
{
	struct conf *c = p->conf;
	char shown[FAULT_SHOWN_LEN];

	if (!model_once_of_all(p, loc, "no-dnssec"))
		return;
	for (const struct word *w = domains->first; w != NULL; w = w->next) {
		if (!addr_is_domain(w->key)) {
			fail(p, &w->loc, "no-dnssec: \"%s\" is not a domain",
			    fault_shown(w->key, shown));
			continue;
		}
		c->no_dnssec = xrealloc(c->no_dnssec, c->n_no_dnssec + 1, sizeof(char *));
		c->no_dnssec[c->n_no_dnssec++] = xstrdup(w->key);
	}
}

void
setting_retry(struct parser *p, const struct loc *loc, const struct words *times)
{
	struct conf *c = p->conf;
	char shown[FAULT_SHOWN_LEN];

	if (!model_once_of_all(p, loc, "retry"))
		return;
	c->n_retry = 0;
	for (const struct word *w = times->first; w != NULL; w = w->next) {
		if (c->n_retry == CONF_RETRY_MAX) {
			fail(p, &w->loc, "retry: more than %d times", CONF_RETRY_MAX);
			return;
		}
		int64_t sec = model_duration(p, &w->loc, "retry", w->key) / 1000;
		if (sec > 7 * 86400)
			fail(p, &w->loc, "retry: \"%s\" is longer than a week",
			    fault_shown(w->key, shown));
		c->retry_sec[c->n_retry++] = sec;
	}
}
