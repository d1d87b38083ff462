/*
 * What a person has paused: local deliveries, all that goes by relay, one route, or SMTP.
 *
 * A pause is kept in the spool until it is ended, so neither a death nor a restart sends mail that was not
 * to be sent.  What waits for a pause stays in the spool and takes no memory; what is with a worker or relay
 * already goes on.  When a pause ends, the schedule is gone through from its beginning.
 */
#include "local.h"
#include "clock.h"
#include "log.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

struct pause {
	char *what;
	int64_t since;
	TAILQ_ENTRY(pause) entry;
};
static TAILQ_HEAD(, pause) pauses = TAILQ_HEAD_INITIALIZER(pauses);

static struct pause *
find(const char *what)
{
	struct pause *p;

	TAILQ_FOREACH(p, &pauses, entry)
		if (strcmp(p->what, what) == 0)
			return p;
	return NULL;
}

static void
add(const char *what, int64_t since)
{
	struct pause *p = xcalloc(1, sizeof(*p));

	p->what = xstrdup(what);
	p->since = since;
	TAILQ_INSERT_TAIL(&pauses, p, entry);
}

static void
on_pause(const char *what, int64_t since, void *arg)
{
	(void)arg;
	add(what, since);
	log_warn("queue paused what=%s", log_quote(what));
}

void
pause_start(void)
{
	spool_each_pause(on_pause, NULL);
	if (pause_smtp())
		queue_tell_smtp();
}

bool
pause_smtp(void)
{
	return find("smtp") != NULL;
}

/* Whether no job may be made of it now. */
bool
pause_holds(const struct spool_envelope *d)
{
	if (TAILQ_EMPTY(&pauses) || d->state != SPOOL_READY)
		return false;
	if (*d->route == '\0')
		return find("local") != NULL;
	return find("relay") != NULL || find(d->route) != NULL;
}

void
pause_each(void (*on_one)(const char *what, int64_t since, void *arg), void *arg)
{
	struct pause *p;

	TAILQ_FOREACH(p, &pauses, entry)
		on_one(p->what, p->since, arg);
}

/* Nothing else is in the transaction. */
static bool
written(bool put)
{
	if (put && spool_commit())
		return true;
	log_warn("queue pause failed reason=%s", log_quote(spool_error()));
	spool_rollback();
	return false;
}

/* NULL, or why not. */
const char *
pause_begin(const char *what)
{
	int64_t now = clock_wall_sec();

	if (find(what) != NULL)
		return "that is paused already";
	journal_commit();
	if (!written(spool_put_pause(what, now)))
		return "the spool cannot be written";
	add(what, now);
	log_info("queue pause what=%s", log_quote(what));
	if (strcmp(what, "smtp") == 0)
		queue_tell_smtp();
	else
		lane_unload_paused();
	return NULL;
}

const char *
pause_end(const char *what)
{
	struct pause *p = find(what);

	if (p == NULL)
		return "that is not paused";
	journal_commit();
	if (!written(spool_delete_pause(what)))
		return "the spool cannot be written";
	TAILQ_REMOVE(&pauses, p, entry);
	free(p->what);
	free(p);
	log_info("queue resume what=%s", log_quote(what));
	if (strcmp(what, "smtp") == 0)
		queue_tell_smtp();
	else
		schedule_rewind(0, 0);
	return NULL;
}
