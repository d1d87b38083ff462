/*
 * The model's memory and look-ups (conf.h).  Called by every process; pure.
 */
#include "local.h"

#include <stdlib.h>
#include <string.h>

struct conf *
conf_new(void)
{
	static const int64_t retry_min[] = { 2, 4, 6, 10, 17, 28, 48, 80, 140, 240 };
	struct conf *conf = xcalloc(1, sizeof(*conf));

	conf->n_retry = sizeof(retry_min) / sizeof(retry_min[0]);
	for (size_t i = 0; i < conf->n_retry; i++)
		conf->retry_sec[i] = retry_min[i] * 60;
	STAILQ_INIT(&conf->tables);
	STAILQ_INIT(&conf->pkis);
	STAILQ_INIT(&conf->listeners);
	STAILQ_INIT(&conf->rules);
	STAILQ_INIT(&conf->relay_limits);
	conf->first_uid = 1000;
	conf->bounce_warn_sec[0] = 4 * 3600;
	conf->n_bounce_warn = 1;
	conf->expire_sec = 4 * 86400;
	conf->max_message_len = 35 * 1024 * 1024;
	conf->max_hops = 100;
	conf->spool_free = -1;
	conf->smtp_processes = 1;
	conf->limit.sessions = 10000;
	conf->limit.recipients = 1000;
	conf->limit.relay_connections = 20;
	conf->limit.deliveries = 64;
	conf->limit.route_deliveries = 5000;
	conf->limit.all_deliveries = 5000;
	conf->limit.smtp = (struct conf_smtp_limits){ .sessions_per_address = 100,
		.sessions_per_network = 500,
		.rate = 2000,
		.rate_per_address = 30,
		.data_rate = 200,
		.messages = 1000,
		.recipients = 10000,
		.errors = 20,
		.auth_failures = 10,
		.timeout_sec = 300,
		.memory = 512 << 20 };
	return conf;
}

void
conf_table_free(struct conf_table *t)
{
	struct conf_entry *e;

	if (t == NULL)
		return;
	while ((e = STAILQ_FIRST(&t->entries)) != NULL) {
		STAILQ_REMOVE_HEAD(&t->entries, entry);
		free(e->key);
		free(e->value);
		free(e);
	}
	free(t->name);
	free(t->type);
	free(t->arg);
	free(t->command);
	free(t->user);
	free(t);
}

void
conf_pki_free(struct conf_pki *k)
{
	if (k == NULL)
		return;
	free(k->name);
	free(k->certificate);
	free(k->key);
	free(k->ca);
	free(k);
}

void
conf_listener_free(struct conf_listener *l)
{
	if (l == NULL)
		return;
	free(l->where);
	free(l->file);
	free(l->tag);
	free(l->hostname);
	free(l->ciphers);
	free(l->protocols);
	free(l);
}

void
conf_rule_free(struct conf_rule *r)
{
	if (r == NULL)
		return;
	free(r->tag);
	free(r->text);
	free(r->bounce_warn);
	free(r->action.arg);
	free(r->action.as_user);
	free(r->action.hostname);
	free(r->action.as);
	free(r->action.pki);
	free(r->action.backup);
	free(r);
}

#define FREE_ALL(head, type, free_one)                               \
	for (struct type * it; (it = STAILQ_FIRST(head)) != NULL;) { \
		STAILQ_REMOVE_HEAD(head, entry);                     \
		free_one(it);                                        \
	}

void
conf_free(struct conf *conf)
{
	if (conf == NULL)
		return;
	FREE_ALL(&conf->tables, conf_table, conf_table_free)
	FREE_ALL(&conf->pkis, conf_pki, conf_pki_free)
	FREE_ALL(&conf->listeners, conf_listener, conf_listener_free)
	FREE_ALL(&conf->rules, conf_rule, conf_rule_free)
	FREE_ALL(&conf->relay_limits, conf_relay_limit, free)
	free(conf->hostname);
	free(conf->spool);
	free(conf->socket);
	free(conf->helpers);
	free(conf->resolver);
	free(conf->trust_anchor);
	for (size_t i = 0; i < conf->n_no_dnssec; i++)
		free(conf->no_dnssec[i]);
	free(conf->no_dnssec);
	free(conf->double_bounce);
	free(conf);
}

struct conf_table *
conf_table(const struct conf *conf, unsigned index)
{
	struct conf_table *t;

	STAILQ_FOREACH(t, &conf->tables, entry)
		if (t->index == index)
			return t;
	return NULL;
}

struct conf_table *
conf_table_named(const struct conf *conf, const char *name)
{
	struct conf_table *t;

	STAILQ_FOREACH(t, &conf->tables, entry)
		if (strcmp(t->name, name) == 0)
			return t;
	return NULL;
}

struct conf_listener *
conf_listener(const struct conf *conf, unsigned index)
{
	struct conf_listener *l;

	STAILQ_FOREACH(l, &conf->listeners, entry)
		if (l->index == index)
			return l;
	return NULL;
}

struct conf_pki *
conf_pki(const struct conf *conf, unsigned index)
{
	struct conf_pki *k;

	STAILQ_FOREACH(k, &conf->pkis, entry)
		if (k->index == index)
			return k;
	return NULL;
}

bool
conf_pki_is_relays(const struct conf *conf, const struct conf_pki *k)
{
	const struct conf_rule *r;

	STAILQ_FOREACH(r, &conf->rules, entry)
		if (r->action.pki != NULL && strcmp(r->action.pki, k->name) == 0)
			return true;
	return false;
}

char *
conf_submit_socket(const struct conf *conf)
{
	const char *slash = strrchr(conf->socket, '/');

	return xasprintf("%.*s/submit.sock", slash == NULL ? 1 : (int)(slash - conf->socket),
	    slash == NULL ? "." : conf->socket);
}
