/*
 * tabmaild: reads its arguments and becomes parent, or, executed by parent, one of the others.
 * See ../ARCHITECTURE.md for the processes.
 */
#include "conf.h"
#include "log.h"
#include "role.h"
#include "sandbox.h"
#include "stdfds.h"
#include "text.h"

#include <bsd/unistd.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MACROS_MAX 64

_Noreturn static void usage(void);
static int check_configuration(const struct parent_options *);
_Noreturn static void become(
    const char *name, const char *root, const char *user, const struct parent_options *);

int
main(int argc, char **argv)
{
	const char *macros[MACROS_MAX + 1] = { 0 };
	struct parent_options o = {
		.program = argv[0], .file = SYSCONF "/tabmail.conf", .macros = macros
	};
	const char *role = NULL, *root = NULL, *user = NULL;
	bool only_check = false;
	size_t n_macros = 0;
	int c;

	stdfds_open();
	setproctitle_init(argc, argv, environ);
	while ((c = getopt(argc, argv, "dnvD:f:x:r:u:")) != -1) {
		switch (c) {
		case 'd': o.foreground = true; break;
		case 'n': only_check = true; break;
		case 'v': o.verbose++; break;
		case 'f': o.file = optarg; break;
		case 'D':
			if (strchr(optarg, '=') == NULL || n_macros == MACROS_MAX)
				errx(1, "-D %s: write it as -D name=value", optarg);
			macros[n_macros++] = optarg;
			break;
		case 'x': role = optarg; break; /* by parent only */
		case 'r': root = optarg; break; /* by parent only */
		case 'u': user = optarg; break; /* by parent only */
		default: usage();
		}
	}
	if (optind != argc) {
		warnx("%s: the configuration's file stands behind -f", argv[optind]);
		usage();
	}
	if (role != NULL)
		become(role, root, user, &o);
	if (only_check)
		return check_configuration(&o);
	return parent_main(&o);
}

static void
usage(void)
{
	fprintf(stderr, "usage: tabmaild [-dnv] [-D macro=value] [-f file]\n");
	exit(1);
}

/* tabmaild -n */
static int
check_configuration(const struct parent_options *o)
{
	struct text errors = { 0 };
	char *error;
	size_t len;

	log_plain();
	char *text = conf_read(o->file, o->macros, &len, &error);

	if (text == NULL)
		errx(1, "%s", error);
	struct conf *conf = conf_parse(text, len, o->file, &errors);
	free(text);
	if (conf == NULL) {
		fputs(errors.s, stderr);
		text_free(&errors);
		return 1;
	}
	if (conf_warning(conf) != NULL)
		fprintf(stderr, "warning: %s\n", conf_warning(conf));
	bool good = parent_check_helpers(conf, false);
	if (!pki_open(conf, &errors)) {
		fputs(errors.s, stderr);
		text_free(&errors);
		good = false;
	}
	conf_free(conf);
	if (!good)
		return 1;
	fprintf(stderr, "configuration OK\n");
	return 0;
}

/* One of parent's children.  user is "UID:GID:NAME" for a delivery worker. */
static void
become(const char *name, const char *root, const char *user, const struct parent_options *o)
{
	unsigned uid, gid;
	char login[64];
	enum role role;

	for (role = ROLE_SMTP; role < ROLE_MAX; role++)
		if (strcmp(name, role_name(role)) == 0)
			break;
	if (role == ROLE_MAX)
		errx(1, "-x %s: no such role; only tabmaild itself uses -x", name);
	log_open(role_name(role), o->foreground, o->verbose);
	setproctitle("%s", name);
	if (role != ROLE_DELIVER)
		role_main(role, role == ROLE_QUEUE ? USER_QUEUE : USER_TABMAIL, root);
	if (user == NULL || sscanf(user, "%u:%u:%63s", &uid, &gid, login) != 3)
		errx(1, "-u: UID:GID:NAME; only tabmaild itself uses -u");
	sandbox_become(uid, gid, login);
	deliver_worker();
}
