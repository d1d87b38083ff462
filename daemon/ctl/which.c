/*
 * The words that say which of the queue a command is for: ID, "all", or what to choose by with a value.
 * Called by ctl.c; queue reads them again.  Pure.
 */
#include "local.h"

#include <string.h>

static const char *const keys[] = { "sender", "recipient", "route", "state", NULL };
static const char *const states[] = { "new", "expanding", "waiting", "delivering", "deferred",
	"held", "paused", NULL };

static const char *const alone[] = { "all", "sender", "recipient", "route", "state", NULL };

static bool
is_one_of(const char *word, const char *const *words)
{
	while (*words != NULL && strcmp(*words, word) != 0)
		words++;
	return *words != NULL;
}

/* "4f2a", "4f2a.3" */
bool
which_is_id(const char *s)
{
	size_t hex = strspn(s, "0123456789abcdefABCDEF");

	if (hex == 0 || hex > 16)
		return false;
	if (s[hex] == '\0')
		return true;
	size_t digits = strspn(s + hex + 1, "0123456789");
	return s[hex] == '.' && digits > 0 && s[hex + 1 + digits] == '\0';
}

static char *
complain(const char *what, const char *word, const char *const *words)
{
	const char *nearest = ctl_nearest(word, words);
	struct text t = { 0 };

	text_putf(&t, "\"%s\" is no %s", word, what);
	if (nearest != NULL)
		text_putf(&t, "; did you mean \"%s\"?", nearest);
	else
		for (size_t i = 0; words[i] != NULL; i++)
			text_putf(&t, "%s %s", i == 0 ? ": one of" : "", words[i]);
	return t.s;
}

char *
which_parse(char **argv, size_t at, const char **request)
{
	if (argv[at + 1] == NULL && (strcmp(argv[at], "all") == 0 || which_is_id(argv[at]))) {
		request[at] = argv[at];
		return NULL;
	}
	if (argv[at + 1] == NULL && !is_one_of(argv[at], keys))
		return complain("message id", argv[at], alone);
	for (size_t n = at; argv[n] != NULL; n += 2) {
		if (!is_one_of(argv[n], keys))
			return complain("word to choose by", argv[n], keys);
		if (argv[n + 1] == NULL)
			return xasprintf("more is needed after \"%s\"", argv[n]);
		for (size_t before = at; before < n; before += 2)
			if (strcmp(argv[before], argv[n]) == 0)
				return xasprintf("\"%s\" is there twice", argv[n]);
		if (strcmp(argv[n], "state") == 0 && !is_one_of(argv[n + 1], states))
			return complain("state", argv[n + 1], states);
		request[n] = argv[n];
		request[n + 1] = argv[n + 1];
	}
	return NULL;
}
