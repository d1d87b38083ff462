/*
 * The tests of answers: one question at a time.  Called by main.c through list.c.
 *
 * The first tests look at the same dialogue, made once: what is odd in it falls under exactly one of
 * them.
 */
#include "local.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 3

/* The dialogue that the first tests look at. */
static struct talk *first;
static char *first_errors;

static void
look(struct report *r)
{
	char key[100];

	if (first == NULL) {
		first = list_begin(r, 0);
		if (first == NULL)
			return;
		bool going = true;
		for (int i = 0; i < TAB_SERVICE_MAX * ROUNDS && going; i++) {
			enum tab_service s = (enum tab_service)(i % TAB_SERVICE_MAX);
			for (enum tab_op op = TAB_CHECK; op <= TAB_FETCH && going; op++) {
				if (!talk_offers(first, op, s))
					continue;
				talk_ask(first, op, s, NULL,
				    op == TAB_FETCH ? ""
						    : talk_key(s, (unsigned)i, key, sizeof(key)));
				going = talk_wait(first, options.secs);
			}
		}
		for (size_t i = 0; i < options.n_known && going; i++) {
			const struct known *k = &options.known[i];
			if (!talk_offers(first, k->op, k->service))
				continue;
			talk_ask_known(first, k);
			going = talk_wait(first, options.secs);
		}
		talk_listen(first, QUIET_SEC);
		first_errors = run_errors(first->run);
		if (first->n_open > 0 && first->run->eof)
			run_wait(first->run, QUIET_SEC, NULL);
	}
	if (first_errors != NULL)
		r->errors = strdup(first_errors);
}

bool
answers_came_twice(void)
{
	return first != NULL && first->twice.n > 0;
}

void
answers_free(void)
{
	talk_free(first);
	free(first_errors);
}

static bool
odd(struct report *r, const struct oddity *o, const char *advice)
{
	char *got = NULL;

	if (o->n == 0)
		return false;
	if (asprintf(&got, "%s (%s)", o->line, o->why) == -1)
		abort();
	report_bad(r, o->after, got, advice);
	free(got);
	return true;
}

void
answers_every_service(struct report *r)
{
	look(r);
	if (first == NULL)
		return;
	const struct asked *a = talk_unanswered(first);
	if (first->n_asked == 0) {
		report_bad(r, NULL, "no service that could be asked for",
		    "register a service of tabmail-tables(7)");
		return;
	}
	/* What came in place of the answer is another test's. */
	if (a != NULL &&
	    first->garbage.n + first->empty.n + first->strange.n + first->too_long.n == 0)
		report_silence(r, first, a->line,
		    "write one line for each question, with its line end, and flush it: output that"
		    " waits in a buffer is an answer that never comes");
	free(r->errors);
	r->errors = strdup(first_errors);
}

void
answers_line_length(struct report *r)
{
	look(r);
	if (first != NULL)
		odd(r, &first->too_long,
		    "end each answer with LF; a value may not be longer than a line");
}

/* What is odd may stand beside right answers: then the other tests have something to look at. */
void
answers_valid_lines(struct report *r)
{
	look(r);
	r->harmless = first != NULL && first->n_open == 0;
	if (first != NULL)
		odd(r, &first->garbage,
		    "write only lines of tabmail-tables(7) to standard output, without CR; a value"
		    " holds no line end; messages and traces go to stderr");
}

void
answers_not_empty(struct report *r)
{
	look(r);
	if (first != NULL)
		odd(r, &first->empty,
		    "say not-found where there is no value; found|VALUE where there is one");
}

void
answers_id(struct report *r)
{
	look(r);
	r->harmless = first != NULL && first->n_open == 0;
	if (first != NULL)
		odd(r, &first->strange,
		    "give the id back as it came, as text: of "
		    "table|0.1|TIME|TABLE|OP|SERVICE|ID|KEY"
		    " it is the seventh field, of an update the sixth");
}

void
answers_once(struct report *r)
{
	look(r);
	if (first != NULL)
		odd(r, &first->twice, "write one answer to a question, and no more");
}

void
answers_operation(struct report *r)
{
	look(r);
	if (first != NULL)
		odd(r, &first->other_op,
		    "tabmail takes it, and smtpd-tables(7) shows lookup-result for a fetch; "
		    "OpenSMTPD"
		    " itself wants the name of the operation that was asked for");
}

/* Asks any one thing that the helper offers, but no password. */
static struct asked *
ask_any(struct talk *t, const char *id, unsigned n)
{
	char key[100];

	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < TAB_SERVICE_MAX; i++) {
			enum tab_service s = (enum tab_service)i;
			for (enum tab_op op = TAB_CHECK; op <= TAB_FETCH; op++)
				if (talk_offers(t, op, s) && (pass == 1 || s != TAB_AUTH))
					return talk_ask(t, op, s, id,
					    op == TAB_FETCH ? ""
							    : talk_key(s, n, key, sizeof(key)));
		}
	return NULL;
}

void
answers_id_opaque(struct report *r)
{
	static const char *const ids[] = { "b72508d", "478ff0d2", "00000001", "0", "1", "007",
		"1e3", "0x1F", "1.50", "-1", "4294967295", "4294967296", "18446744073709551615",
		"0123456789abcdef", "DeadBeef", "a_b-c.d:e", "abcdefghijklmnopqrstuvwxyz01234",
		"9999999999999999999999999999999" };
	struct talk *t = list_begin(r, 0);

	if (t == NULL)
		return;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]) && !r->bad; i++) {
		const struct asked *a = ask_any(t, ids[i], (unsigned)i);
		if (a != NULL && !talk_wait(t, options.secs))
			report_silence(r, t, a->line,
			    "an id is text of up to 31 characters: keep it as a string, never as a"
			    " number, and give every character back");
	}
	list_end(r, t);
}

/* Whether it still answers. */
static void
goes_on(struct report *r, struct talk *t, const char *sent, const char *advice)
{
	const struct asked *a = ask_any(t, NULL, 7);

	if (a != NULL && !talk_wait(t, options.secs))
		report_silence(r, t, sent, advice);
}

void
answers_other_operation(struct report *r)
{
	static const char advice[] = "answer error to an operation that the service does not have;"
				     " the next question must be answered as ever";
	struct talk *t = list_begin(r, 0);
	char key[100];

	if (t == NULL)
		return;
	for (int i = 0; i < TAB_SERVICE_MAX && !r->bad; i++) {
		enum tab_service s = (enum tab_service)i;
		for (enum tab_op op = TAB_CHECK; op <= TAB_FETCH && !r->bad; op++) {
			if ((t->services & 1u << i) == 0 || talk_offers(t, op, s))
				continue;
			talk_put(t, "table|0.1|1713795082.354255|" TABLE "|%s|%s|other-%d%s%s",
			    tab_op_name(op), tab_service_name(s), i, op == TAB_FETCH ? "" : "|",
			    op == TAB_FETCH ? "" : talk_key(s, 1, key, sizeof(key)));
			char *sent = strdup(t->last);
			goes_on(r, t, sent, advice);
			free(sent);
		}
	}
	list_end(r, t);
}

void
answers_unknown_operation(struct report *r)
{
	static const char line[] =
	    "table|0.1|1713795082.354255|" TABLE "|frobnicate|alias|unknown-1|key";
	struct talk *t = list_begin(r, 0);

	if (t == NULL)
		return;
	talk_put(t, "%s", line);
	goes_on(r, t, line,
	    "ignore the line, or answer error: a later protocol may have more operations, and the"
	    " next question must be answered as ever");
	list_end(r, t);
}

void
answers_unknown_service(struct report *r)
{
	static const char line[] =
	    "table|0.1|1713795082.354255|" TABLE "|lookup|frobnication|unknown-2|key";
	struct talk *t = list_begin(r, 0);

	if (t == NULL)
		return;
	talk_put(t, "%s", line);
	goes_on(r, t, line,
	    "answer error to a service that was not registered, or ignore it: the next question "
	    "must"
	    " be answered as ever");
	for (int i = 0; i < TAB_SERVICE_MAX && !r->bad; i++) {
		if ((t->services & 1u << i) != 0)
			continue;
		talk_put(t, "table|0.1|1713795082.354255|" TABLE "|lookup|%s|unknown-3|key",
		    tab_service_name((enum tab_service)i));
		char *sent = strdup(t->last);
		goes_on(r, t, sent, "answer error to a service that was not registered");
		free(sent);
		break;
	}
	list_end(r, t);
}

void
answers_update(struct report *r)
{
	struct talk *t = list_begin(r, 0);

	if (t == NULL)
		return;
	const struct asked *a = talk_ask(t, TAB_UPDATE, TAB_SERVICE_MAX, NULL, NULL);
	if (!talk_wait(t, options.secs))
		report_silence(r, t, a->line,
		    "answer update-result|ID|ok, or update-result|ID|error|REASON: of an update "
		    "the id"
		    " is the sixth field; where nothing is kept, ok is right");
	else
		goes_on(r, t, a->line, "go on after an update, with the old data when it failed");
	list_end(r, t);
}

void
answers_update_error(struct report *r)
{
	struct talk *t = list_begin(r, 0);

	if (t == NULL)
		return;
	const struct asked *a = talk_ask(t, TAB_UPDATE, TAB_SERVICE_MAX, NULL, NULL);
	if (!talk_wait(t, options.secs))
		report_skip(r, "no answer: see update");
	else if (a->answer == TAB_ERROR)
		report_bad(r, a->line, a->reply,
		    "the data cannot be read now? where there is nothing to renew, say ok");
	list_end(r, t);
}
