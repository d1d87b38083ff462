/*
 * From entries to an answer (compose.h), service by service.  Called by ask.c.
 *
 * Invariant: an answer is FOUND only with a value that the service's reader understands; two entries that
 * say different things where one is wanted are an ERROR, for nobody knows which of them is meant.
 */
#include "compose.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <bsd/stdlib.h>

#include <lber.h>

#include "directory.h"
#include "settings.h"
#include "tab_set.h"
#include "values.h"

static void
fail(struct composed *c, const char *why)
{
	*c = (struct composed){ .answer = TAB_ERROR, .why = why, .remark = c->remark };
}

static void
found(struct composed *c, char *text)
{
	if (text == NULL)
		fail(c, "out of memory");
	else {
		c->answer = TAB_FOUND;
		c->text = text;
	}
}

/* --- Services that take all values there are: joined, the first, or each in turn */

static void
compose_list(struct composed *c, const struct compose_ask *ask,
    const struct directory_entry *entries, size_t n)
{
	struct values *v = values_new(ask->max, VALUES_LINE_MAX);
	const char *wrong = v == NULL ? "out of memory" : NULL;
	bool all = ask->service == TAB_ALIAS || ask->service == TAB_MAILADDRMAP;

	for (size_t i = 0; i < n && wrong == NULL; i++)
		wrong = values_add_attrs(v, &entries[i], ask->attrs, NULL);
	if (wrong != NULL)
		fail(c, wrong);
	else if (values_count(v) == 0)
		c->answer = TAB_MISSING;
	else if (ask->op == TAB_FETCH)
		found(c, strdup(values_at(v, ask->turn % values_count(v))));
	else
		found(c, all ? values_join(v, ", ") : strdup(values_at(v, 0)));
	values_free(v);
}

/* A service that is only checked may have no attribute: then the key is what was found. */
static void
compose_match(struct composed *c, const struct compose_ask *ask,
    const struct directory_entry *entries, size_t n)
{
	if (ask->attrs->n > 0)
		compose_list(c, ask, entries, n);
	if (n > 0 && (ask->attrs->n == 0 || c->answer == TAB_MISSING))
		found(c, strdup(ask->key));
}

/* All values together, matched with the key by the rules of a list: networks, *.example.org, @example.org. */
static void
compose_match_list(struct composed *c, const struct compose_ask *ask,
    const struct directory_entry *entries, size_t n)
{
	struct values *v = values_new(ask->max, VALUES_KEPT_MAX);
	struct tab_set *set = tab_set_new();
	const char *wrong = v == NULL ? "out of memory" : NULL, *value = NULL;

	for (size_t i = 0; i < n && wrong == NULL; i++)
		wrong = values_add_attrs(v, &entries[i], ask->attrs, NULL);
	for (size_t i = 0; wrong == NULL && i < values_count(v); i++)
		tab_set_add(set, values_at(v, i), NULL);
	if (wrong != NULL)
		fail(c, wrong);
	else if ((c->answer = tab_set_ask(set, ask->op, ask->service, ask->key, &value)) ==
		 TAB_FOUND)
		found(c, strdup(value));
	else if (c->answer == TAB_ERROR)
		fail(c, "the list cannot be matched with");
	tab_set_free(set);
	values_free(v);
}

/* --- Services where an entry is one record */

static bool
is_text(const struct berval *v)
{
	return v->bv_len > 0 && memchr(v->bv_val, '\0', v->bv_len) == NULL &&
	       memchr(v->bv_val, '\n', v->bv_len) == NULL &&
	       memchr(v->bv_val, '\r', v->bv_len) == NULL;
}

/* The attribute's value that is `want`, else its first one; NULL: it has none. */
static const char *
value_of(const struct directory_entry *e, const char *name, const char *want)
{
	const char *first = NULL;

	for (size_t i = 0; i < e->n; i++) {
		if (!values_same_attr(e->attrs[i].name, name))
			continue;
		for (size_t j = 0; j < e->attrs[i].n; j++) {
			const struct berval *v = &e->attrs[i].values[j];

			if (!is_text(v))
				continue;
			if (want != NULL && strcasecmp(v->bv_val, want) == 0)
				return v->bv_val;
			if (first == NULL)
				first = v->bv_val;
		}
	}
	return first;
}

/* The length of a scheme as RFC 2307 writes it, {SSHA}; 0: none. */
static size_t
scheme_len(const char *password)
{
	size_t len = strspn(password + (*password == '{'),
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./");

	return *password == '{' && len > 0 && password[len + 1] == '}' ? len + 2 : 0;
}

/* What crypt(3) can check, or a relay's password; NULL: nothing of that kind. */
static const char *
usable_password(const struct directory_entry *e, const char *name, bool *other)
{
	const char *plain = NULL;

	for (size_t i = 0; i < e->n; i++) {
		if (!values_same_attr(e->attrs[i].name, name))
			continue;
		for (size_t j = 0; j < e->attrs[i].n; j++) {
			const struct berval *v = &e->attrs[i].values[j];

			if (!is_text(v))
				continue;
			if (strncasecmp(v->bv_val, "{CRYPT}", 7) == 0 && v->bv_val[7] != '\0')
				return v->bv_val + 7;
			if (scheme_len(v->bv_val) > 0)
				*other = true;
			else if (plain == NULL)
				plain = v->bv_val;
		}
	}
	return plain;
}

/* One entry's credentials, user:hash; NULL with *c untouched: it has none. */
static char *
credentials_of(struct composed *c, const struct compose_ask *ask, const struct directory_entry *e)
{
	const struct ldap_attrs *a = ask->attrs;
	const char *user = a->n == 2 ? value_of(e, a->names[0], ask->key) : ask->key;
	bool other = false;
	const char *password = usable_password(e, a->names[a->n - 1], &other);
	char *text;

	if (user != NULL && password == NULL && other) {
		c->remark = "a password's scheme is not {CRYPT}, so crypt(3) cannot check it: use "
			    "auth_filter or auth_dn";
		fail(c, "the password's scheme cannot be checked by crypt(3)");
		return NULL;
	}
	if (user == NULL || password == NULL) {
		c->remark = "an entry lacks the user or the password, or we may not read it: as if "
			    "it were not there";
		return NULL;
	}
	if (strchr(user, ':') != NULL) {
		fail(c, "a user with a colon in his name");
		return NULL;
	}
	if (asprintf(&text, "%s:%s", user, password) == -1) {
		fail(c, "out of memory");
		return NULL;
	}
	return text;
}

static bool
is_id(const char *id)
{
	size_t len = strlen(id);

	return len <= 10 && strspn(id, "0123456789") == len;
}

static char *
userinfo_of(struct composed *c, const struct compose_ask *ask, const struct directory_entry *e)
{
	const char *v[3];
	char *text;

	for (int i = 0; i < 3; i++)
		if ((v[i] = value_of(e, ask->attrs->names[i], NULL)) == NULL) {
			c->remark = "an entry lacks uid, gid or home, or we may not read it: as if "
				    "it were not there";
			return NULL;
		}
	if (!is_id(v[0]) || !is_id(v[1]) || *v[2] != '/') {
		fail(c, "uid and gid must be numbers, home a path that begins with /");
		return NULL;
	}
	if (asprintf(&text, "%s:%s:%s", v[0], v[1], v[2]) == -1) {
		fail(c, "out of memory");
		return NULL;
	}
	return text;
}

static void
compose_record(struct composed *c, const struct compose_ask *ask,
    const struct directory_entry *entries, size_t n)
{
	bool userinfo = ask->service == TAB_USERINFO;
	char *one = NULL;

	for (size_t i = 0; i < n && c->answer != TAB_ERROR; i++) {
		char *text = (userinfo ? userinfo_of : credentials_of)(c, ask, &entries[i]);

		if (text == NULL)
			continue;
		if (one != NULL && strcmp(one, text) != 0)
			fail(c, "several entries match, and do not say the same");
		if (one == NULL)
			one = text;
		else
			freezero(text, strlen(text));
	}
	if (c->answer != TAB_ERROR && one != NULL)
		found(c, one);
	else if (one != NULL)
		freezero(one, strlen(one));
}

void
compose(
    struct composed *c, const struct compose_ask *ask, struct directory_entry *entries, size_t n)
{
	*c = (struct composed){ .answer = TAB_MISSING };
	if (ask->is_list) {
		compose_match_list(c, ask, entries, n);
		return;
	}
	if (ask->op == TAB_CHECK) {
		c->answer = n > 0 ? TAB_FOUND : TAB_MISSING;
		return;
	}
	values_sort_entries(entries, n);
	switch (ask->service) {
	case TAB_CREDENTIALS:
	case TAB_USERINFO: compose_record(c, ask, entries, n); break;
	case TAB_DOMAIN:
	case TAB_NETADDR:
	case TAB_MAILADDR: compose_match(c, ask, entries, n); break;
	case TAB_ALIAS:
	case TAB_SOURCE:
	case TAB_MAILADDRMAP:
	case TAB_ADDRNAME:
	case TAB_RELAYHOST: compose_list(c, ask, entries, n); break;
	case TAB_AUTH:
	case TAB_SOURCE_FOR:
	case TAB_STRING:
	case TAB_REGEX:
	case TAB_SERVICE_MAX: fail(c, "this service has no such operation"); break;
	}
}
