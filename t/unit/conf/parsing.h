/* For tests of the grammar: a text parsed, what it says, or what is wrong with it. */
#ifndef PARSING_H
#define PARSING_H

#include "conf.h"
#include "tap.h"
#include "text.h"

/* The configuration of a text, which must be good. */
__attribute__((unused)) static struct conf *
parsed(const char *text)
{
	struct text errors = { 0 };
	struct conf *conf = conf_parse(text, strlen(text), "t.conf", &errors);

	if (conf == NULL)
		printf("# %s", errors.s);
	text_free(&errors);
	return conf;
}

/* The text must give exactly these errors. */
#define errors_are(text, want) errors_are_at(__LINE__, text, want)
__attribute__((unused)) static void
errors_are_at(int line, const char *text, const char *want)
{
	struct text errors = { 0 };
	struct conf *conf = conf_parse(text, strlen(text), "t.conf", &errors);
	char name[64];

	snprintf(name, sizeof(name), "line %d: %.40s", line, text);
	name[strcspn(name, "\n\t")] = '\0';
	is(errors.s, want, "%s", name);
	ok(conf == NULL, "line %d: and no configuration", line);
	conf_free(conf);
	text_free(&errors);
}

/* One rule: its canonical text, which is read back to the same; its action is found by its text. */
#define rule_is(text, want) rule_is_at(__LINE__, text, want)
__attribute__((unused)) static void
rule_is_at(int line, const char *text, const char *want)
{
	static const char tables[] = "table t file:/t\ntable u file:/u\n";
	char *whole = xasprintf("%s%s\n", tables, text);
	struct conf *conf = parsed(whole);
	const struct conf_rule *r = conf == NULL ? NULL : STAILQ_FIRST(&conf->rules);

	is(r == NULL ? NULL : r->text, want, "line %d: %.60s", line, text);
	free(whole);
	if (r != NULL) {
		char *action = conf_action_text(&r->action);
		whole = xasprintf("%s%s\n", tables, r->text);
		struct conf *again = parsed(whole);
		is(again == NULL ? NULL : STAILQ_FIRST(&again->rules)->text, want,
		    "line %d: and its own text says the same", line);
		ok(r->reject || (again != NULL && conf_action_find(again, action) != NULL),
		    "line %d: and its action is found by its text", line);
		conf_free(again);
		free(action);
		free(whole);
	}
	conf_free(conf);
}

#endif
