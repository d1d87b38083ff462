/*
 * Networks of a tab_set: a hash of (family, bits, masked address), probed once for each length of
 * prefix that occurs, narrowest first.  So a million networks cost what a hundred do.
 *
 * Invariant: an IPv4 address is IPv4 however it is written (::ffff:192.0.2.1), so that no entry for
 * IPv6, not even ::/0, matches it.
 */
#include "tab_local.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct net {
	uint8_t addr[16];
	uint8_t is_v6, bits;
};

struct tab_nets {
	struct net *nets;  /* open hash, beside entries */
	uint32_t *entries; /* index + 1, 0 free */
	uint32_t n_slots;
	bool used[2][129];
};

static void
mask(struct net *n)
{
	unsigned len = n->is_v6 ? 16 : 4;

	for (unsigned i = 0; i < len; i++) {
		unsigned keep = n->bits > i * 8 ? n->bits - i * 8 : 0;

		if (keep < 8)
			n->addr[i] &= (uint8_t)(0xff00 >> keep);
	}
}

/* Decimal, no sign, no leading zero but "0"; at most max. */
static bool
parse_bits(const char *s, unsigned max, uint8_t *bits)
{
	unsigned n = 0;

	if (*s == '\0' || (s[0] == '0' && s[1] != '\0') || strlen(s) > 3)
		return false;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9')
			return false;
		n = n * 10 + (unsigned)(*s - '0');
	}
	*bits = (uint8_t)n;
	return n <= max;
}

/* "192.0.2.0/24", "2001:db8::/32", "[2001:db8::]/32", "[IPv6:2001:db8::1]", "[192.0.2.1]". */
static bool
parse_net(const char *text, struct net *n)
{
	char addr[INET6_ADDRSTRLEN + 8], *p = addr;
	const char *slash = strchr(text, '/');
	size_t len = slash == NULL ? strlen(text) : (size_t)(slash - text);

	if (len == 0 || len >= sizeof(addr))
		return false;
	memcpy(addr, text, len);
	addr[len] = '\0';
	if (addr[0] == '[') {
		if (addr[len - 1] != ']')
			return false;
		addr[len - 1] = '\0';
		p++;
		if (strncasecmp(p, "IPv6:", 5) == 0)
			p += 5;
	}
	char *scope = strchr(p, '%');
	if (scope != NULL && strncasecmp(p, "fe80:", 5) == 0)
		*scope = '\0';

	memset(n, 0, sizeof(*n));
	n->is_v6 = strchr(p, ':') != NULL;
	if (inet_pton(n->is_v6 ? AF_INET6 : AF_INET, p, n->addr) != 1)
		return false;
	unsigned max = n->is_v6 ? 128 : 32;
	n->bits = (uint8_t)max;
	if (slash != NULL && !parse_bits(slash + 1, max, &n->bits))
		return false;
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	if (n->is_v6 && n->bits >= 96 && memcmp(n->addr, mapped, 12) == 0) {
		memmove(n->addr, n->addr + 12, 4);
		memset(n->addr + 4, 0, 12);
		n->is_v6 = 0;
		n->bits -= 96;
	}
	mask(n);
	return true;
}

bool
tab_net_is(const char *text)
{
	struct net n;

	return parse_net(text, &n);
}

static uint32_t
slot_of(const struct tab_nets *t, const struct net *n)
{
	uint32_t h = 2166136261u;
	const uint8_t *bytes = (const uint8_t *)n;

	for (size_t i = 0; i < sizeof(*n); i++)
		h = (h ^ bytes[i]) * 16777619u;
	h ^= h >> 15;
	for (uint32_t i = h & (t->n_slots - 1);; i = (i + 1) & (t->n_slots - 1))
		if (t->entries[i] == 0 || memcmp(&t->nets[i], n, sizeof(*n)) == 0)
			return i;
}

static struct tab_nets *
index_nets(const struct tab_set *s)
{
	struct tab_nets *t = tab_alloc(1, sizeof(*t));
	uint32_t n_nets = 0;
	struct net n;

	for (uint32_t i = 0; i < s->n; i++)
		n_nets += parse_net(s->entries[i].key, &n);
	for (t->n_slots = 16; t->n_slots < n_nets * 2; t->n_slots *= 2)
		;
	t->nets = tab_alloc(t->n_slots, sizeof(*t->nets));
	t->entries = tab_alloc(t->n_slots, sizeof(*t->entries));
	for (uint32_t i = 0; i < s->n; i++) {
		if (!parse_net(s->entries[i].key, &n))
			continue;
		uint32_t slot = slot_of(t, &n);
		t->nets[slot] = n;
		t->entries[slot] = i + 1;
		t->used[n.is_v6][n.bits] = true;
	}
	return t;
}

void
tab_net_free(struct tab_nets *t)
{
	if (t == NULL)
		return;
	free(t->nets);
	free(t->entries);
	free(t);
}

const struct tab_entry *
tab_net_match(struct tab_set *s, const char *address, bool exact)
{
	struct net n;

	if (strchr(address, '/') != NULL || !parse_net(address, &n))
		return NULL;
	if (s->nets == NULL)
		s->nets = index_nets(s);
	for (int bits = n.bits, least = exact ? bits : 0; bits >= least; bits--) {
		if (!s->nets->used[n.is_v6][bits])
			continue;
		n.bits = (uint8_t)bits;
		mask(&n);
		uint32_t at = s->nets->entries[slot_of(s->nets, &n)];
		if (at != 0)
			return &s->entries[at - 1];
	}
	return NULL;
}
