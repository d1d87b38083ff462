/*
 * The questions of a helper (broker.h): lines out, lines in, matched by id.
 *
 * Many are in flight at once; those beyond max-pending wait in order.  Each has a deadline, then it is
 * answered ERROR ("try later").  What breaks the protocol ends the helper, and a question that it had
 * not answered is put to the next one.
 */
#include "broker.h"
#include "clock.h"
#include "log.h"
#include "secret.h"
#include "text.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define UNREAD_MAX (16 * TAB_LINE_MAX) /* bytes that a helper leaves unread; more is not put */

static bool take_line(struct broker *, char *line, size_t len);
static bool take_register(struct broker *, const struct tab_reply *);
static bool take_reply(struct broker *, const struct tab_reply *);
static void send_waiting(struct broker *, int64_t now_us);
static void put_question(struct broker *, struct question *, int64_t now_us);
static void refuse(struct broker *, struct question *, const char *why);

/* Whole lines are taken where they lie; what is left waits for its end. */
void
broker_on_input(void *arg)
{
	struct broker *b = arg;
	struct conn *conn = b->conn;
	size_t len = evbuffer_get_length(conn_in(conn)), used = 0;
	char *data = (char *)evbuffer_pullup(conn_in(conn), -1), *lf;

	b->heard_us = clock_mono_us();
	while (used < len && (lf = memchr(data + used, '\n', len - used)) != NULL) {
		size_t line_len = (size_t)(lf - (data + used));
		*lf = '\0';
		if (!take_line(b, data + used, line_len))
			return; /* it was ended for what it said */
		used += line_len + 1;
	}
	evbuffer_drain(conn_in(conn), used);
	if (len - used > TAB_LINE_MAX) {
		broker_fail(b, "a line longer than the protocol allows", false);
		return;
	}
	send_waiting(b, b->heard_us);
}

static bool
take_line(struct broker *b, char *line, size_t len)
{
	struct tab_reply r;
	const char *wrong = tab_parse_reply(&r, line, len);

	if (wrong != NULL) {
		broker_fail(b, wrong, false);
		return false;
	}
	if (r.kind == TAB_LINE_REPLY)
		return take_reply(b, &r);
	return take_register(b, &r);
}

static bool
take_register(struct broker *b, const struct tab_reply *r)
{
	if (b->state != BROKER_GREETING) {
		broker_fail(b, "registers after register|ready", false);
		return false;
	}
	if (r->kind == TAB_LINE_REGISTER) {
		enum tab_service service = tab_service_find(r->registered);
		if (service != TAB_SERVICE_MAX)
			b->services |= 1u << service;
		return true; /* one that we do not know is no fault */
	}
	b->state = BROKER_READY;
	b->offered = b->services;
	b->known = true;
	log_debug("table=%s event=ready pid=%u after=%lldms", b->table->name, b->pid,
	    (long long)(clock_mono_ms() - b->started_ms));
	return true;
}

static bool
take_reply(struct broker *b, const struct tab_reply *r)
{
	char *end;
	uint64_t id = strtoull(r->id, &end, 16);
	size_t slot = (id & 0xffff) - 1;
	struct question *q = *end == '\0' && slot < b->table->max_pending ? b->slots[slot] : NULL;

	if (q == NULL || q->id != id) {
		b->stats.unknown_ids++; /* late, twice, or of nobody: counted and dropped */
		return true;
	}
	/* smtpd-tables(7) itself shows a lookup-result as the answer to a fetch. */
	if (r->op != q->op && !(q->op == TAB_FETCH && r->op == TAB_LOOKUP)) {
		broker_fail(b, "the answer to another operation than was asked", false);
		return false;
	}
	if (q->op == TAB_LOOKUP || q->op == TAB_FETCH) {
		if (r->answer == TAB_FOUND && r->value[0] == '\0') {
			broker_fail(b, "an empty value", false);
			return false;
		}
	}
	if (r->answer != TAB_ERROR)
		b->backoff_ms = BACKOFF_MIN_MS;
	if (r->answer != TAB_ERROR && b->failures > 0) {
		if (b->failures >= CIRCUIT_AFTER)
			log_info("table=%s event=recovered", b->table->name);
		b->failures = 0;
	}
	broker_settle(q, r->answer, r->value, b->heard_us);
	return true;
}

static unsigned
log2_of(uint64_t us)
{
	unsigned i = 0;

	while (us > 0 && i < 39) {
		us >>= 1;
		i++;
	}
	return i;
}

enum tab_answer
broker_offers(const struct broker *b, enum tab_service service)
{
	if (!b->known)
		return TAB_ERROR;
	return (b->offered & (1u << service)) != 0 ? TAB_FOUND : TAB_MISSING;
}

bool
broker_is_up(const struct broker *b)
{
	return b->state == BROKER_READY && b->failures < CIRCUIT_AFTER;
}

bool
broker_may_offer(const struct broker *b, enum tab_service service)
{
	return b->state != BROKER_READY || (b->services & 1u << service) != 0;
}

struct question *
broker_ask(struct broker *b, enum tab_op op, enum tab_service service, const char *key,
    table_answer *answer, void *arg)
{
	struct question *q = table_question(op, service, key, answer, arg);
	int64_t now_us = clock_mono_us();

	q->broker = b;
	q->asked_us = now_us;
	q->deadline_ms = now_us / 1000 + b->table->timeout_ms;
	b->stats.asked++;
	if (b->failures >= CIRCUIT_AFTER &&
	    (b->state != BROKER_READY || b->n_in_flight + b->n_waiting > 0)) {
		broker_turn_away(b, q);
		return q;
	}
	TAILQ_INSERT_TAIL(&b->waiting, q, entry);
	b->n_waiting++;
	if (b->n_waiting + b->n_in_flight == 1)
		broker_set_deadline(b);
	send_waiting(b, now_us);
	return q;
}

/* Out of its slot, which the next question may have. */
void
broker_take_back(struct broker *b, struct question *q)
{
	uint16_t slot = (uint16_t)((q->id & 0xffff) - 1);

	TAILQ_REMOVE(&b->in_flight, q, entry);
	b->slots[slot] = NULL;
	b->free_slots[b->table->max_pending - b->n_in_flight] = slot;
	b->n_in_flight--;
	q->in_flight = false;
}

/* The answer that still comes finds its slot empty, or in another's hands with another id. */
void
broker_cancel(struct question *q)
{
	struct broker *b = q->broker;

	if (q->in_flight) {
		broker_take_back(b, q);
	} else {
		TAILQ_REMOVE(&b->waiting, q, entry);
		b->n_waiting--;
	}
	table_question_free(q);
}

static void
send_waiting(struct broker *b, int64_t now_us)
{
	struct question *q, *next;

	if (b->state != BROKER_READY)
		return;
	TAILQ_FOREACH_SAFE(q, &b->waiting, entry, next) {
		if (b->n_in_flight == b->table->max_pending ||
		    evbuffer_get_length(conn_out(b->conn)) > UNREAD_MAX)
			return;
		put_question(b, q, now_us);
	}
}

static void
wipe_line(const void *line, size_t len, void *copy)
{
	(void)line;
	secret_wipe(copy, len);
	free(copy);
}

/* A password's line stands in a buffer of its own, wiped when it has been read. */
static void
put_line(struct broker *b, const struct question *q, char *line, size_t len)
{
	if (q->service != TAB_AUTH) {
		evbuffer_add(conn_out(b->conn), line, len);
		return;
	}
	char *copy = xstrndup(line, len);
	evbuffer_add_reference(conn_out(b->conn), copy, len, wipe_line, copy);
	secret_wipe(line, len);
}

static void
put_question(struct broker *b, struct question *q, int64_t now_us)
{
	static char line[TAB_LINE_MAX];
	char id[13];

	if (q->op != TAB_UPDATE && (b->services & (1u << q->service)) == 0) {
		refuse(b, q, "the helper does not offer this service");
		return;
	}
	uint16_t slot = b->free_slots[b->table->max_pending - b->n_in_flight - 1];
	q->id = (uint64_t)++b->generation << 16 | (uint64_t)(slot + 1);
	for (int i = 0; i < 12; i++)
		id[i] = "0123456789abcdef"[q->id >> (44 - 4 * i) & 0xf];
	id[12] = '\0';
	size_t len = tab_format_question(&(struct tab_question){ .kind = TAB_LINE_QUESTION,
					     .op = q->op,
					     .service = q->service,
					     .service_name = tab_service_name(q->service),
					     .table = b->table->name,
					     .id = id,
					     .key = q->key },
	    line, sizeof(line));
	if (len == 0) {
		refuse(b, q, "a key that cannot be put into a line");
		return;
	}
	TAILQ_REMOVE(&b->waiting, q, entry);
	b->n_waiting--;
	TAILQ_INSERT_TAIL(&b->in_flight, q, entry);
	b->n_in_flight++;
	b->slots[slot] = q;
	q->in_flight = true;
	q->sent_us = now_us;
	put_line(b, q, line, len);
	conn_send(b->conn);
}

/* A question that is not put: answered from the loop, for this may be inside the call that asks. */
static void
refuse(struct broker *b, struct question *q, const char *why)
{
	if (!tab_service_is_ours(q->service)) { /* those are asked for to find out */
		log_warn("table=%s event=error service=%s reason=%s", b->table->name,
		    tab_service_name(q->service), log_quote(why));
		b->stats.errors++;
	}
	TAILQ_REMOVE(&b->waiting, q, entry);
	b->n_waiting--;
	table_settle_later(q, TAB_ERROR, why);
}

/* The one place where a question that was put ends with an answer. */
void
broker_settle(struct question *q, enum tab_answer answer, const char *value, int64_t now_us)
{
	struct broker *b = q->broker;
	table_answer *callback = q->answer;
	void *arg = q->arg;

	switch (answer) {
	case TAB_FOUND: b->stats.found++; break;
	case TAB_MISSING: b->stats.missing++; break;
	case TAB_ERROR: b->stats.errors++; break;
	}
	int64_t took_us = now_us - q->asked_us;
	b->stats.latency_us[log2_of(took_us < 0 ? 0 : (uint64_t)took_us)]++;
	if (answer == TAB_ERROR) /* a reason may repeat the key, and this key is a password */
		log_info("table=%s event=error service=%s reason=%s", b->table->name,
		    tab_service_name(q->service),
		    log_quote(
			q->service == TAB_AUTH ? "not told: it may hold the password" : value));
	broker_cancel(q); /* frees it */
	callback(answer, value, arg);
}

/* The earliest deadline of both lists; while it greets, its own. */
void
broker_set_deadline(struct broker *b)
{
	struct question *w = TAILQ_FIRST(&b->waiting), *f = TAILQ_FIRST(&b->in_flight);
	int64_t at = INT64_MAX, now = clock_mono_ms();

	if (w != NULL && w->deadline_ms < at)
		at = w->deadline_ms;
	if (f != NULL && f->deadline_ms < at)
		at = f->deadline_ms;
	if (b->state == BROKER_GREETING && b->started_ms + b->table->timeout_ms < at)
		at = b->started_ms + b->table->timeout_ms;
	if (at == INT64_MAX)
		return;
	struct timeval wait = clock_timeval(at > now ? at - now : 0);
	event_add(&b->deadline, &wait);
}

void
broker_on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct broker *b = arg;
	int64_t now = clock_mono_ms();
	bool greets = b->state == BROKER_GREETING;
	bool hung = greets && b->started_ms + b->table->timeout_ms <= now;
	struct question *q;

	(void)fd;
	(void)what;
	while ((q = TAILQ_FIRST(&b->in_flight)) != NULL && q->deadline_ms <= now) {
		/* it says nothing, or talks and reads nothing of what it is asked */
		if (b->heard_us <= q->sent_us ||
		    evbuffer_get_length(conn_out(b->conn)) > UNREAD_MAX)
			hung = true;
		b->stats.timeouts++;
		broker_settle(q, TAB_ERROR, "no answer in time", now * 1000);
	}
	while ((q = TAILQ_FIRST(&b->waiting)) != NULL && q->deadline_ms <= now) {
		b->stats.timeouts++;
		broker_settle(q, TAB_ERROR, "the helper could not be asked in time", now * 1000);
	}
	if (hung && b->conn != NULL)
		broker_fail(b,
		    greets ? "hung: no register|ready for a whole deadline"
			   : "hung: nothing answered for a whole deadline",
		    false);
	send_waiting(b, clock_mono_us());
	broker_set_deadline(b);
}
