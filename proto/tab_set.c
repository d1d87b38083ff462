/*
 * A set of entries: an array in the order added, a hash over its keys, strings in chunks.  Who
 * matches by other means than the key does so in tab_net.c and tab_match.c.  Called by table-file
 * and by the daemon for its own lists.
 *
 * Invariant: every entry is in the hash once, under its key regardless of case.  A million entries
 * are 24 bytes each, 8 to 16 for the slots, and their strings.
 */
#include "tab_local.h"

#include <err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CHUNK_LEN (64 * 1024)

struct tab_chunk {
	struct tab_chunk *next;
	size_t len, size;
	char data[];
};

void *
tab_alloc(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (p == NULL)
		err(1, "table of %zu entries", n);
	return p;
}

struct tab_set *
tab_set_new(void)
{
	return tab_alloc(1, sizeof(struct tab_set));
}

static void
drop_indexes(struct tab_set *s)
{
	tab_net_free(s->nets);
	tab_match_free(s->globs, s->regexes);
	s->nets = NULL;
	s->globs = NULL;
	s->regexes = NULL;
}

void
tab_set_free(struct tab_set *s)
{
	if (s == NULL)
		return;
	drop_indexes(s);
	for (struct tab_chunk *c = s->chunks, *after; c != NULL; c = after) {
		after = c->next;
		free(c);
	}
	free(s->entries);
	free(s->slots);
	free(s->scratch);
	free(s);
}

static char *
keep(struct tab_set *s, const char *text)
{
	size_t len = strlen(text) + 1;
	struct tab_chunk *c = s->chunks;

	if (c == NULL || c->size - c->len < len) {
		size_t size = len > CHUNK_LEN ? len : CHUNK_LEN;

		c = tab_alloc(1, sizeof(*c) + size);
		c->size = size;
		c->next = s->chunks;
		s->chunks = c;
	}
	char *p = memcpy(c->data + c->len, text, len);
	c->len += len;
	return p;
}

/* FNV-1a over the lower-cased bytes. */
static uint32_t
hash_of(const char *key, size_t len)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)key[i];

		if (c >= 'A' && c <= 'Z')
			c += 'a' - 'A';
		h = (h ^ c) * 16777619u;
	}
	return h ^ h >> 15;
}

static bool
same_key(const char *a, const char *b, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char x = (unsigned char)a[i], y = (unsigned char)b[i];

		if (x >= 'A' && x <= 'Z')
			x += 'a' - 'A';
		if (y >= 'A' && y <= 'Z')
			y += 'a' - 'A';
		if (x != y || x == '\0')
			return false;
	}
	return a[len] == '\0';
}

/* The slot of the key, or the free one where it would go. */
static uint32_t *
slot_of(const struct tab_set *s, const char *key, size_t len, uint32_t hash)
{
	for (uint32_t i = hash & (s->n_slots - 1);; i = (i + 1) & (s->n_slots - 1)) {
		uint32_t *slot = &s->slots[i];

		if (*slot == 0)
			return slot;
		const struct tab_entry *e = &s->entries[*slot - 1];
		if (e->hash == hash && same_key(e->key, key, len))
			return slot;
	}
}

static void
grow(struct tab_set *s)
{
	s->cap = s->cap == 0 ? 16 : s->cap * 2;
	s->entries = reallocarray(s->entries, s->cap, sizeof(*s->entries));
	if (s->entries == NULL || s->cap > UINT32_MAX / 4)
		err(1, "table of %u entries", s->cap);
	free(s->slots);
	s->n_slots = s->cap * 2;
	s->slots = tab_alloc(s->n_slots, sizeof(*s->slots));
	for (uint32_t n = 0; n < s->n; n++) {
		uint32_t i = s->entries[n].hash & (s->n_slots - 1);

		while (s->slots[i] != 0)
			i = (i + 1) & (s->n_slots - 1);
		s->slots[i] = n + 1;
	}
}

bool
tab_set_add(struct tab_set *s, const char *key, const char *value)
{
	size_t len = strlen(key);
	uint32_t hash = hash_of(key, len);

	if (s->nets != NULL || s->globs != NULL || s->regexes != NULL)
		drop_indexes(s);
	if (s->n == s->cap)
		grow(s);
	uint32_t *slot = slot_of(s, key, len, hash);
	bool is_new = *slot == 0;
	if (is_new) {
		s->entries[s->n++] = (struct tab_entry){ .key = keep(s, key), .hash = hash };
		*slot = s->n;
	}
	s->entries[*slot - 1].value = value == NULL ? NULL : keep(s, value);
	return is_new;
}

size_t
tab_set_count(const struct tab_set *s)
{
	return s->n;
}

const struct tab_entry *
tab_set_find(const struct tab_set *s, const char *key, size_t len)
{
	if (s->n == 0)
		return NULL;
	uint32_t at = *slot_of(s, key, len, hash_of(key, len));
	return at == 0 ? NULL : &s->entries[at - 1];
}

char *
tab_set_print(struct tab_set *s, const char *fmt, ...)
{
	va_list ap;

	free(s->scratch);
	s->scratch = NULL;
	va_start(ap, fmt);
	if (vasprintf(&s->scratch, fmt, ap) == -1)
		err(1, "table");
	va_end(ap);
	return s->scratch;
}

static enum tab_answer
fetch(struct tab_set *s, enum tab_service service, const char **value)
{
	if (service != TAB_SOURCE && service != TAB_RELAYHOST) {
		*value = "this service has no fetch";
		return TAB_ERROR;
	}
	if (s->n == 0)
		return TAB_MISSING;
	const struct tab_entry *e = &s->entries[s->turn % s->n];
	s->turn = (s->turn + 1) % s->n;
	*value = e->value != NULL ? e->value : e->key;
	return **value == '\0' ? TAB_MISSING : TAB_FOUND;
}

/* The entry that answers, by the service's rule. */
static enum tab_answer
match(struct tab_set *s, enum tab_service service, const char *key, const struct tab_entry **found,
    const char **reason)
{
	switch (service) {
	case TAB_DOMAIN: *found = tab_match_domain(s, key); break;
	case TAB_MAILADDR: *found = tab_match_mailaddr(s, key); break;
	case TAB_REGEX: return tab_match_regex(s, key, found, reason);
	case TAB_NETADDR:
	case TAB_ADDRNAME:
		*found = tab_set_find(s, key, strlen(key));
		if (*found == NULL)
			*found = tab_net_match(s, key, service == TAB_ADDRNAME);
		break;
	case TAB_ALIAS:
	case TAB_CREDENTIALS:
	case TAB_USERINFO:
	case TAB_SOURCE:
	case TAB_MAILADDRMAP:
	case TAB_RELAYHOST:
	case TAB_STRING: *found = tab_set_find(s, key, strlen(key)); break;
	case TAB_AUTH:
	case TAB_SOURCE_FOR:
	case TAB_SERVICE_MAX: *reason = "this set does not serve that"; return TAB_ERROR;
	}
	return *found == NULL ? TAB_MISSING : TAB_FOUND;
}

/* The value that a lookup gives. */
static const char *
value_of(struct tab_set *s, enum tab_service service, const struct tab_entry *e)
{
	bool matches = service == TAB_DOMAIN || service == TAB_NETADDR || service == TAB_MAILADDR ||
		       service == TAB_STRING || service == TAB_REGEX;

	if (e->value == NULL)
		return matches ? e->key : "";
	if (service == TAB_CREDENTIALS && *e->value != '\0' && strchr(e->value, ':') == NULL)
		return tab_set_print(s, "%s:%s", e->key, e->value);
	return e->value;
}

enum tab_answer
tab_set_ask(struct tab_set *s, enum tab_op op, enum tab_service service, const char *key,
    const char **value)
{
	const struct tab_entry *e = NULL;

	*value = "";
	if (op == TAB_FETCH)
		return fetch(s, service, value);
	if (op == TAB_UPDATE) {
		*value = "a set has nothing to update from";
		return TAB_ERROR;
	}
	enum tab_answer answer = match(s, service, key, &e, value);
	if (answer != TAB_FOUND || op == TAB_CHECK)
		return answer;
	*value = value_of(s, service, e);
	return **value == '\0' ? TAB_MISSING : TAB_FOUND;
}
