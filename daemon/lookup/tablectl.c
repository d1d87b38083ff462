/*
 * tabmailctl's questions about tables, which queue passes on: show tables, table NAME update,
 * restart, lookup, check.  What is longer stands in files of its own: explain.c, tablebench.c.
 */
#include "local.h"
#include "row.h"
#include "text.h"

#include <bsd/stdlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROW_MAX (100 * 1024) /* bytes of a row: it must fit a packet */

/* A question whose answer is on its way. */
struct ctl {
	LIST_ENTRY(ctl) entry;
	struct ipc *ipc; /* NULL: it has gone */
	uint32_t ask;
	enum tab_op op;
	struct cache *cache; /* of the table; NULL: a list */
};

static LIST_HEAD(, ctl) pending = LIST_HEAD_INITIALIZER(pending);

static void
end(struct ipc *ipc, uint32_t ask, const char *error)
{
	ipc_reply(ipc, ask, MSG_CTL_END, &(struct msg_ctl_end){ .ask = ask, .error = error });
}

static void
send_row(struct ipc *ipc, uint32_t ask, struct text *t)
{
	ipc_send(ipc, MSG_CTL_ROW, &(struct msg_ctl_row){ .ask = ask, .row = t->s });
	t->len = 0;
}

/* The latency below which this share of the answers lay, from the powers of two; microseconds. */
static int64_t
percentile(const struct broker_stats *s, unsigned percent)
{
	uint64_t total = 0, seen = 0;

	for (size_t i = 0; i < 40; i++)
		total += s->latency_us[i];
	for (size_t i = 0; i < 40 && total > 0; i++) {
		seen += s->latency_us[i];
		if (seen * 100 >= total * percent)
			return (int64_t)1 << i;
	}
	return 0;
}

static void
show_tables(struct ipc *ipc, uint32_t ask)
{
	const struct conf_table *table;
	struct text t = { 0 };

	row_line(&t, 'H', "table", "state", "pid#", "uptime%", "restarts#", "in-flight#",
	    "waiting#", "found#", "missing#", "errors#", "p50us#", "p99us#", "cached#", "joined#",
	    "stale#", "turned-away#", "helper", "reason", NULL);
	send_row(ipc, ask, &t);
	STAILQ_FOREACH(table, &process.conf->tables, entry) {
		struct broker_view v;
		if (table_broker(table) == NULL)
			continue;
		broker_view(table_broker(table), &v);
		row_begin(&t, 'R');
		row_put(&t, table->name);
		row_put(&t, v.state);
		row_put_int(&t, v.pid);
		row_put_int(&t, v.uptime_sec);
		row_put_int(&t, (int64_t)v.stats->restarts);
		row_put_int(&t, (int64_t)v.in_flight);
		row_put_int(&t, (int64_t)v.waiting);
		row_put_int(&t, (int64_t)v.stats->found);
		row_put_int(&t, (int64_t)v.stats->missing);
		row_put_int(&t, (int64_t)v.stats->errors);
		row_put_int(&t, percentile(v.stats, 50));
		row_put_int(&t, percentile(v.stats, 99));
		const struct cache_stats *cached = cache_stats(table_cache(table));
		row_put_int(&t, (int64_t)cached->hits);
		row_put_int(&t, (int64_t)cached->joined);
		row_put_int(&t, (int64_t)cached->stale);
		row_put_int(&t, (int64_t)v.stats->turned_away);
		row_put(&t, table->command != NULL ? table->command : table->type);
		row_put(&t, v.why);
		send_row(ipc, ask, &t);
	}
	text_free(&t);
	end(ipc, ask, "");
}

static void
on_answer(enum tab_answer answer, const char *value, void *arg)
{
	struct ctl *c = arg;
	struct text t = { 0 };

	if (c->op == TAB_UPDATE) {
		verdict_forget();
		if (answer == TAB_FOUND)
			cache_empty(c->cache);
	}
	if (c->ipc != NULL && answer == TAB_ERROR) {
		end(c->ipc, c->ask, value[0] == '\0' ? "the helper answered with an error" : value);
	} else if (c->ipc != NULL) {
		if (c->op == TAB_UPDATE) {
			row_line(&t, 'T', "updated", NULL);
		} else {
			row_line(&t, 'H', "answer", "value", NULL);
			send_row(c->ipc, c->ask, &t);
			row_line(&t, 'R', answer == TAB_FOUND ? "found" : "not-found", value, NULL);
			if (t.len > ROW_MAX) { /* escapes made it longer than a packet */
				t.len = ROW_MAX;
				t.s[t.len] = '\0';
			}
		}
		send_row(c->ipc, c->ask, &t);
		end(c->ipc, c->ask, "");
	}
	text_free(&t);
	LIST_REMOVE(c, entry);
	free(c);
}

/* Auth's key is a password's and keeps its case; the others are lower-cased as the daemon does. */
static void
put(struct ipc *ipc, uint32_t ask, const struct conf_table *table, enum tab_op op,
    const struct msg_ctl_ask *q)
{
	enum tab_service service = TAB_ALIAS;
	char *key = xstrdup(q->key);

	if (op != TAB_UPDATE && (service = tab_service_find(q->service)) == TAB_SERVICE_MAX) {
		end(ipc, ask, "no such service; see tabmail-tables(7)");
		free(key);
		return;
	}
	if (op == TAB_LOOKUP && service == TAB_SOURCE)
		op = TAB_FETCH;
	if (service != TAB_AUTH)
		text_lower(key);
	struct ctl *c = xcalloc(1, sizeof(*c));
	*c = (struct ctl){ .ipc = ipc, .ask = ask, .op = op, .cache = table_cache(table) };
	LIST_INSERT_HEAD(&pending, c, entry);
	table_ask(table, op, service, key, on_answer, c);
	freezero(key, strlen(key));
}

static void
no_such_table(struct ipc *ipc, uint32_t call, const char *name)
{
	const struct conf_table *t, *nearest = NULL;
	unsigned least = 3;
	char text[200];

	STAILQ_FOREACH(t, &process.conf->tables, entry) {
		unsigned distance = text_distance(name, t->name);
		if (distance < least && distance < strlen(t->name)) {
			least = distance;
			nearest = t;
		}
	}
	if (nearest == NULL)
		end(ipc, call, "no such table; \"show tables\" names those with a helper");
	else {
		snprintf(text, sizeof(text), "no such table; did you mean \"%s\"?", nearest->name);
		end(ipc, call, text);
	}
}

void
tablectl_on_ask(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_ctl_ask *q = m->body;

	(void)arg;
	if (strcmp(q->verb, "tables") == 0) {
		show_tables(ipc, m->call);
		return;
	}
	if (strcmp(q->verb, "explain") == 0) {
		explain_on_ask(ipc, m->call, q);
		return;
	}
	struct conf_table *table = conf_table_named(process.conf, q->table);
	if (table == NULL) {
		no_such_table(ipc, m->call, q->table);
	} else if (table->is_static && strcmp(q->verb, "lookup") != 0 &&
		   strcmp(q->verb, "check") != 0 && strcmp(q->verb, "bench") != 0) {
		end(ipc, m->call, "this table is a list in the configuration and has no helper");
	} else if (strcmp(q->verb, "restart") == 0) {
		broker_restart(table_broker(table), "asked by tabmailctl");
		verdict_forget();
		struct text t = { 0 };
		row_line(&t, 'T', "restarted", NULL);
		send_row(ipc, m->call, &t);
		text_free(&t);
		end(ipc, m->call, "");
	} else if (strcmp(q->verb, "update") == 0) {
		put(ipc, m->call, table, TAB_UPDATE, q);
	} else if (strcmp(q->verb, "lookup") == 0) {
		put(ipc, m->call, table, TAB_LOOKUP, q);
	} else if (strcmp(q->verb, "check") == 0) {
		put(ipc, m->call, table, TAB_CHECK, q);
	} else if (strcmp(q->verb, "bench") == 0) {
		tablebench_on_ask(ipc, m->call, table, q);
	} else {
		end(ipc, m->call, "lookup knows no such question");
	}
}

void
tablectl_channel_gone(struct ipc *ipc)
{
	struct ctl *c;

	LIST_FOREACH(c, &pending, entry)
		if (c->ipc == ipc)
			c->ipc = NULL;
}
