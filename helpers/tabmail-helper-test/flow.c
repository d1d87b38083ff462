/*
 * The tests of many questions at a time: in any pieces, unread, in any order.  Called by main.c through
 * list.c.
 *
 * Among the questions of no answer stand those of -s, whose answers are known: so a helper that mixes up
 * two questions is found out.
 */
#include "local.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVERY 8 /* one in so many is of -s */

/* n questions over all services that are offered; passwords only when there is nothing else. */
static void
ask_many(struct talk *t, unsigned n, unsigned from)
{
	struct {
		enum tab_op op;
		enum tab_service service;
	} kinds[TAB_SERVICE_MAX * 2];
	unsigned n_kinds = 0;
	char key[100];

	for (int pass = 0; pass < 2 && n_kinds == 0; pass++)
		for (int i = 0; i < TAB_SERVICE_MAX; i++)
			for (enum tab_op op = TAB_CHECK; op <= TAB_FETCH; op++) {
				if (!talk_offers(t, op, (enum tab_service)i) ||
				    (i == TAB_AUTH && pass == 0))
					continue;
				kinds[n_kinds].op = op;
				kinds[n_kinds++].service = (enum tab_service)i;
			}
	if (n_kinds == 0)
		return;
	for (unsigned i = 0; i < n; i++) {
		const struct known *k =
		    options.n_known == 0 ? NULL : &options.known[i / EVERY % options.n_known];
		if (k != NULL && !k->wrong && i % EVERY == 0 && k->op != TAB_FETCH &&
		    k->service != TAB_AUTH && talk_offers(t, k->op, k->service)) {
			talk_ask_known(t, k);
			continue;
		}
		enum tab_service s = kinds[i % n_kinds].service;
		enum tab_op op = kinds[i % n_kinds].op;
		talk_ask(
		    t, op, s, NULL, op == TAB_FETCH ? "" : talk_key(s, from + i, key, sizeof(key)));
	}
}

/* Every question answered, once, and those of -s with their value. */
static void
judge(struct report *r, struct talk *t, bool all, const char *advice)
{
	char got[200];

	if (!all) {
		const struct asked *a = talk_unanswered(t);
		char fate[120];
		if (t->run->eof)
			run_wait(t->run, QUIET_SEC, NULL);
		snprintf(got, sizeof(got), "no answer to %zu of %zu; %s", t->n_open, t->n_asked,
		    run_fate(t->run, fate, sizeof(fate)));
		report_bad(r, a == NULL ? NULL : a->line, got, advice);
		return;
	}
	for (size_t i = 0; i < t->n_asked && !r->bad; i++) {
		const struct asked *a = t->asked[i];
		if (a->known == NULL)
			continue;
		if (a->answer != TAB_FOUND || strcmp(a->value, a->known->value) != 0)
			report_bad(r, a->line, a->reply,
			    "among others this question got another answer than alone: each"
			    " question's key and id belong together");
	}
}

void
flow_byte_by_byte(struct report *r)
{
	struct talk *t = list_begin(r, 0);

	if (t == NULL)
		return;
	ask_many(t, 3, 0);
	/* The questions lie in the buffer: out they go, one byte each. */
	size_t len = 0;
	for (size_t i = 0; i < t->n_asked; i++)
		len += strlen(t->asked[i]->line) + 1;
	char *bytes = malloc(len + 1);
	if (bytes == NULL)
		abort();
	size_t at = 0;
	for (size_t i = 0; i < t->n_asked; i++)
		at += (size_t)snprintf(bytes + at, len + 1 - at, "%s\n", t->asked[i]->line);
	run_discard(t->run);
	run_drip(t->run, bytes, len);
	free(bytes);
	judge(r, t, talk_wait(t, options.secs),
	    "a read may return any part of a line: keep it until its LF has come");
	list_end(r, t);
}

void
flow_one_write(struct report *r)
{
	struct talk *t = list_begin(r, 0);

	if (t == NULL)
		return;
	double began = run_now();
	ask_many(t, MANY, 0);
	bool all = talk_wait(t, options.secs);
	if (all)
		report_note(r, "%zu answers in %.1f ms", t->n_asked, (run_now() - began) * 1000);
	talk_listen(t, QUIET_SEC);
	judge(r, t, all,
	    "a read may return many lines: take them all before the next read, and answer each one;"
	    " a line that was read already will not come again");
	if (t->twice.n > 0 && !answers_came_twice())
		report_bad(r, t->twice.after, t->twice.line, "answer each question only once");
	list_end(r, t);
}

void
flow_not_reading(struct report *r)
{
	struct talk *t = list_begin(r, 4096); /* small buffers, so that they do fill */

	if (t == NULL)
		return;
	ask_many(t, MANY, 0);
	t->run->reading = false;
	double end = run_now() + options.secs;
	size_t left = run_unsent(t->run), before;
	do {
		before = left;
		run_turn(t->run, 0.2);
		left = run_unsent(t->run);
	} while (
	    left > 0 && (left < before || run_now() < end - options.secs + 0.5) && run_now() < end);
	if (left > 0)
		report_note(r, "it stopped reading with %zu bytes unsent: that is well", left);
	t->run->reading = true;
	judge(r, t, talk_wait(t, options.secs),
	    "when standard output takes no more, wait until it does, or keep the answer: lose none "
	    "of"
	    " them; a write may take only a part of the line");
	list_end(r, t);
}

void
flow_update_among(struct report *r)
{
	struct talk *t = list_begin(r, 0);

	if (t == NULL)
		return;
	ask_many(t, 100, 0);
	talk_ask(t, TAB_UPDATE, TAB_SERVICE_MAX, NULL, NULL);
	ask_many(t, 100, 100);
	talk_ask(t, TAB_UPDATE, TAB_SERVICE_MAX, NULL, NULL);
	ask_many(t, 100, 200);
	judge(r, t, talk_wait(t, options.secs),
	    "an update answers what is open from the old data or from the new, but it answers it");
	list_end(r, t);
}

void
flow_order(struct report *r)
{
	struct talk *t = list_begin(r, 0);

	if (t == NULL)
		return;
	ask_many(t, MANY, 0);
	if (!talk_wait(t, options.secs))
		report_note(r, "not all were answered: see flow-one-write");
	else if (t->out_of_order > 0)
		report_note(r, "%u answers overtook another", t->out_of_order);
	else
		report_note(r,
		    "all answers came in order; one that takes its time holds up those after"
		    " it: max-pending 1 lets the daemon count each one's time alone");
	list_end(r, t);
}
