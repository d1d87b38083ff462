/* The tests of the end: the daemon has left, in good order or not.  Called by main.c through list.c. */
#include "local.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* It must have ended, with 0 where that counts. */
static void
judge_end(struct report *r, struct talk *t, const char *sent, bool status_counts)
{
	char fate[120], got[200];
	double busy;

	if (!run_wait(t->run, options.secs, &busy)) {
		snprintf(got, sizeof(got), "it still runs %g s later%s", options.secs,
		    busy > 0.5 ? ", and never sleeps" : "");
		report_bad(r, sent, got,
		    busy > 0.5
			? "a read of 0 bytes is the end, and EPIPE is, too: do not read or"
			  " write again, exit"
			: "a read of 0 bytes is the end of standard input: finish what is open"
			  " and exit");
		return;
	}
	if (status_counts && !(WIFEXITED(t->run->status) && WEXITSTATUS(t->run->status) == 0))
		report_bad(r, sent, run_fate(t->run, fate, sizeof(fate)),
		    "the end of standard input is no fault: exit with 0");
}

void
end_eof(struct report *r)
{
	struct talk *t = list_begin(r, 0);

	if (t == NULL)
		return;
	run_shut(t->run);
	talk_listen(t, QUIET_SEC);
	judge_end(r, t, "the end of standard input", true);
	talk_listen(t, 0);
	if (t->garbage.n > 0)
		report_bad(r, "the end of standard input", t->garbage.line,
		    "say nothing on standard output when it ends");
	list_end(r, t);
}

void
end_early(struct report *r)
{
	struct talk *t = talk_new(run_start(0));

	run_put(t->run, "config|protocol|0.1\nconfig|rea", 30);
	run_shut(t->run);
	judge_end(r, t, "half of the configuration, then the end of standard input", false);
	list_end(r, t);
}

void
end_pending(struct report *r)
{
	struct talk *t = list_begin(r, 0);
	char key[100];
	unsigned n = 0;

	if (t == NULL)
		return;
	for (unsigned i = 0; n < 50 && i < 50 * TAB_SERVICE_MAX; i++) {
		enum tab_service s = (enum tab_service)(i % TAB_SERVICE_MAX);
		enum tab_op op = talk_offers(t, TAB_LOOKUP, s)  ? TAB_LOOKUP
				 : talk_offers(t, TAB_CHECK, s) ? TAB_CHECK
								: TAB_FETCH;
		if (!talk_offers(t, op, s))
			continue;
		talk_ask(t, op, s, NULL, op == TAB_FETCH ? "" : talk_key(s, i, key, sizeof(key)));
		n++;
	}
	run_shut(t->run);
	if (!talk_wait(t, options.secs))
		report_silence(r, t, talk_unanswered(t)->line,
		    "at the end of standard input answer first what was read before it");
	else
		judge_end(r, t, "50 questions, then the end of standard input", true);
	list_end(r, t);
}

void
end_abrupt(struct report *r)
{
	struct talk *t = list_begin(r, 4096);
	char key[100];

	if (t == NULL)
		return;
	for (unsigned i = 0; i < MANY * TAB_SERVICE_MAX; i++) {
		enum tab_service s = (enum tab_service)(i % TAB_SERVICE_MAX);
		enum tab_op op = talk_offers(t, TAB_LOOKUP, s)  ? TAB_LOOKUP
				 : talk_offers(t, TAB_CHECK, s) ? TAB_CHECK
								: TAB_FETCH;
		if (talk_offers(t, op, s) && (s != TAB_AUTH || t->services == 1u << TAB_AUTH))
			talk_ask(t, op, s, NULL,
			    op == TAB_FETCH ? "" : talk_key(s, i, key, sizeof(key)));
	}
	t->run->reading = false;
	run_turn(t->run, 0.05);
	run_close(t->run);
	judge_end(r, t, "many questions, then the socket closed with answers unread", false);
	list_end(r, t);
}
