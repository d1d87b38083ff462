/*
 * "tabmailctl explain" for people: the rows of lookup's explanation as an account in order of time.
 * Called by ctl.c as print.c is (which shows the same rows as JSON).  A line has the microseconds
 * since the beginning, then what happened; what a rule or a question said stands below it, its answer
 * first.  Nothing of the daemon's text reaches a terminal raw.
 */
#include "local.h"
#include "row.h"

#include <stdlib.h>
#include <string.h>

#define ANSWER_WIDTH 10

struct story {
	FILE *out;
	char *section;
	char *names[ROW_FIELDS_MAX]; /* of the section's columns */
	size_t n_names;
	char **fields; /* of the row that is told */
	size_t n_fields;
	char *route; /* of the last hop that was told, or NULL */
};

static void tell(struct story *);
static void forget_names(struct story *);

struct story *
story_new(FILE *out)
{
	struct story *s = xcalloc(1, sizeof(*s));

	s->out = out;
	s->section = xstrdup("");
	return s;
}

void
story_free(struct story *s)
{
	forget_names(s);
	free(s->route);
	free(s->section);
	free(s);
}

static void
forget_names(struct story *s)
{
	for (size_t i = 0; i < s->n_names; i++)
		free(s->names[i]);
	s->n_names = 0;
}

void
story_line(char kind, char **fields, size_t n, void *arg)
{
	struct story *s = arg;

	if (kind == 'S' && n > 0) {
		free(s->section);
		s->section = xstrdup(fields[0]);
	} else if (kind == 'H') {
		forget_names(s);
		for (s->n_names = 0; s->n_names < n; s->n_names++)
			s->names[s->n_names] = xstrdup(fields[s->n_names]);
	} else if (kind == 'R') {
		s->fields = fields;
		s->n_fields = n;
		tell(s);
	}
}

/* The field of that column, "" when there is none. */
static const char *
raw(const struct story *s, const char *name)
{
	for (size_t i = 0; i < s->n_names && i < s->n_fields; i++)
		if (strcmp(s->names[i], name) == 0)
			return s->fields[i];
	return "";
}

/* before, the field made safe, after; nothing when the field is empty. */
static void
put(struct story *s, const char *before, const char *name, const char *after)
{
	struct text t = { 0 };

	if (raw(s, name)[0] == '\0')
		return;
	safe_put(&t, raw(s, name));
	fprintf(s->out, "%s%s%s", before, t.s, after);
	text_free(&t);
}

static void
put_padded(struct story *s, const char *name, size_t width)
{
	struct text t = { 0 };

	safe_put(&t, raw(s, name));
	size_t len = t.s == NULL ? 0 : safe_width(t.s);
	fprintf(s->out, "%s%*s", t.s == NULL ? "" : t.s, len < width ? (int)(width - len) : 0, "");
	text_free(&t);
}

/* What happened, indented when it belongs to what stands above. */
static void
put_time(struct story *s, bool below)
{
	fprintf(s->out, "%9s  %s", raw(s, "at_us#"), below ? "  " : "");
}

static void
tell_request(struct story *s)
{
	put(s, "", "rcpt", "");
	fprintf(s->out, " from ");
	if (raw(s, "sender")[0] == '\0')
		fprintf(s->out, "<>");
	put(s, "", "sender", "");
	put(s, ", client ", "client", "");
	put(s, ", authenticated as ", "auth", "");
	put(s, ", tag ", "tag", "");
	fprintf(s->out, "\n\n%9s\n", "us");
}

static void
tell_rule(struct story *s)
{
	put_time(s, false);
	put(s, "rule ", "rule#", "");
	put(s, " (line ", "line#", ")");
	put(s, ": ", "text", "\n");
}

static void
tell_criterion(struct story *s)
{
	put_time(s, true);
	put_padded(s, "answer", ANSWER_WIDTH);
	put(s, " ", "criterion", "");
	put(s, ": ", "reason", "");
	fputc('\n', s->out);
}

static void
tell_question(struct story *s)
{
	put_time(s, true);
	put_padded(s, "answer", ANSWER_WIDTH);
	put(s, raw(s, "table")[0] == '<' ? " " : " <", "table",
	    raw(s, "table")[0] == '<' ? "" : ">");
	put(s, " ", "operation", "");
	put(s, " ", "service", "");
	if (raw(s, "key")[0] == '\0' && strcmp(raw(s, "operation"), "fetch") != 0)
		fprintf(s->out, " \"\"");
	put(s, " ", "key", "");
	put(s, " = ", "value", "");
	put(s, "  (", "took_us#", " us)\n");
}

static void
tell_step(struct story *s)
{
	static const struct {
		const char *what, *between;
	} words[] = { { "address", ": " }, { "failed", ": fails for good: " },
		{ "later", ": try later: " }, { "again", ": " } };
	const char *between = ": ";
	bool named = false;

	put_time(s, false);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].what, raw(s, "what")) == 0) {
			between = words[i].between;
			named = true;
		}
	if (!named)
		put(s, "", "what", " "); /* alias, virtual, user */
	put(s, "", "name", between);
	put(s, "", "result", "\n");
}

static void
tell_delivery(struct story *s)
{
	char buf[40];

	put(s, "\ndelivery  ", "dest", "\n");
	put(s, "  failed  ", "error", "\n");
	put(s, "  action  ", "action", "\n");
	put(s, "  user    ", "user", "");
	put(s, ", uid ", "uid#", "");
	put(s, ", gid ", "gid#", "");
	put(s, ", home ", "home", "");
	if (raw(s, "user")[0] != '\0')
		fputc('\n', s->out);
	put(s, "  route   ", "route", "\n");
	if (raw(s, "error")[0] == '\0')
		fprintf(s->out, "  expires after %s\n",
		    text_of_duration(strtoll(raw(s, "expire%"), NULL, 10), buf, sizeof(buf)));
}

/* The hosts of a route, under its name. */
static void
tell_hop(struct story *s)
{
	if (s->route == NULL || strcmp(s->route, raw(s, "route")) != 0) {
		put(s, "\nroute     ", "route", "\n");
		free(s->route);
		s->route = xstrdup(raw(s, "route"));
	}
	put(s, "  nowhere ", "error", "\n");
	if (raw(s, "host")[0] == '\0')
		return;
	fprintf(s->out, "  %6s  ", raw(s, "preference#"));
	put(s, "", "host", "");
	put(s, "  ", "addresses", "");
	put(s, "\n          DANE  ", "dane", "");
	fputc('\n', s->out);
}

/* What becomes of it when the proxy hands it back. */
static void
tell_trip(struct story *s)
{
	put(s, "\nback by   ", "listener", "");
	put(s, " port ", "port#", "");
	put(s, ", tag ", "tag", "");
	put(s, ", token ", "token", "");
	fputc('\n', s->out);
	put(s, "  then    ", "action", "\n");
	put(s, "  refused ", "error", "\n");
}

static bool
is_one(const struct story *s, const char *name)
{
	return strcmp(raw(s, name), "1") == 0;
}

static void
tell_verdict(struct story *s)
{
	fputc('\n', s->out);
	put_padded(s, "verdict", ANSWER_WIDTH - 1);
	put(s, " ", "reply", "\n");
	put(s, "  because ", "reason", "\n");
	if (strcmp(raw(s, "omitted#"), "0") != 0)
		put(s, "  without ", "omitted#", " lines that are too many to show\n");
	put(s, "  after   ", "questions#", is_one(s, "questions#") ? " question," : " questions,");
	put(s, " ", "rules#", is_one(s, "rules#") ? " rule," : " rules,");
	put(s, " ", "at_us#", " us\n");
}

static void
tell(struct story *s)
{
	static const struct {
		const char *section;
		void (*tell)(struct story *);
	} how[] = { { "request", tell_request }, { "rule", tell_rule },
		{ "criterion", tell_criterion }, { "question", tell_question },
		{ "step", tell_step }, { "delivery", tell_delivery }, { "hop", tell_hop },
		{ "trip", tell_trip }, { "verdict", tell_verdict } };

	for (size_t i = 0; i < sizeof(how) / sizeof(how[0]); i++)
		if (strcmp(how[i].section, s->section) == 0)
			how[i].tell(s);
}
