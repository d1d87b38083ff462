/*
 * sendmail: the interface that programs know, with the options that have a meaning here.  Called by
 * tabmailctl.c; reads a message (letter.c) and hands it over (submission.c).
 */
#include "local.h"

#include <bsd/string.h>
#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>
#include <unistd.h>

struct options {
	char mode; /* of -b: m, s, p, i, q */
	bool from_header, dot_is_text, verbose;
	const char *sender, *full_name, *notify, *ret, *envid;
	const char *control; /* the control socket */
};

static int read_options(struct options *, int argc, char **argv);
static int set_option(struct options *, int c, const char *arg);
static int set_long_option(struct options *, const char *arg);
static const char *read_notify(const char *arg);
static char *submit_socket(const char *control);
static int send_message(const struct options *, char **recipients, const char *submit);
static int set_sender(const struct options *, struct submission *);
static int set_recipients(struct submission *, char **recipients, bool from_header);

int
sendmail_main(int argc, char **argv, const char *control)
{
	struct options o = { .mode = 'm', .control = control };
	char *show_queue[] = { (char[]){ "mailq" }, NULL };
	char *schedule_all[] = { (char[]){ "schedule" }, (char[]){ "all" }, NULL };
	int code = read_options(&o, argc, argv);

	if (code != EX_OK)
		return code;
	signal(SIGPIPE, SIG_IGN);
	if (o.mode == 'p')
		return ctl_run(show_queue, o.control, false);
	if (o.mode == 'q')
		return ctl_run(schedule_all, o.control, false);
	if (o.mode == 'i')
		return ctl_newaliases(o.control);
	char *submit = submit_socket(o.control);
	if (o.mode == 's')
		code = submission_pipe(submit, STDIN_FILENO, STDOUT_FILENO);
	else
		code = send_message(&o, argv + optind, submit);
	free(submit);
	return code;
}

/* It stands beside the control socket. */
static char *
submit_socket(const char *control)
{
	const char *slash = strrchr(control, '/');
	int dir_len = slash == NULL ? 0 : (int)(slash + 1 - control);

	return xasprintf("%.*ssubmit.sock", dir_len, control);
}

static int
read_options(struct options *o, int argc, char **argv)
{
	int c, code = EX_OK;

	optind = 0; /* glibc: start again, with this list */
	while ((c = getopt(argc, argv, "+A:B:C:D:F:GIL:N:O:R:UV:X:b:cd:e:f:h:imno:p:q::r:S:tvx")) !=
	       -1)
		if ((code = set_option(o, c, optarg)) != EX_OK)
			break;
	return code;
}

static int
set_option(struct options *o, int c, const char *arg)
{
	switch (c) {
	case 'F': o->full_name = arg; break;
	case 'f':
	case 'r': o->sender = arg; break;
	case 'I': o->mode = 'i'; break;
	case 'N':
		if ((o->notify = read_notify(arg)) == NULL) {
			safe_warn("-N %s: never, or some of success,failure,delay", arg);
			return EX_USAGE;
		}
		break;
	case 'R':
		if (strcasecmp(arg, "full") != 0 && strcasecmp(arg, "hdrs") != 0) {
			safe_warn("-R %s: full or hdrs", arg);
			return EX_USAGE;
		}
		o->ret = strcasecmp(arg, "full") == 0 ? "FULL" : "HDRS";
		break;
	case 'S': o->control = arg; break;
	case 'V':
		if (*arg == '\0' || strlen(arg) > 100 || text_has_control(arg)) {
			safe_warn("-V: 1 to 100 printable characters"); /* RFC 3461 4.4 */
			return EX_USAGE;
		}
		o->envid = arg;
		break;
	case 'b':
		if (strlen(arg) != 1 || strchr("mspi", *arg) == NULL) {
			safe_warn("-b%s is not offered%s", arg,
			    *arg == 'd' ? ": start tabmaild instead" : "");
			return EX_USAGE;
		}
		o->mode = *arg;
		break;
	case 'i': o->dot_is_text = true; break;
	case 'o': return set_long_option(o, arg);
	case 'q':
		if (arg != NULL) {
			safe_warn(
			    "-q%s: tabmaild runs its queue by itself; -q alone tries all now", arg);
			return EX_USAGE;
		}
		o->mode = 'q';
		break;
	case 't': o->from_header = true; break;
	case 'v': o->verbose = true; break;
	case '?': return EX_USAGE;
	default: break; /* of other mail servers, without a meaning here */
	}
	return EX_OK;
}

/* -oi, -odb, -oem, …: how mail is queued and where errors go is the daemon's business. */
static int
set_long_option(struct options *o, const char *arg)
{
	if (strcmp(arg, "i") == 0)
		o->dot_is_text = true;
	else if (strcmp(arg, "t") == 0)
		o->from_header = true;
	else if (strcmp(arg, "v") == 0)
		o->verbose = true;
	return EX_OK;
}

/* In the form of RFC 3461 4.1; NULL when it is none.  Static. */
static const char *
read_notify(const char *arg)
{
	static const char *const names[] = { "SUCCESS", "FAILURE", "DELAY" };
	static char out[sizeof("SUCCESS,FAILURE,DELAY")];
	bool asked[3] = { false };
	char *copy, *rest, *word;

	if (strcasecmp(arg, "never") == 0)
		return "NEVER";
	copy = rest = xstrdup(arg);
	out[0] = '\0';
	while ((word = strsep(&rest, ",")) != NULL) {
		size_t i;
		for (i = 0; i < 3 && strcasecmp(word, names[i]) != 0; i++)
			continue;
		if (i == 3) {
			free(copy);
			return NULL;
		}
		asked[i] = true;
	}
	free(copy);
	for (size_t i = 0; i < 3; i++) {
		if (!asked[i])
			continue;
		if (out[0] != '\0')
			strlcat(out, ",", sizeof(out));
		strlcat(out, names[i], sizeof(out));
	}
	return out;
}

static int
send_message(const struct options *o, char **recipients, const char *submit)
{
	struct rcpts rcpts = { 0 };
	struct letter message = { 0 };
	struct submission sub = { .socket_path = submit,
		.verbose = o->verbose,
		.rcpts = &rcpts,
		.message = &message,
		.add_from = true,
		.notify = o->notify,
		.ret = o->ret,
		.envid = o->envid };
	const char *wrong;
	int code;

	if (*recipients == NULL && !o->from_header) {
		safe_warn("no recipients: name them, or use -t");
		return EX_USAGE;
	}
	if ((code = set_sender(o, &sub)) != EX_OK) {
		free((char *)(uintptr_t)sub.full_name);
		return code;
	}
	if ((wrong = letter_read(&message, stdin, !o->dot_is_text, &code)) != NULL)
		safe_warn("%s", wrong);
	else
		code = set_recipients(&sub, recipients, o->from_header);
	if (code == EX_OK)
		code = submission_send(&sub);
	rcpts_free(&rcpts);
	letter_free(&message);
	free((char *)(uintptr_t)sub.full_name);
	return code;
}

/* -f gives the envelope's sender and the From: field's address, else both are the caller's name. */
static int
set_sender(const struct options *o, struct submission *sub)
{
	const struct passwd *pw = getpwuid(getuid());
	char login[LOCAL_MAX + 1];
	struct rcpts one = { 0 };
	char *wrong;

	if (pw != NULL)
		strlcpy(login, pw->pw_name, sizeof(login));
	else
		snprintf(login, sizeof(login), "%lu", (unsigned long)getuid());
	sub->full_name = o->full_name != NULL ? xstrdup(o->full_name)
			 : pw != NULL         ? letter_full_name(pw->pw_gecos, login)
					      : xstrdup("");
	strlcpy(sub->from.local, login, sizeof(sub->from.local));
	if (o->sender == NULL) {
		sub->sender = sub->from;
		return EX_OK;
	}
	if (*o->sender == '\0' || strcmp(o->sender, "<>") == 0)
		return EX_OK;
	wrong = rcpts_add_list(&one, o->sender, strlen(o->sender));
	if (wrong != NULL || one.n != 1)
		safe_warn("-f: %s", wrong != NULL ? wrong : "one address is expected");
	else
		sub->sender = sub->from = one.addrs[0];
	int code = wrong != NULL || one.n != 1 ? EX_USAGE : EX_OK;
	free(wrong);
	rcpts_free(&one);
	return code;
}

static int
set_recipients(struct submission *sub, char **recipients, bool from_header)
{
	char *wrong = NULL;
	int code = EX_USAGE;

	for (; *recipients != NULL && wrong == NULL; recipients++)
		wrong = rcpts_add_list(sub->rcpts, *recipients, strlen(*recipients));
	if (wrong == NULL && from_header) {
		code = EX_DATAERR;
		wrong = rcpts_add_header(sub->rcpts, sub->message->data, sub->message->header_len);
		letter_strip_bcc(sub->message);
	}
	if (wrong == NULL && sub->rcpts->n == 0) {
		code = EX_USAGE;
		wrong = xstrdup(from_header ? "no recipients in the header" : "no recipients");
	}
	if (wrong == NULL)
		return EX_OK;
	safe_warn("%s", wrong);
	free(wrong);
	return code;
}
