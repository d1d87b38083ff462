/*
 * relay against a scripted server: a process of its own that awaits what is said and answers as
 * written here.  This program plays queue.
 */
#include "relay/local.h"

#include "addr.h"
#include "clock.h"
#include "ipc.h"
#include "log.h"
#include "tap.h"
#include "text.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

struct process process;

static struct conf conf;
static struct ipc *to_relay; /* queue's end */
static char url[64], *action;
static const char *host = "127.0.0.1";

/* What waits, and what came of it. */
static struct job {
	const char *rcpts[4]; /* NULL at the end */
	const char *body;
	size_t size; /* beyond strlen(body): the body is made of lines "x…\n" */
	bool eightbit, pulled;
	struct {
		unsigned n;
		enum outcome outcome;
		char status[16], text[500];
	} results[4];
} jobs[8];
static size_t n_jobs, n_results, n_wanted;

static void
on_pull(struct ipc *ipc, struct msg *m, void *arg)
{
	struct text rcpts = { 0 };
	size_t i = 0, n = 0;

	(void)arg;
	while (i < n_jobs && jobs[i].pulled)
		i++;
	if (i == n_jobs) {
		ipc_reply(ipc, m->call, MSG_JOB, &(struct msg_job){ 0 });
		return;
	}
	jobs[i].pulled = true;
	for (; jobs[i].rcpts[n] != NULL; n++) {
		text_putn(&rcpts, jobs[i].rcpts[n], strlen(jobs[i].rcpts[n]) + 1);
		text_putn(&rcpts, "orig@x", 7);
		text_putn(&rcpts, "rfc822;o@x", 11);
		text_putn(&rcpts, "3", 2);
	}
	size_t len = strlen(jobs[i].body);
	ipc_reply(ipc, m->call, MSG_JOB,
	    &(struct msg_job){ .job = i + 1,
		.id = 77,
		.sender = "s@example.org",
		.action = action,
		.size = len + jobs[i].size,
		.eightbit = jobs[i].eightbit,
		.envid = "E1",
		.ret = RET_HDRS,
		.n_rcpts = (uint32_t)n,
		.rcpts = { rcpts.s, rcpts.len },
		.body = { jobs[i].body, len } });
	text_free(&rcpts);
}

static void
on_body_pull(struct ipc *ipc, struct msg *m, void *arg)
{
	static char piece[MSG_BODY_PIECE];
	const struct msg_body_pull *p = m->body;
	size_t done = (size_t)(p->seq - 1) * sizeof(piece), left = jobs[p->job - 1].size - done;

	(void)arg;
	memset(piece, 'x', sizeof(piece));
	for (size_t i = 63; i < sizeof(piece); i += 64)
		piece[i] = '\n';
	ipc_reply(ipc, m->call, MSG_BODY,
	    &(struct msg_body){ .job = p->job,
		.seq = p->seq,
		.data = { piece, left < sizeof(piece) ? left : sizeof(piece) } });
}

static void
on_result(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_job_result *r = m->body;

	(void)ipc;
	(void)arg;
	struct job *j = &jobs[r->job - 1];
	j->results[r->rcpt].n++;
	j->results[r->rcpt].outcome = r->outcome;
	snprintf(j->results[r->rcpt].status, 16, "%s", r->status);
	snprintf(j->results[r->rcpt].text, 500, "%s", r->text);
	if (++n_results == n_wanted)
		event_base_loopbreak(process.base);
}

/* lookup: where the route leads; "two.example" has two addresses, of which the second one works. */
static void
on_route_find(struct ipc *ipc, struct msg *m, void *arg)
{
	const struct msg_route_find *q = m->body;
	struct sockaddr_storage addrs[2] = { 0 };
	struct conf_url u;
	size_t n = 1;

	(void)arg;
	conf_url_parse(&u, q->route);
	if (strcmp(u.host, "two.example") == 0) {
		netaddr_parse(&addrs[0], "127.0.0.2", u.port);
		netaddr_parse(&addrs[1], "127.0.0.1", u.port);
		n = 2;
	} else if (u.path[0] != '\0') {
		n = 0;
	} else if (!netaddr_parse(&addrs[0], u.host, u.port)) {
		ipc_reply(ipc, m->call, MSG_ROUTE_FOUND,
		    &(struct msg_route_found){
			.route = q->route, .status = "4.4.4", .error = "no such host" });
		return;
	}
	ipc_send(ipc, MSG_ROUTE_HOST,
	    &(struct msg_route_host){
		.route = q->route, .url = q->route, .addrs = { addrs, n * sizeof(addrs[0]) } });
	ipc_reply(ipc, m->call, MSG_ROUTE_FOUND, &(struct msg_route_found){ .route = q->route });
}

/* lookup: a connection to the server of `unix_pair`. */
static int unix_pair[2] = { -1, -1 };

static void
on_connect_unix(struct ipc *ipc, struct msg *m, void *arg)
{
	(void)arg;
	ipc_reply(ipc, m->call, MSG_CONNECTED_UNIX,
	    &(struct msg_connected_unix){
		.fd = unix_pair[0], .error = unix_pair[0] == -1 ? "no such socket" : "" });
}

static ipc_handler *const lookup_handlers[MSG_MAX] = {
	[MSG_ROUTE_FIND] = on_route_find, [MSG_CONNECT_UNIX] = on_connect_unix
};
static ipc_handler *const queue_handlers[MSG_MAX] = {
	[MSG_JOB_PULL] = on_pull, [MSG_BODY_PULL] = on_body_pull, [MSG_JOB_RESULT] = on_result
};

/*
 * --- The server.  "C: text" awaits that line, "S: text" says it, BODY reads up to the dot, CLOSE
 * awaits the next connection, HOLD waits until all is answered.
 */

static FILE *peer;
static char last_line[2000];

static bool
play_line(const char *step)
{
	char line[2000];

	if (strncmp(step, "S: ", 3) == 0) {
		fprintf(peer, "%s\r\n", step + 3);
		fflush(peer);
		return true;
	}
	if (strcmp(step, "BODY") == 0) {
		do {
			if (fgets(line, sizeof(line), peer) == NULL)
				return false;
		} while (strcmp(line, ".\r\n") != 0);
		return true;
	}
	if (fgets(line, sizeof(line), peer) == NULL)
		return false;
	line[strcspn(line, "\r\n")] = '\0';
	snprintf(last_line, sizeof(last_line), "%s", line);
	return strcmp(line, step + 3) == 0;
}

static void
on_term(int sig)
{
	(void)sig;
	_exit(0);
}

/* One connection after another; exit status 0 when all was said as written. */
static void
serve(int listener, const char *const *script)
{
	int fd = -1;

	alarm(20);
	for (; *script != NULL; script++) {
		if (fd == -1 && listener != -1 && strcmp(*script, "HOLD") != 0) {
			fd = accept(listener, NULL, NULL);
			peer = fdopen(fd, "r+");
		}
		if (strcmp(*script, "CLOSE") == 0) {
			fclose(peer);
			fd = -1;
			continue;
		}
		if (strcmp(*script, "HOLD") == 0) {
			pause();
		}
		if (!play_line(*script)) {
			fprintf(stderr, "# want: %s\n#  got: %s\n", *script, last_line);
			_exit(1);
		}
	}
	_exit(0);
}

static int
listen_somewhere(const char *scheme)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&sin, len) == -1 || listen(fd, 5) == -1 ||
	    getsockname(fd, (struct sockaddr *)&sin, &len) == -1)
		exit(1);
	if (host == NULL)
		snprintf(url, sizeof(url), "%s", scheme);
	else
		snprintf(url, sizeof(url), "%s://%s:%u", scheme, host, ntohs(sin.sin_port));
	return fd;
}

static void
turn(const struct timeval *at_most)
{
	event_base_loopexit(process.base, at_most);
	event_base_dispatch(process.base);
}

/* Runs what is in jobs against the script until all is answered. */
static void
run(const char *scheme, const char *name, const char *const *script)
{
	int listener = listen_somewhere(scheme), status = -1;
	bool hold = false;

	for (const char *const *s = script; *s != NULL; s++)
		hold = hold || strcmp(*s, "HOLD") == 0;
	signal(SIGTERM, on_term); /* before the fork: the answers may not need the server at all */
	pid_t pid = fork();
	if (pid == 0)
		serve(listener, script);
	signal(SIGTERM, SIG_DFL);
	close(listener);
	n_results = n_wanted = n_jobs = 0;
	for (size_t i = 0; i < 8 && jobs[i].rcpts[0] != NULL; i++, n_jobs++) {
		for (size_t r = 0; r < 4 && jobs[i].rcpts[r] != NULL; r++)
			n_wanted++;
	}
	ipc_send(
	    to_relay, MSG_ROUTE_WAITS, &(struct msg_route_waits){ .route = url, .waiting = 1 });
	turn(&(struct timeval){ 20, 0 });
	if (hold)
		kill(pid, SIGTERM);
	for (int i = 0; i < 200 && waitpid(pid, &status, WNOHANG) == 0; i++)
		turn(&(struct timeval){ 0, 10000 });
	if (status == -1) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	is_int(status, 0, "%s: the dialogue", name);
	is_int(n_results, n_wanted, "%s: every recipient is answered", name);
	for (size_t i = 0; i < n_jobs; i++)
		for (size_t r = 0; r < 4 && jobs[i].rcpts[r] != NULL; r++)
			if (jobs[i].results[r].n != 1)
				ok(false, "%s: job %zu, recipient %zu answered once", name, i, r);
}

static void
put_jobs(size_t n, const struct job *list)
{
	memset(jobs, 0, sizeof(jobs));
	memcpy(jobs, list, n * sizeof(*list));
}

#define SCRIPT(...)       ((const char *const[]){ __VA_ARGS__, NULL })
#define RESULT(job, rcpt) jobs[job].results[rcpt]
#define GREET             "S: 220 hello", "C: EHLO relay.example"

static void
test_pipelining(void)
{
	put_jobs(2, (struct job[]){ { .rcpts = { "a@x", "b@x" }, .body = "A: b\n\n.dot\n" },
			{ .rcpts = { "c@x" }, .body = "8: \xff\n\n", .eightbit = true } });
	run("smtp", "pipelining",
	    SCRIPT(GREET, "S: 250-me", "S: 250-PIPELINING", "S: 250-SIZE 1000", "S: 250-8BITMIME",
		"S: 250 DSN", "C: MAIL FROM:<s@example.org> SIZE=11 RET=HDRS ENVID=E1",
		"C: RCPT TO:<a@x> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;o@x",
		"C: RCPT TO:<b@x> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;o@x", "C: DATA",
		"S: 250 2.1.0 ok", "S: 250 2.1.5 ok", "S: 550 5.1.1 no b here", "S: 354 go",
		"C: A: b", "C: ", "C: ..dot", "C: .", "S: 250 2.0.0 queued",
		"C: MAIL FROM:<s@example.org> SIZE=6 BODY=8BITMIME RET=HDRS ENVID=E1",
		"C: RCPT TO:<c@x> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;o@x", "C: DATA", "S: 250 ok",
		"S: 250 ok", "S: 354 go", "BODY", "S: 250 2.0.0 queued too", "CLOSE"));
	is_int(RESULT(0, 0).outcome, OUTCOME_DONE, "a is done");
	is(RESULT(0, 0).text, "250 2.0.0 queued", "with the reply to the dot");
	is_int(RESULT(0, 1).outcome, OUTCOME_FAILED, "b has failed");
	is(RESULT(0, 1).status, "5.1.1", "with its status");
	is_int(RESULT(1, 0).outcome, OUTCOME_DONE, "the next one on the same connection");
}

/* 452 to some of the recipients: they go on in further transactions, also over another connection. */
static void
test_too_many(void)
{
	put_jobs(1, (struct job[]){ { .rcpts = { "a@x", "b@x", "c@x" }, .body = "x\n" } });
	run("smtp", "too many recipients",
	    SCRIPT(GREET, "S: 250 me", "C: MAIL FROM:<s@example.org>", "S: 250 ok",
		"C: RCPT TO:<a@x>", "S: 250 ok", "C: RCPT TO:<b@x>", "S: 452 4.5.3 too many",
		"C: RCPT TO:<c@x>", "S: 452 4.5.3 too many", "C: DATA", "S: 354 go", "BODY",
		"S: 250 a has it", "C: MAIL FROM:<s@example.org>", "CLOSE", GREET, "S: 250 me",
		"C: MAIL FROM:<s@example.org>", "S: 250 ok", "C: RCPT TO:<b@x>", "S: 250 ok",
		"C: RCPT TO:<c@x>", "S: 452 too many", "C: DATA", "S: 354 go", "BODY",
		"S: 250 b has it", "C: MAIL FROM:<s@example.org>", "S: 250 ok", "C: RCPT TO:<c@x>",
		"S: 452 4.5.3 not even one", "CLOSE"));
	is(RESULT(0, 0).text, "250 a has it", "the first has the reply of his transaction");
	is(RESULT(0, 1).text, "250 b has it", "the second, too");
	is_int(RESULT(0, 2).outcome, OUTCOME_LATER, "one who is too many alone waits");
	is(RESULT(0, 2).text, "452 4.5.3 not even one", "with what was said to him");
}

/* A server that refuses MAIL and takes the recipients all the same: they get no empty message. */
static void
test_refused_and_taken(void)
{
	put_jobs(1, (struct job[]){ { .rcpts = { "a@x", "b@x" }, .body = "x\n" } });
	run("smtp", "MAIL refused, recipients taken",
	    SCRIPT(GREET, "S: 250-me", "S: 250 PIPELINING", "C: MAIL FROM:<s@example.org>",
		"C: RCPT TO:<a@x>", "C: RCPT TO:<b@x>", "C: DATA", "S: 451 4.3.0 not now",
		"S: 250 ok", "S: 250 ok", "S: 354 go", "C: QUIT", "CLOSE"));
	is_int(RESULT(0, 0).outcome, OUTCOME_LATER, "it waits");
	is(RESULT(0, 1).text, "451 4.3.0 not now", "for what was said to MAIL");
}

static void
test_plain(void)
{
	put_jobs(1, (struct job[]){ { .rcpts = { "a@x", "b@x", "c@x" }, .body = "x\n" } });
	run("smtp", "HELO, one by one",
	    SCRIPT(GREET, "S: 502 what?", "C: HELO relay.example", "S: 250 me",
		"C: MAIL FROM:<s@example.org>", "S: 250 ok", "C: RCPT TO:<a@x>", "S: 450 later",
		"C: RCPT TO:<b@x>", "S: 552 too many", "C: RCPT TO:<c@x>", "S: 251 ok", "C: DATA",
		"S: 354 go", "C: x", "C: .", "S: 552 5.3.4 too big", "CLOSE"));
	is_int(RESULT(0, 0).outcome, OUTCOME_LATER, "450: later");
	is_int(RESULT(0, 1).outcome, OUTCOME_LATER, "552 to a RCPT: later");
	is(RESULT(0, 1).status, "4.0.0", "and a status that says so");
	is_int(RESULT(0, 2).outcome, OUTCOME_FAILED, "552 to the dot: failed");
}

static void
test_refused(void)
{
	put_jobs(
	    3, (struct job[]){ { .rcpts = { "a@x" }, .body = "x\n" },
		   { .rcpts = { "b@x" }, .body = "x\n" }, { .rcpts = { "c@x" }, .body = "x\n" } });
	run("smtp", "refused",
	    SCRIPT(GREET, "S: 250-me", "S: 250 PIPELINING", "C: MAIL FROM:<s@example.org>",
		"C: RCPT TO:<a@x>", "C: DATA", "S: 250 ok", "S: 550 5.1.1 no", "S: 354 go", "C: .",
		"S: 554 5.5.1 no recipients", "C: RSET", "C: MAIL FROM:<s@example.org>",
		"C: RCPT TO:<b@x>", "C: DATA", "S: 250 reset", "S: 550 5.7.1 not you",
		"S: 503 5.5.1 no", "S: 503 5.5.1 no", "C: RSET", "C: MAIL FROM:<s@example.org>",
		"C: RCPT TO:<c@x>", "C: DATA", "S: 250 reset", "S: 250 ok", "S: 250 ok",
		"S: 451 4.3.0 not now", "CLOSE"));
	is(RESULT(0, 0).text, "550 5.1.1 no", "every recipient refused, DATA accepted");
	is(RESULT(1, 0).text, "550 5.7.1 not you", "MAIL refused");
	is_int(RESULT(2, 0).outcome, OUTCOME_LATER, "DATA refused for now");
}

static void
test_lmtp(void)
{
	put_jobs(1, (struct job[]){ { .rcpts = { "a@x", "b@x", "c@x" }, .body = "x\n" } });
	run("lmtp", "LMTP",
	    SCRIPT("S: 220 hello", "C: LHLO relay.example", "S: 250-me", "S: 250 PIPELINING",
		"C: MAIL FROM:<s@example.org>", "C: RCPT TO:<a@x>", "C: RCPT TO:<b@x>",
		"C: RCPT TO:<c@x>", "C: DATA", "S: 250 ok", "S: 250 ok", "S: 550 5.1.1 no b",
		"S: 250 ok", "S: 354 go", "C: x", "C: .", "S: 250 2.0.0 a has it",
		"S: 452 4.2.2 c is full", "CLOSE"));
	is(RESULT(0, 0).text, "250 2.0.0 a has it", "one answer each");
	is(RESULT(0, 1).text, "550 5.1.1 no b", "the refused one in between");
	is(RESULT(0, 2).status, "4.2.2", "the last one for later");
}

static void
test_lost(void)
{
	put_jobs(1, (struct job[]){ { .rcpts = { "a@x", "b@x" }, .body = "x\n" } });
	run("smtp", "closed after the dot",
	    SCRIPT(GREET, "S: 250 PIPELINING", "C: MAIL FROM:<s@example.org>", "C: RCPT TO:<a@x>",
		"C: RCPT TO:<b@x>", "C: DATA", "S: 250 ok", "S: 250 ok", "S: 550 no", "S: 354 go",
		"C: x", "C: .", "CLOSE"));
	is_int(RESULT(0, 0).outcome, OUTCOME_LATER, "no answer to the dot: later");
	is_int(RESULT(0, 1).outcome, OUTCOME_FAILED, "what was refused before stays refused");
	put_jobs(1, (struct job[]){ { .rcpts = { "a@x", "b@x" }, .body = "x\n" } });
	run("smtp", "421 in the middle",
	    SCRIPT(GREET, "S: 250 PIPELINING", "C: MAIL FROM:<s@example.org>", "C: RCPT TO:<a@x>",
		"C: RCPT TO:<b@x>", "C: DATA", "S: 250 ok", "S: 421 4.3.2 going down", "CLOSE"));
	is(RESULT(0, 0).text, "421 4.3.2 going down", "421: the text is kept");
	is_int(RESULT(0, 1).outcome, OUTCOME_LATER, "421: all later");
	put_jobs(1, (struct job[]){ { .rcpts = { "a@x" }, .body = "x\n" } });
	run("smtp", "refused at the greeting", SCRIPT("S: 554 5.7.1 go away", "CLOSE"));
	is_int(RESULT(0, 0).outcome, OUTCOME_LATER, "554 greeting: later");
	ok(strstr(RESULT(0, 0).text, "go away") != NULL, "with the reason: %s", RESULT(0, 0).text);
	put_jobs(1, (struct job[]){ { .rcpts = { "a@x" }, .body = "x\n" } });
	run("smtp", "another protocol", SCRIPT("S: SSH-2.0-x", "CLOSE"));
	is_int(RESULT(0, 0).outcome, OUTCOME_LATER, "no SMTP: later");
	put_jobs(2, (struct job[]){ { .rcpts = { "a@x" }, .body = "x\n" },
			{ .rcpts = { "b@x" }, .body = "y\n" } });
	run("smtp", "closed between two",
	    SCRIPT(GREET, "S: 250 PIPELINING", "C: MAIL FROM:<s@example.org>", "C: RCPT TO:<a@x>",
		"C: DATA", "S: 250 ok", "S: 250 ok", "S: 354 go", "BODY", "S: 250 ok",
		"C: MAIL FROM:<s@example.org>", "CLOSE", GREET, "S: 250 PIPELINING",
		"C: MAIL FROM:<s@example.org>", "C: RCPT TO:<b@x>", "C: DATA", "S: 250 ok",
		"S: 250 ok", "S: 354 go", "C: y", "C: .", "S: 250 2.0.0 second", "CLOSE"));
	is(RESULT(1, 0).text, "250 2.0.0 second", "a kept connection that had died: on a new one");
}

static void
test_big(void)
{
	put_jobs(1, (struct job[]){ { .rcpts = { "a@x" }, .body = "H: v\n\n", .size = 5000000 } });
	run("smtp", "5 MB",
	    SCRIPT(GREET, "S: 250 PIPELINING", "C: MAIL FROM:<s@example.org>", "C: RCPT TO:<a@x>",
		"C: DATA", "S: 250 ok", "S: 250 ok", "S: 354 go", "BODY", "S: 250 2.0.0 big",
		"CLOSE"));
	is(RESULT(0, 0).text, "250 2.0.0 big", "a body of many pieces");
	put_jobs(1, (struct job[]){ { .rcpts = { "a@x" }, .body = "H: v\n\n", .size = 5000 } });
	run("smtp", "SIZE", SCRIPT(GREET, "S: 250 SIZE 4000", "HOLD"));
	is(RESULT(0, 0).status, "5.3.4", "larger than the server's SIZE: not even tried");
	put_jobs(1, (struct job[]){ { .rcpts = { "a@x\r\nRSET" }, .body = "x\n" } });
	run("smtp", "control", SCRIPT(GREET, "S: 250 PIPELINING", "HOLD"));
	is_int(RESULT(0, 0).outcome, OUTCOME_FAILED, "an address with CR LF is never said");
}

static void
test_down(void)
{
	int64_t start = clock_mono_ms();

	put_jobs(2, (struct job[]){ { .rcpts = { "a@x", "b@x" }, .body = "x\n" },
			{ .rcpts = { "c@x" }, .body = "x\n" } });
	close(listen_somewhere("smtp"));
	n_jobs = 2;
	n_results = 0;
	n_wanted = 3;
	ipc_send(
	    to_relay, MSG_ROUTE_WAITS, &(struct msg_route_waits){ .route = url, .waiting = 2 });
	turn(&(struct timeval){ 20, 0 });
	is_int(n_results, 3, "nobody listens: all is answered");
	is_int(RESULT(1, 0).outcome, OUTCOME_LATER, "later");
	ok(strstr(RESULT(1, 0).text, "refused") != NULL, "with the reason: %s", RESULT(1, 0).text);
	ok(clock_mono_ms() - start < 5000, "and at once");
}

/* Names and UNIX sockets are lookup's business. */
static void
test_names(void)
{
	put_jobs(1, (struct job[]){ { .rcpts = { "a@x" }, .body = "x\n" } });
	host = "two.example";
	run("smtp", "two addresses",
	    SCRIPT(GREET, "S: 250 PIPELINING", "C: MAIL FROM:<s@example.org>", "C: RCPT TO:<a@x>",
		"C: DATA", "S: 250 ok", "S: 250 ok", "S: 354 go", "BODY", "S: 250 2.0.0 second",
		"CLOSE"));
	is(RESULT(0, 0).text, "250 2.0.0 second", "the second address when the first refuses");
	put_jobs(1, (struct job[]){ { .rcpts = { "a@x" }, .body = "x\n" } });
	host = "none.example";
	run("smtp", "no address", SCRIPT("HOLD"));
	is_int(RESULT(0, 0).outcome, OUTCOME_LATER, "a name without address: later");
	is(RESULT(0, 0).text, "no such host", "with the reason");
	put_jobs(1, (struct job[]){ { .rcpts = { "a@x" }, .body = "x\n" } });
	host = NULL;
	run("lmtp:/run/x", "no socket", SCRIPT("HOLD"));
	is(RESULT(0, 0).text, "/run/x: cannot connect: no such socket",
	    "a socket that is not there");

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, unix_pair) == -1)
		return;
	pid_t pid = fork();
	if (pid == 0) {
		close(unix_pair[0]);
		peer = fdopen(unix_pair[1], "r+");
		serve(-1,
		    SCRIPT("S: 220 hi", "C: LHLO relay.example", "S: 250 PIPELINING",
			"C: MAIL FROM:<s@example.org>", "C: RCPT TO:<a@x>", "C: DATA", "S: 250 ok",
			"S: 250 ok", "S: 354 go", "BODY", "S: 250 2.1.5 by socket"));
	}
	close(unix_pair[1]);
	put_jobs(1, (struct job[]){ { .rcpts = { "a@x" }, .body = "x\n" } });
	run("lmtp:/run/y", "a socket", SCRIPT("HOLD"));
	is(RESULT(0, 0).text, "250 2.1.5 by socket", "LMTP over a UNIX socket");
	close(unix_pair[0]);
	waitpid(pid, NULL, 0);
}

/* A 2xx at DATA answers something else: nothing was sent, so nothing is delivered. */
static void
test_out_of_step(void)
{
	put_jobs(1, (struct job[]){ { .rcpts = { "a@x" }, .body = "x\n" } });
	run("smtp", "250 at DATA",
	    SCRIPT(GREET, "S: 250 me", "C: MAIL FROM:<s@example.org>", "S: 250 ok",
		"C: RCPT TO:<a@x>", "S: 250 ok", "C: DATA", "S: 250 ok"));
	is_int(RESULT(0, 0).outcome, OUTCOME_LATER, "is not delivered");
	put_jobs(1, (struct job[]){ { .rcpts = { "a@x" }, .body = "x\n" } });
	run("smtp", "250 behind 354",
	    SCRIPT(GREET, "S: 250 me", "C: MAIL FROM:<s@example.org>", "S: 250 ok",
		"C: RCPT TO:<a@x>", "S: 250 ok", "C: DATA", "S: 354 go\r\n250 ok"));
	is_int(RESULT(0, 0).outcome, OUTCOME_LATER, "nor with a reply that came too early");
}

int
main(void)
{
	static struct ipc_ops relay_ops, queue_ops = { .handlers = queue_handlers };
	char hostname[] = "relay.example", lmtp[] = "127.0.0.1:24";
	struct conf_rule rule = { .action = { .kind = ACTION_LMTP, .arg = lmtp } };
	int fds[2];

	signal(SIGPIPE, SIG_IGN);
	log_open("relay", true, getenv("V") != NULL);
	conf.hostname = hostname;
	STAILQ_INIT(&conf.rules);
	STAILQ_INSERT_TAIL(&conf.rules, &rule, entry);
	action = conf_action_text(&rule.action);
	conf.limit.relay_connections = 1;
	process.conf = &conf;
	process.role = ROLE_RELAY;
	process.base = event_base_new();
	event_base_priority_init(process.base, 2);
	relay_ops.handlers = relay_role.handlers;
	if (!ipc_pair(fds))
		return 1;
	relay_role.on_channel(
	    ipc_new(process.base, fds[0], ROLE_RELAY, ROLE_QUEUE, &relay_ops, NULL));
	to_relay = ipc_new(process.base, fds[1], ROLE_QUEUE, ROLE_RELAY, &queue_ops, NULL);
	static struct ipc_ops lookup_ops = { .handlers = lookup_handlers };
	if (!ipc_pair(fds))
		return 1;
	relay_role.on_channel(
	    ipc_new(process.base, fds[0], ROLE_RELAY, ROLE_LOOKUP, &relay_ops, NULL));
	ipc_new(process.base, fds[1], ROLE_LOOKUP, ROLE_RELAY, &lookup_ops, NULL);
	relay_role.on_start();
	test_pipelining();
	test_out_of_step();
	test_plain();
	test_too_many();
	test_refused_and_taken();
	test_refused();
	test_lmtp();
	test_lost();
	test_big();
	test_down();
	test_names();
	return done();
}
