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
#include "explain.h"
#include "clock.h"
#include "row.h"
#include "text.h"
#include "tlsa.h"

#include <bsd/string.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUTES_MAX 20 /* of which it is told where they lead */

static const char *take_request(struct explain *, const struct msg_ctl_ask *, struct addr *rcpt);
static void on_expanded(struct expansion *, void *);
static void next_route(struct explain *);
static void next_trip(struct explain *);
static void on_trip(const struct conf_listener *, const struct expansion *, void *);
static void on_routed(const struct routed *, void *);
static void put_verdict(struct explain *);

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
	explain_begin_row(x, REQUEST, &t);
	row_put(&t, q->key);
	row_put(&t, q->sender);
	row_put(&t, x->client);
	row_put(&t, x->auth);
	row_put(&t, x->tag);
	explain_end_row(x, &t);
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
	char *whole = strchr(q->key, '@') != NULL
			  ? xstrdup(q->key)
			  : xasprintf("%s@%s", q->key, process.conf->hostname); /* as sendmail */
	const char *wrong = verdict_parse_address(rcpt, whole);
	free(whole);
	if (wrong != NULL || rcpt->local[0] == '\0')
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

	if (!explain_begin_row(x, DELIVERY, &t))
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
	explain_end_row(x, &t);
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

	if (!explain_begin_row(x, TRIP, &t))
		return;
	explain_put_when(x, &t);
	row_put(&t, x->expansion->items[x->trip].dest);
	row_put(&t, l->where);
	row_put_int(&t, l->port);
	row_put(&t, l->tag);
	row_put(&t, l->reentry ? "demanded" : "");
	row_put(&t, item == NULL ? "" : item->action);
	row_put(&t, item == NULL ? "" : item->route);
	explain_put_long(&t, error);
	explain_end_row(x, &t);
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

/* What the host must show: "_25._tcp.mx.example.org 3 1 1 e3b0c44298fc…, 2 1 1 …". */
static void
tell_tlsa(struct text *t, const struct routed_host *h)
{
	struct tlsa v[TLSA_MAX];
	char text[TLSA_TEXT_LEN];
	size_t n = tlsa_choose(v, tlsa_unpack(v, TLSA_MAX, h->tlsa));

	text_putf(
	    t, "_%u._tcp.%s%s", h->url.port, h->tlsa_base, n == 0 ? " any (none usable)" : "");
	for (size_t i = 0; i < n; i++)
		text_putf(t, "%s%s", i == 0 ? " " : ", ", tlsa_text(&v[i], text));
}

static void
put_hop(struct explain *x, const char *host, const struct routed_host *h, const char *error)
{
	char address[NETADDR_TEXT_LEN];
	struct text t = { 0 }, list = { 0 }, dane = { 0 };

	text_put(&list, "");
	text_put(&dane, "");
	for (size_t i = 0; h != NULL && i < h->n_addrs; i++)
		text_putf(&list, "%s%s", i == 0 ? "" : " ",
		    netaddr_text(&h->addrs[i], address, sizeof(address)));
	if (h != NULL && h->tlsa.len > 0)
		tell_tlsa(&dane, h);
	if (explain_begin_row(x, HOP, &t)) {
		explain_put_when(x, &t);
		row_put(&t, x->expansion->items[x->item].route);
		row_put_int(&t, h == NULL ? 0 : h->preference);
		row_put(&t, host);
		row_put(&t, list.s);
		row_put(&t, dane.s);
		explain_put_long(&t, error);
		explain_end_row(x, &t);
	}
	text_free(&list);
	text_free(&dane);
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
	explain_begin_row(x, VERDICT, &t);
	row_put_int(&t, clock_mono_us() - x->began_us);
	row_put(&t, names[e->verdict]);
	/* what smtp says when lookup leaves the words to it */
	row_put(
	    &t, e->verdict == VERDICT_ACCEPT && e->reply[0] == '\0' ? "250 2.1.5 ok" : e->reply);
	row_put(&t, x->why == NULL ? "" : x->why);
	row_put_int(&t, (int64_t)x->n_questions);
	row_put_int(&t, (int64_t)x->n_rules);
	row_put_int(&t, (int64_t)x->n_omitted);
	explain_end_row(x, &t);
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
