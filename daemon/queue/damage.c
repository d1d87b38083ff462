/*
 * What is damaged in the spool is set aside and told, and costs nobody else's mail anything.
 *
 * A piece of a body that is missing or is not what was written (its sum) is met when it is to be delivered, or by
 * the walk here, which after a start looks at all that an earlier process left, little by little.  Then the
 * message's recipients are held, as by a person, who sees why in `show queue` and may release or remove them.
 * A damaged page of the database is mended before the next start (spoolrepair.c), so this process ends.
 */
#include "local.h"
#include "clock.h"
#include "log.h"
#include "text.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>

#define FIRST_MS   5000
#define STEP_MS    100
#define STEP_MAX   200               /* messages in a step: a million take ten minutes */
#define STEP_BYTES (4 * 1024 * 1024) /* of bodies */

static struct event *timer;
static struct {
	uint64_t at, end; /* ids */
	size_t messages, damaged;
	int64_t began_ms;
} walk;

static void on_timer(evutil_socket_t, short, void *);
static void check_one(const struct spool_size *);
static bool on_envelope(const struct spool_envelope *, void *);

void
damage_start(void)
{
	walk.end = spool_last_id();
	walk.began_ms = clock_mono_ms();
	timer = evtimer_new(process.base, on_timer, NULL);
	if (walk.end != 0)
		event_add(timer, &(struct timeval){ FIRST_MS / 1000, 0 });
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct spool_size sizes[STEP_MAX];
	size_t n = spool_sizes(walk.at, sizes, STEP_MAX);
	uint64_t bytes = 0;

	(void)fd;
	(void)what;
	(void)arg;
	if (n > 0 && sizes[0].id > walk.end)
		n = 0; /* the last ones of an earlier process are gone meanwhile */
	for (size_t i = 0; i < n && sizes[i].id <= walk.end && bytes < STEP_BYTES; i++) {
		check_one(&sizes[i]);
		walk.at = sizes[i].id;
		bytes += sizes[i].size;
	}
	if (!spool_readable()) { /* a fault of the disk: the next commit rolls back, or has it mended */
		journal_wrote();
		event_add(timer, &(struct timeval){ FIRST_MS / 1000, 0 });
		return;
	}
	if (n > 0 && walk.at < walk.end) {
		event_add(timer, &(struct timeval){ 0, STEP_MS * 1000 });
		return;
	}
	log_info("queue checked messages=%zu damaged=%zu after=%llds", walk.messages, walk.damaged,
	    (long long)(clock_mono_ms() - walk.began_ms) / 1000);
}

static void
check_one(const struct spool_size *size)
{
	const char *wrong = spool_body_fault(size);

	walk.messages++;
	if (wrong == NULL)
		return;
	struct message *m = message_load(size->id);
	if (m == NULL || m->fault != NULL)
		return;
	walk.damaged++;
	m->fault = xstrdup(wrong);
	spool_each(
	    spool_key(size->id, 0), spool_key(size->id, SPOOL_N_MAX), SIZE_MAX, on_envelope, m);
	message_release(m);
}

/* With a worker, relay or lookup: when its answer comes. */
static bool
on_envelope(const struct spool_envelope *d, void *arg)
{
	struct envelope *e = envelope_find(d->message, d->n);

	(void)arg;
	if (d->held != 0)
		return true;
	if (e == NULL && (e = envelope_load(d)) != NULL)
		outcome_aside(e);
	return true;
}

bool
damage_found(struct message *m)
{
	const char *wrong = spool_body_fault(
	    &(struct spool_size){ .id = m->d.id, .size = m->d.size, .pieces = m->d.pieces });

	if (wrong != NULL && m->fault == NULL) {
		m->fault = xstrdup(wrong);
		log_warn("%s damaged reason=%s", message_id(m), log_quote(wrong));
	}
	return m->fault != NULL;
}

void
damage_orphan(const struct spool_envelope *d)
{
	struct spool_envelope held = *d;

	log_warn("%012" PRIx64 ".%u damaged rcpt=%s reason=\"its message is not in the spool\"",
	    d->message, d->n, log_quote(d->rcpt));
	held.held = clock_wall_sec();
	held.status = "4.3.0";
	held.reason = "set aside: its message is not in the spool";
	if (spool_update_envelope(&held))
		journal_wrote();
}

/* smtp is told first that nothing is accepted; parent then starts us all anew. */
void
damage_repair(void)
{
	struct msg_smtp_stats stats;

	log_warn("queue spool damaged reason=%s next=\"a restart, which mends it\"",
	    log_quote(spool_error()));
	spool_want_repair();
	for (size_t i = 0; i < 64; i++)
		if (queue_smtp(i, &stats) != NULL)
			ipc_flush(queue_smtp(i, &stats));
	exit(1);
}
