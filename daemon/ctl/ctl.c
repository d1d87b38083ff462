/*
 * The commands of tabmailctl: their words, checked here so that a wrong one is answered at once with
 * the nearest right one, and the request made of them.  Called by tabmailctl.c and sendmail.c; asks
 * through ask.c, shows through print.c.
 */
#include "local.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define FILTERED "ID|all|FILTER"

/* Words in capitals stand for what the person gives. */
static const char *const patterns[][CTL_WORDS] = {
	{ "show", "queue", "[FILTER]" },
	{ "show", "message", "ID" },
	{ "show", "paused" },
	{ "show", "tables" },
	{ "show", "routes" },
	{ "show", "hosts" },
	{ "show", "sources" },
	{ "show", "stats" },
	{ "show", "status" },
	{ "update", "pki" },
	{ "table", "NAME", "update" },
	{ "table", "NAME", "restart" },
	{ "table", "NAME", "lookup", "SERVICE", "KEY" },
	{ "table", "NAME", "check", "SERVICE", "KEY" },
	{ "table", "NAME", "bench", "SERVICE", "FILE", "[N]" },
	{ "explain", "RCPT", "[from SENDER]", "[client ADDR]", "[auth USER]", "[tag TAG]" },
	{ "schedule", FILTERED },
	{ "hold", FILTERED },
	{ "release", FILTERED },
	{ "remove", FILTERED },
	{ "reroute", FILTERED },
	{ "queue", "backup", "FILE" },
	{ "pause", "WHAT" },
	{ "resume", "WHAT" },
	{ "encrypt", "[word]" },
	{ "sendmail", "[option ...]" },
	{ "mailq" },
	{ "newaliases" },
};

static const char *const services[] = { "alias", "domain", "credentials", "netaddr", "userinfo",
	"source", "mailaddr", "addrname", "mailaddrmap", "relayhost", "string", "regex", "auth",
	NULL };

static char *parse_explain(char **argv, const char **request);
static size_t which_at(char **argv);
static bool is_given(const char *pattern_word);
static char *complain(const char *const *before, const char *word, bool fits[]);
static char *check_given(const char *pattern_word, const char *word);

void
ctl_usage(FILE *out)
{
	fprintf(out, "usage: tabmailctl [-j] [-s socket] command\n");
	for (size_t i = 0; i < COUNT(patterns); i++) {
		fprintf(out, " ");
		for (size_t w = 0; patterns[i][w] != NULL; w++)
			fprintf(out, " %s", patterns[i][w]);
		fprintf(out, "\n");
	}
	fprintf(out, "FILTER: sender PATTERN, recipient PATTERN, route PATTERN, state STATE: each "
		     "at most once\n"
		     "WHAT: local, relay, smtp or a route\n");
}

const char *
ctl_nearest(const char *word, const char *const *words)
{
	const char *best = NULL;
	unsigned least = 3; /* more changes than two: another word */

	for (; *words != NULL; words++) {
		unsigned distance = text_distance(word, *words);
		if (distance < least && distance < strlen(*words)) {
			least = distance;
			best = *words;
		}
	}
	return best;
}

char *
ctl_parse(char **argv, const char *request[CTL_WORDS + 1])
{
	bool fits[COUNT(patterns)];
	size_t w;

	memset(fits, true, sizeof(fits));
	memset(request, 0, (CTL_WORDS + 1) * sizeof(*request));
	if (argv[0] != NULL && strcmp(argv[0], "explain") == 0 && argv[1] != NULL)
		return parse_explain(argv, request);
	size_t which = argv[0] == NULL ? 0 : which_at(argv);
	if (which != 0) {
		for (w = 0; w < which; w++)
			request[w] = argv[w];
		return which_parse(argv, which, request);
	}
	for (w = 0; argv[w] != NULL; w++) {
		bool next[COUNT(patterns)], any = false;
		char *wrong = NULL;
		for (size_t i = 0; i < COUNT(patterns); i++) {
			const char *p = fits[i] && w < CTL_WORDS ? patterns[i][w] : NULL;
			next[i] = p != NULL && (is_given(p) || strcmp(p, argv[w]) == 0);
			any = any || next[i];
			if (next[i] && wrong == NULL && is_given(p))
				wrong = check_given(p, argv[w]);
		}
		if (!any)
			return complain(request, argv[w], fits);
		if (wrong != NULL)
			return wrong;
		request[w] = argv[w];
		memcpy(fits, next, sizeof(fits));
	}
	for (size_t i = 0; i < COUNT(patterns); i++) {
		const char *p = fits[i] && w < CTL_WORDS ? patterns[i][w] : NULL;
		if (fits[i] && (p == NULL || *p == '['))
			return NULL;
		/* what a source table is asked for has no key */
		if (p != NULL && strcmp(p, "KEY") == 0 && strcmp(argv[w - 1], "source") == 0) {
			request[w] = "";
			return NULL;
		}
	}
	return complain(request, NULL, fits);
}

/* "explain RCPT", then words with their values, each at most once, in any order. */
static char *
parse_explain(char **argv, const char **request)
{
	static const char *const words[] = { "from", "client", "auth", "tag", NULL };
	size_t n;

	for (n = 0; argv[n] != NULL; n++) {
		if (n >= 2 && n % 2 == 0) {
			const char *nearest = ctl_nearest(argv[n], words);
			size_t i, before;
			for (i = 0; words[i] != NULL && strcmp(words[i], argv[n]) != 0;)
				i++;
			if (words[i] == NULL && nearest != NULL)
				return xasprintf(
				    "\"%s\" is no word of explain; did you mean \"%s\"?", argv[n],
				    nearest);
			if (words[i] == NULL)
				return xasprintf("\"%s\" is no word of explain: one of from client "
						 "auth tag",
				    argv[n]);
			for (before = 2; before < n; before += 2)
				if (strcmp(argv[before], argv[n]) == 0)
					return xasprintf("\"%s\" is there twice", argv[n]);
			if (argv[n + 1] == NULL)
				return xasprintf("more is needed after \"%s\"", argv[n]);
		}
		request[n] = argv[n];
	}
	return NULL;
}

/* Where what to choose by begins, or 0: in this command nowhere. */
static size_t
which_at(char **argv)
{
	if (argv[1] != NULL && argv[2] != NULL && strcmp(argv[0], "show") == 0 &&
	    strcmp(argv[1], "queue") == 0)
		return 2;
	for (size_t i = 0; i < COUNT(patterns) && argv[1] != NULL; i++)
		if (patterns[i][1] != NULL && strcmp(patterns[i][1], FILTERED) == 0 &&
		    strcmp(argv[0], patterns[i][0]) == 0)
			return 1;
	return 0;
}

static bool
is_given(const char *pattern_word)
{
	return *pattern_word == '[' || (*pattern_word >= 'A' && *pattern_word <= 'Z');
}

/* The word is none of those that may follow (NULL: it is missing). */
static char *
complain(const char *const *before, const char *word, bool fits[])
{
	struct text t = { 0 };
	const char *follow[COUNT(patterns) + 1] = { 0 };
	size_t n = 0, w = 0;

	while (before[w] != NULL)
		w++;
	for (size_t i = 0; i < COUNT(patterns); i++) {
		const char *p = fits[i] ? patterns[i][w] : NULL;
		size_t seen;
		for (seen = 0; p != NULL && seen < n; seen++)
			if (strcmp(follow[seen], p) == 0)
				break;
		if (p != NULL && seen == n)
			follow[n++] = p;
	}
	if (word == NULL)
		text_put(&t, w == 0 ? "a command is missing" : "more is needed after");
	else
		text_putf(&t, "\"%s\" is no command", word);
	if (word != NULL && w > 0) {
		t.len = 0;
		text_putf(&t, "\"%s\" may not follow", word);
	}
	for (size_t i = 0; i < w; i++)
		text_putf(&t, "%s%s", i == 0 ? " \"" : " ", before[i]);
	if (w > 0)
		text_put(&t, "\"");
	const char *nearest = word == NULL ? NULL : ctl_nearest(word, follow);
	if (nearest != NULL && !is_given(nearest)) {
		text_putf(&t, "; did you mean \"%s\"?", nearest);
	} else if (n == 1 && strcmp(follow[0], "WHAT") == 0) {
		text_put(&t, ": local, relay, smtp or a route as \"show queue\" has it");
	} else if (n > 0) {
		text_put(&t, n == 1 ? ":" : ": one of");
		for (size_t i = 0; i < n; i++)
			text_putf(&t, " %s", follow[i]);
	}
	return t.s;
}

static char *
check_given(const char *pattern_word, const char *word)
{
	if (strcmp(pattern_word, "ID") == 0)
		return which_is_id(word) ? NULL : xasprintf("\"%s\" is no message id", word);
	if (strcmp(pattern_word, "WHAT") == 0) {
		static const char *const whats[] = { "local", "relay", "smtp", NULL };
		for (size_t i = 0; whats[i] != NULL; i++)
			if (strcmp(whats[i], word) == 0)
				return NULL;
		if (strchr(word, ':') != NULL) /* a route, as "show queue" has it */
			return NULL;
		const char *nearest = ctl_nearest(word, whats);
		return nearest != NULL
			   ? xasprintf("\"%s\" is no route; did you mean \"%s\"?", word, nearest)
			   : xasprintf("\"%s\" is neither local, relay nor smtp, nor a route as "
				       "\"show queue\" has it",
				 word);
	}
	if (strcmp(pattern_word, "[N]") == 0) {
		size_t digits = strspn(word, "0123456789");
		long n = strtol(word, NULL, 10);
		if (digits > 0 && word[digits] == '\0' && n >= 1 && n <= 4096)
			return NULL;
		return xasprintf("\"%s\" is no number from 1 to 4096", word);
	}
	if (strcmp(pattern_word, "SERVICE") == 0) {
		for (size_t i = 0; services[i] != NULL; i++)
			if (strcmp(services[i], word) == 0)
				return NULL;
		const char *nearest = ctl_nearest(word, services);
		return xasprintf("\"%s\" is no service%s%s%s; see tabmail-tables(7)", word,
		    nearest == NULL ? "" : ": did you mean \"", nearest == NULL ? "" : nearest,
		    nearest == NULL ? "" : "\"?");
	}
	return NULL;
}

/* An address is taken with its angle brackets, too, as the log and SMTP show it. */
static void
strip_brackets(char *word)
{
	size_t len = strlen(word);

	if (len >= 2 && word[0] == '<' && word[len - 1] == '>') {
		memmove(word, word + 1, len - 2);
		word[len - 2] = '\0';
	}
}

static int
explain(const char *socket_path, const char *const *words)
{
	static const struct ask_ops ops = { .on_line = story_line };
	struct story *story = story_new(stdout);
	int code = ask(socket_path, words, &ops, story);

	story_free(story);
	return code;
}

/* People are told that nothing is what there is. */
static void
say_nothing(const char *const *words)
{
	if (strcmp(words[1], "queue") == 0)
		puts(words[2] == NULL ? "The queue is empty."
				      : "Nothing in the queue is like that.");
	else if (strcmp(words[1], "paused") == 0)
		puts("Nothing is paused.");
	else if (strcmp(words[1], "tables") == 0)
		puts("No table has a helper.");
	else if (strcmp(words[1], "routes") == 0 || strcmp(words[1], "hosts") == 0)
		puts("Nothing was relayed of late.");
	else if (strcmp(words[1], "sources") == 0)
		puts("No address of a \"source\" was used of late.");
}

int
ctl_run(char **argv, const char *socket_path, bool json)
{
	static const char *const show_queue[] = { "show", "queue", NULL };
	static const struct ask_ops ops = { .on_line = print_line, .on_pause = print_flush };
	const char *request[CTL_WORDS + 1];
	const char *const *words = request;
	char *wrong = ctl_parse(argv, request);

	if (wrong != NULL) {
		safe_warn("%s", wrong);
		free(wrong);
		return EX_USAGE;
	}
	if (strcmp(argv[0], "explain") == 0)
		for (size_t i = 1; argv[i] != NULL; i++)
			strip_brackets(argv[i]);
	if (strcmp(argv[0], "encrypt") == 0)
		return encrypt_main(argv[1]);
	if (strcmp(argv[0], "newaliases") == 0)
		return ctl_newaliases(socket_path);
	if (words[0] != NULL && words[1] != NULL && words[2] != NULL &&
	    strcmp(words[2], "bench") == 0 && strcmp(words[0], "table") == 0)
		return ctl_bench(argv, socket_path, json);
	if (strcmp(argv[0], "queue") == 0)
		return ctl_backup(argv[2], socket_path, json);
	if (strcmp(argv[0], "explain") == 0 && !json)
		return explain(socket_path, words);
	if (strcmp(argv[0], "mailq") == 0)
		words = show_queue;
	struct print *print = print_new(stdout, json, time(NULL));
	int code = ask(socket_path, words, &ops, print);
	size_t rows = print_rows(print);
	print_free(print, code == 0);
	if (code == 0 && rows == 0 && !json && strcmp(words[0], "show") == 0)
		say_nothing(words);
	if (code == 0 && (fflush(stdout) == EOF || ferror(stdout))) {
		safe_warn("the standard output cannot be written");
		return EXIT_FAILURE;
	}
	return code;
}

struct names {
	char **list;
	size_t n;
	size_t name_at, type_at; /* columns of "show tables" */
};

/* Tables that stand in the configuration have nothing to read again. */
static void
names_on_line(char kind, char **fields, size_t n, void *arg)
{
	struct names *names = arg;

	for (size_t i = 0; kind == 'H' && i < n; i++) {
		if (strcmp(fields[i], "table") == 0 || strcmp(fields[i], "name") == 0)
			names->name_at = i;
		if (strcmp(fields[i], "type") == 0 || strcmp(fields[i], "kind") == 0)
			names->type_at = i;
	}
	if (kind != 'R' || names->name_at >= n)
		return;
	if (names->type_at < n && strcmp(fields[names->type_at], "static") == 0)
		return;
	names->list = xrealloc(names->list, names->n + 1, sizeof(*names->list));
	names->list[names->n++] = xstrdup(fields[names->name_at]);
}

static void
ignore_line(char kind, char **fields, size_t n, void *arg)
{
	(void)kind;
	(void)fields;
	(void)n;
	(void)arg;
}

int
ctl_newaliases(const char *socket_path)
{
	static const char *const show_tables[] = { "show", "tables", NULL };
	static const struct ask_ops names_ops = { .on_line = names_on_line };
	static const struct ask_ops update_ops = { .on_line = ignore_line };
	struct names names = { .type_at = SIZE_MAX };
	int code = ask(socket_path, show_tables, &names_ops, &names);

	for (size_t i = 0; i < names.n; i++) {
		const char *request[] = { "table", names.list[i], "update", NULL };
		struct text shown = { 0 };
		safe_put(&shown, names.list[i]);
		int one = ask(socket_path, request, &update_ops, NULL);
		printf("%s: %s\n", shown.s, one == 0 ? "updated" : "NOT updated");
		if (code == 0)
			code = one;
		text_free(&shown);
		free(names.list[i]);
	}
	free(names.list);
	return code;
}
