/*
 * One question from the shell (once.h).  Called by main; asks as the daemon would, and prints the answer on
 * stdout; with -v each search and bind on stderr: server, base, filter, DNs, time.
 *
 * For auth the password is read from the terminal or from standard input, not taken from the command line,
 * which others can see; one that is given there all the same is wiped from it at once.
 */
#include "once.h"

#include <bsd/readpassphrase.h>
#include <bsd/stdlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "backend.h"
#include "settings.h"
#include "tab_helper.h"

#define PASSWORD_MAX 1024

static int status;

static void on_answer(enum tab_answer, const char *, void *);

static int
usage(void)
{
	fprintf(stderr, ONCE_USAGE);
	return 3;
}

static void
print_faults(const struct settings_faults *f, const char *kind)
{
	for (unsigned i = 0; i < f->n && i < SETTINGS_FAULTS_MAX; i++)
		fprintf(stderr, "%s%s\n", f->text[i] == NULL ? "out of memory" : f->text[i], kind);
	if (f->n > SETTINGS_FAULTS_MAX)
		fprintf(stderr, "%u more%s\n", f->n - SETTINGS_FAULTS_MAX, kind);
}

/* The operation that the daemon uses for a service. */
static enum tab_op
op_of(enum tab_service service, const char *key)
{
	switch (service) {
	case TAB_DOMAIN:
	case TAB_AUTH:
	case TAB_NETADDR:
	case TAB_MAILADDR: return TAB_CHECK;
	case TAB_SOURCE: return TAB_FETCH;
	case TAB_RELAYHOST: return *key == '\0' ? TAB_FETCH : TAB_LOOKUP;
	case TAB_ALIAS:
	case TAB_CREDENTIALS:
	case TAB_USERINFO:
	case TAB_MAILADDRMAP:
	case TAB_ADDRNAME:
	case TAB_SOURCE_FOR:
	case TAB_STRING:
	case TAB_REGEX:
	case TAB_SERVICE_MAX: break;
	}
	return TAB_LOOKUP;
}

/* user or user:password from the command line; the caller's to free.  NULL: no password could be read. */
static char *
auth_key(char *arg)
{
	char password[PASSWORD_MAX], *key = NULL;

	if (strchr(arg, ':') != NULL) {
		key = strdup(arg);
		explicit_bzero(arg, strlen(arg));
		return key;
	}
	if (readpassphrase("password: ", password, sizeof(password),
		RPP_ECHO_OFF | RPP_STDIN * !isatty(0)) == NULL)
		return NULL;
	if (asprintf(&key, "%s:%s", arg, password) == -1)
		key = NULL;
	explicit_bzero(password, sizeof(password));
	return key;
}

static struct ldap_settings *
load(const char *path)
{
	struct settings_faults wrong, warnings;
	unsigned meant;
	struct ldap_settings *s = settings_load(path, &wrong, &warnings, &meant);

	print_faults(&warnings, " (warning)");
	print_faults(&wrong, "");
	settings_faults_clear(&wrong);
	settings_faults_clear(&warnings);
	return s;
}

int
once_main(int argc, char *argv[])
{
	bool once = false, verbose = false;
	int c;

	while ((c = getopt(argc, argv, "tv")) != -1)
		switch (c) {
		case 't': once = true; break;
		case 'v': verbose = true; break;
		default: return usage();
		}
	argc -= optind;
	argv += optind;
	if (!once || argc < 2 || argc > 3)
		return usage();
	enum tab_service service = tab_service_find(argv[1]);
	if (service == TAB_SERVICE_MAX) {
		fprintf(stderr, "%s: no such service\n", argv[1]);
		return 3;
	}
	char *key = argc == 2             ? strdup("")
		    : service == TAB_AUTH ? auth_key(argv[2])
					  : strdup(argv[2]);
	if (key == NULL) {
		fprintf(stderr, "no password could be read\n");
		return 3;
	}
	struct ldap_settings *settings = load(argv[0]);
	struct backend *b = settings == NULL ? NULL : backend_open(settings, verbose);
	if (b != NULL) {
		backend_ask(b, op_of(service, key), service, "test", key, on_answer, NULL);
		backend_retire(b);
		event_base_dispatch(tab_helper_base());
	}
	freezero(key, strlen(key));
	if (directory_hangs())
		_exit(b == NULL ? 3 : status);
	return b == NULL ? 3 : status;
}

static void
on_answer(enum tab_answer answer, const char *text, void *arg)
{
	(void)arg;
	switch (answer) {
	case TAB_FOUND: printf("%s\n", text == NULL ? "found" : text); break;
	case TAB_MISSING: fprintf(stderr, "not found\n"); break;
	case TAB_ERROR: fprintf(stderr, "error: %s\n", text); break;
	}
	fflush(stdout);
	status = (int)answer;
}
