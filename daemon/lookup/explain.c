/*
 * "tabmailctl explain": how the answer for a recipient comes about, told as it happens.
 *
 * tablectl.c hands the request over.  It is answered by the same match.c and expand.c as a RCPT is,
 * only that these call here when struct facts has an explanation: each rule and criterion that was
 * looked at, each question with its answer and time, each step of the expansion becomes a row
 * (base/row.h) at once.  For mail that is relayed the DNS is asked, too: the hosts in the order in which
 * they would be tried.  Nothing is sent, verdict.c's cache is neither read nor filled.
 *
 * The rows stand in sections, by what they tell: request, rule, criterion, question, step, delivery,
 * hop, trip, verdict; the columns of each in `columns`.  Their number is bounded.  No password is in them.
 */
#include "local.h"
#include "clock.h"
#include "row.h"
#include "text.h"

#include <bsd/string.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX   10000
#define ROUTES_MAX 20   /* of which it is told where they lead */
#define VALUE_MAX  2000 /* bytes of a helper's answer that are shown */

enum section { REQUEST, RULE, CRITERION, QUESTION, STEP, DELIVERY, HOP, TRIP, VERDICT, SECTIONS };

static const char *const columns[SECTIONS][ROW_FIELDS_MAX] = {
	[REQUEST] = { "request", "rcpt", "sender", "client", "auth", "tag", NULL },
	[RULE] = { "rule", "at_us#", "rule#", "line#", "text", NULL },
	[CRITERION] = { "criterion", "at_us#", "criterion", "answer", "reason", NULL },
	[QUESTION] = { "question", "at_us#", "took_us#", "table", "operation", "service", "key",
	    "answer", "value", NULL },
	[STEP] = { "step", "at_us#", "depth#", "what", "name", "result", NULL },
	[DELIVERY] = { "delivery", "dest", "action", "user", "uid#", "gid#", "home", "route",
	    "expire%", "error", NULL },
	[HOP] = { "hop", "at_us#", "route", "preference#", "host", "addresses", "error", NULL },
	[TRIP] = { "trip", "at_us#", "dest", "listener", "port#", "tag", "token", "action", "route",
	    "error", NULL },
	[VERDICT] = { "verdict", "at_us#", "verdict", "reply", "reason", "questions#", "rules#",
	    "omitted#", NULL },
};

struct explain {
	struct ipc *ipc; /* queue; when it has gone, so are we */
	uint32_t ask;
	struct facts facts;
	char *client, *auth, *tag;
	int64_t began_us;
	enum section section; /* of the last row; SECTIONS: none yet */
	size_t n_rows, n_omitted, n_questions, n_rules;
	char *why;                   /* the first reason of "try later" */
	struct expansion *expansion; /* the result, while its routes are looked into */
	size_t item, n_routes;       /* the one at work; how many were */
	size_t trip;                 /* the item whose trip is told */
};

/* A question on its way to whom it matters, by way of us. */
struct witness {
	struct explain *x;
	const struct conf_table *table;
	enum tab_op op;
	enum tab_service service;
	char *key;
	int64_t asked_us;
	struct question *question; /* NULL: answered */
	table_answer *answer;
	void *arg;
	struct jury *jury; /* one of several that are asked at once; else NULL */
	enum tab_answer known;
	char *value; /* NULL: not known yet */
};

/* table_ask_ranked()'s keys, each watched. */
struct jury {
	size_t n;
	struct witness *witnesses[TABLE_KEYS_MAX];
	table_answer *answer;
	void *arg;
};

static const char *take_request(struct explain *, const struct msg_ctl_ask *, struct addr *rcpt);
static void on_expanded(struct expansion *, void *);
static void next_route(struct explain *);
static void next_trip(struct explain *);
static void on_trip(const struct conf_listener *, const struct expansion *, void *);
static void on_routed(const struct routed *, void *);
static void put_verdict(struct explain *);
static void on_answer(enum tab_answer, const char *, void *);
static void on_vote(struct jury *);
static void free_witness(struct witness *);
static void put_when(struct explain *, struct text *);
static void put_long(struct text *, const char *);
static bool begin(struct explain *, enum section, struct text *);
static void end(struct explain *, struct text *);

void
explain_on_ask(struct ipc *ipc, uint32_t ask, const struct msg_ctl_ask *q)
{
	struct explain *x = xcalloc(1, sizeof(*x));
	struct addr rcpt;
	struct text t = { 0 };

	x->ipc = ipc;
	x->ask = ask;
	x->section = SECTIONS;
	x->began_us = clock_mono_us();
	const char *wrong = take_request(x, q, &rcpt);
	if (wrong != NULL) {
		ipc_reply(
		    ipc, ask, MSG_CTL_END, &(struct msg_ctl_end){ .ask = ask, .error = wrong });
		explain_free(x);
		return;
	}
	begin(x, REQUEST, &t);
	row_put(&t, q->key);
	row_put(&t, q->sender);
	row_put(&t, x->client);
	row_put(&t, x->auth);
	row_put(&t, x->tag);
	end(x, &t);
	expand_start(&x->facts, &rcpt, on_expanded, x);
}

/* As smtp sees a client: this host is "local" or a loopback address. */
static const char *
take_request(struct explain *x, const struct msg_ctl_ask *q, struct addr *rcpt)
{
	struct sockaddr_storage client;
	char text[NETADDR_TEXT_LEN] = "local";

	if (verdict_parse_address(&x->facts.sender, q->sender) != NULL)
		return "the sender is no address";
	if (verdict_parse_address(rcpt, q->key) != NULL || rcpt->local[0] == '\0')
		return "the recipient is no address";
	if (q->client[0] != '\0' && strcmp(q->client, "local") != 0) {
		if (!netaddr_parse(&client, q->client, 25))
			return "the client is no IP address, and not \"local\"";
		netaddr_text(&client, text, sizeof(text));
	}
	x->client = xstrdup(text);
	x->auth = xstrdup(q->auth);
	x->tag = xstrdup(q->tag);
	x->facts.client = x->client;
	x->facts.helo = "";
	x->facts.auth = x->auth;
	x->facts.tag = x->tag;
	x->facts.local =
	    strcmp(text, "local") == 0 || strncmp(text, "127.", 4) == 0 || strcmp(text, "::1") == 0;
	x->facts.explain = x;
	return NULL;
}

static void
put_delivery(struct explain *x, const struct item *item)
{
	struct text t = { 0 };

	if (!begin(x, DELIVERY, &t))
		return;
	row_put(&t, item->dest);
	row_put(&t, item->action);
	row_put(&t, item->user);
	if (item->home[0] != '\0') {
		row_put_int(&t, item->uid);
		row_put_int(&t, item->gid);
	} else {
		row_put(&t, "");
		row_put(&t, "");
	}
	row_put(&t, item->home);
	row_put(&t, item->route);
	row_put_int(&t, item->expire_sec != 0 ? item->expire_sec : process.conf->expire_sec);
	row_put(&t, item->error == NULL ? "" : item->error);
	end(x, &t);
}

static void
on_expanded(struct expansion *e, void *arg)
{
	struct explain *x = arg;

	x->n_rows = 0; /* there is always room for the end */
	for (size_t i = 0; i < e->n_items; i++)
		put_delivery(x, &e->items[i]);
	x->n_rows = 0;
	x->expansion = e;
	next_route(x);
}

static bool
is_told(const struct explain *x, size_t item)
{
	for (size_t i = 0; i < item; i++)
		if (strcmp(x->expansion->items[i].route, x->expansion->items[item].route) == 0)
			return true;
	return false;
}

/* Where each route leads, one after the other; then the end. */
static void
next_route(struct explain *x)
{
	const struct expansion *e = x->expansion;

	while (x->item < e->n_items && (e->items[x->item].route[0] == '\0' || is_told(x, x->item)))
		x->item++;
	if (x->item < e->n_items && x->n_routes++ < ROUTES_MAX)
		routing_start(e->items[x->item].route, on_routed, x);
	else
		next_trip(x);
}

/* Mail to a proxy: where it goes when it is handed back. */
static void
next_trip(struct explain *x)
{
	const struct expansion *e = x->expansion;

	for (; x->trip < e->n_items && x->trip < ROUTES_MAX; x->trip++)
		if (e->items[x->trip].error == NULL &&
		    trip_start(&x->facts, &e->items[x->trip], on_trip, x))
			return;
	put_verdict(x);
}

static void
put_trip(
    struct explain *x, const struct conf_listener *l, const struct item *item, const char *error)
{
	struct text t = { 0 };

	if (!begin(x, TRIP, &t))
		return;
	put_when(x, &t);
	row_put(&t, x->expansion->items[x->trip].dest);
	row_put(&t, l->where);
	row_put_int(&t, l->port);
	row_put(&t, l->tag);
	row_put(&t, l->reentry ? "demanded" : "");
	row_put(&t, item == NULL ? "" : item->action);
	row_put(&t, item == NULL ? "" : item->route);
	put_long(&t, error);
	end(x, &t);
}

static void
on_trip(const struct conf_listener *l, const struct expansion *e, void *arg)
{
	struct explain *x = arg;

	if (l == NULL) {
		x->trip++;
		next_trip(x);
		return;
	}
	if (e->n_items == 0)
		put_trip(x, l, NULL, e->reply);
	for (size_t i = 0; i < e->n_items; i++)
		put_trip(x, l, &e->items[i], e->items[i].error == NULL ? "" : e->items[i].error);
}

static void
put_hop(struct explain *x, const char *host, const struct routed_host *h, const char *error)
{
	char address[NETADDR_TEXT_LEN];
	struct text t = { 0 }, list = { 0 };

	text_put(&list, "");
	for (size_t i = 0; h != NULL && i < h->n_addrs; i++)
		text_putf(&list, "%s%s", i == 0 ? "" : " ",
		    netaddr_text(&h->addrs[i], address, sizeof(address)));
	if (begin(x, HOP, &t)) {
		put_when(x, &t);
		row_put(&t, x->expansion->items[x->item].route);
		row_put_int(&t, h == NULL ? 0 : h->preference);
		row_put(&t, host);
		row_put(&t, list.s);
		put_long(&t, error);
		end(x, &t);
	}
	text_free(&list);
}

static void
on_routed(const struct routed *r, void *arg)
{
	struct explain *x = arg;

	if (r->n == 0) {
		char *error = xasprintf("%s %s", r->status, r->error);
		put_hop(x, "", NULL, error);
		free(error);
	}
	for (size_t i = 0; i < r->n; i++) {
		char *url = conf_url_text(&r->hosts[i].url);
		put_hop(x, url, &r->hosts[i], "");
		free(url);
	}
	x->item++;
	next_route(x);
}

static void
put_verdict(struct explain *x)
{
	static const char *const names[] = { [VERDICT_ACCEPT] = "accept",
		[VERDICT_LATER] = "try-later",
		[VERDICT_NEVER] = "refuse" };
	struct expansion *e = x->expansion;
	struct text t = { 0 };

	x->n_rows = 0;
	begin(x, VERDICT, &t);
	row_put_int(&t, clock_mono_us() - x->began_us);
	row_put(&t, names[e->verdict]);
	/* what smtp says when lookup leaves the words to it */
	row_put(
	    &t, e->verdict == VERDICT_ACCEPT && e->reply[0] == '\0' ? "250 2.1.5 ok" : e->reply);
	row_put(&t, x->why == NULL ? "" : x->why);
	row_put_int(&t, (int64_t)x->n_questions);
	row_put_int(&t, (int64_t)x->n_rules);
	row_put_int(&t, (int64_t)x->n_omitted);
	end(x, &t);
	ipc_reply(x->ipc, x->ask, MSG_CTL_END, &(struct msg_ctl_end){ .ask = x->ask, .error = "" });
	expansion_release(e);
	explain_free(x);
}

void
explain_free(struct explain *x)
{
	free(x->client);
	free(x->auth);
	free(x->tag);
	free(x->why);
	free(x);
}

/* --- Rows.  A section's name and columns go before the first of its rows. */

static bool
begin(struct explain *x, enum section section, struct text *t)
{
	if (x->n_rows >= ROWS_MAX) {
		x->n_omitted++;
		return false;
	}
	x->n_rows++;
	if (x->section != section) {
		row_line(t, 'S', columns[section][0], NULL);
		end(x, t);
		*t = (struct text){ 0 };
		row_begin(t, 'H');
		for (size_t i = 1; columns[section][i] != NULL; i++)
			row_put(t, columns[section][i]);
		end(x, t);
		*t = (struct text){ 0 };
		x->section = section;
	}
	row_begin(t, 'R');
	return true;
}

static void
end(struct explain *x, struct text *t)
{
	ipc_send(x->ipc, MSG_CTL_ROW, &(struct msg_ctl_row){ .ask = x->ask, .row = t->s });
	text_free(t);
}

static void
put_when(struct explain *x, struct text *t)
{
	row_put_int(t, clock_mono_us() - x->began_us);
}

/* Long text is cut, and says so. */
static void
put_long(struct text *t, const char *s)
{
	char buf[VALUE_MAX + 8];

	if (strlcpy(buf, s, VALUE_MAX) >= VALUE_MAX)
		strlcat(buf, " ...", sizeof(buf));
	row_put(t, buf);
}

void
explain_rule(struct explain *x, const struct conf_rule *rule)
{
	struct text t = { 0 };

	x->n_rules++;
	if (!begin(x, RULE, &t))
		return;
	put_when(x, &t);
	row_put_int(&t, rule->index);
	row_put_int(&t, rule->line);
	put_long(&t, rule->text);
	end(x, &t);
}

void
explain_criterion(struct explain *x, const char *criterion, const char *answer, const char *reason)
{
	struct text t = { 0 };

	if (!begin(x, CRITERION, &t))
		return;
	put_when(x, &t);
	put_long(&t, criterion);
	row_put(&t, answer);
	put_long(&t, reason);
	end(x, &t);
}

void
explain_step(struct explain *x, const char *what, const char *name, int depth, const char *fmt, ...)
{
	struct text t = { 0 };
	char result[VALUE_MAX];
	va_list ap;

	if (x == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(result, sizeof(result), fmt, ap);
	va_end(ap);
	if (strcmp(what, "later") == 0 && x->why == NULL)
		x->why = xstrdup(result);
	if (!begin(x, STEP, &t))
		return;
	put_when(x, &t);
	row_put_int(&t, depth);
	row_put(&t, what);
	row_put(&t, name);
	row_put(&t, result);
	end(x, &t);
}

/* --- Questions */

static struct witness *
new_witness(struct explain *x, const struct conf_table *table, enum tab_op op,
    enum tab_service service, const char *key)
{
	struct witness *w = xcalloc(1, sizeof(*w));

	*w = (struct witness){ .x = x,
		.table = table,
		.op = op,
		.service = service,
		.key = xstrdup(key),
		.asked_us = clock_mono_us() };
	x->n_questions++;
	w->question = table_ask(table, op, service, key, on_answer, w);
	return w;
}

static void
free_witness(struct witness *w)
{
	free(w->key);
	free(w->value);
	free(w);
}

struct question *
explain_ask(struct explain *x, const struct conf_table *table, enum tab_op op,
    enum tab_service service, const char *key, table_answer *answer, void *arg)
{
	if (x == NULL)
		return table_ask(table, op, service, key, answer, arg);
	struct witness *w = new_witness(x, table, op, service, key);
	w->answer = answer;
	w->arg = arg;
	return w->question;
}

/* answer: "found", …; a password is in no row, wherever one might stand. */
static void
put_question(const struct witness *w, const char *answer, const char *value)
{
	struct explain *x = w->x;
	struct text t = { 0 };
	char user[LOCAL_MAX + 8];
	bool secret = w->service == TAB_AUTH || w->service == TAB_CREDENTIALS;

	if (!begin(x, QUESTION, &t))
		return;
	put_when(x, &t);
	row_put_int(&t, clock_mono_us() - w->asked_us);
	row_put(&t, w->table->name);
	row_put(&t, tab_op_name(w->op));
	row_put(&t, tab_service_name(w->service));
	if (w->service == TAB_AUTH) {
		snprintf(user, sizeof(user), "%.*s:...",
		    (int)(strcspn(w->key, ":") < LOCAL_MAX ? strcspn(w->key, ":") : 0), w->key);
		row_put(&t, user);
	} else {
		put_long(&t, w->key);
	}
	row_put(&t, answer);
	put_long(&t, secret && value[0] != '\0' ? "(not shown)" : value);
	end(x, &t);
}

static const char *
answer_name(enum tab_answer answer)
{
	switch (answer) {
	case TAB_FOUND: return "found";
	case TAB_MISSING: return "not-found";
	case TAB_ERROR: return "try-later";
	}
	return "";
}

static void
on_answer(enum tab_answer answer, const char *value, void *arg)
{
	struct witness *w = arg;
	struct jury *jury = w->jury;

	put_question(w, answer_name(answer), value);
	w->question = NULL;
	if (jury == NULL) {
		w->answer(answer, value, w->arg);
		free_witness(w);
		return;
	}
	w->known = answer;
	w->value = xstrdup(value);
	on_vote(jury);
}

struct ranked *
explain_ask_ranked(struct explain *x, const struct conf_table *table, enum tab_service service,
    const char *const *keys, size_t n, table_answer *answer, void *arg)
{
	if (x == NULL)
		return table_ask_ranked(table, service, keys, n, answer, arg);
	struct jury *jury = xcalloc(1, sizeof(*jury));
	*jury = (struct jury){ .n = n, .answer = answer, .arg = arg };
	for (size_t i = 0; i < n; i++) {
		jury->witnesses[i] = new_witness(x, table, TAB_LOOKUP, service, keys[i]);
		jury->witnesses[i]->jury = jury;
	}
	return NULL;
}

/* As table.c settles it: what is still out then is not waited for. */
static void
on_vote(struct jury *jury)
{
	const struct witness *best = jury->witnesses[0];

	for (size_t i = 0; i < jury->n; i++) {
		best = jury->witnesses[i];
		if (best->value == NULL)
			return;
		if (best->known != TAB_MISSING)
			break;
	}
	for (size_t i = 0; i < jury->n; i++) {
		struct witness *w = jury->witnesses[i];
		if (w->question == NULL)
			continue;
		table_cancel(w->question);
		put_question(w, "not-needed", "");
	}
	jury->answer(best->known, best->value, jury->arg);
	for (size_t i = 0; i < jury->n; i++)
		free_witness(jury->witnesses[i]);
	free(jury);
}
