/*
 * How long a session may do nothing, and what becomes of it: early talkers, deadlines, stress.
 *
 * Called by session.c and smtp.c.  Under stress (too many sessions) who has brought nothing has to
 * hurry, and the oldest of them make room for new ones: the places are for those who bring mail.
 */
#include "clock.h"
#include "conf.h"
#include "conn.h"
#include "local.h"
#include "log.h"
#include "../role.h"

#include <event2/event.h>

#define OWED_SEC      600  /* RFC 5321, 4.5.3.2.6: what a client waits for the end of its message */
#define STRESS_SEC    10   /* for a command, when there are too many sessions */
#define MAKE_ROOM_MAX 2000 /* sessions that are looked at for an idle one */
#define YOUNG_MS      50   /* a session that is younger may still say why it came */

static void wait_for_early_talk(struct session *);
static void on_greeting(evutil_socket_t, short, void *);

void
patience_greet(struct session *s)
{
	if (process.conf->limit.smtp.greet_delay_ms > 0 && !s->exempt)
		wait_for_early_talk(s);
	else
		patience_greet_now(s);
}

void
patience_greet_now(struct session *s)
{
	session_replyf(s, "220 %s ESMTP", s->hostname);
}

/* Who speaks before the greeting listens to no reply either: a program that pumps spam. */
static void
wait_for_early_talk(struct session *s)
{
	unsigned ms = process.conf->limit.smtp.greet_delay_ms;

	s->greeting = event_new(process.base, -1, 0, on_greeting, s);
	if (s->greeting == NULL)
		log_fatal("out of memory");
	event_add(s->greeting, &(struct timeval){ ms / 1000, (suseconds_t)(ms % 1000) * 1000 });
}

static void
on_greeting(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;

	(void)fd;
	(void)what;
	event_free(s->greeting);
	s->greeting = NULL;
	patience_greet_now(s);
}

void
patience_early_talk(struct session *s)
{
	event_free(s->greeting);
	s->greeting = NULL;
	session_refuse(s, "?", "554 5.5.1 you spoke before the greeting");
	session_close(s, "early", true);
}

/*
 * A MAIL alone costs nothing: a recipient that was taken or is looked for, or data, is work; for as long as more of
 * it comes.
 */
static bool
is_at_work(const struct session *s)
{
	int64_t ms = smtp.timeout_sec < STRESS_SEC ? smtp.timeout_sec * 1000 : STRESS_SEC * 1000;

	return s->exempt || s->auth != NULL ||
	       (s->tx != NULL && (s->tx->n_asked > 0 || clock_mono_ms() - s->tx->worked_ms < ms)) ||
	       (s->wait != WAIT_NONE && s->wait != WAIT_TLS && s->wait != WAIT_PROXY);
}

/* Whether the next word is ours: the client cannot but wait. */
bool
patience_owes(const struct session *s)
{
	return s->wait == WAIT_STORED || s->wait == WAIT_VERDICT ||
	       (s->tx != NULL && s->tx->n_asked > 0);
}

/*
 * Under stress who is doing nothing has to hurry: the places are for those who bring mail.  Who waits for us has as long
 * as a client waits for the reply to its message: a session that ended before would bring that once more.
 */
void
patience_deadline(struct session *s)
{
	int sec = smtp.timeout_sec;

	if (patience_owes(s) && sec < OWED_SEC)
		sec = OWED_SEC;
	else if (smtp.stress && !is_at_work(s) && STRESS_SEC < sec)
		sec = STRESS_SEC;
	conn_deadline(s->conn, sec);
}

void
patience_stress(void)
{
	struct session *s;

	TAILQ_FOREACH(s, &session_list, entry)
		if (!s->closing && (s->wait == WAIT_NONE || s->wait == WAIT_TLS))
			patience_deadline(s);
}

/* The oldest one that has brought nothing goes.  false: all are at work. */
bool
patience_make_room(void)
{
	int64_t now_ms = clock_mono_ms();
	unsigned looked = 0;
	struct session *s;

	TAILQ_FOREACH(s, &session_list, entry) {
		if (++looked > MAKE_ROOM_MAX || now_ms - s->born_ms < YOUNG_MS)
			return false;
		if (s->closing || is_at_work(s))
			continue;
		conn_last_word(s->conn, "421 4.3.2 too many sessions, and yours is idle\r\n");
		session_free(s, "room");
		return true;
	}
	return false;
}

/* Recipients and headers of messages that never come would be all that memory is for. */
void
patience_free_memory(void)
{
	struct session *s, *next;

	TAILQ_FOREACH_SAFE(s, &session_list, entry, next) {
		if (s->closing || s->tx == NULL || is_at_work(s))
			continue;
		conn_last_word(s->conn,
		    "421 4.3.1 too much memory in use, and your message does not come\r\n");
		session_free(s, "memory");
	}
}
