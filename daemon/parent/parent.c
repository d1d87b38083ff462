/*
 * parent: the only process that forks, and the only one that stays root.
 *
 * Reads the configuration, binds the sockets, starts the others (child.c), runs the errands that
 * need root for lookup and queue (errand.c), and restarts what dies.  It never reads a byte from
 * the network, and takes no command or path from another process: they name positions in its own
 * configuration.
 */
#include "local.h"
#include "conf.h"
#include "log.h"
#include "sandbox.h"
#include "text.h"

#include <bsd/unistd.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct parent parent;

#define OWN_FOLDERS "; an ordinary user names folders of his own by \"spool\" and \"socket\""

static bool read_configuration(void);
static bool prepare(void);
static bool check_spool(void);
static bool check_trust_anchor(const struct conf *);
static bool open_pki(void);
static void log_lines(struct text *);
static bool make_folder(const char *path, mode_t mode, const char *owner);
static void on_child(evutil_socket_t, short, void *);
static void on_stop(evutil_socket_t, short, void *);
static void on_hangup(evutil_socket_t, short, void *);

int
parent_main(const struct parent_options *options)
{
	log_open("parent", true, options->verbose);
	umask(022); /* users must find the sockets, whoever has started us */
	parent.options = options;
	parent.root = geteuid() == 0;
	if (!read_configuration() || !prepare() || !open_pki() || !listen_open())
		return 1;
	if (!options->foreground && daemon(0, 0) == -1)
		log_fatal("daemon: %s", strerror(errno));
	log_open("parent", options->foreground, options->verbose);
	setproctitle("parent");

	parent.base = event_base_new();
	signal(SIGPIPE, SIG_IGN);
	event_add(evsignal_new(parent.base, SIGCHLD, on_child, NULL), NULL);
	event_add(evsignal_new(parent.base, SIGTERM, on_stop, NULL), NULL);
	event_add(evsignal_new(parent.base, SIGINT, on_stop, NULL), NULL);
	event_add(evsignal_new(parent.base, SIGHUP, on_hangup, NULL), NULL);
	log_info("start version=" VERSION " config=%s", log_quote(options->file));
	if (conf_warning(parent.conf) != NULL)
		log_warn("%s: %s", options->file, conf_warning(parent.conf));
	child_start_all();
	event_base_dispatch(parent.base);
	listen_close();
	log_info("stop");
	return 0;
}

static bool
read_configuration(void)
{
	const struct parent_options *o = parent.options;
	struct text errors = { 0 };
	size_t len;
	char *error;
	char *text = conf_read(o->file, o->macros, &len, &error);

	if (text == NULL) {
		log_warn("%s", error);
		return false;
	}
	parent.conf = conf_parse(text, len, o->file, &errors);
	if (parent.conf == NULL)
		fputs(errors.s, stderr);
	parent.memfd = sandbox_sealed("tabmail.conf", text, len);
	if (parent.memfd == -1)
		log_fatal("memfd: %s", strerror(errno));
	text_free(&errors);
	free(text);
	return parent.conf != NULL;
}

static bool
check_system_user(const char *name)
{
	if (sandbox_user(name, NULL, NULL))
		return true;
	log_warn("the user %s is needed; create it with:", name);
	log_warn("  useradd --system --user-group --no-create-home --home-dir /nonexistent "
		 "--shell /usr/sbin/nologin %s",
	    name);
	return false;
}

/* Users, folders: everything that would otherwise fail later and deeper. */
static bool
prepare(void)
{
	char *socket_folder = xstrdup(parent.conf->socket);
	bool good = true;

	if (parent.root) {
		good = check_system_user(USER_TABMAIL);
		good = check_system_user(USER_QUEUE) && good;
	}
	good = parent_check_helpers(parent.conf, true) && good;
	good = check_trust_anchor(parent.conf) && good;
	dirname(socket_folder);
	parent.empty = xasprintf("%s/empty", socket_folder);
	good = good && make_folder(socket_folder, 0755, NULL) &&
	       make_folder(parent.empty, 0755, NULL) &&
	       make_folder(parent.conf->spool, 0700, USER_QUEUE) && check_spool();
	free(socket_folder);
	return good;
}

/* One that queue cannot write, as after a copy made by root: it would be started again and again. */
static bool
check_spool(void)
{
	char *db = xasprintf("%s/spool.db", parent.conf->spool);
	const char *const paths[] = { parent.conf->spool, db };
	uid_t uid = geteuid();
	struct stat st;
	bool good = true;

	if (parent.root && !sandbox_user(USER_QUEUE, &uid, NULL))
		good = false;
	for (size_t i = 0; i < 2 && good; i++) {
		if (stat(paths[i], &st) == -1 || st.st_uid == uid)
			continue;
		log_warn("spool: %s belongs to uid %u, not to %s%s%s", paths[i],
		    (unsigned)st.st_uid, parent.root ? USER_QUEUE : "this user",
		    parent.root ? "; if it is tabmail's: chown -R " USER_QUEUE ": " : OWN_FOLDERS,
		    parent.root ? parent.conf->spool : "");
		good = false;
	}
	free(db);
	return good;
}

/* A default that is not there is no fault: then there is no DANE. */
static bool
check_trust_anchor(const struct conf *conf)
{
	const char *file = conf_trust_anchor(conf);

	if (file != NULL && access(file, R_OK) == -1) {
		log_warn("trust-anchor: %s: %s", file, strerror(errno));
		return false;
	}
	if (file == NULL && conf->dane == DANE_YES) {
		log_warn("dane yes: there is no trust anchor; install dns-root-data, or name "
			 "yours: trust-anchor \"FILE\"");
		return false;
	}
	return true;
}

static void
log_lines(struct text *lines)
{
	for (char *line = lines->s, *next; line != NULL && *line != '\0'; line = next) {
		next = line + strcspn(line, "\n");
		if (*next != '\0')
			*next++ = '\0';
		log_warn("%s", line);
	}
}

static bool
open_pki(void)
{
	struct text errors = { 0 };
	bool good = pki_open(parent.conf, &errors);

	if (!good)
		log_lines(&errors);
	text_free(&errors);
	return good;
}

/* The name of a new folder on the disk: the mail in a new spool is no use without it. */
static void
make_durable(const char *path)
{
	char *above = xasprintf("%s/..", path);
	int fd = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd != -1) {
		if (fsync(fd) == -1)
			log_warn("cannot sync the folder %s: %s", above, strerror(errno));
		close(fd);
	}
	free(above);
}

/* Makes a folder below one that exists.  One that is there already keeps its owner and mode. */
static bool
make_folder(const char *path, mode_t mode, const char *owner)
{
	struct stat st;
	uid_t uid;
	gid_t gid;

	if (stat(path, &st) == 0) {
		if (S_ISDIR(st.st_mode))
			return true;
		log_warn("%s: a folder is needed here, and this is none", path);
		return false;
	}
	if (mkdir(path, mode) == -1) {
		log_warn("cannot make the folder %s: %s%s", path, strerror(errno),
		    parent.root ? "" : OWN_FOLDERS);
		return false;
	}
	if (parent.root && owner != NULL && sandbox_user(owner, &uid, &gid) &&
	    lchown(path, uid, gid) == -1) {
		log_warn("cannot give the folder %s to %s: %s", path, owner, strerror(errno));
		return false;
	}
	make_durable(path);
	return true;
}

static void
on_child(evutil_socket_t sig, short what, void *arg)
{
	int status;
	pid_t pid;

	(void)sig;
	(void)what;
	(void)arg;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (!child_exited(pid, status))
			errand_exited(pid, status);
}

static void
on_stop(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	(void)arg;
	child_stop_all();
}

static void
on_hangup(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	(void)arg;
	struct text errors = { 0 };
	if (!pki_renew(&errors))
		log_lines(&errors);
	text_free(&errors);
	log_info("SIGHUP: certificates were read again; a changed configuration is taken by a "
		 "restart");
}

void
parent_stopped(void)
{
	event_base_loopbreak(parent.base);
}
