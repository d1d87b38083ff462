/*
 * Groups: an alias whose entry names others, by DN or by LDAP URL (alias_special_attributes), which are
 * fetched, and what they name, level by level.  Called by backend.c with the first entries.
 *
 *	entries → values, and what they name → a level of items, 64 at a time → their entries → …
 *
 * Values come from alias_attributes of every entry, and from alias_leaf_attributes of those that name no
 * others.  Their order is that of the levels, so the same directory gives the same answer however the
 * answers of a level arrive.
 *
 * Invariant: no DN or URL is followed twice, so loops end; a limit that is reached, or an item that could
 * not be asked for, makes the whole answer an ERROR: a group is never silently short of members.  The
 * exception is a member of which the server says that there is no such entry: it has been deleted.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <ldap.h>

#include "ask.h"
#include "tab_helper.h"
#include "tab_set.h"
#include "values.h"

#define AT_ONCE 64

struct item {
	struct group *group;
	char *base, *filter; /* filter NULL: the entry itself */
	int scope;
	char *rest; /* not all of it, only the rest of a list that came in parts; else NULL */
	unsigned depth;
	struct values *values, *names; /* what its entries have; in order */
	struct values *rests;          /* what is to be asked for yet: "member;range=1500-* DN" */
};

struct group {
	struct ask *q;
	struct values *out;
	struct tab_set *seen;
	struct item *items; /* of this level */
	size_t n, next, in_flight;
	size_t followed; /* items of all levels */
	unsigned gone;
	char *gone_dn;
	char why[200]; /* an ERROR: nothing more is asked, what is in flight is awaited */
};

static void ask_more(struct group *);
static void on_item(const struct directory_result *, void *);
static void end_level(struct group *);
static void finish(struct group *);

const char *const *
group_attrs(const struct ldap_settings *s)
{
	static const char *all[3 * SETTINGS_ATTRS_MAX + 1]; /* copied by who gets it */
	const struct ldap_attrs *lists[] = { &s->services[TAB_ALIAS].attrs, &s->leaf, &s->special };
	size_t n = 0;

	for (size_t i = 0; i < 3; i++)
		for (size_t j = 0; j < lists[i]->n; j++)
			all[n++] = lists[i]->names[j];
	all[n] = NULL;
	return all;
}

static void fail(struct group *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void
fail(struct group *g, const char *fmt, ...)
{
	va_list ap;

	if (g->why[0] != '\0')
		return;
	va_start(ap, fmt);
	vsnprintf(g->why, sizeof(g->why), fmt, ap);
	va_end(ap);
}

static void
free_names(struct item *item)
{
	free(item->base);
	free(item->filter);
	free(item->rest);
	item->base = item->filter = item->rest = NULL;
}

static void
clear_items(struct group *g)
{
	for (size_t i = 0; i < g->n; i++) {
		free_names(&g->items[i]);
		values_free(g->items[i].values);
		values_free(g->items[i].names);
		values_free(g->items[i].rests);
	}
	free(g->items);
	g->items = NULL;
	g->n = g->next = 0;
}

/* A list of the entry came in parts: its rest is asked for in the next level. */
static const char *
keep_rest(struct item *item, const char *part, const char *dn)
{
	char attr[200], text[4096];
	struct berval value = { .bv_val = text };

	if (item->rests == NULL &&
	    (item->rests = values_new(item->group->q->settings->group_members, VALUES_KEPT_MAX)) ==
		NULL)
		return "out of memory";
	if (!values_rest(part, attr, sizeof(attr)))
		return "a part of a list that is not understood";
	value.bv_len = (size_t)snprintf(text, sizeof(text), "%s %s", attr, dn);
	return value.bv_len < sizeof(text) ? values_add(item->rests, &value)
					   : "a DN that is too long";
}

/* What an item's entries have: values for the answer, names to follow. */
static void
gather(struct group *g, struct item *item, const struct directory_result *r)
{
	const struct ldap_settings *s = g->q->settings;

	item->values = values_new(s->group_members, VALUES_LINE_MAX);
	item->names = values_new(s->group_members, VALUES_KEPT_MAX);
	if (item->values == NULL || item->names == NULL) {
		fail(g, "out of memory");
		return;
	}
	values_sort_entries(r->entries, r->n);
	for (size_t i = 0; i < r->n; i++) {
		struct directory_entry *e = &r->entries[i];
		size_t before = values_count(item->names);
		const char *part, *wrong = values_add_attrs(item->names, e, &s->special, &part);

		if (wrong == NULL && part != NULL)
			wrong = keep_rest(item, part, e->dn);
		if (wrong == NULL)
			wrong =
			    values_add_attrs(item->values, e, &s->services[TAB_ALIAS].attrs, NULL);
		if (wrong == NULL && values_count(item->names) == before)
			wrong = values_add_attrs(item->values, e, &s->leaf, NULL);
		if (wrong != NULL)
			fail(g, "%.100s: %s", e->dn, wrong);
	}
}

void
group_follow(struct ask *q, const struct directory_result *r)
{
	struct group *g = calloc(1, sizeof(*g));

	if (g == NULL ||
	    (g->out = values_new(q->settings->group_members, VALUES_LINE_MAX)) == NULL ||
	    (g->items = calloc(1, sizeof(*g->items))) == NULL) {
		values_free(g == NULL ? NULL : g->out);
		free(g);
		ask_error(q, "out of memory");
		return;
	}
	g->q = q;
	g->seen = tab_set_new();
	g->n = 1;
	g->items[0].group = g;
	gather(g, &g->items[0], r);
	end_level(g);
}

/* --- From a name to an item */

/* One text for all ways to write a DN; compared regardless of case. */
static bool
take_dn(struct item *item, const char *name)
{
	LDAPDN dn = NULL;

	if (ldap_str2dn(name, &dn, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS || dn == NULL)
		return false;
	char *text = NULL;
	bool good = ldap_dn2str(dn, &text, LDAP_DN_FORMAT_LDAPV3) == LDAP_SUCCESS;
	ldap_dnfree(dn);
	item->base = good ? strdup(text) : NULL;
	item->scope = LDAP_SCOPE_BASE;
	ldap_memfree(text);
	return item->base != NULL;
}

/* The servers are ours, whatever host the URL names; attributes are those that we look for. */
static bool
take_url(struct item *item, const char *name)
{
	LDAPURLDesc *url = NULL;

	if (!ldap_is_ldap_url(name) || ldap_url_parse(name, &url) != LDAP_URL_SUCCESS)
		return false;
	item->base = strdup(url->lud_dn == NULL ? "" : url->lud_dn);
	item->filter = strdup(url->lud_filter == NULL ? "(objectClass=*)" : url->lud_filter);
	item->scope = url->lud_scope == LDAP_SCOPE_ONELEVEL || url->lud_scope == LDAP_SCOPE_SUBTREE
			  ? url->lud_scope
			  : LDAP_SCOPE_BASE;
	bool critical = url->lud_crit_exts != 0;
	ldap_free_urldesc(url);
	if (item->base != NULL && item->filter != NULL && !critical)
		return true;
	free_names(item);
	return false;
}

struct level {
	struct item *items;
	size_t n, cap;
};

/* Takes what the item holds over, and leaves nothing in it, unless it was followed before. */
static void
add_item(struct group *g, struct level *next, struct item *item, const char *known_as)
{
	unsigned max_depth = g->q->settings->group_depth, max = g->q->settings->group_members;

	if (!tab_set_add(g->seen, known_as, NULL))
		return;
	if (next->n == next->cap) {
		size_t more = next->cap == 0 ? 16 : next->cap * 2;
		struct item *items = reallocarray(next->items, more, sizeof(*items));

		if (items == NULL) {
			fail(g, "out of memory");
			return;
		}
		next->items = items;
		next->cap = more;
	}
	next->items[next->n++] = *item;
	item->base = item->filter = item->rest = NULL;
	if (item->depth > max_depth)
		fail(g, "groups nest deeper than %u (group_depth)", max_depth);
	if (++g->followed > max)
		fail(g, "more than %u members (group_members)", max);
}

static void
add_name(struct group *g, struct level *next, const struct item *from, const char *name)
{
	struct item item = { .group = g, .depth = from->depth + 1 };

	if (take_url(&item, name) || take_dn(&item, name))
		add_item(g, next, &item, item.filter == NULL ? item.base : name);
	else
		fail(g, "a member is neither a DN nor an LDAP URL: %.100s", name);
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the level has what was taken over */
	free_names(&item);
}

static void
add_rest(struct group *g, struct level *next, const struct item *from, const char *rest)
{
	struct item item = { .group = g, .depth = from->depth, .scope = LDAP_SCOPE_BASE };
	const char *blank = strchr(rest, ' ');

	item.rest = strndup(rest, (size_t)(blank - rest));
	item.base = strdup(blank + 1);
	if (item.rest != NULL && item.base != NULL)
		add_item(g, next, &item, rest);
	else
		fail(g, "out of memory");
	free_names(&item);
}

/* --- Levels */

/* A level is complete: its values go to the answer, what it names is the next one. */
static void
end_level(struct group *g)
{
	struct level next = { .n = 0 };

	for (size_t i = 0; i < g->n && g->why[0] == '\0'; i++) {
		struct item *item = &g->items[i];

		if (item->values == NULL) /* it was gone */
			continue;
		const char *wrong = values_add_all(g->out, item->values);
		if (wrong != NULL)
			fail(g, "%s", wrong);
		for (size_t j = 0; j < values_count(item->names) && g->why[0] == '\0'; j++)
			add_name(g, &next, item, values_at(item->names, j));
		for (size_t j = 0; item->rests != NULL && j < values_count(item->rests); j++)
			add_rest(g, &next, item, values_at(item->rests, j));
	}
	clear_items(g);
	g->items = next.items;
	g->n = next.n;
	if (g->n == 0 || g->why[0] != '\0')
		finish(g);
	else
		ask_more(g);
}

static void
ask_more(struct group *g)
{
	while (g->next < g->n && g->in_flight < AT_ONCE) {
		struct item *item = &g->items[g->next++];
		const char *rest[] = { item->rest, NULL };
		struct directory_search s = { .base = item->base,
			.scope = item->scope,
			.filter = item->filter == NULL ? "(objectClass=*)" : item->filter,
			.attrs = item->rest != NULL ? rest : group_attrs(g->q->settings),
			.max_entries = g->q->settings->group_members };

		g->in_flight++;
		ask_find(g->q, &s, on_item, item);
	}
}

static void
on_item(const struct directory_result *r, void *arg)
{
	struct item *item = arg;
	struct group *g = item->group;

	g->in_flight--;
	if (r->answer == DIRECTORY_OK)
		gather(g, item, r);
	else if (r->code == LDAP_NO_SUCH_OBJECT && item->filter == NULL) {
		if (g->gone++ == 0)
			g->gone_dn = strdup(item->base);
	} else
		fail(g, "%s", r->error);
	if (g->why[0] == '\0')
		ask_more(g);
	if (g->in_flight == 0)
		end_level(g);
}

static void
finish(struct group *g)
{
	struct ask *q = g->q;
	char *text = NULL;

	if (g->gone > 0)
		tab_log("alias %s: %u members are not in the directory, one of them %s", q->key,
		    g->gone, g->gone_dn == NULL ? "?" : g->gone_dn);
	if (g->why[0] == '\0' && values_count(g->out) == 0 && g->gone > 0)
		fail(g, "none of the members is in the directory");
	if (g->why[0] == '\0' && values_count(g->out) > 0 &&
	    (text = values_join(g->out, ", ")) == NULL)
		fail(g, "out of memory");
	if (g->why[0] != '\0')
		ask_error(q, g->why);
	else
		ask_answer(q, text == NULL ? TAB_MISSING : TAB_FOUND, text);
	free(text);
	clear_items(g);
	values_free(g->out);
	tab_set_free(g->seen);
	free(g->gone_dn);
	free(g);
}
