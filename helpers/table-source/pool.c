/*
 * Which address is next.  Called by table-source.c.  Pure.
 *
 * Lines with the same patterns make a pool.  The first pool that fits answers, the one without
 * patterns last.  Within a pool and family the addresses take turns, one of weight 3 three times
 * as often, spread over the round: each gains its weight in credit at every turn, and the richest
 * is taken and pays what all have gained.
 */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "local.h"

/* Whether two lines say the same patterns, in the same order. */
static bool
same_patterns(const struct line *a, const struct line *b)
{
	if (a->n_patterns != b->n_patterns)
		return false;
	for (size_t i = 0; i < a->n_patterns; i++)
		if (a->patterns[i].fact != b->patterns[i].fact ||
		    strcmp(a->patterns[i].text, b->patterns[i].text) != 0)
			return false;
	return true;
}

static struct pool *
pool_of(struct pools *all, const struct line *l)
{
	for (size_t i = 0; i < all->n; i++)
		if (same_patterns(all->pools[i].line, l))
			return &all->pools[i];
	struct pool *more = reallocarray(all->pools, all->n + 1, sizeof(*more));
	if (more == NULL)
		return NULL;
	all->pools = more;
	all->pools[all->n] = (struct pool){ .line = l };
	return &all->pools[all->n++];
}

/* The first mention of an address in a pool counts; so its own line goes before its interface's. */
static bool
add(struct pools *all, const struct line *l, const char *address, enum family family)
{
	struct pool *p = pool_of(all, l);

	if (p == NULL)
		return false;
	size_t n = p->family[family].n;
	for (size_t i = 0; i < n; i++)
		if (strcmp(p->family[family].sources[i].text, address) == 0)
			return true;
	if (n == ADDRS_MAX)
		return true;
	struct source *more = reallocarray(p->family[family].sources, n + 1, sizeof(*more));
	if (more == NULL)
		return false;
	p->family[family].sources = more;
	more[n] = (struct source){ .text = address, .helo = l->helo, .weight = l->weight };
	p->family[family].n++;
	return true;
}

static bool
add_interface(
    struct pools *all, const struct line *l, const struct iface_addr *addrs, size_t n_addrs)
{
	if (pool_of(all, l) == NULL) /* the pool is there, though the interface has no address */
		return false;
	for (size_t i = 0; i < n_addrs; i++)
		if (strcmp(addrs[i].name, l->name) == 0 &&
		    !add(all, l, addrs[i].text, addrs[i].family))
			return false;
	return true;
}

struct pools *
pools_new(const struct lines *lines, const struct iface_addr *addrs, size_t n_addrs)
{
	struct pools *all = calloc(1, sizeof(*all));
	bool good = all != NULL;

	for (size_t i = 0; good && i < lines->n; i++) {
		const struct line *l = &lines->lines[i];
		if (!l->is_interface)
			good = add(all, l, l->name, l->family);
	}
	for (size_t i = 0; good && i < lines->n; i++) {
		const struct line *l = &lines->lines[i];
		if (l->is_interface)
			good = add_interface(all, l, addrs, n_addrs);
	}
	if (good)
		return all;
	pools_free(all);
	return NULL;
}

void
pools_free(struct pools *all)
{
	if (all == NULL)
		return;
	for (size_t i = 0; i < all->n; i++)
		for (int f = 0; f < FAMILY_MAX; f++)
			free(all->pools[i].family[f].sources);
	free(all->pools);
	free(all);
}

static const struct source *
next(struct pool *p, enum family family)
{
	struct source *best = NULL;
	long gained = 0;

	for (size_t i = 0; i < p->family[family].n; i++) {
		struct source *s = &p->family[family].sources[i];
		s->credit += (long)s->weight;
		gained += (long)s->weight;
		if (best == NULL || s->credit > best->credit)
			best = s;
	}
	if (best != NULL)
		best->credit -= gained;
	return best;
}

const struct source *
pools_fetch(struct pools *all)
{
	for (size_t i = 0; i < all->n; i++) {
		struct pool *p = &all->pools[i];
		if (p->line->n_patterns > 0)
			continue;
		const struct source *s = next(p, p->turn);
		p->turn = p->turn == FAMILY_INET4 ? FAMILY_INET6 : FAMILY_INET4;
		if (s != NULL)
			return s;
		s = next(p, p->turn);
		p->turn = p->turn == FAMILY_INET4 ? FAMILY_INET6 : FAMILY_INET4;
		return s;
	}
	return NULL;
}

/* "@example.org" is every sender there, "ann" is ann at any domain; elsewhere the whole is meant. */
static bool
fits(const struct pattern *p, const char *fact)
{
	const char *at = strrchr(fact, '@');
	size_t len = at == NULL ? strlen(fact) : (size_t)(at - fact);
	char local[1024];

	if (p->fact == FACT_SENDER && p->text[0] == '@' && at != NULL)
		return fnmatch(p->text, at, 0) == 0;
	if (p->fact == FACT_SENDER && strchr(p->text, '@') == NULL && strcmp(p->text, "<>") != 0) {
		if (len == 0 || len >= sizeof(local))
			return false;
		memcpy(local, fact, len);
		local[len] = '\0';
		return fnmatch(p->text, local, 0) == 0;
	}
	if (p->fact == FACT_SENDER && *fact == '\0')
		fact = "<>";
	return *fact != '\0' && fnmatch(p->text, fact, 0) == 0;
}

/* Of each kind that has patterns, one must fit. */
static bool
line_fits(const struct line *l, const struct facts *f)
{
	bool asked[FACT_MAX] = { 0 }, fit[FACT_MAX] = { 0 };

	for (size_t i = 0; i < l->n_patterns; i++) {
		const struct pattern *p = &l->patterns[i];
		asked[p->fact] = true;
		fit[p->fact] = fit[p->fact] || fits(p, f->of[p->fact]);
	}
	for (int i = 0; i < FACT_MAX; i++)
		if (asked[i] && !fit[i])
			return false;
	return true;
}

const struct source *
pools_choose(struct pools *all, const struct facts *facts, enum family family)
{
	struct pool *rest = NULL;

	for (size_t i = 0; i < all->n; i++) {
		struct pool *p = &all->pools[i];
		if (p->line->n_patterns == 0)
			rest = p;
		else if (line_fits(p->line, facts))
			return next(p, family);
	}
	return rest == NULL ? NULL : next(rest, family);
}

const char *
pools_name(const struct pools *all, const char *address)
{
	for (size_t i = 0; i < all->n; i++)
		for (int f = 0; f < FAMILY_MAX; f++)
			for (size_t j = 0; j < all->pools[i].family[f].n; j++) {
				const struct source *s = &all->pools[i].family[f].sources[j];
				if (s->helo != NULL && strcmp(s->text, address) == 0)
					return s->helo;
			}
	return NULL;
}
