/*
 * Which of our addresses mail goes out from, and the names that go with them: relay's questions to the
 * tables that its actions name by `source` and `hostnames`.
 *
 * A helper that offers source-for chooses for one mail (tabmail-tables(7)).  Of any other, and of a
 * list, the next FETCHES addresses are fetched at once, in their order and with those that come twice,
 * for relay to use one after the other.
 */
#include "local.h"
#include "addr.h"
#include "ipc.h"
#include "log.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

#define FETCHES 32

struct seek;

/* One address that is fetched. */
struct fetched {
	struct seek *seek;
	enum tab_answer answer;
	char *value;
};

/* A question of relay's. */
struct seek {
	LIST_ENTRY(seek) entry;
	struct ipc *ipc; /* NULL: it has gone */
	uint32_t call;
	const struct conf_table *table;
	size_t waiting;
	struct fetched fetched[FETCHES];
};

static LIST_HEAD(, seek) seeks = LIST_HEAD_INITIALIZER(seeks);

static void on_chosen(enum tab_answer, const char *, void *);
static void fetch(struct seek *);
static void on_fetched(enum tab_answer, const char *, void *);
static void put_source(struct text *, const char *value, const struct conf_table *);
static void answer(struct seek *, const struct text *, bool chosen, const char *error);
static void on_name(enum tab_answer, const char *, void *);

/* Only what an action or a listener names as such: relay and smtp can ask no other table. */
static const struct conf_table *
find_table(uint32_t index, bool names)
{
	const struct conf_listener *l;
	const struct conf_rule *r;

	STAILQ_FOREACH(l, &process.conf->listeners, entry)
		if (names && l->hostnames != NULL && l->hostnames->index == index)
			return l->hostnames;
	STAILQ_FOREACH(r, &process.conf->rules, entry) {
		const struct conf_table *t = names ? r->action.hostnames : r->action.source;
		if (t != NULL && t->index == index)
			return t;
	}
	return NULL;
}

static struct seek *
new_seek(struct ipc *ipc, uint32_t call, const struct conf_table *table)
{
	struct seek *s = xcalloc(1, sizeof(*s));

	s->ipc = ipc;
	s->call = call;
	s->table = table;
	LIST_INSERT_HEAD(&seeks, s, entry);
	return s;
}

static void
end(struct seek *s)
{
	for (size_t i = 0; i < FETCHES; i++)
		free(s->fetched[i].value);
	LIST_REMOVE(s, entry);
	free(s);
}

/* A field of the key: "-" for none, no blank inside. */
static void
put_field(struct text *key, const char *field)
{
	if (key->len > 0)
		text_put(key, " ");
	if (*field == '\0')
		text_put(key, "-");
	for (; *field != '\0'; field++)
		text_putn(key, *field == ' ' ? "_" : field, 1);
}

void
source_on_ask(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_ask_source *q = m->body;
	const struct conf_table *table = find_table(q->table, false);
	struct text key = { 0 };

	(void)arg;
	if (table == NULL) {
		ipc_reply(ipc, m->call, MSG_SOURCES,
		    &(struct msg_sources){ .error = "no table of source addresses" });
		return;
	}
	struct seek *s = new_seek(ipc, m->call, table);
	if (table->is_static || !broker_may_offer(table_broker(table), TAB_SOURCE_FOR)) {
		fetch(s);
		return;
	}
	put_field(&key, q->sender);
	put_field(&key, q->domain);
	put_field(&key, q->user);
	put_field(&key, q->inet6 ? "inet6" : "inet4");
	table_ask(table, TAB_LOOKUP, TAB_SOURCE_FOR, text_lower(key.s), on_chosen, s);
	text_free(&key);
}

static void
on_chosen(enum tab_answer known, const char *value, void *arg)
{
	struct seek *s = arg;
	struct text list = { 0 };

	if (known == TAB_ERROR && !broker_may_offer(table_broker(s->table), TAB_SOURCE_FOR)) {
		fetch(s); /* it was not up when we asked */
		return;
	}
	if (known == TAB_FOUND)
		put_source(&list, value, s->table);
	answer(s, &list, true, known != TAB_ERROR ? "" : value[0] == '\0' ? "an error" : value);
	text_free(&list);
}

static void
fetch(struct seek *s)
{
	s->waiting = FETCHES;
	for (size_t i = 0; i < FETCHES; i++) {
		s->fetched[i] = (struct fetched){ .seek = s };
		table_ask(s->table, TAB_FETCH, TAB_SOURCE, "", on_fetched, &s->fetched[i]);
	}
}

/* An error counts when there is nothing else. */
static void
on_fetched(enum tab_answer known, const char *value, void *arg)
{
	struct fetched *f = arg;
	struct seek *s = f->seek;
	struct text list = { 0 };
	const char *error = "";

	f->answer = known;
	f->value = xstrdup(value);
	if (--s->waiting > 0)
		return;
	for (size_t i = 0; i < FETCHES; i++)
		if (s->fetched[i].answer == TAB_FOUND)
			put_source(&list, s->fetched[i].value, s->table);
		else if (s->fetched[i].answer == TAB_ERROR)
			error = s->fetched[i].value[0] == '\0' ? "an error" : s->fetched[i].value;
	answer(s, &list, false, list.len > 0 ? "" : error);
	text_free(&list);
}

/* "ADDRESS" or "ADDRESS NAME"; what is none is left out, and said. */
static void
put_source(struct text *list, const char *value, const struct conf_table *table)
{
	char address[NETADDR_TEXT_LEN];
	struct sockaddr_storage ss;
	size_t len = strcspn(value, " ");
	const char *name = value[len] == '\0' ? "" : value + len + 1;

	if (len >= sizeof(address))
		len = 0;
	memcpy(address, value, len);
	address[len] = '\0';
	if (!netaddr_parse(&ss, address, 0) || (*name != '\0' && !addr_is_domain(name))) {
		log_warn("table=%s event=error service=source reason=%s", table->name,
		    log_quote("not an address, with or without a name"));
		return;
	}
	netaddr_text(&ss, address, sizeof(address));
	text_putn(list, address, strlen(address) + 1);
	text_putn(list, name, strlen(name) + 1);
}

static void
answer(struct seek *s, const struct text *list, bool chosen, const char *error)
{
	if (s->ipc != NULL)
		ipc_reply(s->ipc, s->call, MSG_SOURCES,
		    &(struct msg_sources){
			.list = { list->s, list->len }, .chosen = chosen, .error = error });
	end(s);
}

/* --- The name of an address, for HELO */

void
source_on_ask_name(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_ask_name *q = m->body;
	const struct conf_table *table = find_table(q->table, true);

	(void)arg;
	if (table == NULL) {
		ipc_reply(ipc, m->call, MSG_NAME,
		    &(struct msg_name){ .name = "", .error = "no table of host names" });
		return;
	}
	table_ask(
	    table, TAB_LOOKUP, TAB_ADDRNAME, q->address, on_name, new_seek(ipc, m->call, table));
}

static void
on_name(enum tab_answer known, const char *value, void *arg)
{
	struct seek *s = arg;
	struct msg_name a = { .name = "", .error = "" };

	if (known == TAB_ERROR)
		a.error = value[0] == '\0' ? "an error" : value;
	else if (known == TAB_FOUND && addr_is_domain(value))
		a.name = value;
	else if (known == TAB_FOUND)
		log_warn("table=%s event=error service=addrname reason=%s", s->table->name,
		    log_quote("not a host name"));
	if (s->ipc != NULL)
		ipc_reply(s->ipc, s->call, MSG_NAME, &a);
	end(s);
}

void
source_channel_gone(struct ipc *ipc)
{
	struct seek *s;

	LIST_FOREACH(s, &seeks, entry)
		if (s->ipc == ipc)
			s->ipc = NULL;
}
