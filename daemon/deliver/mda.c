/*
 * mda: a command of the configuration gets the message on its standard input.  It runs as the user,
 * in the home, in a process group of its own with descriptors 0, 1 and 2, for at most
 * mda_limit_sec; its exit status says what became of the message (sysexits.h).
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

struct command {
	struct delivery *delivery;
	pid_t pid;
	int in, out; /* our ends; -1: closed */
	char *header;
	struct bytes piece; /* what of the input is still to be written */
	bool failed;        /* the body could not be had */
	char output[OUTPUT_MAX + 1];
	size_t output_len;
};

static char *expand(struct delivery *);
static bool start(struct command *, const char *line);
_Noreturn static void become_command(const struct delivery *, const char *line, int in, int out);
static void make_environment(const struct delivery *, char **env);
static bool feed(struct command *, int64_t until);
static void give_input(struct command *);
static void take_output(struct command *);
static int finish(struct command *, int64_t until, bool *killed);
static void judge(struct command *, int status);

int mda_limit_sec = 300;

void
mda_deliver(struct delivery *d)
{
	struct command c = { .delivery = d, .in = -1, .out = -1 };
	int64_t until = clock_mono_ms() + mda_limit_sec * 1000LL;
	bool killed = false;
	char *line = expand(d);

	if (line == NULL)
		return;
	if (!start(&c, line)) {
		delivery_fail_errno(d, errno, "mda");
		free(line);
		return;
	}
	free(line);
	if (!feed(&c, until))
		killed = true;
	int status = finish(&c, until, &killed);
	free(c.header);
	if (c.failed)
		delivery_end(d, OUTCOME_LATER, "4.3.0", "the message could not be read");
	else if (killed)
		delivery_end(d, OUTCOME_LATER, "4.3.0", "mda: still running after %d s, ended",
		    mda_limit_sec);
	else
		judge(&c, status);
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
	c->header = delivery_header(c->delivery);
	c->piece = (struct bytes){ c->header, strlen(c->header) };
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

/* Until both are closed: a command that has closed its output still reads.  False: the time is up. */
static bool
feed(struct command *c, int64_t until)
{
	while (c->in != -1 || c->out != -1) {
		struct pollfd fds[2] = { { c->out, POLLIN, 0 }, { c->in, POLLOUT, 0 } };
		int64_t left = until - clock_mono_ms();
		if (left <= 0)
			return false;
		/* A child of the command may keep the output open: look after the command itself. */
		int n = poll(fds, 2, left < 200 ? (int)left : 200); /* it leaves out what is -1 */
		if (n > 0 && fds[1].revents != 0)
			give_input(c);
		if (n > 0 && fds[0].revents != 0)
			take_output(c);
		siginfo_t info = { 0 };
		if (n == 0 &&
		    waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
		    info.si_pid != 0)
			break;
	}
	shut(&c->in);
	shut(&c->out);
	return true;
}

static void
give_input(struct command *c)
{
	if (c->piece.len == 0) {
		int more = worker_body(c->delivery, &c->piece);
		if (more != 1) {
			/* Half a message must not look like a whole one: end the command first. */
			c->failed = more == -1;
			if (c->failed)
				kill(-c->pid, SIGKILL);
			shut(&c->in);
			return;
		}
	}
	ssize_t n = write(c->in, c->piece.data, c->piece.len);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == -1) {
		shut(&c->in); /* it has read enough */
		return;
	}
	c->piece = (struct bytes){ (const char *)c->piece.data + n, c->piece.len - (size_t)n };
}

static void
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
}

/* Its status, within the time; beyond that its whole group is ended. */
static int
finish(struct command *c, int64_t until, bool *killed)
{
	int status = 0, wait_ms = 1;

	shut(&c->in);
	shut(&c->out);
	while (waitpid(c->pid, &status, WNOHANG) == 0) {
		if (*killed || clock_mono_ms() >= until) {
			*killed = true;
			kill(-c->pid, SIGKILL);
			waitpid(c->pid, &status, 0);
			break;
		}
		poll(NULL, 0, wait_ms);
		wait_ms = wait_ms < 100 ? wait_ms * 2 : 100;
	}
	return status;
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
