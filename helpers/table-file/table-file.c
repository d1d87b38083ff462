/*
 * table-file PATH: a helper that serves a text file, from memory.  Called by the daemon as a child
 * process; talks the line protocol on stdin and stdout (tab_helper.h).
 *
 * An update reads the file in a thread, while the old data goes on answering, and takes the new data
 * only when all of it is good.  With no data at all, every question is answered with an error.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "local.h"
#include "tab_helper.h"
#include "tab_pool.h"
#include "tab_set.h"

struct reload {
	struct tab_set *set;
	char error[LOAD_ERROR_LEN];
};

static const char *path;
static struct tab_set *set;                /* NULL: nothing could be loaded yet */
static char why_none[LOAD_ERROR_LEN + 20]; /* then this is why */
static struct reload reload;
static struct tab_query *updates; /* being done: a list through data */
static struct tab_query *waiting; /* came while one was being done: they see the file of then */

static void on_update(struct tab_query *);
static void start_reload(void);
static void read_file(void *);
static void on_reloaded(void *);
static void on_question(struct tab_query *);

int
main(int argc, char *argv[])
{
	const struct tab_helper helper = {
		.services = TAB_OFFER_ALL,
		.update = on_update,
		.check = on_question,
		.lookup = on_question,
		.fetch = on_question,
	};

	if (argc != 2 || argv[1][0] == '\0') {
		fprintf(stderr, "usage: table-file path\n");
		return 1;
	}
	path = argv[1];
	read_file(NULL);
	set = reload.set;
	if (set == NULL) {
		tab_log("%s", reload.error);
		snprintf(why_none, sizeof(why_none), "not loaded: %s", reload.error);
	}
	return tab_helper_run(&helper);
}

static void
on_update(struct tab_query *q)
{
	struct tab_query **list = updates == NULL ? &updates : &waiting;

	q->data = *list;
	*list = q;
	if (list == &updates)
		start_reload();
}

static void
start_reload(void)
{
	tab_pool_run(read_file, on_reloaded, NULL);
}

static void
read_file(void *arg)
{
	(void)arg;
	reload.set = load_file(path, reload.error);
}

static void
on_reloaded(void *arg)
{
	(void)arg;
	if (reload.set != NULL) {
		tab_set_free(set);
		set = reload.set;
	} else {
		tab_log("update failed, %s: %s",
		    set == NULL ? "nothing to serve" : "the old data stays", reload.error);
		if (set == NULL)
			snprintf(why_none, sizeof(why_none), "not loaded: %s", reload.error);
	}
	while (updates != NULL) {
		struct tab_query *q = updates;

		updates = q->data;
		if (reload.set != NULL)
			tab_found(q, NULL);
		else
			tab_error(q, reload.error);
	}
	reload.set = NULL;
	updates = waiting;
	waiting = NULL;
	if (updates != NULL)
		start_reload();
}

static void
on_question(struct tab_query *q)
{
	const char *value;

	if (set == NULL) {
		tab_error(q, why_none);
		return;
	}
	if (q->op == TAB_CHECK && q->service == TAB_AUTH) {
		auth_check(q, set);
		return;
	}
	switch (tab_set_ask(set, q->op, q->service, q->key, &value)) {
	case TAB_FOUND: tab_found(q, value); break;
	case TAB_MISSING: tab_missing(q); break;
	case TAB_ERROR: tab_error(q, value); break;
	}
}
