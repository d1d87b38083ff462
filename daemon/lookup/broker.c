/*
 * A helper's life: started, greeted, replaced.  Its questions are brokertalk.c's.
 *
 * A helper that ends, breaks the protocol, or answers nothing for a whole deadline while questions are
 * out is replaced, after a back-off; its questions in flight are put to the new one, once.  Nothing that a
 * helper does costs more than its own questions.
 *
 * A circuit: one that failed CIRCUIT_AFTER times without a good answer between is asked one question
 * at a time when it is up, and the others are answered ERROR at once, until a good answer comes.
 */
#include "broker.h"
#include "clock.h"
#include "log.h"
#include "text.h"

#include <bsd/string.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

static void start(struct broker *);
static void on_started(const struct msg *, void *);
static void greet(struct broker *);
static void on_end(enum conn_end, int, void *);
static void requeue(struct broker *);
static void turn_all_away(struct broker *);
static void on_backoff(evutil_socket_t, short, void *);

static const struct conn_ops conn_ops = { .on_input = broker_on_input, .on_end = on_end };

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
	event_assign(&b->deadline, process.base, -1, 0, broker_on_deadline, b);
	event_assign(&b->backoff, process.base, -1, 0, on_backoff, b);
	start(b);
	return b;
}

static void
start(struct broker *b)
{
	b->state = BROKER_STARTING;
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
		broker_fail(b, a->error, false);
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

	b->state = BROKER_GREETING;
	b->services = 0;
	evbuffer_add_printf(out, "config|smtpd-version|7.8.0\n");
	evbuffer_add_printf(out, "config|protocol|" TAB_VERSION "\n");
	evbuffer_add_printf(out, "config|tablename|%s\n", b->table->name);
	evbuffer_add_printf(out, "config|" TAB_OURS "|" TAB_OURS_VERSION "\n");
	evbuffer_add_printf(out, "config|ready\n");
	conn_send(b->conn);
	broker_set_deadline(b);
}

static void
on_end(enum conn_end how, int error, void *arg)
{
	struct broker *b = arg;

	(void)how;
	uint32_t pid = b->pid;
	bool closed = error == 0 || error == ECONNRESET || error == EPIPE;
	broker_fail(b, closed ? "it closed its pipe" : strerror(error), false);
	b->closed_pid = closed ? pid : 0;
}

void
broker_fail(struct broker *b, const char *why, bool at_once)
{
	int64_t wait_ms = at_once ? 0 : b->backoff_ms;

	strlcpy(b->why, why, sizeof(b->why));
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
	b->state = BROKER_BACKOFF;
	/* One key that ends it each time, and so twice, is not yet a helper that does not work. */
	struct question *first = TAILQ_FIRST(&b->in_flight);
	bool same_again = first != NULL && first->asked_again;
	requeue(b);
	if (!at_once && !same_again && ++b->failures >= CIRCUIT_AFTER)
		turn_all_away(b);
	if (!at_once && (b->backoff_ms *= 2) > BACKOFF_MAX_MS)
		b->backoff_ms = BACKOFF_MAX_MS;
	struct timeval wait = clock_timeval(wait_ms);
	event_add(&b->backoff, &wait);
}

/* What was in flight goes in front of what waits, for its deadlines are earlier.  Asked twice, it is
 * given up: it may be what ends the helper. */
static void
requeue(struct broker *b)
{
	struct question *q;

	while ((q = TAILQ_LAST(&b->in_flight, question_list)) != NULL) {
		if (q->asked_again) { /* NOLINT(clang-analyzer-unix.Malloc): broker_settle() takes it off the list */
			broker_settle(
			    q, TAB_ERROR, "the helper ended twice over this question", b->heard_us);
			continue;
		}
		broker_take_back(b, q);
		q->asked_again = true;
		TAILQ_INSERT_HEAD(&b->waiting, q, entry);
		b->n_waiting++;
	}
}

void
broker_turn_away(struct broker *b, struct question *q)
{
	char text[sizeof(b->why) + 40];

	b->stats.turned_away++;
	snprintf(text, sizeof(text), "the helper keeps failing: %s", b->why);
	table_settle_later(q, TAB_ERROR, text);
}

/* Nobody waits for one that keeps failing. */
static void
turn_all_away(struct broker *b)
{
	struct question *q;

	if (b->failures == CIRCUIT_AFTER)
		log_warn("table=%s event=circuit-open failures=%u", b->table->name, b->failures);
	while ((q = TAILQ_FIRST(&b->waiting)) != NULL) {
		TAILQ_REMOVE(&b->waiting, q, entry);
		b->n_waiting--;
		broker_turn_away(b, q);
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
		broker_fail(b, why, true);
	else if (b->state == BROKER_BACKOFF)
		event_add(&b->backoff, &(struct timeval){ 0, 0 });
}

/* Mostly its pipe has told us already. */
void
broker_on_exited(struct broker *b, uint32_t pid, const char *how)
{
	if (b->pid == pid && b->conn != NULL) {
		broker_fail(b, how, false);
	} else if (b->closed_pid == pid && strcmp(how, "signal 9") != 0) { /* that would be ours */
		b->closed_pid = 0;
		snprintf(b->why, sizeof(b->why), "it ended: %s", how);
		log_warn(
		    "table=%s event=exited pid=%u how=%s", b->table->name, pid, log_quote(how));
	}
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
		.why = b->failures == 0 ? "" : b->why,
		.stats = &b->stats };
}

void
broker_on_stderr(struct broker *b, int fd)
{
	helperlog_close(b->log);
	b->log = helperlog_open(b->table->name, fd);
}
