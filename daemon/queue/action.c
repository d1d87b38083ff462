/*
 * Whether the configuration still has an envelope's action.
 *
 * An action is text in the spool, and the configuration may be another one by now.  Mail whose action
 * is gone waits, says so, and is routed again when a person wants it.  Asked for what comes from the
 * spool only: what was expanded just now is of this configuration.
 */
#include "local.h"
#include "conf.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

static char **texts; /* sorted */
static size_t n_texts;

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
gather(void)
{
	const struct conf_rule *r;

	texts = xcalloc(process.conf->n_rules + 1, sizeof(*texts));
	STAILQ_FOREACH(r, &process.conf->rules, entry)
		if (!r->reject && n_texts < process.conf->n_rules)
			texts[n_texts++] = conf_action_text(&r->action);
	qsort(texts, n_texts, sizeof(*texts), compare);
}

bool
action_is_known(const char *text)
{
	if (texts == NULL)
		gather();
	return bsearch(&text, texts, n_texts, sizeof(*texts), compare) != NULL;
}
