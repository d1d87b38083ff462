/*
 * Values of entries, gathered (values.h).  Called by compose.c and group.c.
 *
 * Invariant: what is in here has no NUL, CR or LF, and all of it, joined, is within bytes_max.
 */
#include "values.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <lber.h>

#include "directory.h"
#include "settings.h"
#include "tab_set.h"

#define FEW 16

struct values {
	struct tab_set *seen; /* NULL while there are few */
	char **list;
	size_t n, cap, max, bytes, bytes_max;
};

struct values *
values_new(size_t max, size_t bytes_max)
{
	struct values *v = calloc(1, sizeof(*v));

	if (v == NULL)
		return NULL;
	v->max = max;
	v->bytes_max = bytes_max;
	return v;
}

void
values_free(struct values *v)
{
	if (v == NULL)
		return;
	for (size_t i = 0; i < v->n; i++)
		free(v->list[i]);
	free(v->list);
	tab_set_free(v->seen);
	free(v);
}

size_t
values_count(const struct values *v)
{
	return v->n;
}

const char *
values_at(const struct values *v, size_t i)
{
	return v->list[i];
}

/* Most answers have a value or two: a set is made for long ones only. */
static bool
is_known(struct values *v, const char *text)
{
	const char *value;

	if (v->n < FEW) {
		for (size_t i = 0; i < v->n; i++)
			if (strcasecmp(v->list[i], text) == 0)
				return true;
		return false;
	}
	if (v->seen == NULL) {
		v->seen = tab_set_new();
		for (size_t i = 0; i < v->n; i++)
			tab_set_add(v->seen, v->list[i], NULL);
	}
	return tab_set_ask(v->seen, TAB_CHECK, TAB_STRING, text, &value) == TAB_FOUND;
}

static const char *
add(struct values *v, const char *text, size_t len)
{
	if (is_known(v, text))
		return NULL;
	if (v->n == v->max)
		return "more values than the limit (group_members)";
	if (len + 2 > v->bytes_max - v->bytes)
		return "more values than one answer can hold";
	if (v->n == v->cap) {
		size_t cap = v->cap == 0 ? 8 : v->cap * 2;
		char **list = reallocarray(v->list, cap, sizeof(*list));

		if (list == NULL)
			return "out of memory";
		v->list = list;
		v->cap = cap;
	}
	if ((v->list[v->n] = strdup(text)) == NULL)
		return "out of memory";
	if (v->seen != NULL)
		tab_set_add(v->seen, text, NULL);
	v->n++;
	v->bytes += len + 2;
	return NULL;
}

const char *
values_add(struct values *v, const struct berval *value)
{
	if (value->bv_len == 0)
		return NULL;
	if (memchr(value->bv_val, '\0', value->bv_len) != NULL ||
	    memchr(value->bv_val, '\n', value->bv_len) != NULL ||
	    memchr(value->bv_val, '\r', value->bv_len) != NULL)
		return "a value has a NUL or a line end in it";
	return add(v, value->bv_val, value->bv_len);
}

const char *
values_add_all(struct values *v, const struct values *more)
{
	const char *wrong = NULL;

	for (size_t i = 0; i < more->n && wrong == NULL; i++)
		wrong = add(v, more->list[i], strlen(more->list[i]));
	return wrong;
}

bool
values_same_attr(const char *got, const char *asked)
{
	size_t len = strlen(asked);

	return strncasecmp(got, asked, len) == 0 && (got[len] == '\0' || got[len] == ';');
}

static int
compare_values(const void *a, const void *b)
{
	const struct berval *x = *(const struct berval *const *)a,
			    *y = *(const struct berval *const *)b;
	size_t len = x->bv_len < y->bv_len ? x->bv_len : y->bv_len;
	int order = len == 0 ? 0 : memcmp(x->bv_val, y->bv_val, len);

	return order != 0 ? order : (x->bv_len > y->bv_len) - (x->bv_len < y->bv_len);
}

/* An attribute's values are a set, which a server may send in any order. */
static const char *
add_sorted(struct values *v, const struct directory_attr *attr)
{
	const char *wrong = NULL;
	const struct berval **sorted = calloc(attr->n + 1, sizeof(const struct berval *));

	if (sorted == NULL)
		return "out of memory";
	for (size_t i = 0; i < attr->n; i++)
		sorted[i] = &attr->values[i];
	qsort(sorted, attr->n, sizeof(const struct berval *), compare_values);
	for (size_t i = 0; i < attr->n && wrong == NULL; i++)
		wrong = values_add(v, sorted[i]);
	free(sorted);
	return wrong;
}

/* The end of "member;range=0-1499"; NULL: that is no part, or the last one, which ends in "*". */
static const char *
part_end(const char *name)
{
	const char *range = strcasestr(name, ";range=");
	const char *dash = range == NULL ? NULL : strchr(range, '-');

	return dash == NULL || dash[1] == '*' ? NULL : dash + 1;
}

bool
values_rest(const char *part, char *buf, size_t len)
{
	char *after;
	unsigned long last = strtoul(part_end(part), &after, 10);
	size_t name_len = strcspn(part, ";");

	if (*after != '\0' || last >= UINT_MAX)
		return false;
	return (size_t)snprintf(buf, len, "%.*s;range=%lu-*", (int)name_len, part, last + 1) < len;
}

const char *
values_add_attrs(struct values *v, const struct directory_entry *e, const struct ldap_attrs *attrs,
    const char **part)
{
	const char *wrong;

	if (part != NULL)
		*part = NULL;
	for (size_t i = 0; i < attrs->n; i++)
		for (size_t j = 0; j < e->n; j++) {
			const char *name = e->attrs[j].name;

			if (!values_same_attr(name, attrs->names[i]))
				continue;
			if (part_end(name) != NULL) {
				if (part == NULL || *part != NULL)
					return "the server gives only a part of an attribute's "
					       "values (range)";
				*part = name;
			}
			if ((wrong = add_sorted(v, &e->attrs[j])) != NULL)
				return wrong;
		}
	return NULL;
}

char *
values_join(const struct values *v, const char *between)
{
	size_t len = 1, gap = strlen(between);

	for (size_t i = 0; i < v->n; i++)
		len += strlen(v->list[i]) + gap;
	char *text = malloc(len), *p = text;
	if (text == NULL)
		return NULL;
	*p = '\0';
	for (size_t i = 0; i < v->n; i++) {
		if (i > 0)
			p = stpcpy(p, between);
		p = stpcpy(p, v->list[i]);
	}
	return text;
}

static int
compare_entries(const void *a, const void *b)
{
	const struct directory_entry *x = a, *y = b;
	int order = strcasecmp(x->dn, y->dn);

	return order != 0 ? order : strcmp(x->dn, y->dn);
}

void
values_sort_entries(struct directory_entry *entries, size_t n)
{
	if (n > 1)
		qsort(entries, n, sizeof(*entries), compare_entries);
}
