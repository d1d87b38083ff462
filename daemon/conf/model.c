/*
 * The statements that declare tables and pki, and what all statements share: words, "given twice",
 * numbers and times.  Called by parse.y, with words of the arena; what is wrong is told at once, and
 * the model gets a usable value all the same, so that one fault brings no others.
 */
#include "local.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct words *
words_new(struct parser *p)
{
	struct words *w = arena_alloc(&p->arena, sizeof(*w));

	w->last = &w->first;
	return w;
}

struct words *
words_add(
    struct parser *p, struct words *w, const struct loc *loc, const char *key, const char *value)
{
	struct word *word = arena_alloc(&p->arena, sizeof(*word));

	*word = (struct word){ .key = key, .value = value, .loc = *loc };
	*w->last = word;
	w->last = &word->next;
	return w;
}

struct words *
words_join(struct words *w, struct words *more)
{
	if (more->first != NULL) {
		*w->last = more->first;
		w->last = more->last;
	}
	return w;
}

/* A certificate without its key, or the other way round, is good for nothing. */
static void
end_pki(struct parser *p)
{
	struct conf_pki *k = p->pki;
	struct loc at = { 0 };

	for (const struct seen *s = p->seen; s != NULL; s = s->next)
		at = s->loc; /* the first is the last */
	if ((k->certificate == NULL) != (k->key == NULL))
		fail(p, &at, "pki %s has a %s and no %s", k->name,
		    k->key == NULL ? "certificate" : "key", k->key == NULL ? "key" : "certificate");
	k->index = p->conf->n_pkis++;
	STAILQ_INSERT_TAIL(&p->conf->pkis, k, entry);
}

/* The statement ended well: what it built becomes a part of the configuration. */
void
model_end(struct parser *p)
{
	struct conf *c = p->conf;
	struct ref *ref;

	if (p->rule != NULL)
		accepting_end(p);
	if (p->listener != NULL)
		listening_end(p);
	if (p->relay_limit != NULL)
		limiting_end(p);
	if (p->table != NULL) {
		p->table->index = c->n_tables++;
		STAILQ_INSERT_TAIL(&c->tables, p->table, entry);
	}
	if (p->pki != NULL)
		end_pki(p);
	while ((ref = p->refs) != NULL) {
		p->refs = ref->next;
		ref->next = p->all_refs;
		p->all_refs = ref;
	}
	p->table = NULL;
	p->pki = NULL;
	p->seen = NULL;
}

void
model_drop(struct parser *p)
{
	conf_table_free(p->table);
	conf_pki_free(p->pki);
	conf_listener_free(p->listener);
	conf_rule_free(p->rule);
	free(p->relay_limit);
	p->table = NULL;
	p->pki = NULL;
	p->listener = NULL;
	p->rule = NULL;
	p->relay_limit = NULL;
	p->refs = NULL;
	p->seen = NULL;
}

static bool
see(struct parser *p, struct seen **list, const struct loc *loc, const char *group,
    const char *word)
{
	for (const struct seen *s = *list; s != NULL; s = s->next) {
		if (strcmp(s->group, group) != 0)
			continue;
		if (strcmp(s->word, word) != 0)
			fail(p, loc, "\"%s\" contradicts \"%s\"", word, s->word);
		else if (s->loc.line == loc->line)
			fail(p, loc, "\"%s\" is given twice", word);
		else
			fail(p, loc, "\"%s\" is given twice, first at line %u", word, s->loc.line);
		return false;
	}
	struct seen *s = arena_alloc(&p->arena, sizeof(*s));
	*s = (struct seen){ .next = *list, .group = group, .word = word, .loc = *loc };
	*list = s;
	return true;
}

/* An option of the statement in work: one of its group. */
bool
model_once(struct parser *p, const struct loc *loc, const char *group, const char *word)
{
	return see(p, &p->seen, loc, group, word);
}

bool
model_once_of_all(struct parser *p, const struct loc *loc, const char *word)
{
	return see(p, &p->once, loc, word, word);
}

void
model_unbuilt(struct parser *p, const struct loc *loc, const char *what)
{
	fail(p, loc, "not built yet: %s", what);
}

int64_t
model_number(struct parser *p, const struct loc *loc, const char *what, const char *text,
    int64_t min, int64_t max)
{
	char shown[FAULT_SHOWN_LEN], *end;
	size_t digits = strspn(text, "0123456789");
	int64_t n = strtoll(text, &end, 10);

	if (digits == 0 || digits > 18 || text[digits] != '\0')
		fail(p, loc, "%s: \"%s\" is not a number", what, fault_shown(text, shown));
	else if (n < min || n > max)
		fail(p, loc, "%s: %s is not between %lld and %lld", what, text, (long long)min,
		    (long long)max);
	else
		return n;
	return min;
}

/* Milliseconds, at least one second. */
int64_t
model_duration(struct parser *p, const struct loc *loc, const char *what, const char *text)
{
	char shown[FAULT_SHOWN_LEN];
	int64_t ms = text_duration_ms(text);

	if (ms == -1)
		fail(p, loc, "%s: \"%s\" is not a time like 30s, 5m, 4h or 2d", what,
		    fault_shown(text, shown));
	else if (ms < 1000)
		fail(p, loc, "%s: \"%s\" is shorter than a second", what, fault_shown(text, shown));
	else
		return ms;
	return 1000;
}

struct conf_table *
model_new_table(char *name, unsigned line)
{
	struct conf_table *t = xcalloc(1, sizeof(*t));

	t->name = name;
	t->line = line;
	t->max_pending = 512;
	t->timeout_ms = 30000;
	STAILQ_INIT(&t->entries);
	return t;
}

void
model_table(struct parser *p, const struct loc *loc, const char *name)
{
	char shown[FAULT_SHOWN_LEN];
	const char *wrong = check_name(name);
	const struct conf_table *old = conf_table_named(p->conf, name);

	if (wrong != NULL)
		fail(p, loc, "table name \"%s\": %s", fault_shown(name, shown), wrong);
	else if (old != NULL)
		fail(p, loc, "table \"%s\" is declared twice, first at line %u",
		    fault_shown(name, shown), old->line);
	p->table = model_new_table(xstrdup(name), loc->line);
}

void
model_table_source(struct parser *p, const struct loc *loc, const char *source)
{
	char shown[FAULT_SHOWN_LEN];
	const char *colon = strchr(source, ':');

	if (colon == NULL || colon == source) {
		fault_shown(source, shown);
		if (source[0] == '/')
			fail(p, loc, "a table is TYPE:ARGUMENT; did you mean \"file:%s\"?", shown);
		else
			fail(p, loc, "\"%s\": a table is TYPE:ARGUMENT, command \"...\" or { ... }",
			    shown);
		return;
	}
	p->table->type = xstrndup(source, (size_t)(colon - source));
	p->table->arg = xstrdup(colon + 1);
	const char *wrong = check_name(p->table->type);
	if (wrong != NULL)
		fail(p, loc, "table type \"%s\": %s", fault_shown(p->table->type, shown), wrong);
}

void
model_table_command(struct parser *p, const struct loc *loc, const char *command)
{
	char shown[FAULT_SHOWN_LEN];

	if (command[0] != '/')
		fail(p, loc, "command \"%s\": the program must be given with its whole path",
		    fault_shown(command, shown));
	p->table->command = xstrdup(command);
}

static void
put_entries(struct parser *p, struct conf_table *t, const struct words *words)
{
	const struct word *first = words->first;

	t->is_static = true;
	for (const struct word *w = first; w != NULL; w = w->next) {
		if ((w->value != NULL) != (first->value != NULL)) {
			fail(p, &w->loc, "a table is a list or a mapping, not both");
			return;
		}
		if (*w->key == '\0' || (w->value != NULL && *w->value == '\0')) {
			fail(p, &w->loc, "an entry of a table is empty");
			return;
		}
		struct conf_entry *e = xcalloc(1, sizeof(*e));
		e->key = xstrdup(w->key);
		e->value = w->value == NULL ? NULL : xstrdup(w->value);
		STAILQ_INSERT_TAIL(&t->entries, e, entry);
	}
}

void
model_table_words(struct parser *p, const struct loc *loc, const struct words *words)
{
	(void)loc;
	put_entries(p, p->table, words);
}

void
model_table_option(struct parser *p, const struct loc *loc, const char *option,
    const struct loc *at, const char *value)
{
	struct conf_table *t = p->table;
	char shown[FAULT_SHOWN_LEN];
	const char *wrong;

	if (!model_once(p, loc, option, option))
		return;
	if (t->is_static)
		fail(p, loc, "\"%s\" is for tables with a helper", option);
	else if (strcmp(option, "max-pending") == 0)
		t->max_pending = (unsigned)model_number(p, at, option, value, 1, 32768);
	else if (strcmp(option, "timeout") == 0)
		t->timeout_ms = model_duration(p, at, option, value);
	else if (strcmp(option, "cache") == 0)
		t->cache_ms = model_duration(p, at, option, value);
	else if (t->cache_ms == 0 &&
		 (strcmp(option, "negative") == 0 || strcmp(option, "stale") == 0))
		fail(p, loc, "\"%s\" comes behind \"cache TIME\"", option);
	else if (strcmp(option, "negative") == 0)
		t->negative_ms = model_duration(p, at, option, value);
	else if (strcmp(option, "stale") == 0)
		t->stale_ms = model_duration(p, at, option, value);
	else if ((wrong = check_name(value)) != NULL)
		fail(p, at, "user \"%s\": %s", fault_shown(value, shown), wrong);
	else
		t->user = xstrdup(value);
}

void
model_pki(struct parser *p, const struct loc *loc, const char *name)
{
	struct conf_pki *k;
	char shown[FAULT_SHOWN_LEN];
	const char *wrong = check_name(name);

	if (wrong != NULL)
		fail(p, loc, "pki name \"%s\": %s", fault_shown(name, shown), wrong);
	STAILQ_FOREACH(k, &p->conf->pkis, entry)
		if (strcmp(k->name, name) == 0)
			fail(p, loc, "pki \"%s\" is declared twice", fault_shown(name, shown));
	p->pki = xcalloc(1, sizeof(*p->pki));
	p->pki->name = xstrdup(name);
	p->pki->line = loc->line;
}

void
model_pki_file(struct parser *p, const struct loc *loc, const char *what, const char *file)
{
	if (!model_once(p, loc, what, what) || !check_path(p, loc, what, file))
		return;
	char **field = strcmp(what, "certificate") == 0 ? &p->pki->certificate
		       : strcmp(what, "key") == 0       ? &p->pki->key
							: &p->pki->ca;
	*field = xstrdup(file);
}

void
model_ref(struct parser *p, const struct loc *loc, const char *name, struct conf_table **table,
    struct conf_pki **pki)
{
	struct ref *ref = arena_alloc(&p->arena, sizeof(*ref));

	*ref =
	    (struct ref){ .next = p->refs, .name = name, .loc = *loc, .table = table, .pki = pki };
	p->refs = ref;
}

void
model_operand(
    struct parser *p, const struct operand *o, const char *what, struct conf_table **table)
{
	struct conf *c = p->conf;

	if (o->words == NULL) {
		model_ref(p, &o->loc, o->name, table, NULL);
		return;
	}
	struct conf_table *t =
	    model_new_table(xasprintf("<rule %u %s>", c->n_rules + 1, what), o->loc.line);
	put_entries(p, t, o->words);
	t->index = c->n_tables++;
	STAILQ_INSERT_TAIL(&c->tables, t, entry);
	*table = t;
}
