/* The tests of the start: from nothing to register|ready.  Called by main.c through list.c. */
#include "local.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLUSHING "write register|ready with its line end, and flush it: is the output buffered?"

static bool noisy; /* handshake-silent has said so */

/* A helper that has shaken no hands. */
static struct talk *
begin(void)
{
	return talk_new(run_start(0));
}

void
handshake_starts(struct report *r)
{
	struct talk *t = begin();
	char fate[120];

	run_settle(t->run);
	if (t->run->eof)
		run_wait(t->run, QUIET_SEC, NULL);
	if (t->run->ended)
		report_bad(r, "nothing", run_fate(t->run, fate, sizeof(fate)),
		    "a helper runs until its standard input ends: try the command by hand, look at"
		    " what it says on stderr, and at its arguments");
	list_end(r, t);
}

void
handshake_silent(struct report *r)
{
	static const char advice[] =
	    "write nothing to standard output, neither register nor a greeting, before the line"
	    " config|ready has come; what is for people goes to stderr";
	struct talk *t = begin();
	size_t len;
	char *line = NULL, fate[120];

	run_settle(t->run);
	if (run_line(t->run, 0, &line, &len) == RUN_LINE)
		report_bad(r, "nothing", line, advice);
	free(line);
	line = NULL;
	talk_put(t, "config|smtpd-version|7.8.0");
	talk_put(t, "config|protocol|0.1");
	talk_put(t, "config|tablename|" TABLE);
	enum run_got got = run_line(t->run, QUIET_SEC, &line, &len);
	if (got == RUN_LINE)
		report_bad(r, "config|tablename|" TABLE, line, advice);
	else if (got == RUN_EOF && run_wait(t->run, QUIET_SEC, NULL))
		report_bad(r, "config|tablename|" TABLE, run_fate(t->run, fate, sizeof(fate)),
		    "a helper must take config lines, whatever their keys are");
	free(line);
	noisy = r->bad;
	list_end(r, t);
}

void
handshake_registers(struct report *r)
{
	struct talk *t = begin();

	if (!talk_shake(t, NULL)) {
		if (t->n_registered > 0)
			report_silence(
			    r, t, "config|ready", "services came, but not their end: " FLUSHING);
		else
			report_silence(r, t, "config|ready",
			    "answer config|ready by a line register|SERVICE for each service, then "
			    "the"
			    " line register|ready; flush them: is the output buffered?");
	} else if (t->n_registered == 0)
		report_bad(r, "config|ready", "register|ready",
		    "register at least one service before: a table of none is of no use, and"
		    " OpenSMTPD ends because of it");
	else if (t->garbage.n + t->too_long.n > 0 && !noisy)
		report_silence(r, t, "config|ready", "until register|ready only register lines");
	list_end(r, t);
}

void
handshake_known_services(struct report *r)
{
	struct talk *t = list_begin(r, 0);
	char line[200], names[300] = "";

	if (t == NULL)
		return;
	for (int i = 0; i < TAB_SERVICE_MAX; i++) {
		if ((t->services & 1u << i) == 0)
			continue;
		strncat(names, " ", sizeof(names) - strlen(names) - 1);
		strncat(names, tab_service_name((enum tab_service)i),
		    sizeof(names) - strlen(names) - 1);
	}
	report_note(r, "registered:%s", names);
	if (t->unknown_service != NULL) {
		snprintf(line, sizeof(line), "register|%s", t->unknown_service);
		report_bad(r, "config|ready", line,
		    "the services are those of tabmail-tables(7), in lower case; another one ends"
		    " OpenSMTPD, and is never asked for by tabmail");
	}
	list_end(r, t);
}

void
handshake_pieces(struct report *r)
{
	static const char config[] = "config|smtpd-version|7.8.0\nconfig|protocol|0.1\n"
				     "config|tablename|" TABLE "\nconfig|ready\n";
	struct talk *t = begin();

	run_settle(t->run);
	run_drip(t->run, config, sizeof(config) - 1);
	if (!talk_shake(t, ""))
		report_silence(r, t, "the configuration, one byte in each write",
		    "a read may return any part of a line: keep it until its LF has come");
	list_end(r, t);
}

/* CPU that it takes while it has nothing to do. */
void
handshake_idle(struct report *r)
{
	struct talk *t = list_begin(r, 0);
	char got[100];
	double busy;

	if (t == NULL)
		return;
	run_settle(t->run);
	run_wait(t->run, QUIET_SEC, &busy);
	if (busy > 0.5) {
		snprintf(got, sizeof(got), "it was at work for %.0f %% of the time", busy * 100);
		report_bad(r, "nothing", got,
		    "wait in read or poll until there is something to do, without a timeout of 0");
	}
	list_end(r, t);
}

void
handshake_unknown_keys(struct report *r)
{
	struct talk *t = begin();

	if (!talk_shake(t,
		"config|smtpd-version|99.0\nconfig|protocol|0.1\nconfig|tablename|" TABLE
		"\nconfig|unheard-of|a|b|c\nconfig|empty|\nconfig|no-value\nconfig|ready\n"))
		report_silence(r, t, "config|unheard-of|a|b|c, config|empty|, config|no-value",
		    "skip config lines whose key is not known: later daemons send more of them");
	list_end(r, t);
}

void
handshake_bare(struct report *r)
{
	struct talk *t = begin();

	if (!talk_shake(t, "config|ready\n"))
		report_silence(r, t, "config|ready, and nothing before it",
		    "have a default for what config lines say; then it can be tried by hand, too");
	list_end(r, t);
}
