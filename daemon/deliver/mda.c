/*
 * mda: a command of the configuration gets the message on its standard input.  It runs as the user,
 * in the home, in a process group of its own with descriptors 0, 1 and 2, for at most
 * mda_limit_sec; its exit status says what became of the message (sysexits.h).
 *
 *	mda_take    a delivery waits
 *	mda_work    commands are started, up to AT_ONCE beside each other; a round of their input and
 *	            output; the deliveries of those that have ended are answered
 *
 * Many users may share a uid (`as vmail`): a command that hangs holds up no other's mail.
 *
 * Invariant: what an envelope says reaches the shell's command line only through format_expand(),
 * which lets nothing through that a shell would read.
 */
#include "clock.h"
#include "format.h"
#include "local.h"
#include "text.h"

#include <bsd/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define OUTPUT_MAX 512
#define ENV_MAX    12
#define AT_ONCE    8
#define LOOK_MS    200 /* how often a silent command is looked after */

struct command {
	TAILQ_ENTRY(command) entry;
	struct delivery *delivery;
	pid_t pid;
	int in, out; /* our ends; -1: closed */
	char *piece; /* what of the input is still to be written: from at, up to len */
	size_t at, len;
	int64_t until_ms; /* then it is ended */
	int64_t look_ms;  /* then it is looked whether it has ended */
	int wait_ms;      /* from one such look to the next, once its input and output are closed */
	bool failed;      /* the body could not be had */
	struct pollfd *fds; /* of this round: its output, its input */
	char output[OUTPUT_MAX + 1];
	size_t output_len;
};

static TAILQ_HEAD(, command) running = TAILQ_HEAD_INITIALIZER(running);
static STAILQ_HEAD(, delivery) waiting = STAILQ_HEAD_INITIALIZER(waiting);
static unsigned n_running;
int mda_limit_sec = 300;

static void start_next(void);
static char *expand(struct delivery *);
static bool start(struct command *, const char *line);
_Noreturn static void become_command(const struct delivery *, const char *line, int in, int out);
static void make_environment(const struct delivery *, char **env);
static void serve(struct command *);
static void give_input(struct command *);
static bool take_output(struct command *);
static void look(struct command *, int64_t now_ms);
static void end(struct command *, int status, bool killed);
static void judge(struct command *, int status);

void
mda_take(struct delivery *d)
{
	STAILQ_INSERT_TAIL(&waiting, d, entry);
}

bool
mda_is_busy(void)
{
	return n_running > 0 || !STAILQ_EMPTY(&waiting);
}

void
mda_work(int channel)
{
	struct pollfd fds[1 + 2 * AT_ONCE] = { { channel, POLLIN, 0 } };
	int64_t now_ms = clock_mono_ms(), wait_ms = LOOK_MS;
	struct command *c, *next;
	nfds_t n = 1;

	while (n_running < AT_ONCE && !STAILQ_EMPTY(&waiting))
		start_next();
	TAILQ_FOREACH(c, &running, entry) {
		c->fds = fds + n;
		fds[n++] = (struct pollfd){ c->out, POLLIN, 0 }; /* poll() leaves out what is -1 */
		fds[n++] = (struct pollfd){ c->in, POLLOUT, 0 };
		int64_t at_ms = c->look_ms < c->until_ms ? c->look_ms : c->until_ms;
		if (at_ms - now_ms < wait_ms)
			wait_ms = at_ms < now_ms ? 0 : at_ms - now_ms;
	}
	if (n == 1 || poll(fds, n, (int)wait_ms) == -1)
		return; /* none could be started; or a signal */
	now_ms = clock_mono_ms();
	TAILQ_FOREACH_SAFE(c, &running, entry, next) {
		serve(c);
		look(c, now_ms);
	}
}

/* A command for the delivery that has waited longest, unless it is answered at once. */
static void
start_next(void)
{
	struct delivery *d = STAILQ_FIRST(&waiting);
	struct command *c = xcalloc(1, sizeof(*c));

	STAILQ_REMOVE_HEAD(&waiting, entry);
	*c = (struct command){ .delivery = d, .in = -1, .out = -1, .wait_ms = 1 };
	char *line = expand(d);
	if (line != NULL && start(c, line)) {
		c->until_ms = clock_mono_ms() + mda_limit_sec * 1000LL;
		c->look_ms = clock_mono_ms() + LOOK_MS;
		TAILQ_INSERT_TAIL(&running, c, entry);
		n_running++;
	} else {
		if (line != NULL)
			delivery_fail_errno(d, errno, "mda");
		worker_answer(d);
		free(c);
	}
	free(line);
}

static char *
expand(struct delivery *d)
{
	char id[32];
	const char *error;

	snprintf(id, sizeof(id), "%012llx", (unsigned long long)d->id);
	char *line = format_expand(d->action->arg,
	    &(struct format_values){ .sender = d->sender,
		.rcpt = d->rcpt,
		.dest = d->dest,
		.user = d->user,
		.directory = d->home,
		.id = id },
	    true, &error);
	if (line == NULL)
		delivery_end(d, OUTCOME_LATER, "4.3.5", "mda: %s", error);
	return line;
}

static bool
start(struct command *c, const char *line)
{
	int in[2], out[2] = { -1, -1 };

	if (pipe2(in, O_CLOEXEC) == -1)
		return false;
	if (pipe2(out, O_CLOEXEC) == -1 || (c->pid = fork()) == -1) {
		int error = errno;
		close(in[0]);
		close(in[1]);
		if (out[0] != -1) {
			close(out[0]);
			close(out[1]);
		}
		errno = error;
		return false;
	}
	if (c->pid == 0)
		become_command(c->delivery, line, in[0], out[1]);
	setpgid(c->pid, c->pid); /* the child does the same: whoever comes first */
	close(in[0]);
	close(out[1]);
	c->in = in[1];
	c->out = out[0];
	fcntl(c->in, F_SETFL, O_NONBLOCK);
	fcntl(c->out, F_SETFL, O_NONBLOCK);
	c->piece = delivery_header(c->delivery);
	c->len = strlen(c->piece);
	return true;
}

static void
become_command(const struct delivery *d, const char *line, int in, int out)
{
	char *env[ENV_MAX];
	sigset_t none;

	setpgid(0, 0);
	make_environment(d, env);
	/* in and out are beyond 2: ROLE_FD and what came before are open */
	if (dup2(in, 0) == -1 || dup2(out, 1) == -1 || dup2(out, 2) == -1)
		_exit(EX_OSERR);
	closefrom(3);
	if (chdir(d->home) == -1)
		_exit(EX_TEMPFAIL);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execle("/bin/sh", "sh", "-c", line, (char *)NULL, env);
	_exit(EX_OSERR);
}

/* As OpenSMTPD documents it. */
static void
make_environment(const struct delivery *d, char **env)
{
	const char *at = strrchr(d->rcpt, '@');
	int local_len = at == NULL ? (int)strlen(d->rcpt) : (int)(at - d->rcpt);
	const char *plus = memchr(d->rcpt, '+', (size_t)local_len);
	size_t n = 0;

	env[n++] = xstrdup("PATH=/usr/local/bin:/usr/bin:/bin");
	env[n++] = xstrdup("SHELL=/bin/sh");
	env[n++] = xasprintf("HOME=%s", d->home);
	env[n++] = xasprintf("USER=%s", d->user);
	env[n++] = xasprintf("LOGNAME=%s", d->user);
	env[n++] = xasprintf("SENDER=%s", d->sender);
	env[n++] = xasprintf("RECIPIENT=%s", d->dest);
	env[n++] = xasprintf("LOCAL=%.*s", local_len, d->rcpt);
	env[n++] = xasprintf("DOMAIN=%s", at == NULL ? "" : at + 1);
	if (plus != NULL)
		env[n++] =
		    xasprintf("EXTENSION=%.*s", local_len - (int)(plus + 1 - d->rcpt), plus + 1);
	env[n] = NULL;
}

/* --- Its input and output */

static void
shut(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

static void
serve(struct command *c)
{
	if (c->fds[1].revents != 0)
		give_input(c);
	if (c->fds[0].revents != 0)
		take_output(c);
	if (c->in == -1 && c->out == -1 && c->wait_ms == 1)
		c->look_ms = 0; /* it is about to end */
}

/* The next piece of the body, copied: other commands have theirs read in between. */
static bool
next_piece(struct command *c)
{
	struct bytes more;
	int got = worker_body(c->delivery, &more);

	if (got != 1) {
		/* Half a message must not look like a whole one: end the command first. */
		c->failed = got == -1;
		if (c->failed)
			kill(-c->pid, SIGKILL);
		shut(&c->in);
		return false;
	}
	if (more.len > c->len)
		c->piece = xrealloc(c->piece, more.len, 1);
	memcpy(c->piece, more.data, more.len);
	c->len = more.len;
	c->at = 0;
	return true;
}

static void
give_input(struct command *c)
{
	if (c->at == c->len && !next_piece(c))
		return;
	ssize_t n = write(c->in, c->piece + c->at, c->len - c->at);
	if (n > 0)
		c->at += (size_t)n;
	else if (n == -1 && errno != EAGAIN && errno != EINTR)
		shut(&c->in); /* it has read enough */
}

/* Some of it; false when there is none now, or no more. */
static bool
take_output(struct command *c)
{
	char rest[4096];
	bool room = c->output_len < OUTPUT_MAX;
	ssize_t n = read(c->out, room ? c->output + c->output_len : rest,
	    room ? OUTPUT_MAX - c->output_len : sizeof(rest));

	if (n > 0 && room)
		c->output_len += (size_t)n;
	else if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
		shut(&c->out);
	return n > 0;
}

/* Whether it has ended, or has to.  A child of the command may keep the output open: that is not waited for. */
static void
look(struct command *c, int64_t now_ms)
{
	bool killed = now_ms >= c->until_ms;
	int status = 0;

	if (killed) {
		kill(-c->pid, SIGKILL);
		waitpid(c->pid, &status, 0);
		end(c, status, true);
		return;
	}
	if (now_ms < c->look_ms)
		return;
	if (waitpid(c->pid, &status, WNOHANG) == c->pid) {
		for (int i = 0; i < 16 && c->out != -1 && take_output(c);
		     i++) /* what it said last */
			;
		end(c, status, false);
		return;
	}
	c->look_ms = now_ms + LOOK_MS;
	if (c->in == -1 && c->out == -1) {
		c->look_ms = now_ms + c->wait_ms;
		c->wait_ms = c->wait_ms < 100 ? c->wait_ms * 2 : 100;
	}
}

static void
end(struct command *c, int status, bool killed)
{
	shut(&c->in);
	shut(&c->out);
	if (c->failed)
		delivery_end(c->delivery, OUTCOME_LATER, "4.3.0", "the message could not be read");
	else if (killed)
		delivery_end(c->delivery, OUTCOME_LATER, "4.3.0",
		    "mda: still running after %d s, ended", mda_limit_sec);
	else
		judge(c, status);
	worker_answer(c->delivery);
	TAILQ_REMOVE(&running, c, entry);
	n_running--;
	free(c->piece);
	free(c);
}

/* What the shell says of a command that is not there (127), may not be run (126), or was ended by a signal. */
static bool
is_shells_own(int code)
{
	return code == 126 || code == 127 || (code > 128 && code < 128 + NSIG);
}

static void
judge(struct command *c, int status)
{
	struct delivery *d = c->delivery;
	char *line = c->output, how[64];

	line[c->output_len] = '\0';
	line[strcspn(line, "\r\n")] = '\0';
	if (WIFSIGNALED(status)) {
		delivery_end(
		    d, OUTCOME_LATER, "4.3.0", "mda: ended by signal %d", WTERMSIG(status));
		return;
	}
	int code = WEXITSTATUS(status);
	if (code == 0) {
		delivery_end(d, OUTCOME_DONE, "2.0.0", "delivered to mda%s%s",
		    line[0] == '\0' ? "" : ": ", line);
		return;
	}
	snprintf(how, sizeof(how), "mda: exit status %d%s", code, line[0] == '\0' ? "" : ": ");
	if (code == EX_TEMPFAIL || code == EX_OSERR || is_shells_own(code))
		delivery_end(d, OUTCOME_LATER, "4.3.0", "%s%s", how, line);
	else
		delivery_end(
		    d, OUTCOME_FAILED, code == EX_NOUSER ? "5.1.1" : "5.3.0", "%s%s", how, line);
}
