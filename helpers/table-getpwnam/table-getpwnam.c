/*
 * table-getpwnam: a helper that answers userinfo from the system's user database.  Called by the daemon
 * as a child process.  The database may be anywhere (NSS), and slow: each question is asked in a thread
 * of its own, THREADS at a time.
 *
 * Invariant: missing is said only where the database itself said so.  getpwnam_r() returns 0 without a
 * user then; any number it returns is an error, ENOENT too (that is what a source that cannot be
 * reached leaves behind).
 */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tab_helper.h"
#include "tab_pool.h"

#define THREADS    8
#define BUFFER_MAX (1024 * 1024)

struct ask {
	struct tab_query *q;
	enum tab_answer answer;
	char *text; /* the value, or the reason; to be freed */
};

static void on_lookup(struct tab_query *);
static void find_user(void *);
static void on_found(void *);

int
main(int argc, char *argv[])
{
	const struct tab_helper helper = {
		.services = TAB_OFFER(USERINFO),
		.lookup = on_lookup,
	};

	/* The daemon gives an argument only when the table has one. */
	if (argc > 2 || (argc == 2 && argv[1][0] != '\0')) {
		fprintf(stderr, "usage: table-getpwnam\n");
		return 1;
	}
	tab_pool_size(THREADS);
	return tab_helper_run(&helper);
}

static void
on_lookup(struct tab_query *q)
{
	struct ask *a = calloc(1, sizeof(*a));

	if (a == NULL) {
		tab_error(q, "out of memory");
		return;
	}
	a->q = q;
	tab_pool_run(find_user, on_found, a);
}

static void
find_user(void *arg)
{
	struct ask *a = arg;
	struct passwd pw, *found = NULL;
	char *buf = NULL;
	int error = ERANGE;

	for (size_t size = 1024; error == ERANGE && size <= BUFFER_MAX; size *= 4) {
		free(buf);
		buf = malloc(size);
		if (buf == NULL)
			error = ENOMEM;
		else
			error = getpwnam_r(a->q->key, &pw, buf, size, &found);
		if (error == EINTR)
			error = ERANGE; /* asks again */
	}
	a->answer = error != 0 ? TAB_ERROR : found == NULL ? TAB_MISSING : TAB_FOUND;
	int len = 0;
	if (error != 0)
		len = asprintf(&a->text, "user database: %s", strerror(error));
	else if (found != NULL)
		len = asprintf(&a->text, "%u:%u:%s", pw.pw_uid, pw.pw_gid, pw.pw_dir);
	if (len == -1) {
		a->text = NULL;
		a->answer = TAB_ERROR;
	}
	free(buf);
}

static void
on_found(void *arg)
{
	struct ask *a = arg;

	switch (a->answer) {
	case TAB_FOUND: tab_found(a->q, a->text); break;
	case TAB_MISSING: tab_missing(a->q); break;
	case TAB_ERROR:
		tab_log("%s", a->text == NULL ? "out of memory" : a->text);
		tab_error(a->q, a->text == NULL ? "out of memory" : a->text);
		break;
	}
	free(a->text);
	free(a);
}
