/*
 * The memory of the queue: messages being received, and those with active envelopes.
 *
 * Two hash tables, by message id and by envelope key, of a fixed size that fits ACTIVE_MAX.  Every
 * change of an envelope's state goes through envelope_change().
 */
#include "local.h"
#include "clock.h"
#include "log.h"
#include "text.h"

#include <bsd/stdlib.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS   8192
#define EPOCH_MS  1577836800000      /* 2020-01-01 */
#define ID_MS_MAX (INT64_C(1) << 41) /* in 2089; ids of 45 bits, and keys are positive */

static struct message *messages[BUCKETS];
static struct envelope *envelopes[BUCKETS];
static size_t n_messages, n_envelopes, cached_bytes;
static uint64_t newest_id;

static size_t
bucket(uint64_t key)
{
	return (key * 0x9e3779b97f4a7c15u) >> 51;
}

static const char *
state_name(enum envelope_state state)
{
#define S(NAME, name) name,
	static const char *const names[] = { ENVELOPE_STATES(S) };
#undef S
	return names[state];
}

const char *
envelope_state_name(const struct envelope *e)
{
	return state_name(e->state);
}

/*
 * Ids rise, whatever the clock does: an id that was given out is never given again.  A clock that is before the epoch,
 * or in centuries whose ids would not fit into keys, makes none.
 */
uint64_t
message_next_id(void)
{
	int64_t ms = clock_wall_ms() - EPOCH_MS;
	uint64_t id = ms > 0 && ms < ID_MS_MAX ? (uint64_t)ms * 16 : 0;

	if (newest_id == 0)
		newest_id = spool_last_id();
	newest_id = id > newest_id ? id : newest_id + 1;
	return newest_id;
}

struct message *
message_new(uint64_t id)
{
	struct message *m = xcalloc(1, sizeof(*m));
	size_t b = bucket(id);

	m->d.id = id;
	TAILQ_INIT(&m->envelopes);
	m->next_in_bucket = messages[b];
	messages[b] = m;
	n_messages++;
	return m;
}

struct message *
message_find(uint64_t id)
{
	struct message *m = messages[bucket(id)];

	while (m != NULL && m->d.id != id)
		m = m->next_in_bucket;
	return m;
}

static void
on_message(const struct spool_message *d, void *arg)
{
	struct message *m = message_new(d->id);

	spool_message_copy(&m->d, d);
	m->history = true;
	*(struct message **)arg = m;
}

struct message *
message_load(uint64_t id)
{
	struct message *m = message_find(id);

	if (m != NULL)
		return m->open ? NULL : m;
	if (!spool_get_message(id, on_message, &m))
		return NULL;
	m->next_n = spool_last_n(id) + 1;
	if (!spool_readable()) { /* a wrong number would be another envelope's */
		message_free(m);
		return NULL;
	}
	return m;
}

const char *
message_id(const struct message *m)
{
	static char buf[24];

	snprintf(buf, sizeof(buf), "%012" PRIx64, m->d.id);
	return buf;
}

size_t
message_count(void)
{
	return n_messages;
}

void
message_free(struct message *m)
{
	struct message **p = &messages[bucket(m->d.id)];

	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): envelope_free() takes it off the list */
	while (!TAILQ_EMPTY(&m->envelopes))
		envelope_free(TAILQ_FIRST(&m->envelopes)); /* NOLINT(clang-analyzer-unix.Malloc) */
	while (*p != m)
		p = &(*p)->next_in_bucket;
	*p = m->next_in_bucket;
	n_messages--;
	if (!m->open && m->body != NULL)
		cached_bytes -= m->body_len;
	spool_message_free(&m->d);
	free(m->body);
	free(m->seen);
	free(m->fault);
	free(m);
}

void
message_release(struct message *m)
{
	if (TAILQ_EMPTY(&m->envelopes) && !m->open && !m->deleting && m->n_jobs == 0)
		message_free(m);
}

/* After its commit: its first piece stays when there is room, so that it need not be read back. */
void
message_cache_body(struct message *m)
{
	if (m->body == NULL)
		return;
	if (m->body_len > SPOOL_PIECE_LEN || cached_bytes + m->body_len > BODY_CACHE_MAX) {
		free(m->body);
		m->body = NULL;
		return;
	}
	cached_bytes += m->body_len;
}

static uint64_t
hash_text(uint64_t h, const char *s)
{
	do {
		h = (h ^ (unsigned char)*s) * 0x100000001b3u;
		h ^= h >> 29;
	} while (*s++ != '\0');
	return h;
}

/* The seed keeps others from choosing recipients whose hashes are the same. */
bool
message_seen(struct message *m, const char *dest, const char *action)
{
	static uint64_t seed;

	if (seed == 0)
		arc4random_buf(&seed, sizeof(seed));
	uint64_t h = hash_text(hash_text(seed, dest), action);
	if (h == 0)
		h = 1;
	if (m->n_seen * 2 >= m->seen_cap) {
		size_t cap = m->seen_cap == 0 ? 8 : m->seen_cap * 2;
		uint64_t *bigger = xcalloc(cap, sizeof(*bigger));
		for (size_t i = 0; i < m->seen_cap; i++) {
			size_t at = m->seen[i] & (cap - 1);
			while (m->seen[i] != 0 && bigger[at] != 0)
				at = (at + 1) & (cap - 1);
			if (m->seen[i] != 0)
				bigger[at] = m->seen[i];
		}
		free(m->seen);
		m->seen = bigger;
		m->seen_cap = cap;
	}
	size_t at = h & (m->seen_cap - 1);
	for (; m->seen[at] != 0; at = (at + 1) & (m->seen_cap - 1))
		if (m->seen[at] == h)
			return true;
	m->seen[at] = h;
	m->n_seen++;
	return !m->whole && spool_has_destination(m->d.id, dest, action);
}

/* Routed again, an envelope is no duplicate of what it was before: only the others count. */
void
message_see_again(struct message *m, const struct envelope *but)
{
	struct envelope *e;

	free(m->seen);
	m->seen = NULL;
	m->n_seen = m->seen_cap = 0;
	TAILQ_FOREACH(e, &m->envelopes, of_message)
		if (e != but && e->d.state == SPOOL_READY)
			(void)message_seen(m, e->d.dest, e->d.action);
	m->whole = false;
}

struct envelope *
envelope_new(struct message *m, const struct spool_envelope *d)
{
	struct envelope *e = xcalloc(1, sizeof(*e));
	size_t b = bucket(spool_key(m->d.id, d->n));

	e->m = m;
	spool_envelope_copy(&e->d, d);
	e->d.message = m->d.id;
	e->source = e->tls = spool_none;
	TAILQ_INSERT_TAIL(&m->envelopes, e, of_message);
	e->next_in_bucket = envelopes[b];
	envelopes[b] = e;
	n_envelopes++;
	return e;
}

struct envelope *
envelope_find(uint64_t message, uint32_t n)
{
	struct envelope *e = envelopes[bucket(spool_key(message, n))];

	while (e != NULL && (e->d.message != message || e->d.n != n))
		e = e->next_in_bucket;
	return e;
}

struct envelope *
envelope_load(const struct spool_envelope *d)
{
	struct message *m = message_load(d->message);

	if (m == NULL)
		return NULL;
	struct envelope *e = envelope_new(m, d);
	e->stored = true;
	e->state = ENVELOPE_NEW;
	return e;
}

/* The caller has taken it off every list but its message's. */
void
envelope_free(struct envelope *e)
{
	struct envelope **p = &envelopes[bucket(spool_key(e->d.message, e->d.n))];

	while (*p != e)
		p = &(*p)->next_in_bucket;
	*p = e->next_in_bucket;
	n_envelopes--;
	TAILQ_REMOVE(&e->m->envelopes, e, of_message);
	spool_envelope_free(&e->d);
	spool_text_set(&e->source, NULL);
	spool_text_set(&e->tls, NULL);
	free(e);
}

void
envelope_change(struct envelope *e, enum envelope_state state)
{
	log_debug("%012" PRIx64 ".%u state from=%s to=%s", e->d.message, e->d.n,
	    state_name(e->state), state_name(state));
	e->state = state;
}

size_t
envelope_count(void)
{
	return n_envelopes;
}

size_t
envelope_room(void)
{
	return n_envelopes >= ACTIVE_MAX ? 0 : ACTIVE_MAX - n_envelopes;
}
