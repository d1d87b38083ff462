/*
 * What the control socket does to the queue: schedule, hold, release, remove and reroute what a selection
 * takes; pause and resume.
 *
 * In batches, with a turn of the loop between them, so that a long queue holds up nobody's mail.
 */
#include "local.h"
#include "clock.h"
#include "log.h"
#include "row.h"
#include "text.h"

#include <bsd/stdlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 300

static const struct {
	const char *word, *done;
	bool (*wish)(struct envelope *);
} commands[] = {
	{ "schedule", "scheduled", wish_schedule },
	{ "hold", "held", wish_hold },
	{ "release", "released", wish_release },
	{ "remove", "removed", wish_remove },
	{ "reroute", "rerouted", wish_reroute },
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void schedule_batch(struct control *);
static void command_batch(struct control *);
static bool is_there(const struct spool_envelope *, void *);
static bool on_envelope(const struct spool_envelope *, void *);

static void
say(struct control *c, const char *what)
{
	char line[64];
	struct text t = { 0 };

	snprintf(line, sizeof(line), "%llu %s", (unsigned long long)c->count, what);
	row_line(&t, 'T', line, NULL);
	control_put(c, &t);
	text_free(&t);
	control_end(c, NULL);
}

/* For tests only: this process's clock goes ahead, and what is due then is due. */
void
controldo_clock(struct control *c, const char *plus_sec)
{
	const char *allowed = getenv("TABMAIL_TEST_CLOCK"), *wrong = NULL;
	int64_t sec = strtonum(plus_sec, 0, 10ll * 366 * 86400, &wrong);

	if (allowed == NULL || strcmp(allowed, "1") != 0) {
		control_end(c, "not a request that is known");
		return;
	}
	if (*plus_sec != '+' || wrong != NULL) {
		control_end(c, "not +SECONDS");
		return;
	}
	clock_advance(sec);
	log_info("queue clock advanced=%llds", (long long)sec);
	schedule_now();
	warning_now();
	control_end(c, NULL);
}

/* pause or resume, and what */
void
controldo_pause(struct control *c, char **words, size_t n)
{
	bool begin = strcmp(words[0], "pause") == 0;

	if (n != 2 || *words[1] == '\0' || strlen(words[1]) > 1000)
		control_end(c, "local, relay, smtp or a route is wanted");
	else
		control_end(c, begin ? pause_begin(words[1]) : pause_end(words[1]));
}

bool
controldo_is_command(const char *word)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i].word, word) == 0)
			return true;
	return false;
}

/* One of the commands, and what it is for. */
void
controldo_command(struct control *c, char **words, size_t n)
{
	journal_commit(); /* so that what is to be written is met in the spool */
	select_free(&c->selected);
	const char *wrong =
	    n < 2 ? "which: ID, all, or sender, recipient, route or state with a value"
		  : select_parse(&c->selected, words + 1, n - 1);
	if (wrong == NULL && c->selected.one &&
	    spool_each(c->selected.from, c->selected.to, 1, is_there, NULL) == 0)
		wrong = "there is no such message or envelope";
	if (wrong != NULL) {
		control_end(c, wrong);
		return;
	}
	c->count = 0;
	for (c->command = 0; strcmp(commands[c->command].word, words[0]) != 0;)
		c->command++;
	bool all = c->selected.all && strcmp(words[0], "schedule") == 0;
	if (all)
		lanedown_retry_all();
	c->step = all ? schedule_batch : command_batch;
	c->step(c);
}

static bool
is_there(const struct spool_envelope *row, void *arg)
{
	(void)row;
	(void)arg;
	return false;
}

/* All of it the spool does by itself, many times faster. */
static void
schedule_batch(struct control *c)
{
	int64_t now = clock_wall_sec();
	size_t n;

	if (!spool_advance(c->selected.from, c->selected.to, now, BATCH, &n)) {
		log_warn("queue schedule failed reason=%s", log_quote(spool_error()));
		journal_commit();
		control_end(c, "the spool cannot be written");
		return;
	}
	c->count += n;
	journal_wrote();
	schedule_rewind(now, 0);
	if (n == BATCH)
		control_again(c);
	else
		say(c, commands[c->command].done);
}

static void
command_batch(struct control *c)
{
	size_t n = spool_each(c->selected.from, c->selected.to, BATCH, on_envelope, c);

	journal_commit();
	if (n == BATCH)
		control_again(c);
	else
		say(c, commands[c->command].done);
}

static bool
on_envelope(const struct spool_envelope *row, void *arg)
{
	struct control *c = arg;
	struct envelope *e = envelope_find(row->message, row->n);

	c->selected.from = spool_key(row->message, row->n) + 1;
	if (!select_takes(&c->selected, row, e))
		return true;
	bool loaded = e == NULL;
	if (loaded && (e = envelope_load(row)) != NULL) {
		envelope_change(e, ENVELOPE_DEFERRED);
		e->asleep = true;
	}
	if (e == NULL)
		return true;
	if (commands[c->command].wish(e)) {
		c->count++;
	} else if (loaded) {
		struct message *m = e->m;
		envelope_free(e);
		message_release(m);
	}
	return true;
}
