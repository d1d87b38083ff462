/*
 * What the control socket does to the queue: schedule and remove, one envelope, a message, or all.
 *
 * In batches, with a turn of the loop between them, so that a long queue holds up nobody's mail.
 */
#include "local.h"
#include "clock.h"
#include "log.h"
#include "row.h"
#include "text.h"

#include <bsd/stdlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 300

static void schedule_batch(struct control *);
static void remove_batch(struct control *);
static bool on_envelope(const struct spool_envelope *, void *);
static void remove_active(struct envelope *);

/* The range of keys that the request means; false: it was answered. */
static bool
range(struct control *c, const char *text)
{
	uint64_t id;
	int64_t n;

	journal_commit(); /* so that what is to be written is met in the spool */
	c->count = 0;
	c->message = 0;
	c->from = 0;
	c->to = INT64_MAX;
	if (strcmp(text, "all") == 0)
		return true;
	if (!control_parse_id(text, &id, &n)) {
		control_end(c, "not the number of a message or envelope, nor \"all\"");
		return false;
	}
	c->from = spool_key(id, n == -1 ? 0 : (uint32_t)n);
	c->to = spool_key(id, n == -1 ? SPOOL_N_MAX : (uint32_t)n);
	if (spool_each(c->from, c->to, 1, on_envelope, NULL) == 0) {
		control_end(c, "there is no such message or envelope");
		return false;
	}
	return true;
}

static void
say(struct control *c, const char *what)
{
	char line[64];
	struct text t = { 0 };

	snprintf(line, sizeof(line), "%llu %s", (unsigned long long)c->count, what);
	row_line(&t, 'T', line, NULL);
	control_put(c, &t);
	text_free(&t);
	control_end(c, NULL);
}

/* For tests only: this process's clock goes ahead, and what is due then is due. */
void
controldo_clock(struct control *c, const char *plus_sec)
{
	const char *allowed = getenv("TABMAIL_TEST_CLOCK"), *wrong = NULL;
	int64_t sec = strtonum(plus_sec, 0, 10ll * 366 * 86400, &wrong);

	if (allowed == NULL || strcmp(allowed, "1") != 0) {
		control_end(c, "not a request that is known");
		return;
	}
	if (*plus_sec != '+' || wrong != NULL) {
		control_end(c, "not +SECONDS");
		return;
	}
	clock_advance(sec);
	log_info("queue clock advanced=%llds", (long long)sec);
	schedule_now();
	warning_now();
	control_end(c, NULL);
}

void
controldo_schedule(struct control *c, const char *text)
{
	if (!range(c, text))
		return;
	c->step = schedule_batch;
	schedule_batch(c);
}

static void
schedule_batch(struct control *c)
{
	int64_t now = clock_wall_sec();
	size_t n;

	if (!spool_advance(c->from, c->to, now, BATCH, &n)) {
		log_warn("queue schedule failed reason=%s", log_quote(spool_error()));
		journal_commit();
		control_end(c, "the spool cannot be written");
		return;
	}
	c->count += n;
	journal_wrote();
	schedule_rewind(now, 0);
	if (n == BATCH)
		control_again(c);
	else
		say(c, "scheduled");
}

void
controldo_remove(struct control *c, const char *text)
{
	if (!range(c, text))
		return;
	c->step = remove_batch;
	remove_batch(c);
}

static void
remove_batch(struct control *c)
{
	size_t n = spool_each(c->from, c->to, BATCH, on_envelope, c);

	journal_commit();
	if (n == BATCH)
		control_again(c);
	else
		say(c, "removed");
}

/* arg NULL: it is only asked whether there is one. */
static bool
on_envelope(const struct spool_envelope *row, void *arg)
{
	struct control *c = arg;

	if (c == NULL)
		return false;
	struct envelope *e = envelope_find(row->message, row->n);
	c->from = spool_key(row->message, row->n) + 1;
	c->count++;
	if (e != NULL)
		remove_active(e);
	else if ((e = envelope_load(row)) != NULL)
		outcome_removed(e);
	return true;
}

/* With a worker or lookup: when its answer comes. What is reported already stays so. */
static void
remove_active(struct envelope *e)
{
	struct lane *l = e->lane;

	switch (e->state) {
	case ENVELOPE_EXPANDING:
	case ENVELOPE_IN_JOB: e->removed = true; break;
	case ENVELOPE_READY:
		lane_leave(e);
		outcome_removed(e);
		if (*l->route == '\0')
			jobworker_over(l);
		else
			lane_check(l);
		break;
	case ENVELOPE_NEW:
	case ENVELOPE_DEFERRED: outcome_removed(e); break;
	case ENVELOPE_FRESH:
	case ENVELOPE_FAILED:
	case ENVELOPE_DONE:
	case ENVELOPE_STATE_MAX: break;
	}
}
