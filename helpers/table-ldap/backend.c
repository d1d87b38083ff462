/*
 * Questions to one reading of the file (backend.h): from a service and a key to a search, from its entries
 * to an answer.  Called by table-ldap.c and once.c; asks the directory; auth and groups go on in files of
 * their own.
 *
 * Invariant: every question is answered once; the backend is there for as long as one is open.
 */
#include "backend.h"

#include <stdlib.h>
#include <string.h>
#include <bsd/stdlib.h>

#include "compose.h"
#include "ask.h"
#include "tab_helper.h"

static void on_entries(const struct directory_result *, void *);

struct backend *
backend_open(struct ldap_settings *settings, bool trace)
{
	struct backend *b = calloc(1, sizeof(*b));

	if (b == NULL) {
		settings_free(settings);
		return NULL;
	}
	b->settings = settings;
	b->trace = trace;
	b->directory = directory_open(tab_helper_base(), &settings->connection);
	return b;
}

void
backend_end_if_idle(struct backend *b)
{
	if (!b->retired || b->open > 0)
		return;
	directory_close(b->directory);
	settings_free(b->settings);
	free(b);
}

void
backend_retire(struct backend *b)
{
	if (b == NULL)
		return;
	b->retired = true;
	backend_end_if_idle(b);
}

unsigned
backend_services(const struct backend *b)
{
	return settings_services(b->settings);
}

void
backend_ask(struct backend *b, enum tab_op op, enum tab_service service, const char *table,
    const char *key, backend_cb cb, void *arg)
{
	static const char *const none[] = { "1.1", NULL };
	struct ask *q = calloc(1, sizeof(*q));

	if (q == NULL) {
		cb(TAB_ERROR, "out of memory", arg);
		return;
	}
	*q = (struct ask){ .backend = b,
		.settings = b->settings,
		.part = &b->settings->services[service],
		.op = op,
		.service = service,
		.is_list = settings_is_list(b->settings, service),
		.table = table,
		.key = key,
		.cb = cb,
		.arg = arg };
	b->open++;
	template_split(&q->parts, key, service == TAB_DOMAIN || service == TAB_RELAYHOST, table);
	bool single = service == TAB_CREDENTIALS || service == TAB_USERINFO;
	bool follow = service == TAB_ALIAS && op == TAB_LOOKUP && b->settings->special.n > 0;
	if (q->part->filter == NULL && q->part->dn == NULL)
		ask_error(q, "the file has no filter for this service");
	else if (service == TAB_AUTH)
		auth_ask(q);
	else if (op == TAB_FETCH && service != TAB_SOURCE && service != TAB_RELAYHOST)
		ask_error(q, "this service has no fetch");
	else if (op == TAB_FETCH && template_uses_key(q->part->filter))
		ask_error(q, "the filter has a place for a key, and a fetch has none");
	else
		ask_search(q,
		    q->is_list                                              ? q->part->attrs.names
		    : op == TAB_CHECK || (q->part->attrs.n == 0 && !follow) ? none
		    : follow ? group_attrs(b->settings)
			     : q->part->attrs.names,
		    single ? 10 : b->settings->group_members, on_entries, q);
}

static void
on_entries(const struct directory_result *r, void *arg)
{
	struct ask *q = arg;
	struct backend *b = q->backend;

	if (r->answer != DIRECTORY_OK) {
		ask_error(q, r->error);
		return;
	}
	if (q->service == TAB_ALIAS && q->op == TAB_LOOKUP && b->settings->special.n > 0) {
		group_follow(q, r);
		return;
	}
	struct compose_ask ask = { .op = q->op,
		.service = q->service,
		.key = q->key,
		.attrs = &q->part->attrs,
		.is_list = q->is_list,
		.max = b->settings->group_members };
	struct composed c;
	if (q->op == TAB_FETCH)
		ask.turn = b->turns[q->service]++;
	compose(&c, &ask, r->entries, r->n);
	if (c.remark != NULL)
		ask_remark(q, c.remark);
	ask_answer(q, c.answer, c.answer == TAB_ERROR ? c.why : c.text);
	if (c.text != NULL)
		freezero(c.text, strlen(c.text));
}
