/*
 * tabmail-helper-test: tells the author of a helper what it does wrong.  Runs the helper as the daemon
 * would, once for each test, and prints TAP.  Nobody calls it but people and prove(1).
 *
 * Invariant: each test of list.c is printed exactly once, run, skipped for what failed before it, or
 * skipped for what the person did not give.  Exit status 1 when a test failed that counts.
 */
#include "local.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KNOWN_MAX 64

struct options options = { .secs = 5 };

static struct known known[KNOWN_MAX];
static unsigned n_printed, n_failed, n_should;
static const char *missing[NEED_MAX]; /* the test that failed to give it */

static _Noreturn void
usage(const char *why)
{
	if (why != NULL)
		fprintf(stderr, "tabmail-helper-test: %s\n", why);
	fprintf(stderr, "usage: tabmail-helper-test [-lS] [-s service:key=value] [-t seconds] "
			"command [arg ...]\n");
	exit(2);
}

/* service:key for a check, service:key=value for a lookup, service:=value for a fetch. */
static void
add_known(const char *arg)
{
	if (options.n_known == KNOWN_MAX)
		usage("too many -s");
	struct known *k = &known[options.n_known++];
	k->text = strdup(arg);
	k->parts = strdup(arg);
	if (k->text == NULL || k->parts == NULL)
		usage("out of memory");
	char *key = strchr(k->parts, ':');
	if (key == NULL)
		usage("-s: service:key=value is wanted");
	*key++ = '\0';
	k->service = tab_service_find(k->parts);
	k->key = key;
	k->value = "";
	switch (k->service) {
	case TAB_SOURCE_FOR: /* the kit is not tabmail */
	case TAB_SERVICE_MAX: usage("-s: there is no such service");
	case TAB_DOMAIN:
	case TAB_AUTH:
	case TAB_NETADDR:
	case TAB_MAILADDR:
	case TAB_STRING:
	case TAB_REGEX: k->op = TAB_CHECK; break;
	case TAB_ALIAS:
	case TAB_CREDENTIALS:
	case TAB_USERINFO:
	case TAB_SOURCE:
	case TAB_MAILADDRMAP:
	case TAB_ADDRNAME:
	case TAB_RELAYHOST:
		k->op = *key == '=' ? TAB_FETCH : TAB_LOOKUP;
		char *value = strchr(key, '=');
		if (value == NULL || value[1] == '\0')
			usage("-s: this service needs a value: service:key=value");
		*value++ = '\0';
		k->value = value;
		if (k->service == TAB_SOURCE && k->op != TAB_FETCH)
			usage("-s: source takes no key: source:=address");
		break;
	}
	if (!tab_key_ok(k->key))
		usage("-s: this key cannot be asked for: too long, or with a line end");
}

static void
print(struct report *r, const char *name, enum level level, const char *promise)
{
	report_print(r, ++n_printed, name, level, promise);
	if (r->bad && (level == MUST || (level == SHOULD && options.strict)))
		n_failed++;
	else if (r->bad && level == SHOULD)
		n_should++;
}

/* What a test of this need lacks: the name of the test that failed; NULL: nothing. */
static const char *
lacks(enum need need)
{
	static const enum need before[NEED_MAX] = {
		[NEED_HANDSHAKE] = NEED_START,
		[NEED_ANSWERS] = NEED_HANDSHAKE,
		[NEED_UPDATE] = NEED_ANSWERS,
		[NEED_MANY] = NEED_ANSWERS,
		[NEED_END] = NEED_HANDSHAKE,
	};

	for (; need != NEED_NOTHING; need = before[need])
		if (missing[need] != NULL)
			return missing[need];
	return NULL;
}

static void
run_test(const struct test *t)
{
	struct report r = { 0 };
	const char *lack = lacks(t->needs[0]);

	if (lack == NULL)
		lack = lacks(t->needs[1]);
	if (lack != NULL)
		report_skip(&r, "%s failed", lack);
	else
		t->run(&r);
	print(&r, t->name, t->level, t->promise);
	if (r.bad && !r.harmless && missing[t->gives] == NULL)
		missing[t->gives] = t->name;
	report_free(&r);
}

/* A test for each -s. */
static void
run_known(void)
{
	for (size_t i = 0; i < options.n_known; i++) {
		struct report r = { 0 };
		char promise[200];
		const char *lack = lacks(NEED_ANSWERS);
		struct known *k = &options.known[i];

		if (lack != NULL)
			report_skip(&r, "%s failed", lack);
		else
			keys_known(&r, k);
		snprintf(promise, sizeof(promise), "finds -s %zu: %s of %s", i + 1,
		    tab_op_name(k->op), tab_service_name(k->service));
		print(&r, "known", MUST, promise);
		report_free(&r);
	}
}

static void
list_names(void)
{
	static const char *const levels[] = { [MUST] = "must", [SHOULD] = "should", [MAY] = "may" };

	for (size_t i = 0; i < list_len; i++)
		printf("%-24s %-7s %s\n", list_tests[i].name, levels[list_tests[i].level],
		    list_tests[i].promise);
}

int
main(int argc, char *argv[])
{
	char *end;
	int ch;

	/* "+": what follows the command is the command's. */
	while ((ch = getopt(argc, argv, "+lSs:t:")) != -1)
		switch (ch) {
		case 'l': list_names(); return 0;
		case 'S': options.strict = true; break;
		case 's': add_known(optarg); break;
		case 't':
			options.secs = strtod(optarg, &end);
			if (*end != '\0' || !(options.secs > 0 && options.secs <= 3600))
				usage("-t: seconds are wanted, up to 3600");
			break;
		default: usage(NULL);
		}
	if (optind == argc)
		usage(NULL);
	options.command = argv + optind;
	options.known = known;
	signal(SIGPIPE, SIG_IGN);

	printf("1..%zu\n", list_len + options.n_known);
	for (size_t i = 0; i < list_len; i++) {
		if (strcmp(list_tests[i].name, "key-empty") == 0)
			run_known(); /* beside key-unknown */
		run_test(&list_tests[i]);
	}
	answers_free();
	if (n_failed > 0)
		printf("# %u of %u failed\n", n_failed, n_printed);
	if (n_should > 0)
		printf("# %u that should pass did not (-S: such ones fail)\n", n_should);
	for (size_t i = 0; i < options.n_known; i++) {
		free(known[i].text);
		free(known[i].parts);
	}
	return n_failed > 0 ? 1 : 0;
}
