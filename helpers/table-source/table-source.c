/*
 * table-source LIST|PATH: a helper that gives out addresses to send from, in turn.  Called by the
 * daemon as a child process; talks the line protocol on stdin and stdout (tab_helper.h).
 *
 *	source      fetch: the next address, by weight, the families in turn
 *	addrname    the host name that goes with an address
 *	source-for  which address for this mail; registered only with tabmail
 *
 * An update reads the list anew, and takes it only when all of it is good.  What addresses an
 * interface has is looked at again when the last look is older than LOOK_SEC.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "local.h"
#include "tab_helper.h"

#define LOOK_SEC 5

static const char *argument;
static char why_none[ERROR_LEN + 20]; /* why there is no list at all */
static struct lines *lines;           /* NULL: nothing could be loaded yet */
static struct iface_addr *addrs;
static size_t n_addrs;
static struct pools *pools;
static time_t looked;

static bool take_list(struct lines *, char error[ERROR_LEN]);
static void on_update(struct tab_query *);
static void on_fetch(struct tab_query *);
static void on_lookup(struct tab_query *);
static void choose(struct tab_query *);

int
main(int argc, char *argv[])
{
	const struct tab_helper helper = {
		.services = TAB_OFFER(SOURCE) | TAB_OFFER(ADDRNAME) | TAB_OFFER(SOURCE_FOR),
		.update = on_update,
		.lookup = on_lookup,
		.fetch = on_fetch,
	};
	char error[ERROR_LEN];

	if (argc != 2 || argv[1][0] == '\0') {
		fprintf(stderr, "usage: table-source path | list\n");
		return 1;
	}
	argument = argv[1];
	if (!take_list(load_lines(argument, error), error)) {
		tab_log("%s", error);
		snprintf(why_none, sizeof(why_none), "not loaded: %s", error);
	}
	return tab_helper_run(&helper);
}

static time_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static bool
has_interface(const struct lines *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->lines[i].is_interface)
			return true;
	return false;
}

/* The list, or with NULL the one that we have, becomes pools; the old ones stay when it cannot. */
static bool
make_pools(struct lines *l, char error[ERROR_LEN])
{
	struct iface_addr *found = NULL;
	size_t n = 0;

	if (has_interface(l) && (found = interface_addrs(&n)) == NULL) {
		snprintf(error, ERROR_LEN, "the interfaces cannot be asked for their addresses");
		return false;
	}
	struct pools *made = pools_new(l, found, n);
	if (made == NULL) {
		snprintf(error, ERROR_LEN, "out of memory");
		free(found);
		return false;
	}
	pools_free(pools);
	free(addrs);
	pools = made;
	addrs = found;
	n_addrs = n;
	looked = now();
	return true;
}

static bool
take_list(struct lines *l, char error[ERROR_LEN])
{
	if (l == NULL)
		return false;
	if (!make_pools(l, error)) {
		lines_free(l);
		return false;
	}
	lines_free(lines);
	lines = l;
	return true;
}

/* False: the question was answered with an error. */
static bool
is_there(struct tab_query *q)
{
	char error[ERROR_LEN];

	if (lines == NULL) {
		tab_error(q, why_none);
		return false;
	}
	if (has_interface(lines) && now() - looked >= LOOK_SEC) {
		size_t n;
		struct iface_addr *found = interface_addrs(&n);
		bool same = found != NULL && n == n_addrs &&
			    (n == 0 || memcmp(found, addrs, n * sizeof(*found)) == 0);
		free(found);
		looked = now();
		if (!same && !make_pools(lines, error))
			tab_log("%s", error);
	}
	return true;
}

static void
on_update(struct tab_query *q)
{
	char error[ERROR_LEN];

	if (take_list(load_lines(argument, error), error)) {
		tab_found(q, NULL);
		return;
	}
	tab_log("update failed, %s: %s", lines == NULL ? "nothing to serve" : "the old list stays",
	    error);
	if (lines == NULL)
		snprintf(why_none, sizeof(why_none), "not loaded: %s", error);
	tab_error(q, error);
}

static void
on_fetch(struct tab_query *q)
{
	if (q->service != TAB_SOURCE) {
		tab_error(q, "this service has no fetch");
		return;
	}
	if (!is_there(q))
		return;
	const struct source *s = pools_fetch(pools);
	if (s == NULL)
		tab_missing(q);
	else
		tab_found(q, s->text);
}

static void
on_lookup(struct tab_query *q)
{
	char address[64];
	enum family family;
	const char *name;

	if (q->service == TAB_SOURCE)
		tab_error(q, "source is fetched, not looked up");
	else if (!is_there(q))
		return;
	else if (q->service == TAB_SOURCE_FOR)
		choose(q);
	else if (lines_address(q->key, address, &family) &&
		 (name = pools_name(pools, address)) != NULL)
		tab_found(q, name);
	else
		tab_missing(q);
}

/* Cuts the last word off; "-" is "". NULL: there is no blank before it. */
static char *
cut_word(char *text)
{
	char *blank = strrchr(text, ' ');

	if (blank == NULL)
		return NULL;
	*blank = '\0';
	return strcmp(blank + 1, "-") == 0 ? blank + 2 : blank + 1;
}

/* SENDER DOMAIN USER FAMILY; a blank may stand in the sender only. */
static void
choose(struct tab_query *q)
{
	char *key = strdup(q->key), *family = NULL, *user = NULL, *domain = NULL;

	if (key != NULL && (family = cut_word(key)) != NULL && (user = cut_word(key)) != NULL)
		domain = cut_word(key);
	if (domain == NULL || (strcmp(family, "inet4") != 0 && strcmp(family, "inet6") != 0)) {
		tab_error(q, "the key is not: sender recipient-domain user family");
		free(key);
		return;
	}
	struct facts facts = { .of = {
				   [FACT_SENDER] = strcmp(key, "-") == 0 ? "" : key,
				   [FACT_TO] = domain,
				   [FACT_USER] = user,
			       } };
	const struct source *s =
	    pools_choose(pools, &facts, strcmp(family, "inet4") == 0 ? FAMILY_INET4 : FAMILY_INET6);
	if (s == NULL) {
		tab_missing(q);
	} else {
		char value[400];
		snprintf(value, sizeof(value), "%s%s%s", s->text, s->helo == NULL ? "" : " ",
		    s->helo == NULL ? "" : s->helo);
		tab_found(q, value);
	}
	free(key);
}
