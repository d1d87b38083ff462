/*
 * The whole SMTP server process, with a stub of lookup and queue on real channels: what a real one
 * cannot be made to do at will (answers that are late, wrong, or never come).
 *
 * Three processes: this one (clients and TAP), the stub, the server.  "serve" as an argument keeps
 * the two running for talking by hand; it prints its port.
 */
#include "../../../daemon/role.h"
#include "clock.h"
#include "conf.h"
#include "log.h"
#include "msgio.h"
#include "smtp/local.h"
#include "tap.h"
#include "text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#define SANITIZED true
#else
#define SANITIZED false
#endif

/* What the stub shows to this process, and is told by it. */
static struct shared {
	volatile int hold; /* it reads nothing: every answer is late */
	volatile int held; /* it has seen that */
	volatile int quit; /* it closes its channels */
	volatile int full; /* no id is given */
	volatile int busy; /* the server has all the questions open that may be */
	volatile unsigned begins, aborts, commits, rcpts, asks, stats, eightbit, ret;
	volatile uint64_t body_total;
	volatile uint32_t notify;
	char body[1 << 16], envid[128], orcpt[128], sender[512];
	volatile size_t body_len;
} * shared;

struct process process;
static struct conf conf = { .hostname = (char *)"mail.example.org",
	.max_message_len = 30 << 20,
	.max_hops = 5,
	.limit = { .sessions = 10000,
	    .recipients = 1000,
	    .smtp = { .messages = 100000,
		.recipients = 100000,
		.errors = 20,
		.timeout_sec = 300,
		.memory = 512 << 20 } } };
static char submit_path[108];
static unsigned port;
static pid_t stub, server;

struct conf_listener *
conf_listener(const struct conf *c, unsigned index)
{
	static struct conf_listener l;
	static struct conf_table senders;

	(void)c;
	l.index = index;
	l.auth = AUTH_OPTIONAL;
	l.senders = &senders;
	return &l;
}

/* --- The server */
static void
on_gone(struct ipc *ipc, void *arg)
{
	(void)arg;
	smtp_role.on_gone(ipc);
}

static void
on_drained(struct ipc *ipc, void *arg)
{
	(void)arg;
	smtp_role.on_drained(ipc);
}

static void
on_term(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	smtp_role.on_stop();
	exit(0);
}

/* As if lookup had as many questions as may be; again: it has answered. */
static void
on_busy(evutil_socket_t fd, short what, void *arg)
{
	static bool busy;

	(void)fd;
	(void)what;
	(void)arg;
	smtp.n_asked = busy ? smtp.n_asked - ASKED_MAX : smtp.n_asked + ASKED_MAX;
	busy = !busy;
	shared->busy = busy;
}

static void
serve(int lookup, int queue, int listener, int submit)
{
	static const struct ipc_ops bare = { .on_end = on_gone, .on_drained = on_drained };
	static struct ipc_ops ops;

	ops = bare;
	ops.handlers = smtp_role.handlers;
	signal(SIGPIPE, SIG_IGN);
	log_open("smtp", true, 0);
	process.role = ROLE_SMTP;
	process.conf = &conf;
	process.base = event_base_new();
	event_base_priority_init(process.base, 2);
	smtp_role.on_listener(0, listener);
	smtp_role.on_listener(LISTENER_SUBMIT, submit);
	smtp_role.on_channel(ipc_new(process.base, lookup, ROLE_SMTP, ROLE_LOOKUP, &ops, NULL));
	smtp_role.on_channel(ipc_new(process.base, queue, ROLE_SMTP, ROLE_QUEUE, &ops, NULL));
	smtp_role.on_start();
	event_add(evsignal_new(process.base, SIGTERM, on_term, NULL), NULL);
	event_add(evsignal_new(process.base, SIGUSR1, on_busy, NULL), NULL);
	event_base_dispatch(process.base);
	exit(0);
}

/* --- The stub */
static void
answer(int fd, const struct msg *to, enum msg_type type, const void *body)
{
	msg_write(fd, &(struct msg){
			  .type = type, .call = to->call, .answer = true, .fd = -1, .body = body });
}

static void
lookup_message(int fd, const struct msg *m)
{
	const struct msg_ask_rcpt *a = m->body;
	struct msg_verdict v = { .verdict = VERDICT_ACCEPT, .reply = "" };

	shared->asks++;
	if (m->type != MSG_ASK_RCPT)
		; /* a login, a sender: all are good */
	else if (strncmp(a->rcpt, "never", 5) == 0)
		v = (struct msg_verdict){ VERDICT_NEVER, "550 5.1.1 no such user" };
	else if (strncmp(a->rcpt, "later", 5) == 0)
		v = (struct msg_verdict){ VERDICT_LATER, "" };
	else if (strncmp(a->rcpt, "odd", 3) == 0)
		v = (struct msg_verdict){ VERDICT_NEVER, "no\r\n250 yes\x01" };
	answer(fd, m, MSG_VERDICT, &v);
}

static void
queue_message(int fd, const struct msg *m)
{
	static uint64_t id = 41;

	if (m->type == MSG_MAIL_BEGIN) {
		shared->begins++;
		struct msg_mail_id a = { .id = shared->full ? 0 : ++id,
			.reply = shared->full ? "452 4.3.1 no room" : "" };
		answer(fd, m, MSG_MAIL_ID, &a);
		shared->body_len = 0;
		shared->body_total = 0;
		shared->rcpts = 0;
	} else if (m->type == MSG_MAIL_BODY) {
		const struct msg_mail_body *b = m->body;
		shared->body_total += b->data.len;
		if (shared->body_len + b->data.len < sizeof(shared->body)) {
			memcpy(shared->body + shared->body_len, b->data.data, b->data.len);
			shared->body_len += b->data.len;
			shared->body[shared->body_len] = '\0';
		}
	} else if (m->type == MSG_MAIL_RCPT) {
		const struct msg_mail_rcpt *r = m->body;
		shared->rcpts++;
		shared->notify = r->notify;
		snprintf(shared->orcpt, sizeof(shared->orcpt), "%s", r->orcpt);
	} else if (m->type == MSG_MAIL_COMMIT) {
		const struct msg_mail_commit *c = m->body;
		shared->eightbit = c->eightbit;
		shared->ret = c->ret;
		snprintf(shared->envid, sizeof(shared->envid), "%s", c->envid);
		snprintf(shared->sender, sizeof(shared->sender), "%s", c->sender);
		shared->commits++;
		bool fails = strncmp(c->sender, "fails", 5) == 0;
		answer(fd, m, MSG_MAIL_STORED,
		    &(struct msg_mail_stored){ fails ? "452 4.3.1 disk full" : "" });
	} else if (m->type == MSG_MAIL_ABORT) {
		shared->aborts++;
	} else if (m->type == MSG_SMTP_STATS) {
		shared->stats++;
	}
}

static void
play(int lookup, int queue)
{
	struct msg m;
	struct msg_reader *from_queue = msg_reader_new(queue),
			  *from_lookup = msg_reader_new(lookup);

	while (!shared->quit) {
		struct pollfd p[2] = { { .fd = lookup, .events = POLLIN },
			{ .fd = queue, .events = POLLIN } };
		shared->held = shared->hold;
		if (shared->held) {
			poll(NULL, 0, 2);
			continue;
		}
		if (poll(p, 2, 20) <= 0)
			continue;
		for (int i = 0; i < 64 && !shared->hold; i++) {
			ssize_t n = msg_read(from_queue, &m, MSG_DONTWAIT);
			if (n == 0)
				_exit(0);
			if (n == -1)
				break;
			queue_message(queue, &m);
		}
		for (int i = 0; i < 64 && !shared->hold; i++) {
			ssize_t n = msg_read(from_lookup, &m, MSG_DONTWAIT);
			if (n == 0)
				_exit(0);
			if (n == -1)
				break;
			lookup_message(lookup, &m);
		}
	}
	_exit(0);
}

static void
start(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(in);
	int lookup[2], queue[2];

	memset(shared, 0, sizeof(*shared));
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bind(fd, (struct sockaddr *)&in, sizeof(in));
	listen(fd, 1024);
	getsockname(fd, (struct sockaddr *)&in, &len);
	port = ntohs(in.sin_port);
	snprintf(submit_path, sizeof(submit_path), "/tmp/0900-session.%d", (int)getpid());
	unlink(submit_path);
	strcpy(un.sun_path, submit_path);
	int submit = socket(AF_UNIX, SOCK_STREAM, 0);
	bind(submit, (struct sockaddr *)&un, sizeof(un));
	listen(submit, 128);
	ipc_pair(lookup);
	ipc_pair(queue);
	if ((stub = fork()) == 0) {
		close(lookup[0]);
		close(queue[0]);
		play(lookup[1], queue[1]);
	}
	if ((server = fork()) == 0) {
		close(lookup[1]);
		close(queue[1]);
		serve(lookup[0], queue[0], fd, submit);
	}
	close(lookup[0]);
	close(lookup[1]);
	close(queue[0]);
	close(queue[1]);
	close(fd);
	close(submit);
}

/* --- A client */
struct client {
	int fd;
	char in[4096];
	size_t len;
};

static struct client *
open_client(bool local)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct timeval tv = { 10, 0 };
	struct client *c = xcalloc(1, sizeof(*c));

	strcpy(un.sun_path, submit_path);
	c->fd = socket(local ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (local ? connect(c->fd, (struct sockaddr *)&un, sizeof(un))
		  : connect(c->fd, (struct sockaddr *)&in, sizeof(in)) == -1)
		printf("# connect: %s\n", strerror(errno));
	return c;
}

static void
put(struct client *c, const char *s)
{
	if (send(c->fd, s, strlen(s), MSG_NOSIGNAL) == -1)
		printf("# send: %s\n", strerror(errno));
}

/* The next reply line; "" at the end. */
static const char *
get(struct client *c)
{
	static char line[2048];

	for (;;) {
		char *end = memchr(c->in, '\n', c->len);
		if (end != NULL) {
			size_t n = (size_t)(end - c->in) + 1;
			snprintf(line, sizeof(line), "%.*s", (int)(n > 1 ? n - 2 : 0), c->in);
			memmove(c->in, c->in + n, c->len - n);
			c->len -= n;
			if (line[0] != '\0' && line[3] == '-')
				continue;
			return line;
		}
		ssize_t n = recv(c->fd, c->in + c->len, sizeof(c->in) - c->len, 0);
		if (n <= 0)
			return "";
		c->len += (size_t)n;
	}
}

static const char *
say(struct client *c, const char *s)
{
	put(c, s);
	return get(c);
}

static void
shut(struct client *c)
{
	close(c->fd);
	free(c);
}

#define starts(got, want, name) ok(strncmp((got), (want), strlen(want)) == 0, "%s", name)
#define await(condition)                                              \
	for (int tries_ = 0; tries_ < 2000 && !(condition); tries_++) \
	poll(NULL, 0, 5)

static void
hold_answers(void)
{
	shared->hold = 1;
	await(shared->held);
}

static struct client *
greeted(bool local)
{
	struct client *c = open_client(local);

	get(c);
	say(c, "EHLO client.example.net\r\n");
	return c;
}

static bool
alive(void)
{
	struct client *c = greeted(false);
	bool good = strncmp(say(c, "NOOP\r\n"), "250", 3) == 0;

	shut(c);
	return good && waitpid(server, NULL, WNOHANG) == 0;
}

/* --- The tests */
static void
one_message(void)
{
	struct client *c = greeted(false);

	is(say(c, "MAIL FROM:<a@example.net> RET=HDRS ENVID=QQ1\r\n"), "250 2.1.0 ok", "MAIL");
	is(say(c, "RCPT TO:<b@example.org> NOTIFY=SUCCESS ORCPT=rfc822;B\r\n"), "250 2.1.5 ok",
	    "RCPT");
	starts(say(c, "DATA\r\n"), "354 ", "DATA");
	is(say(c, "Subject: x\r\n\r\n..dot\r\nd\xc3\xa9j\xc3\xa0\r\n.\r\n"),
	    "250 2.0.0 00000000002a accepted", "stored");
	const char *rest = strstr(shared->body, "Subject:");
	is(rest, "Subject: x\n\n.dot\nd\xc3\xa9j\xc3\xa0\n", "what arrived");
	starts(shared->body,
	    "Received: from client.example.net (unknown [127.0.0.1])\n\tby mail.example.org "
	    "(tabmail) with ESMTP id 00000000002a\n\tfor <b@example.org>;\n\t",
	    "the trace");
	ok(shared->eightbit && shared->ret == RET_HDRS, "8-bit, RET");
	is(shared->envid, "QQ1", "ENVID");
	ok(shared->notify == NOTIFY_SUCCESS, "NOTIFY");
	is(shared->orcpt, "rfc822;B", "ORCPT");
	is(say(c, "MAIL FROM:<fails@example.net>\r\n"), "250 2.1.0 ok", "another");
	say(c, "RCPT TO:<b@example.org>\r\n");
	say(c, "DATA\r\n");
	is(say(c, "x\r\n.\r\n"), "452 4.3.1 disk full", "queue's refusal is passed on");
	starts(say(c, "RCPT TO:<b@example.org>\r\n"), "503 ", "and the transaction is over");
	starts(say(c, "QUIT\r\n"), "221 ", "QUIT");
	is(get(c), "", "the end");
	shut(c);
}

static void
verdicts(void)
{
	struct client *c = greeted(false);
	unsigned asks = shared->asks;

	put(c, "MAIL FROM:<a@example.net>\r\nRCPT TO:<a@x.org>\r\nRCPT TO:<never@x.org>\r\n"
	       "RCPT TO:<>\r\nRCPT TO:<later@x.org>\r\nRCPT TO:<odd@x.org>\r\nDATA\r\n");
	is(get(c), "250 2.1.0 ok", "MAIL of a pipeline");
	is(get(c), "250 2.1.5 ok", "accepted");
	is(get(c), "550 5.1.1 no such user", "never");
	is(get(c), "501 5.1.3 no valid recipient address", "malformed, in its turn");
	is(get(c), "451 4.3.0 cannot tell now, try again later", "later");
	is(get(c), "550 5.1.1 no such recipient here: no", "a verdict's bad text is made safe");
	starts(get(c), "354 ", "DATA after all of them");
	starts(say(c, "\r\n.\r\n"), "250 ", "stored");
	is_int(shared->rcpts, 1, "one recipient");
	is_int(shared->asks - asks, 4, "four questions");
	shut(c);
}

static void
no_room(void)
{
	struct client *c = greeted(false);

	shared->full = 1;
	say(c, "MAIL FROM:<a@example.net>\r\n");
	is(say(c, "RCPT TO:<a@x.org>\r\n"), "250 2.1.5 ok", "RCPT when the spool is full");
	is(say(c, "DATA\r\n"), "452 4.3.1 no room", "DATA when the spool is full");
	shared->full = 0;
	unsigned aborts = shared->aborts;
	is(say(c, "MAIL FROM:<a@example.net>\r\n"), "250 2.1.0 ok", "a new one, later");
	say(c, "RSET\r\n");
	await(shared->aborts > aborts);
	shut(c);
}

/* Security row 5: the client leaves in each state in which an answer is awaited. */
static void
client_leaves(void)
{
	static const char *const steps[] = { "MAIL FROM:<a@example.net>\r\n",
		"MAIL FROM:<a@example.net>\r\nRCPT TO:<b@x.org>\r\n",
		"MAIL FROM:<a@example.net>\r\nRCPT TO:<b@x.org>\r\nRCPT TO:<c@x.org>\r\nDATA\r\n",
		"MAIL FROM:<a@example.net>\r\nRSET\r\nMAIL FROM:<b@x.net>\r\n" };

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		unsigned aborts = shared->aborts;
		struct client *c = greeted(false);
		hold_answers();
		is(say(c, steps[i]), "250 2.1.0 ok", "step %zu begins", i);
		struct linger hard = { 1, 0 };
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		shut(c);
		struct client *other = open_client(false);
		get(other); /* the server has seen the end of the first by now, or will */
		shut(other);
		shared->hold = 0;
		await(shared->aborts > aborts);
		is_int(shared->aborts - aborts, 1, "what was begun is aborted");
		ok(alive(), "and the same process goes on");
	}
	struct client *c = greeted(false);
	say(c, "MAIL FROM:<a@example.net>\r\n");
	say(c, "RCPT TO:<b@x.org>\r\n");
	say(c, "DATA\r\n");
	unsigned commits = shared->commits, aborts = shared->aborts;
	hold_answers();
	put(c, "x\r\n.\r\n");
	shut(c);
	shared->hold = 0;
	await(shared->commits > commits);
	is_int(shared->commits - commits, 1, "gone after the dot: it is stored");
	ok(alive(), "the process goes on");
	is_int(shared->aborts, aborts, "what was committed is not aborted");
}

static void
rset(void)
{
	struct client *c = greeted(false);
	unsigned aborts = shared->aborts;

	for (int i = 0; i < 3; i++) {
		say(c, "MAIL FROM:<a@example.net>\r\n");
		is(say(c, "RCPT TO:<b@x.org>\r\n"), "250 2.1.5 ok", "RCPT");
		is(say(c, "RSET\r\n"), "250 2.0.0 reset", "RSET");
	}
	await(shared->aborts == aborts + 3);
	is_int(shared->aborts - aborts, 3, "three aborts");
	hold_answers();
	unsigned begins = shared->begins;
	for (int i = 0; i < 100; i++)
		put(c, "MAIL FROM:<a@example.net>\r\nRSET\r\n");
	for (int i = 0; i < 200; i++)
		get(c);
	shared->hold = 0;
	await(shared->begins > begins);
	is_int(shared->begins - begins, 1, "MAIL and RSET a hundred times ask for one id");
	shut(c);
}

static long
resident_kb(pid_t pid)
{
	char path[64], line[256];
	long kb = -1;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *f = fopen(path, "r");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "VmRSS: %ld", &kb) == 1)
			break;
	if (f != NULL)
		fclose(f);
	return kb;
}

/* queue takes nothing: the server stops reading, and goes on later. */
static void
backlog(void)
{
	static char block[1 << 16];
	struct client *c = greeted(false);
	size_t sent = 0, size = 24u << 20;

	memset(block, 'x', sizeof(block));
	for (size_t i = 0; i + 64 <= sizeof(block); i += 64)
		memcpy(block + i + 62, "\r\n", 2);
	say(c, "MAIL FROM:<a@example.net>\r\n");
	say(c, "RCPT TO:<b@x.org>\r\n");
	say(c, "DATA\r\n");
	long before = resident_kb(server);
	hold_answers();
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	for (int idle = 0; sent < size && idle < 200;) {
		size_t at = sent % sizeof(block);
		ssize_t n = send(c->fd, block + at, sizeof(block) - at, MSG_NOSIGNAL);
		if (n > 0)
			sent += (size_t)n;
		else
			idle++, poll(NULL, 0, 2);
	}
	ok(sent < size, "the client has to wait (%zu bytes were taken)", sent);
	long after = resident_kb(server);
	ok(after - before < 24 * 1024, "memory stays bounded (%ld KiB more)", after - before);
	shared->hold = 0;
	fcntl(c->fd, F_SETFL, 0);
	while (sent < size) {
		size_t at = sent % sizeof(block);
		ssize_t n = send(c->fd, block + at, sizeof(block) - at, MSG_NOSIGNAL);
		if (n <= 0)
			break;
		sent += (size_t)n;
	}
	starts(say(c, ".\r\n"), "250 ", "it goes on, and is stored");
	uint64_t want = size - size / 64;
	ok(shared->body_total > want && shared->body_total < want + 400, "all of it");
	shut(c);
}

/* Each kind of question to lookup is bounded. */
static void
too_many_questions(void)
{
	struct client *c = greeted(false), *out = greeted(false);

	starts(say(c, "AUTH PLAIN AGIAYw==\r\n"), "235 ", "a login");
	starts(say(out, "MAIL FROM:<a@example.net>\r\n"), "250 ", "who has not logged in");
	unsigned asks = shared->asks;
	kill(server, SIGUSR1);
	await(shared->busy);
	starts(say(c, "MAIL FROM:<a@example.net>\r\n"), "451 4.3.2 ", "too busy for a sender");
	starts(say(c, "RCPT TO:<b@x.org>\r\n"), "503 ", "no transaction was begun");
	starts(say(c, "MAIL FROM:<>\r\n"), "250 ", "the null sender needs no question");
	starts(say(out, "RCPT TO:<b@x.org>\r\n"), "451 4.3.2 ", "too busy for a recipient");
	say(out, "RSET\r\n");
	starts(say(out, "AUTH PLAIN AGIAYw==\r\n"), "454 4.7.0 ", "too busy for a login");
	is_int(shared->asks, asks, "nothing was asked");
	kill(server, SIGUSR1);
	await(!shared->busy);
	say(c, "RSET\r\n");
	starts(say(c, "MAIL FROM:<a@example.net>\r\n"), "250 ", "later it is asked");
	is_int(shared->asks, asks + 1, "once");
	shut(c);
	shut(out);
}

static void
submitted(void)
{
	struct client *c = greeted(true);
	char from[128];

	say(c, "MAIL FROM:<a@example.net>\r\n");
	say(c, "RCPT TO:<b@x.org>\r\n");
	say(c, "DATA\r\n");
	starts(say(c, "Subject: x\r\n\r\nhello\r\n.\r\n"), "250 ", "submitted here");
	snprintf(from, sizeof(from), "Received: from localhost (local, from uid %lu)\n\tby mail",
	    (unsigned long)getuid());
	starts(shared->body, from, "its trace tells the uid");
	ok(strstr(shared->body, "\nDate: ") != NULL && strstr(shared->body, "\nMessage-ID: <0000"),
	    "Date and Message-ID are added");
	is(strstr(shared->body, "Subject:"), "Subject: x\n\nhello\n",
	    "behind them nothing changes");
	say(c, "MAIL FROM:<a@example.net>\r\n");
	say(c, "RCPT TO:<b@x.org>\r\n");
	say(c, "DATA\r\n");
	starts(say(c, "date: x\r\nMESSAGE-ID: y\r\n.\r\n"), "250 ", "it has them already");
	ok(strstr(shared->body, "Date:") == NULL && strstr(shared->body, "Message-ID:") == NULL,
	    "nothing is added");
	shut(c);
	c = greeted(false);
	say(c, "MAIL FROM:<a@example.net>\r\n");
	say(c, "RCPT TO:<b@x.org>\r\n");
	say(c, "DATA\r\n");
	starts(say(c, "Subject: x\r\n\r\nhello\r\n.\r\n"), "250 ", "by TCP");
	ok(strstr(shared->body, "\nDate: ") == NULL, "nothing is added to what comes by TCP");
	say(c, "MAIL FROM:<a@example.net>\r\n");
	say(c, "RCPT TO:<b@x.org>\r\n");
	say(c, "DATA\r\n");
	for (int i = 0; i < 6; i++)
		put(c, "Received: x\r\n");
	starts(say(c, "\r\n.\r\n"), "554 5.4.6 ", "too many hops");
	shut(c);
}

/* Thousands of connections, and the memory they take. */
static void
many_sessions(void)
{
	enum { N = 4000 };
	static struct client *c[N];
	struct rlimit r;
	bool good = true;
	int n = N;

	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
	if (r.rlim_cur < N + 100)
		n = (int)r.rlim_cur - 100;
	long before = resident_kb(server);
	for (int i = 0; i < n; i++) {
		c[i] = open_client(false);
		good &= strncmp(get(c[i]), "220 ", 4) == 0;
		good &= strncmp(say(c[i], "EHLO client.example.net\r\n"), "250 ", 4) == 0;
	}
	ok(good, "%d sessions are greeted", n);
	long each = (resident_kb(server) - before) * 1024 / n;
	ok(each < 4096 || SANITIZED, "an idle one takes %ld bytes", each);
	for (int i = 0; i < n; i++)
		shut(c[i]);
	ok(alive(), "and gone");
}

static void
peer_gone(void)
{
	struct client *idle = greeted(false), *waiting = greeted(false);

	await(shared->stats > 0);
	ok(shared->stats > 0, "queue was told what was counted");
	hold_answers();
	is(say(waiting, "MAIL FROM:<a@example.net>\r\nRCPT TO:<b@x.org>\r\n"), "250 2.1.0 ok",
	    "one session waits");
	shared->quit = 1;
	shared->hold = 0;
	const char *got = get(waiting);
	/* The stub may have answered before it quit. */
	if (strncmp(got, "250", 3) == 0)
		got = get(waiting);
	starts(got, "421 4.3.2 ", "lookup is gone: 421 in place of the answer");
	starts(get(idle), "421 4.3.2 ", "421 to who is idle");
	is(get(idle), "", "then the end");
	int status = -1;
	waitpid(server, &status, 0);
	is_int(status, 0, "the process has ended by itself");
	waitpid(stub, &status, 0);
	shut(idle);
	shut(waiting);
}

static void
terminated(void)
{
	int status = -1;

	start();
	struct client *c = greeted(false);
	kill(server, SIGTERM);
	starts(get(c), "421 4.3.2 ", "SIGTERM: 421");
	waitpid(server, &status, 0);
	is_int(status, 0, "and the end");
	waitpid(stub, &status, 0);
	shut(c);
}

/* Silence, half a command, and data that trickles: none of them holds a place for long. */
static void
timeouts(void)
{
	int status = -1;

	conf.limit.smtp.timeout_sec = 1;
	start();
	struct client *silent = open_client(false), *half = greeted(false), *slow = greeted(false);
	get(silent);
	put(half, "NOO");
	say(slow, "MAIL FROM:<a@example.net>\r\n");
	say(slow, "RCPT TO:<b@x.org>\r\n");
	say(slow, "DATA\r\n");
	int64_t began = clock_mono_ms();
	struct pollfd p = { .fd = slow->fd, .events = POLLIN };
	while (poll(&p, 1, 100) == 0 && clock_mono_ms() - began < 8000)
		put(slow, "x");
	starts(get(slow), "421 4.4.2 ", "data that trickles");
	starts(get(half), "421 4.4.2 ", "half a command");
	starts(get(silent), "421 4.4.2 ", "silence");
	is(get(silent), "", "then the end");
	await(shared->aborts == 1);
	is_int(shared->aborts, 1, "half a message is aborted");
	kill(server, SIGTERM);
	waitpid(server, &status, 0);
	is_int(status, 0, "the process was well");
	waitpid(stub, &status, 0);
	shut(silent);
	shut(half);
	shut(slow);
}

int
main(int argc, char **argv)
{
	shared =
	    mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (argc < 2 && freopen("/dev/null", "w", stderr) == NULL)
		return 1;
	start();
	if (argc > 1 && strcmp(argv[1], "serve") == 0) {
		printf("%u %s %d\n", port, submit_path, (int)server);
		fflush(stdout);
		waitpid(server, NULL, 0);
		unlink(submit_path);
		return 0;
	}
	one_message();
	verdicts();
	no_room();
	client_leaves();
	rset();
	backlog();
	too_many_questions();
	submitted();
	many_sessions();
	peer_gone();
	terminated();
	timeouts();
	unlink(submit_path);
	return done();
}
