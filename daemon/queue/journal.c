/*
 * The group commit: everything that waits is written in one transaction, then answered.
 *
 * Called by intake (complete messages), by the outcomes of jobs and expansions (changed envelopes) and
 * by its timers.  A message that waits for its 250 asks for a commit as soon as the loop has worked
 * off what is readable; a change that nobody waits for rides on that, or goes after 20 ms, or when 64
 * of them wait: a death of this process repeats what is in jobs, and no more results than those.
 *
 * What waits stays in memory until its commit has returned.  So when the disk is full, the transaction
 * is undone, the messages in it are refused with 452, and the changes and reports of mail that is
 * already here are written alone, now, with the room that was kept for it (room.c), or a second later:
 * nothing acknowledged is lost.
 */
#include "local.h"
#include "clock.h"
#include "log.h"
#include "text.h"

#include <event2/event.h>
#include <stdlib.h>

#define REFUSED     "452 4.3.1 Insufficient system storage"
#define GROUP_MAX   128  /* messages in a commit */
#define GROUP_US    4000 /* a message waits for company at most */
#define RIDE_MS     20
#define ROW_LEN     512 /* bytes of a recipient, with what indexes take, or so */
#define RETRY_MS    1000
#define CHANGES_MAX 64 /* envelopes that wait for that, and what one turn of the loop brings */

static struct messages arriving = TAILQ_HEAD_INITIALIZER(arriving);
static struct envelopes changed = TAILQ_HEAD_INITIALIZER(changed);
static STAILQ_HEAD(, message) shrunk = STAILQ_HEAD_INITIALIZER(shrunk);
static size_t n_arriving, n_changed;
static int64_t first_us;
static size_t n_at_last_turn;
static struct event *soon, *later;
static bool committing, failing;

static void on_soon(evutil_socket_t, short, void *);
static void on_later(evutil_socket_t, short, void *);
static bool is_room(void);
static bool write_again(void);
static bool write_all(void);
static bool write_message(struct message *);
static bool write_attempt(const struct envelope *);
static bool write_envelope(struct envelope *);
static bool is_alone(const struct envelope *);
static bool delete_shrunk(void);
static void refuse_arriving(void);
static void settle(void);
static void settle_message(struct message *);
static void settle_envelope(struct envelope *);

void
journal_start(void)
{
	soon = evtimer_new(process.base, on_soon, NULL);
	later = evtimer_new(process.base, on_later, NULL);
}

static void
ask(struct event *timer, int ms)
{
	if (timer != NULL && !event_pending(timer, EV_TIMEOUT, NULL))
		event_add(timer, &(struct timeval){ ms / 1000, ms % 1000 * 1000 });
}

void
journal_add_message(struct message *m)
{
	TAILQ_INSERT_TAIL(&arriving, m, arriving);
	if (n_arriving++ == 0)
		first_us = clock_mono_us();
	ask(soon, 0);
}

void
journal_add_envelope(struct envelope *e)
{
	if (!e->journal) {
		e->journal = true;
		TAILQ_INSERT_TAIL(&changed, e, changed);
		n_changed++;
	}
	if (n_changed >= CHANGES_MAX && !failing)
		ask(soon, 0);
	else
		ask(later, RIDE_MS);
}

void
journal_wrote(void)
{
	ask(later, RIDE_MS);
}

/* One turn of the loop passed.  When it brought more mail, more may come with the next. */
static void
on_soon(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (n_changed < CHANGES_MAX && n_arriving != n_at_last_turn && n_arriving < GROUP_MAX &&
	    clock_mono_us() - first_us < GROUP_US) {
		n_at_last_turn = n_arriving;
		ask(soon, 0);
		return;
	}
	journal_commit();
}

static void
on_later(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	journal_commit();
}

void
journal_commit(void)
{
	if (committing)
		return;
	committing = true;
	report_compose();
	if (!is_room())
		refuse_arriving();
	if (!write_all()) {
		log_warn("queue commit failed messages=%zu envelopes=%zu reason=%s", n_arriving,
		    n_changed, log_quote(spool_error()));
		spool_rollback();
		room_settled();
		intake_rolled_back();
		refuse_arriving();
		if (spool_damaged())
			damage_repair();
		if (!write_again()) {
			committing = false;
			failing = true;
			ask(later, RETRY_MS);
			return;
		}
	}
	room_settled();
	settle();
	if (spool_log_stuck())
		backup_give_way();
	while (spool_log_stuck() && !spool_grow() && room_give())
		;
	committing = false;
	if (failing) {
		failing = false;
		lane_go_on();
		schedule_now();
	}
}

bool
journal_is_failing(void)
{
	return failing;
}

/* For what arrives; what is said of mail that is here is tried without a question. */
static bool
is_room(void)
{
	struct message *m;
	size_t len = 0;

	TAILQ_FOREACH(m, &arriving, arriving)
		if (m->from != NULL)
			len += m->body_len + (size_t)m->next_n * ROW_LEN;
	return len == 0 || room_for(len);
}

/* The log may be full only because it was not copied yet; then with more and more of what room.c has kept. */
static bool
write_again(void)
{
	bool good = write_all();
	bool more = !good && spool_full();

	if (!good)
		spool_rollback();
	if (more)
		backup_give_way();
	if (more && spool_empty_log())
		good = write_all();
	while (more && !good) {
		more = spool_full();
		spool_rollback();
		more = more && room_give();
		good = more && write_all();
	}
	return good;
}

static bool
write_all(void)
{
	struct message *m;
	struct envelope *e;

	TAILQ_FOREACH(m, &arriving, arriving)
		if (!write_message(m))
			return false;
	TAILQ_FOREACH(e, &changed, changed)
		if (!write_envelope(e))
			return false;
	if (!delete_shrunk() || !intake_sweep())
		return false;
	if (spool_dirty())
		queue_stats.commits++;
	return spool_commit();
}

/* What no row holds yet of the body goes behind the pieces that are written. */
static bool
write_message(struct message *m)
{
	uint32_t n = (uint32_t)((m->body_len + SPOOL_PIECE_LEN - 1) / SPOOL_PIECE_LEN);
	struct envelope *e;

	for (uint32_t i = 0; i < n; i++) {
		size_t at = (size_t)i * SPOOL_PIECE_LEN, left = m->body_len - at;
		if (!spool_put_piece(m->d.id, m->d.pieces - n + i, m->body + at,
			left < SPOOL_PIECE_LEN ? left : SPOOL_PIECE_LEN))
			return false;
	}
	TAILQ_FOREACH(e, &m->envelopes, of_message)
		if (!spool_put_envelope(&e->d))
			return false;
	return spool_put_message(&m->d, m->marked);
}

/* What came of a try; nothing of one whose message goes with it. */
static bool
write_attempt(const struct envelope *e)
{
	bool failed = e->state == ENVELOPE_DONE;

	if (!e->tried || (failed && is_alone(e)))
		return true;
	e->m->history = true;
	return spool_put_attempt(&(struct spool_attempt){ .message = e->d.message,
	    .n = e->d.n,
	    .number = e->d.attempts,
	    .at = clock_wall_sec(),
	    .event = failed ? "failed" : "deferred",
	    .status = e->d.status,
	    .host = e->d.host,
	    .source = e->source,
	    .tls = e->tls,
	    .reply = e->d.reason });
}

static bool
write_envelope(struct envelope *e)
{
	if (!write_attempt(e))
		return false;
	if (e->state == ENVELOPE_DONE) {
		if (!e->m->deleting) {
			e->m->deleting = true;
			STAILQ_INSERT_TAIL(&shrunk, e->m, shrunk);
		}
		return !e->stored || spool_delete_envelope(e->d.message, e->d.n);
	}
	return e->stored ? spool_update_envelope(&e->d) : spool_put_envelope(&e->d);
}

static bool
is_alone(const struct envelope *e)
{
	return e->m->whole && TAILQ_FIRST(&e->m->envelopes) == e &&
	       TAILQ_NEXT(e, of_message) == NULL;
}

static bool
is_empty(const struct message *m)
{
	struct envelope *e;

	if (!m->whole)
		return !spool_has_envelopes(m->d.id);
	TAILQ_FOREACH(e, &m->envelopes, of_message)
		if (e->state != ENVELOPE_DONE)
			return false;
	return true;
}

static bool
delete_shrunk(void)
{
	struct message *m;

	STAILQ_FOREACH(m, &shrunk, shrunk)
		if (is_empty(m) && (!spool_delete_message(m->d.id, m->d.pieces) ||
				       (m->history && !spool_delete_attempts(m->d.id))))
			return false;
	return true;
}

/* Reports of our own stay for the next try. */
static void
refuse_arriving(void)
{
	struct message *m, *next;

	TAILQ_FOREACH_SAFE(m, &arriving, arriving, next) {
		if (m->from == NULL)
			continue;
		ipc_reply(m->from, m->call, MSG_MAIL_STORED, &(struct msg_mail_stored){ REFUSED });
		queue_stats.refused++;
		TAILQ_REMOVE(&arriving, m, arriving);
		n_arriving--;
		if (m->marked)
			intake_remains(m->d.id);
		message_free(m);
	}
}

/* All of it is on the disk. */
static void
settle(void)
{
	struct message *m;
	struct envelope *e;

	n_at_last_turn = 0;
	intake_swept();
	evtimer_del(soon);
	evtimer_del(later);
	queue_stats.committed_messages += n_arriving;
	n_arriving = n_changed = 0;
	while ((m = TAILQ_FIRST(&arriving)) != NULL) {
		TAILQ_REMOVE(&arriving, m, arriving);
		settle_message(m);
	}
	while ((e = TAILQ_FIRST(&changed)) != NULL) {
		TAILQ_REMOVE(&changed, e, changed);
		settle_envelope(e);
	}
	while ((m = STAILQ_FIRST(&shrunk)) != NULL) {
		STAILQ_REMOVE_HEAD(&shrunk, shrunk);
		m->deleting = false;
		message_release(m);
	}
	schedule_wake();
}

static void
forget(struct envelope *e)
{
	if (!e->asleep)
		schedule_written(&e->d);
	e->m->whole = false;
	envelope_free(e);
}

/* A fresh message goes on from memory, as far as there is room. */
static void
settle_message(struct message *m)
{
	bool first_piece = m->d.pieces <= 1 || m->body_len > SPOOL_PIECE_LEN;
	struct envelope *e, *next;

	if (m->from != NULL) {
		ipc_reply(m->from, m->call, MSG_MAIL_STORED, &(struct msg_mail_stored){ "" });
		queue_stats.accepted++;
		yield_fresh();
	}
	m->from = NULL;
	m->open = false;
	if (!first_piece) {
		free(m->body);
		m->body = NULL;
	}
	message_cache_body(m);
	TAILQ_FOREACH_SAFE(e, &m->envelopes, of_message, next) {
		e->stored = true;
		envelope_change(e, ENVELOPE_NEW);
		if (envelope_count() <= ACTIVE_MAX)
			recipient_expand(e);
		else
			forget(e);
	}
	message_release(m);
}

static void
settle_envelope(struct envelope *e)
{
	struct message *m = e->m;

	e->journal = e->tried = false;
	e->stored = e->state != ENVELOPE_DONE;
	if (e->state == ENVELOPE_DEFERRED)
		forget(e);
	else if (e->state == ENVELOPE_DONE)
		envelope_free(e);
	message_release(m);
}

/* Nobody was told that these are accepted, and nobody can be any more. */
void
journal_gone(struct ipc *ipc)
{
	struct message *m, *next;

	TAILQ_FOREACH_SAFE(m, &arriving, arriving, next) {
		if (m->from != ipc)
			continue;
		TAILQ_REMOVE(&arriving, m, arriving);
		n_arriving--;
		if (m->marked)
			intake_remains(m->d.id);
		message_free(m);
	}
}
