/*
 * A table's helper: which program it is, who it runs as, and what is wrong with either.  Called by
 * errand.c, which starts it, and before that by whoever checks a configuration.
 */
#include "local.h"
#include "conf.h"
#include "log.h"
#include "sandbox.h"
#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void split_command(char *command, char **argv, size_t max);

void
helper_command(struct helper_command *c, const struct conf *conf, const struct conf_table *table)
{
	*c = (struct helper_command){ .argv = { NULL } };
	if (table->command != NULL) {
		c->storage = xstrdup(table->command);
		split_command(c->storage, c->argv, HELPER_ARGS_MAX);
	} else {
		c->storage = xasprintf("%s/table-%s", conf->helpers, table->type);
		c->argv[0] = c->storage;
		c->argv[1] = table->arg;
	}
}

void
helper_command_free(struct helper_command *c)
{
	free(c->storage);
	*c = (struct helper_command){ .argv = { NULL } };
}

/* Words by blanks, "…" and '…' as one; in place.  No shell: nothing else has a meaning. */
static void
split_command(char *p, char **argv, size_t max)
{
	size_t n = 0;

	while (n < max) {
		while (isspace((unsigned char)*p))
			p++;
		if (*p == '\0')
			return;
		char *out = p;
		argv[n++] = out;
		char quote = '\0';
		for (; *p != '\0' && (quote != '\0' || !isspace((unsigned char)*p)); p++) {
			if (quote == '\0' && (*p == '"' || *p == '\''))
				quote = *p;
			else if (*p == quote)
				quote = '\0';
			else
				*out++ = *p;
		}
		if (*p != '\0')
			p++;
		*out = '\0';
	}
}

/* The system says of such a script that it is not there itself. */
static bool
interpreter_is_missing(const char *script, char *why, size_t size)
{
	char line[256] = "";
	int fd = open(script, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd == -1)
		return false; /* who runs it need not be able to read it */
	ssize_t n = read(fd, line, sizeof(line) - 1);
	close(fd);
	if (n < 3 || strncmp(line, "#!", 2) != 0)
		return false;
	char *name = line + 2 + strspn(line + 2, " \t");
	size_t len = strcspn(name, " \t\n");
	if (name[len] == '\0')
		return false; /* longer than is looked at */
	name[len] = '\0';
	if (access(name, X_OK) == 0)
		return false;
	int error = errno;
	if (len > 0 && name[len - 1] == '\r')
		snprintf(why, size, "cannot run %s: its lines end in CR LF", script);
	else
		snprintf(why, size, "cannot run %s: its first line names \"%s\": %s", script, name,
		    strerror(error));
	return true;
}

const char *
helper_is_missing(const struct helper_command *c)
{
	static char why[1200];

	if (c->argv[0] != NULL && access(c->argv[0], X_OK) == 0)
		return interpreter_is_missing(c->argv[0], why, sizeof(why)) ? why : NULL;
	snprintf(why, sizeof(why), "cannot run %s: %s", c->argv[0] == NULL ? "nothing" : c->argv[0],
	    strerror(c->argv[0] == NULL ? EINVAL : errno));
	return why;
}

const char *
helper_user(const struct conf_table *t)
{
	if (t->user == NULL && t->type != NULL && strcmp(t->type, "pam") == 0)
		return USER_PAM;
	return t->user;
}

/* NULL, or why no helper may run as this user. */
static const char *
user_refusal(const char *user, bool starting)
{
	uid_t uid;

	if (!sandbox_user(user, &uid, NULL))
		return "no such user";
	if (uid == 0)
		return "a helper does not run as root";
	if (starting && geteuid() != 0 && uid != geteuid())
		return "tabmaild runs as an ordinary user, and so must its helpers";
	return NULL;
}

static bool
check_user(const struct conf_table *t, bool starting)
{
	const char *user = helper_user(t);
	bool ours = t->user == NULL && geteuid() != 0; /* everybody is ourselves then */
	const char *wrong = user == NULL || ours ? NULL : user_refusal(user, starting);

	if (wrong == NULL)
		return true;
	log_warn("table %s: user %s: %s", t->name, user, wrong);
	if (t->user == NULL)
		log_warn("create it with: useradd --system --gid shadow --no-create-home "
			 "--home-dir /nonexistent --shell /usr/sbin/nologin %s",
		    user);
	return false;
}

static bool
check_program(const struct conf *conf, const struct conf_table *t)
{
	struct helper_command c;

	helper_command(&c, conf, t);
	const char *wrong = helper_is_missing(&c);
	if (wrong != NULL)
		log_warn("table %s: %s%s", t->name, wrong,
		    t->command != NULL ? "" : "; the setting \"helpers\" names its folder");
	helper_command_free(&c);
	return wrong == NULL;
}

bool
parent_check_helpers(const struct conf *conf, bool starting)
{
	const struct conf_table *t;
	bool good = true;

	STAILQ_FOREACH(t, &conf->tables, entry) {
		if (t->is_static)
			continue;
		if (!check_user(t, starting))
			good = false;
		if (!check_program(conf, t) && !starting)
			good = false;
	}
	return good;
}
