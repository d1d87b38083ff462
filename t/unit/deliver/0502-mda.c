/* mda: what a command gets, what its exit status means, when it is ended, what it cannot do. */
#include "worker.h"

#include <signal.h>

static const struct {
	const char *command;
	enum outcome outcome;
	const char *status, *text;
} cases[] = {
	{ "cat >in", OUTCOME_DONE, "2.0.0", "delivered to mda" },
	{ "env | sort >env; pwd >pwd", OUTCOME_DONE, "2.0.0", "delivered to mda" },
	{ "echo hello; echo more; exit 0", OUTCOME_DONE, "2.0.0", "delivered to mda: hello" },
	{ "ls /proc/self/fd >fds", OUTCOME_DONE, "2.0.0", "delivered to mda" },
	{ "true", OUTCOME_DONE, "2.0.0", "delivered to mda" },
	{ "exit 75", OUTCOME_LATER, "4.3.0", "mda: exit status 75" },
	{ "exit 71", OUTCOME_LATER, "4.3.0", "mda: exit status 71" },
	{ "echo who? >&2; exit 67", OUTCOME_FAILED, "5.1.1", "mda: exit status 67: who?" },
	{ "exit 1", OUTCOME_FAILED, "5.3.0", "mda: exit status 1" },
	{ "exit 77", OUTCOME_FAILED, "5.3.0", "mda: exit status 77" },
	{ "kill -9 $$", OUTCOME_LATER, "4.3.0", "mda: ended by signal 9" },
	{ "exec 2>&-; cat | sh -c 'kill -9 $$'; exit $?", OUTCOME_LATER, "4.3.0",
	    "mda: exit status 137" },
	{ "/nonexistent/mda -x 2>&-", OUTCOME_LATER, "4.3.0", "mda: exit status 127" },
	{ "/dev/null 2>&-", OUTCOME_LATER, "4.3.0", "mda: exit status 126" },
	{ "exit 255", OUTCOME_FAILED, "5.3.0", "mda: exit status 255" },
	{ "sleep 60", OUTCOME_LATER, "4.3.0", "mda: still running after 1 s, ended" },
	{ "sleep 3 & echo started", OUTCOME_DONE, "2.0.0", "delivered to mda: started" },
	{ "yes | head -c 300000; exit 1", OUTCOME_FAILED, "5.3.0", "mda: exit status 1: y" },
	{ "printf 'a\\001b\\377c'; exit 1", OUTCOME_FAILED, "5.3.0", "mda: exit status 1: a?b?c" },
	{ "exec >quiet 2>&1; cat", OUTCOME_DONE, "2.0.0", "delivered to mda" },
	{ "echo got %{rcpt.user:lowercase} %{dest}; exit 1", OUTCOME_FAILED, "5.3.0",
	    "mda: exit status 1: got joe+tag joe@example.org" },
};
#define N_CASES (sizeof(cases) / sizeof(cases[0]))

static char *
in_home(const char *name)
{
	char *path = xasprintf("%s/%s", home, name), *text = read_path(path);

	free(path);
	return text;
}

static void
test_environment(void)
{
	char *env = in_home("env"), *pwd = in_home("pwd"), *fds = in_home("fds"),
	     *in = in_home("in");
	char *want = xasprintf("DOMAIN=Example.org\nEXTENSION=tag\nHOME=%s\nLOCAL=Joe+tag\n"
			       "LOGNAME=joe\nPATH=/usr/local/bin:/usr/bin:/bin\nPWD=%s\n"
			       "RECIPIENT=joe@example.org\nSENDER=sender@example.net\n"
			       "SHELL=/bin/sh\nUSER=joe\n",
	    home, home);
	char *here = xasprintf("%s\n", home);

	is(env, want, "the environment");
	is(pwd, here, "starts in the home");
	is(fds, "0\n1\n2\n3\n", "descriptors 0, 1, 2 (3 is ls's own)");
	is(in,
	    "Return-Path: <sender@example.net>\nDelivered-To: joe@example.org\nSubject: "
	    "x\n\nbody\n",
	    "its input");
	free(env);
	free(pwd);
	free(fds);
	free(in);
	free(want);
	free(here);
}

/* Row 1: no letter of an address is read by the shell. */
static void
test_hostile(unsigned rule)
{
	static const char *const addresses[] = { ";touch x;@a", "`touch x`@a", "$(touch x)@a",
		"|touch x@a", "a&touch x&@a", "a\ntouch x\n@a", "'touch x'@a", "\"touch x\"@a",
		"\\touch x@a", ";touch x;", "a>x@a", "<x@a", "(touch x)@a", "{touch,x}@a", "*@a",
		"-x@a", "~root@a", "#@a", "!x@a" };
	char *action = action_text(rule);
	unsigned wrong = 0;

	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		send_job_full(i, action, home, addresses[i], "x\n", 2, 2);
		struct result r = get_result();
		if (strstr(r.text, "got joe+tag ") == NULL ||
		    strpbrk(r.text, ";|&$`<>(){}'\"\\*") != NULL) {
			wrong++;
			printf("# %s: %s\n", addresses[i], r.text);
		}
	}
	is_int(wrong, 0, "hostile addresses are made harmless");
	is_int(count_files("x", NULL, 0), -1, "and touch nothing");
	char *x = xasprintf("%s/x", home);
	is_int(access(x, F_OK), -1, "no file x");
	free(x);
	free(action);
}

#define PIECE 60000

/* The rules behind those of cases. */
enum { RULE_WAITS = N_CASES, RULE_GOES, RULE_KEEPS };
#define RULES_BEHIND                                                                \
	"accept for any deliver to mda \"until test -e go; do sleep 0.01; done\"\n" \
	"accept for any deliver to mda \"touch go\"\n"                              \
	"accept for any deliver to mda \"cat >kept.%{dest.user}\"\n"

/* Two pieces through a command that writes them to this file of the home. */
static void
test_pieces(const char *name, unsigned rule, const char *file, int signal_to_worker)
{
	char *action = action_text(rule), *body = xcalloc(PIECE + 1, 1);
	struct msg m;

	memset(body, 'x', PIECE);
	send_job_full(2, action, home, "joe@example.org", body, PIECE, 2 * PIECE);
	if (receive(&m) && m.type == MSG_BODY_PULL) {
		if (signal_to_worker != 0)
			kill(worker_pid, signal_to_worker);
		msg_write(worker, &(struct msg){ .type = MSG_BODY,
				      .answer = true,
				      .call = m.call,
				      .fd = -1,
				      .body = &(struct msg_body){
					  .job = 2, .seq = 1, .data = { body, PIECE } } });
	}
	is_int(get_result().outcome, OUTCOME_DONE, "a body of two pieces: %s", name);
	char *in = in_home(file);
	is_int(strlen(in),
	    2 * PIECE + strlen("Return-Path: <sender@example.net>\n") +
		strlen("Delivered-To: joe@example.org\n"),
	    "arrives whole");
	free(in);
	free(action);
	free(body);
}

static void
test_long(void)
{
	char *action = action_text(4),
	     *body = xcalloc(PIECE + 1, 1); /* a command that reads nothing */

	memset(body, 'x', PIECE);
	send_job_full(1, action, home, "joe@example.org", body, PIECE, PIECE);
	is_int(get_result().outcome, OUTCOME_DONE, "a command that does not read its input");
	free(action);
	free(body);
	test_pieces("a command that reads it", 0, "in", 0);
	test_pieces("one that has closed its output", N_CASES - 2, "quiet", 0);
	/* as who stops a service sends it to all its processes */
	test_pieces("its worker is told to end", 0, "in", SIGTERM);
}

/* One that waits for what a later one does: they run beside each other. */
static void
test_beside(void)
{
	send_job(1, RULE_WAITS, "x\n");
	send_job(2, RULE_GOES, "x\n");
	struct result one = get_result(), other = get_result();
	is_int(one.outcome, OUTCOME_DONE, "a command that waits does not hold up the next");
	is_int(other.outcome, OUTCOME_DONE, "and is delivered, too");
	is_int(one.job + other.job, 3, "each once");
}

/* How many bytes of it are this letter. */
static size_t
count(const char *text, char letter)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += *text == letter;
	return n;
}

/* Pieces of several bodies that are read by turns go to their own commands. */
static void
test_bodies_beside(void)
{
	char *action = action_text(RULE_KEEPS),
	     *body[2] = { xcalloc(PIECE + 1, 1), xcalloc(PIECE + 1, 1) };
	unsigned n_results = 0;
	struct msg m;

	memset(body[0], 'X', PIECE);
	memset(body[1], 'Y', PIECE);
	send_job_full(0, action, home, "x@example.org", body[0], PIECE, 4 * PIECE);
	send_job_full(1, action, home, "y@example.org", body[1], PIECE, 4 * PIECE);
	while (n_results < 2 && receive(&m)) {
		const struct msg_body_pull *pull = m.body;
		if (m.type == MSG_BODY_PULL)
			msg_write(worker, &(struct msg){ .type = MSG_BODY,
					      .answer = true,
					      .call = m.call,
					      .fd = -1,
					      .body = &(struct msg_body){ .job = pull->job,
						  .seq = pull->seq,
						  .data = { body[pull->job], PIECE } } });
		else if (m.type == MSG_JOB_RESULT)
			n_results++;
	}
	char *x = in_home("kept.x"), *y = in_home("kept.y");
	is_int(count(x, 'X'), 4 * PIECE, "the one body arrives whole");
	is_int(count(y, 'Y'), 4 * PIECE, "and so does the other");
	is_int(count(x, 'Y') + count(y, 'X'), 0, "and neither holds a byte of the other");
	free(x);
	free(y);
	free(body[0]);
	free(body[1]);
	free(action);
}

int
main(void)
{
	struct text conf = { 0 };

	make_scratch();
	text_put(&conf, "hostname mail.example\n");
	for (size_t i = 0; i < N_CASES; i++) {
		text_put(&conf, "accept for any deliver to mda \"");
		for (const char *p = cases[i].command; *p != '\0'; p++) {
			if (*p == '"' || *p == '\\')
				text_put(&conf, "\\");
			text_putn(&conf, p, 1);
		}
		text_put(&conf, "\"\n");
	}
	text_put(&conf, RULES_BEHIND);
	mda_limit_sec = 1;
	start_worker(conf.s);
	for (size_t i = 0; i < N_CASES; i++) {
		send_job(i, (unsigned)i, "Subject: x\n\nbody\n");
		struct result r = get_result();
		is_int(r.outcome, cases[i].outcome, "%s", cases[i].command);
		is(r.status, cases[i].status, "its status");
		is(r.text, cases[i].text, "its text");
	}
	test_environment();
	test_hostile(N_CASES - 1);
	test_long();
	test_beside();
	test_bodies_beside();
	is_int(stop_worker(), 0, "the worker ends with 0");
	text_free(&conf);
	remove_scratch();
	return done();
}
