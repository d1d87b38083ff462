/*
 * A helper: its pipe, its questions, its life.
 *
 * Many questions are in flight at once, matched by id; those beyond max-pending wait in order.
 * Each has a deadline, then it is answered ERROR ("try later").  A helper that ends, breaks the
 * protocol, or answers nothing for a whole deadline while questions are out is replaced, after a
 * back-off; its questions in flight are put to the new one, once.  Nothing that a helper does costs
 * more than its own questions.
 *
 * A circuit: one that failed CIRCUIT_AFTER times without a good answer between is asked one question
 * at a time when it is up, and the others are answered ERROR at once, until a good answer comes.
 *
 * A question is in exactly one of the two lists, or has been answered and freed.
 */
#include "local.h"
#include "clock.h"
#include "conn.h"
#include "log.h"
#include "text.h"

#include <bsd/stdlib.h>
#include <bsd/sys/queue.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 30000
#define CIRCUIT_AFTER  5
#define UNREAD_MAX     (16 * TAB_LINE_MAX) /* bytes that a helper leaves unread; more is not put */

/* clang-format off */
#define BROKER_STATES(S) \
	S(DOWN, "down") S(STARTING, "starting") S(GREETING, "greeting") S(READY, "ready") S(BACKOFF, "back-off")
/* clang-format on */
#define S(NAME, text) BROKER_##NAME,
enum broker_state { BROKER_STATES(S) };
#undef S

struct broker {
	const struct conf_table *table;
	enum broker_state state;
	struct conn *conn;
	uint32_t pid;
	unsigned services;                       /* bits of those it registered */
	struct question_list waiting, in_flight; /* both in the order of their deadlines */
	size_t n_waiting, n_in_flight;
	struct question **slots; /* max_pending of them */
	uint16_t *free_slots;    /* a stack: max_pending - n_in_flight of them */
	uint32_t generation;
	struct event deadline, backoff;
	int64_t backoff_ms, started_ms;
	int64_t heard_us;  /* when something came from it; the time of the answers in hand */
	unsigned failures; /* since its last good answer */
	struct broker_stats stats;
	struct helperlog *log; /* NULL before the first start */
};

static void start(struct broker *);
static void on_started(const struct msg *, void *);
static void greet(struct broker *);
static void on_input(void *);
static bool take_line(struct broker *, char *line, size_t len);
static bool take_register(struct broker *, const struct tab_reply *);
static bool take_reply(struct broker *, const struct tab_reply *);
static void send_waiting(struct broker *, int64_t now_us);
static void put_question(struct broker *, struct question *, int64_t now_us);
static void refuse(struct broker *, struct question *, const char *why);
static void settle(struct question *, enum tab_answer, const char *value, int64_t now_us);
static void on_deadline(evutil_socket_t, short, void *);
static void set_deadline(struct broker *);
static void on_end(enum conn_end, int, void *);
static void fail(struct broker *, const char *why, bool at_once);
static void requeue(struct broker *);
static void turn_away(struct broker *);
static void on_backoff(evutil_socket_t, short, void *);
static void set_state(struct broker *, enum broker_state);

static const struct conn_ops conn_ops = { .on_input = on_input, .on_end = on_end };

struct broker *
broker_new(const struct conf_table *table)
{
	struct broker *b = xcalloc(1, sizeof(*b));

	b->table = table;
	b->backoff_ms = BACKOFF_MIN_MS;
	b->slots = xcalloc(table->max_pending, sizeof(struct question *));
	b->free_slots = xcalloc(table->max_pending, sizeof(uint16_t));
	for (unsigned i = 0; i < table->max_pending; i++)
		b->free_slots[i] = (uint16_t)(table->max_pending - 1 - i);
	TAILQ_INIT(&b->waiting);
	TAILQ_INIT(&b->in_flight);
	event_assign(&b->deadline, process.base, -1, 0, on_deadline, b);
	event_assign(&b->backoff, process.base, -1, 0, on_backoff, b);
	start(b);
	return b;
}

static void
start(struct broker *b)
{
	set_state(b, BROKER_STARTING);
	b->heard_us = clock_mono_us();
	b->started_ms = b->heard_us / 1000;
	ipc_call(process.parent, MSG_HELPER_START,
	    &(struct msg_helper_start){ .table = b->table->index }, on_started, b);
}

static void
on_started(const struct msg *m, void *arg)
{
	struct broker *b = arg;

	if (m == NULL)
		return; /* parent is gone, and so are we */
	const struct msg_helper_started *a = m->body;
	if (a->fd == -1) {
		fail(b, a->error, false);
		return;
	}
	b->pid = a->pid;
	b->conn = conn_new(process.base, a->fd, &conn_ops, b);
	conn_limit_input(b->conn, TAB_LINE_MAX * 4);
	greet(b);
}

static void
greet(struct broker *b)
{
	struct evbuffer *out = conn_out(b->conn);

	set_state(b, BROKER_GREETING);
	b->services = 0;
	evbuffer_add_printf(out, "config|smtpd-version|7.8.0\n");
	evbuffer_add_printf(out, "config|protocol|" TAB_VERSION "\n");
	evbuffer_add_printf(out, "config|tablename|%s\n", b->table->name);
	evbuffer_add_printf(out, "config|" TAB_OURS "|" TAB_OURS_VERSION "\n");
	evbuffer_add_printf(out, "config|ready\n");
	conn_send(b->conn);
	set_deadline(b);
}

/* Whole lines are taken where they lie; what is left waits for its end. */
static void
on_input(void *arg)
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
		fail(b, "a line longer than the protocol allows", false);
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
		fail(b, wrong, false);
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
		fail(b, "registers after register|ready", false);
		return false;
	}
	if (r->kind == TAB_LINE_REGISTER) {
		enum tab_service service = tab_service_find(r->registered);
		if (service != TAB_SERVICE_MAX)
			b->services |= 1u << service;
		return true; /* one that we do not know is no fault */
	}
	set_state(b, BROKER_READY);
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
		fail(b, "the answer to another operation than was asked", false);
		return false;
	}
	if (q->op == TAB_LOOKUP || q->op == TAB_FETCH) {
		if (r->answer == TAB_FOUND && r->value[0] == '\0') {
			fail(b, "an empty value", false);
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
	settle(q, r->answer, r->value, b->heard_us);
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

bool
broker_is_up(const struct broker *b)
{
	return b->state == BROKER_READY && b->failures < CIRCUIT_AFTER;
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
		b->stats.turned_away++;
		table_settle_later(q, TAB_ERROR, "the helper keeps failing");
		return q;
	}
	TAILQ_INSERT_TAIL(&b->waiting, q, entry);
	b->n_waiting++;
	if (b->n_waiting + b->n_in_flight == 1)
		set_deadline(b);
	send_waiting(b, now_us);
	return q;
}

/* Out of its slot, which the next question may have. */
static void
take_back(struct broker *b, struct question *q)
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
		take_back(b, q);
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
	evbuffer_add(conn_out(b->conn), line, len);
	conn_send(b->conn);
}

/* A question that is not put: answered from the loop, for this may be inside the call that asks. */
static void
refuse(struct broker *b, struct question *q, const char *why)
{
	log_warn("table=%s event=error service=%s reason=%s", b->table->name,
	    tab_service_name(q->service), log_quote(why));
	b->stats.errors++;
	TAILQ_REMOVE(&b->waiting, q, entry);
	b->n_waiting--;
	table_settle_later(q, TAB_ERROR, why);
}

/* The one place where a question that was put ends with an answer. */
static void
settle(struct question *q, enum tab_answer answer, const char *value, int64_t now_us)
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
	if (answer == TAB_ERROR)
		log_info("table=%s event=error service=%s reason=%s", b->table->name,
		    tab_service_name(q->service), log_quote(value));
	broker_cancel(q); /* frees it */
	callback(answer, value, arg);
}

/* The earliest deadline of both lists; while it greets, its own. */
static void
set_deadline(struct broker *b)
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
	int64_t wait = at > now ? at - now : 0;
	event_add(
	    &b->deadline, &(struct timeval){ wait / 1000, (suseconds_t)(wait % 1000) * 1000 });
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct broker *b = arg;
	int64_t now = clock_mono_ms();
	bool hung = b->state == BROKER_GREETING && b->started_ms + b->table->timeout_ms <= now;
	struct question *q;

	(void)fd;
	(void)what;
	while ((q = TAILQ_FIRST(&b->in_flight)) != NULL && q->deadline_ms <= now) {
		/* it says nothing, or talks and reads nothing of what it is asked */
		if (b->heard_us <= q->sent_us ||
		    evbuffer_get_length(conn_out(b->conn)) > UNREAD_MAX)
			hung = true;
		b->stats.timeouts++;
		settle(q, TAB_ERROR, "no answer in time", now * 1000);
	}
	while ((q = TAILQ_FIRST(&b->waiting)) != NULL && q->deadline_ms <= now) {
		b->stats.timeouts++;
		settle(q, TAB_ERROR, "the helper could not be asked in time", now * 1000);
	}
	if (hung && b->conn != NULL)
		fail(b, "hung: nothing answered for a whole deadline", false);
	send_waiting(b, clock_mono_us());
	set_deadline(b);
}

static void
on_end(enum conn_end how, int error, void *arg)
{
	struct broker *b = arg;

	(void)how;
	fail(b, error == 0 ? "it closed its pipe" : strerror(error), false);
}

/* The helper is over: ends what is left of it, and starts another after the back-off. */
static void
fail(struct broker *b, const char *why, bool at_once)
{
	int64_t wait_ms = at_once ? 0 : b->backoff_ms;

	log_warn("table=%s event=failed pid=%u reason=%s in-flight=%zu restart-in=%lldms",
	    b->table->name, b->pid, log_quote(why), b->n_in_flight, (long long)wait_ms);
	if (b->conn != NULL) {
		conn_free(b->conn);
		b->conn = NULL;
		ipc_send(process.parent, MSG_HELPER_KILL,
		    &(struct msg_helper_kill){ .table = b->table->index, .pid = b->pid });
	}
	b->pid = 0;
	b->stats.restarts++;
	set_state(b, BROKER_BACKOFF);
	/* One key that ends it each time, and so twice, is not yet a helper that does not work. */
	struct question *first = TAILQ_FIRST(&b->in_flight);
	bool same_again = first != NULL && first->asked_again;
	requeue(b);
	if (!at_once && !same_again && ++b->failures >= CIRCUIT_AFTER)
		turn_away(b);
	if (!at_once && (b->backoff_ms *= 2) > BACKOFF_MAX_MS)
		b->backoff_ms = BACKOFF_MAX_MS;
	event_add(
	    &b->backoff, &(struct timeval){ wait_ms / 1000, (suseconds_t)(wait_ms % 1000) * 1000 });
}

/* What was in flight goes in front of what waits, for its deadlines are earlier.  Asked twice, it is
 * given up: it may be what ends the helper. */
static void
requeue(struct broker *b)
{
	struct question *q;

	while ((q = TAILQ_LAST(&b->in_flight, question_list)) != NULL) {
		if (q->asked_again) { /* NOLINT(clang-analyzer-unix.Malloc): settle() takes it off the list */
			settle(
			    q, TAB_ERROR, "the helper ended twice over this question", b->heard_us);
			continue;
		}
		take_back(b, q);
		q->asked_again = true;
		TAILQ_INSERT_HEAD(&b->waiting, q, entry);
		b->n_waiting++;
	}
}

/* Nobody waits for one that keeps failing. */
static void
turn_away(struct broker *b)
{
	struct question *q;

	if (b->failures == CIRCUIT_AFTER)
		log_warn("table=%s event=circuit-open failures=%u", b->table->name, b->failures);
	while ((q = TAILQ_FIRST(&b->waiting)) != NULL) {
		TAILQ_REMOVE(&b->waiting, q, entry);
		b->n_waiting--;
		b->stats.turned_away++;
		table_settle_later(q, TAB_ERROR, "the helper keeps failing");
	}
}

static void
on_backoff(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	start(arg);
}

void
broker_restart(struct broker *b, const char *why)
{
	if (b->state == BROKER_READY || b->state == BROKER_GREETING)
		fail(b, why, true);
	else if (b->state == BROKER_BACKOFF)
		event_add(&b->backoff, &(struct timeval){ 0, 0 });
}

/* Mostly its pipe has told us already. */
void
broker_on_exited(struct broker *b, uint32_t pid, const char *how)
{
	log_debug("table=%s event=exited pid=%u how=%s", b->table->name, pid, log_quote(how));
	if (b->pid == pid && b->conn != NULL)
		fail(b, how, false);
}

static void
set_state(struct broker *b, enum broker_state state)
{
	b->state = state;
}

void
broker_view(const struct broker *b, struct broker_view *v)
{
#define S(NAME, text) text,
	static const char *const names[] = { BROKER_STATES(S) };
#undef S

	*v = (struct broker_view){ .table = b->table,
		.state = names[b->state],
		.pid = b->pid,
		.uptime_sec = b->conn == NULL ? 0 : (clock_mono_ms() - b->started_ms) / 1000,
		.in_flight = b->n_in_flight,
		.waiting = b->n_waiting,
		.stats = &b->stats };
}

void
broker_on_stderr(struct broker *b, int fd)
{
	helperlog_close(b->log);
	b->log = helperlog_open(b->table->name, fd);
}
