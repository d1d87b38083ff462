/*
 * Lanes: what is ready and waits for one user's worker, or for one route of relay.
 *
 * A lane that does not move must not take the memory that others need: it may hold half of what is left,
 * and what is beyond that stays in the spool, where the schedule meets it again when the lane has room.
 */
#include "local.h"
#include "clock.h"
#include "log.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS  1024
#define LEAST    64
#define STUCK_MS 60000

struct lanes lanes = TAILQ_HEAD_INITIALIZER(lanes);
static struct lane *buckets[BUCKETS];

static size_t
bucket(const struct spool_envelope *d)
{
	uint64_t h = *d->route == '\0' ? (uint64_t)d->uid << 32 | d->gid : 0;

	for (const char *p = d->route; *p != '\0'; p++)
		h = (h ^ (unsigned char)*p) * 0x100000001b3u;
	return (h * 0x9e3779b97f4a7c15u) >> 54;
}

static struct lane *
find(const struct spool_envelope *d)
{
	struct lane *l = buckets[bucket(d)];

	while (l != NULL && (strcmp(l->route, d->route) != 0 ||
				(*d->route == '\0' && (l->uid != d->uid || l->gid != d->gid))))
		l = l->next_in_bucket;
	return l;
}

void
lane_enter(struct envelope *e)
{
	struct lane *l = find(&e->d);

	if (l == NULL) {
		size_t b = bucket(&e->d);
		l = xcalloc(1, sizeof(*l));
		l->route = xstrdup(e->d.route);
		l->uid = e->d.uid;
		l->gid = e->d.gid;
		l->bucket = b;
		l->moved_ms = clock_mono_ms();
		TAILQ_INIT(&l->waiting);
		TAILQ_INSERT_TAIL(&lanes, l, entry);
		l->next_in_bucket = buckets[b];
		buckets[b] = l;
	}
	envelope_change(e, ENVELOPE_READY);
	e->lane = l;
	TAILQ_INSERT_TAIL(&l->waiting, e, waiting);
	l->n_waiting++;
	if (*l->route == '\0')
		jobworker_feed(l);
	else
		jobroute_feed(l);
}

/* Taken off the waiting ones: into a job, or because it is over without one. */
void
lane_leave(struct envelope *e)
{
	TAILQ_REMOVE(&e->lane->waiting, e, waiting);
	e->lane->n_waiting--;
	e->lane = NULL;
}

static bool
is_full(const struct lane *l)
{
	size_t n = l->n_waiting + l->n_in_job;

	return n >= LEAST && n >= envelope_room() / 2;
}

bool
lane_full(const struct spool_envelope *d)
{
	const struct lane *l = find(d);

	return l != NULL && is_full(l);
}

bool
lane_stuck(const struct spool_envelope *d)
{
	const struct lane *l = find(d);

	return l != NULL && clock_mono_ms() - l->moved_ms > STUCK_MS;
}

void
lane_skipped(const struct spool_envelope *d)
{
	struct lane *l = find(d);

	if (l->skipped_next_try == 0 || d->next_try < l->skipped_next_try)
		l->skipped_next_try = d->next_try;
}

static void
rewind_skipped(struct lane *l)
{
	if (l->skipped_next_try != 0)
		schedule_rewind(l->skipped_next_try, 0);
	l->skipped_next_try = 0;
}

void
lane_over(struct lane *l)
{
	l->n_in_job--;
	l->moved_ms = clock_mono_ms();
	if (l->n_waiting < LEAST / 2 || l->n_waiting < envelope_room() / 8)
		rewind_skipped(l);
}

void
lane_check(struct lane *l)
{
	struct lane **p = &buckets[l->bucket];

	if (l->n_waiting > 0 || l->n_in_job > 0 || l->worker != NULL)
		return;
	rewind_skipped(l);
	while (*p != l)
		p = &(*p)->next_in_bucket;
	*p = l->next_in_bucket;
	TAILQ_REMOVE(&lanes, l, entry);
	free(l->route);
	free(l);
}
