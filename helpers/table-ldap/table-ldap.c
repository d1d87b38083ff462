/*
 * table-ldap FILE: a helper that answers from an LDAP directory.  Called by the daemon as a child process;
 * talks the line protocol on stdin and stdout (tab_helper.h), LDAP by directory.h.
 *
 * It starts with the directory down, and with a file that is wrong: then all questions are answered with
 * an error, until the one is up and an update has read the other.  An update reads the file in a thread,
 * while questions go on; a file with a fault changes nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend.h"
#include "once.h"
#include "settings.h"
#include "tab_helper.h"
#include "tab_pool.h"

struct reading {
	struct ldap_settings *settings; /* NULL: the file is wrong */
	struct settings_faults wrong, warnings;
	unsigned meant; /* services */
};

static const char *path;
static struct backend *backend; /* NULL: no good file yet */
static char why_none[600];      /* then this is why */
static unsigned registered;     /* services that the daemon knows of */
static struct reading reading;
static struct tab_query *updates; /* being done: a list through data */
static struct tab_query *waiting; /* came while one was being done: they see the file of then */

static void on_update(struct tab_query *);
static void read_file(void *);
static void on_read(void *);
static void on_question(struct tab_query *);
static void on_answer(enum tab_answer, const char *, void *);

static void
log_faults(const struct settings_faults *f, const char *kind)
{
	unsigned shown = f->n < SETTINGS_FAULTS_MAX ? f->n : SETTINGS_FAULTS_MAX;

	for (unsigned i = 0; i < shown; i++)
		tab_log("%s%s", f->text[i] == NULL ? "out of memory" : f->text[i], kind);
	if (f->n > shown)
		tab_log("%s: %u more%s", path, f->n - shown, kind);
}

/* Puts the file that was read to work; what is wrong with it stays in `reading` until the next one. */
static void
take_reading(void)
{
	log_faults(&reading.warnings, " (warning)");
	log_faults(&reading.wrong, "");
	if (reading.settings != NULL) {
		struct backend *old = backend;

		backend = backend_open(reading.settings, false);
		reading.settings = NULL;
		if (backend == NULL)
			backend = old;
		else
			backend_retire(old);
	}
	if (backend == NULL)
		snprintf(why_none, sizeof(why_none), "not loaded: %s",
		    reading.wrong.n > 0 && reading.wrong.text[0] != NULL ? reading.wrong.text[0]
									 : "out of memory");
}

int
main(int argc, char *argv[])
{
	struct tab_helper helper = { .update = on_update,
		.check = on_question,
		.lookup = on_question,
		.fetch = on_question };

	if (argc > 1 && argv[1][0] == '-')
		return once_main(argc, argv);
	if (argc != 2 || argv[1][0] == '\0') {
		fprintf(stderr, ONCE_USAGE);
		return 1;
	}
	path = argv[1];
	read_file(NULL);
	take_reading();
	registered = reading.meant != 0 ? reading.meant : SETTINGS_OFFERED;
	helper.services = registered;
	int status = tab_helper_run(&helper);
	backend_retire(backend);
	if (directory_hangs())
		_exit(status);
	return status;
}

static void
on_update(struct tab_query *q)
{
	struct tab_query **list = updates == NULL ? &updates : &waiting;

	q->data = *list;
	*list = q;
	if (list == &updates)
		tab_pool_run(read_file, on_read, NULL);
}

static void
read_file(void *arg)
{
	(void)arg;
	settings_faults_clear(&reading.wrong);
	settings_faults_clear(&reading.warnings);
	reading.settings = settings_load(path, &reading.wrong, &reading.warnings, &reading.meant);
}

/* Services were registered once and for all: the daemon asks for those, and for no others. */
static void
log_changed_services(void)
{
	unsigned now = backend_services(backend);

	for (int i = 0; i < TAB_SERVICE_MAX; i++) {
		const char *name = tab_service_name((enum tab_service)i);

		if ((now & ~registered & 1u << i) != 0)
			tab_log("%s: %s is new: it is served after a restart of the helper", path,
			    name);
		else if (registered != SETTINGS_OFFERED && (registered & ~now & 1u << i) != 0)
			tab_log("%s: %s is gone: questions to it are answered with an error", path,
			    name);
	}
}

static void
on_read(void *arg)
{
	bool good = reading.settings != NULL;

	(void)arg;
	take_reading();
	if (good)
		log_changed_services();
	else
		tab_log("update failed, %s",
		    backend == NULL ? "nothing to serve" : "the old file stays in force");
	while (updates != NULL) {
		struct tab_query *q = updates;

		updates = q->data;
		if (good)
			tab_found(q, NULL);
		else
			tab_error(q, reading.wrong.text[0]);
	}
	updates = waiting;
	waiting = NULL;
	if (updates != NULL)
		tab_pool_run(read_file, on_read, NULL);
}

static void
on_question(struct tab_query *q)
{
	if (backend == NULL)
		tab_error(q, why_none);
	else
		backend_ask(backend, q->op, q->service, q->table, q->key, on_answer, q);
}

static void
on_answer(enum tab_answer answer, const char *text, void *arg)
{
	struct tab_query *q = arg;

	switch (answer) {
	case TAB_FOUND: tab_found(q, text); break;
	case TAB_MISSING: tab_missing(q); break;
	case TAB_ERROR: tab_error(q, text); break;
	}
}
