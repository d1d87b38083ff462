/*
 * "tabmailctl table NAME bench": a batch of keys put to a table, so many at a time, each timed.
 *
 * tablectl.c hands a batch over; tabmailctl sends one after the other and adds up (ctl/bench.c).  The
 * questions go the way of all others (table.c), so mail that asks the same helper meanwhile waits its
 * turn among them.  A batch that takes longer than BATCH_MS asks nothing more and tells how far it came:
 * so the client hears from us in time, and nothing runs on for long when it has left.
 */
#include "local.h"
#include "clock.h"
#include "row.h"
#include "text.h"

#include <bsd/stdlib.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_MS       500
#define IN_FLIGHT_MAX  4096
#define BENCH_KEYS_MAX 4000 /* of a batch: their times fit into one row */

struct bench {
	struct ipc *ipc; /* queue; when it has gone, so are we */
	uint32_t ask;
	const struct conf_table *table;
	enum tab_op op;
	enum tab_service service;
	char *keys;       /* as they came, a NUL behind each */
	size_t len, next; /* bytes; where the next key begins */
	unsigned at_once, out;
	int64_t began_us;
	uint64_t asked, found, missing, errors;
	char *first_error;
	struct text took_us; /* of each answer, with a blank between */
};

struct timed {
	struct bench *bench;
	int64_t asked_us;
};

static void ask_more(struct bench *);
static void on_answer(enum tab_answer, const char *, void *);
static void finish(struct bench *);

/* What the daemon asks of a service. */
static enum tab_op
op_of(enum tab_service service)
{
	switch (service) {
	case TAB_SOURCE: return TAB_FETCH;
	case TAB_DOMAIN:
	case TAB_AUTH:
	case TAB_NETADDR:
	case TAB_MAILADDR:
	case TAB_STRING:
	case TAB_REGEX: return TAB_CHECK;
	case TAB_ALIAS:
	case TAB_CREDENTIALS:
	case TAB_USERINFO:
	case TAB_MAILADDRMAP:
	case TAB_ADDRNAME:
	case TAB_RELAYHOST:
	case TAB_SOURCE_FOR:
	case TAB_SERVICE_MAX: break;
	}
	return TAB_LOOKUP;
}

/* key: the keys, an LF behind each. */
void
tablebench_on_ask(
    struct ipc *ipc, uint32_t ask, const struct conf_table *table, const struct msg_ctl_ask *q)
{
	enum tab_service service = tab_service_find(q->service);
	const char *wrong = NULL;

	if (service == TAB_SERVICE_MAX)
		wrong = "no such service; see tabmail-tables(7)";
	else if (q->in_flight == 0 || q->in_flight > IN_FLIGHT_MAX)
		wrong = "from 1 to 4096 questions can be in flight";
	else if (q->key[0] == '\0')
		wrong = "no keys";
	if (wrong != NULL) {
		ipc_reply(
		    ipc, ask, MSG_CTL_END, &(struct msg_ctl_end){ .ask = ask, .error = wrong });
		return;
	}
	struct bench *b = xcalloc(1, sizeof(*b));
	*b = (struct bench){ .ipc = ipc,
		.ask = ask,
		.table = table,
		.op = op_of(service),
		.service = service,
		.keys = xstrdup(q->key),
		.len = strlen(q->key),
		.at_once = q->in_flight,
		.began_us = clock_mono_us() };
	if (service != TAB_AUTH)
		text_lower(b->keys);
	for (size_t i = 0; i < b->len; i++)
		if (b->keys[i] == '\n')
			b->keys[i] = '\0';
	text_put(&b->took_us, "");
	ask_more(b);
}

static void
ask_more(struct bench *b)
{
	while (b->out < b->at_once && b->next < b->len && b->asked < BENCH_KEYS_MAX &&
	       (b->asked == 0 || clock_mono_us() - b->began_us < BATCH_MS * 1000)) {
		struct timed *t = xcalloc(1, sizeof(*t));
		*t = (struct timed){ .bench = b, .asked_us = clock_mono_us() };
		const char *key = b->keys + b->next;
		b->next += strlen(key) + 1;
		b->out++;
		b->asked++;
		table_ask(b->table, b->op, b->service, key, on_answer, t);
	}
}

static void
on_answer(enum tab_answer answer, const char *value, void *arg)
{
	struct timed *t = arg;
	struct bench *b = t->bench;

	text_putf(&b->took_us, "%s%lld", b->took_us.len == 0 ? "" : " ",
	    (long long)(clock_mono_us() - t->asked_us));
	free(t);
	switch (answer) {
	case TAB_FOUND: b->found++; break;
	case TAB_MISSING: b->missing++; break;
	case TAB_ERROR:
		b->errors++;
		if (b->first_error == NULL)
			b->first_error =
			    xstrdup(value[0] == '\0' ? "the helper answers with an error" : value);
		break;
	}
	b->out--;
	ask_more(b);
	if (b->out == 0)
		finish(b);
}

static void
finish(struct bench *b)
{
	struct text t = { 0 };

	row_line(&t, 'H', "asked#", "elapsed_us#", "found#", "missing#", "errors#", "error",
	    "took_us", NULL);
	ipc_send(b->ipc, MSG_CTL_ROW, &(struct msg_ctl_row){ .ask = b->ask, .row = t.s });
	t.len = 0;
	row_begin(&t, 'R');
	row_put_int(&t, (int64_t)b->asked);
	row_put_int(&t, clock_mono_us() - b->began_us);
	row_put_int(&t, (int64_t)b->found);
	row_put_int(&t, (int64_t)b->missing);
	row_put_int(&t, (int64_t)b->errors);
	char *error = b->first_error == NULL
			  ? xstrdup("")
			  : xstrndup(b->first_error, strnlen(b->first_error, 400));
	row_put(&t, error);
	row_put(&t, b->took_us.s);
	ipc_send(b->ipc, MSG_CTL_ROW, &(struct msg_ctl_row){ .ask = b->ask, .row = t.s });
	ipc_reply(b->ipc, b->ask, MSG_CTL_END, &(struct msg_ctl_end){ .ask = b->ask, .error = "" });
	text_free(&t);
	text_free(&b->took_us);
	freezero(b->keys, b->len); /* auth's have passwords */
	free(error);
	free(b->first_error);
	free(b);
}
