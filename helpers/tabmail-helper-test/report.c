/*
 * What a test found, as TAP on standard output.  Called by the tests (report_bad() and so on) and by
 * main.c, which prints.
 *
 * Invariant: whatever a helper said is shown on comment lines of its own, bounded, controls as \xNN, so
 * that no helper can write TAP.
 */
#include "local.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_MAX  300 /* bytes of a line that is shown */
#define ERRORS_MAX 10  /* lines of stderr that are shown */

void
report_bad(struct report *r, const char *sent, const char *got, const char *advice)
{
	if (r->bad)
		return;
	r->bad = true;
	r->sent = sent == NULL ? NULL : strdup(sent);
	r->got = got == NULL ? NULL : strdup(got);
	r->advice = strdup(advice);
}

void
report_note(struct report *r, const char *fmt, ...)
{
	char *line = NULL, *all = NULL;
	va_list ap;

	va_start(ap, fmt);
	int n = vasprintf(&line, fmt, ap);
	va_end(ap);
	if (n == -1 || asprintf(&all, "%s%s\n", r->notes == NULL ? "" : r->notes, line) == -1)
		abort();
	free(line);
	free(r->notes);
	r->notes = all;
}

void
report_skip(struct report *r, const char *fmt, ...)
{
	va_list ap;

	if (r->skip != NULL)
		return;
	va_start(ap, fmt);
	if (vasprintf(&r->skip, fmt, ap) == -1)
		abort();
	va_end(ap);
}

static const struct oddity *
odd_line(const struct talk *t)
{
	const struct oddity *const all[] = { &t->too_long, &t->garbage, &t->empty, &t->strange,
		&t->twice };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i]->n > 0)
			return all[i];
	return NULL;
}

void
report_silence(struct report *r, struct talk *t, const char *sent, const char *advice)
{
	const struct oddity *odd = odd_line(t);
	char fate[120], *got = NULL;

	if (t->run->eof)
		run_wait(t->run, QUIET_SEC, NULL);
	run_fate(t->run, fate, sizeof(fate));
	int n;
	if (odd != NULL)
		n = asprintf(&got, "%s (%s; %s)", odd->line, odd->why, fate);
	else if (t->run->eof)
		n = asprintf(&got, "nothing: %s", fate);
	else
		n = asprintf(&got, "nothing in %g s; %s", options.secs, fate);
	if (n == -1)
		abort();
	report_bad(r, sent, got, advice);
	free(got);
}

/* A comment of one line; bytes that no terminal should see as \xNN. */
static void
print_line(const char *label, const char *text, size_t len)
{
	printf("#   %s", label);
	for (size_t i = 0; i < len && i < SHOWN_MAX; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c < ' ' || c == 0x7f)
			printf("\\x%02x", c);
		else
			putchar(c);
	}
	printf(len > SHOWN_MAX ? "... (%zu bytes)\n" : "\n", len);
}

static void
print_lines(const char *label, const char *text, unsigned max)
{
	for (unsigned n = 0; text != NULL && *text != '\0'; n++) {
		size_t len = strcspn(text, "\n");
		if (n == max) {
			printf("#   %s...\n", label);
			return;
		}
		print_line(label, text, len);
		text += len + (text[len] == '\n');
	}
}

void
report_print(struct report *r, unsigned n, const char *name, enum level level, const char *promise)
{
	static const char *const levels[] = { [MUST] = "must", [SHOULD] = "should", [MAY] = "may" };
	bool counts = level == MUST || (level == SHOULD && options.strict);

	printf("%sok %u - %s (%s): %s", r->bad && level != MAY ? "not " : "", n, name,
	    levels[level], promise);
	if (r->skip != NULL && !r->bad)
		printf(" # SKIP %s", r->skip);
	else if (r->bad && !counts && level != MAY)
		printf(" # TODO should, need not");
	printf("\n");
	if (r->bad) {
		if (r->sent != NULL)
			print_line("sent: ", r->sent, strlen(r->sent));
		if (r->got != NULL)
			print_line("got:  ", r->got, strlen(r->got));
		print_lines("do:   ", r->advice, 20);
	}
	print_lines("", r->notes, 20);
	print_lines("stderr: ", r->errors, ERRORS_MAX);
	fflush(stdout);
}

void
report_free(struct report *r)
{
	free(r->skip);
	free(r->sent);
	free(r->got);
	free(r->advice);
	free(r->notes);
	free(r->errors);
}
