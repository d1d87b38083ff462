/* The control socket: what it answers, and that a bad client loses only itself. */
#include "queue/house.h"
#include "row.h"

static char socket_path[128], answer[4 * 1024 * 1024];
static size_t answer_len;

static int
dial(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(sun.sun_path, socket_path);
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		exit(1);
	return fd;
}

/* Reads what is there; true at the end of an answer or of the connection. */
static bool
complete(int fd)
{
	ssize_t n = recv(fd, answer + answer_len, sizeof(answer) - answer_len - 1, MSG_DONTWAIT);

	if (n > 0)
		answer_len += (size_t)n;
	answer[answer_len] = '\0';
	if (n == 0)
		return true;
	if (answer_len == 0 || answer[answer_len - 1] != '\n')
		return false;
	char *last = memrchr(answer, '\n', answer_len - 1);
	last = last == NULL ? answer : last + 1;
	return *last == '.' || *last == '!';
}

static const char *
ask_on(int fd, const char *request)
{
	answer_len = 0;
	if (*request != '\0')
		send(fd, request, strlen(request), MSG_NOSIGNAL);
	house_until(complete(fd));
	return answer;
}

static const char *
ask(const char *request)
{
	int fd = dial();

	ask_on(fd, request);
	close(fd);
	return answer;
}

static int
lines(char kind)
{
	int n = 0;

	for (const char *p = answer; *p != '\0'; p += strcspn(p, "\n") + 1)
		n += *p == kind;
	return n;
}

static void
test_show(void)
{
	house_send((struct house_mail){ .sender = "s@x",
	    .rcpts = { "defer@x", "relaydefer@y" },
	    .data = "Subject: a\tb\n\nbody\n",
	    .len = 19 });
	house_until(house.stored == 1 && envelope_count() == 0);
	ask("show\tqueue\n");
	is_int(lines('R'), 2, "show queue: two envelopes");
	ok(strstr(answer, "\tdefer@x\ts@x\t19\tdeferred\t") != NULL, "with their fields");
	ok(strstr(answer, "\tmailbox full\n") != NULL, "and reasons");
	char id[16], request[64];
	snprintf(id, sizeof(id), "%.12s", strstr(answer, "\nR\t") + 3);
	snprintf(request, sizeof(request), "show\tmessage\t%s\n", id);
	ask(request);
	is_int(lines('S'), 4, "show message: four sections");
	ok(strstr(answer, "T\tSubject: a\\tb\n") != NULL, "with the header");
	ok(strstr(answer, "\tdeliver to maildir \"~/Maildir\"\t") != NULL, "and the action");
	ask("show\tstats\n");
	ok(strstr(answer, "R\tqueue.deferred\t2\n") != NULL, "show stats");
	ask("show\ttables\n");
	is(answer, "R\ta table\n.\n", "show tables is asked of lookup");
	ask("table\tnone\tlookup\talias\tjoe\n");
	ok(strstr(answer, "!\tno such table\n") != NULL, "an error is passed on");
	ask("show\tstatus\n");
	is(answer, "R\ta table\n.\n", "show status is asked of parent");
	int jobs = house.jobs;
	snprintf(request, sizeof(request), "schedule\t%s\n", id);
	is(ask(request), "T\t2 scheduled\n.\n", "schedule a message");
	house_until(house.jobs == jobs + 2 && envelope_count() == 0);
	is_int(house.jobs, jobs + 2, "it is tried again");
	snprintf(request, sizeof(request), "remove\t%s.1\n", id);
	is(ask(request), "T\t1 removed\n.\n", "remove an envelope");
	is_int(spool_count_envelopes(), 1, "one is left");
	is(ask("remove\tall\n"), "T\t1 removed\n.\n", "remove all");
	ok(house_empty(), "none is left");
}

static void
test_bad(void)
{
	static char huge[ROW_REQUEST_MAX + 1000];
	int fds[140], half;

	ok(*ask("\n") == '!', "an empty request");
	ok(*ask("show\n") == '!', "half a request");
	ok(*ask("remove\tx\n") == '!', "a bad id");
	static const char *const wrong[] = { "hold\n", "hold\t\n", "hold\tsender\n",
		"release\tstate\todd\n", "remove\tsender\ta\tsender\tb\n", "reroute\tall\tall\n",
		"schedule\tsender\ta\troute\n", "show\tqueue\tx\n", "show\tqueue\tstate\tx\n",
		"show\tqueue\t1\t2\t3\t4\t5\t6\t7\t8\t9\t10\t11\t12\t13\t14\t15\t16\t17\n",
		"show\tmessage\tall\n", "pause\n", "pause\t\n", "pause\ta\tb\n",
		"resume\tnothing\n", "resume\n", "hold\tffffffffffff.131072\n",
		"hold\t123456789abcdef\n" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ok(*ask(wrong[i]) == '!' && lines('R') == 0, "refused: %s",
		    strtok(strdupa(wrong[i]), "\n"));
	ok(strstr(ask("show\tmessage\tabc\n"), "no such message") != NULL, "no such message");
	memset(huge, 'x', sizeof(huge) - 1);
	is(ask(huge), "", "a huge request: that client is dropped");
	half = dial();
	send(half, "show\tq", 6, MSG_NOSIGNAL);
	send(half, "\0\n", 2, MSG_NOSIGNAL);
	ok(*ask_on(half, "") == '!', "NUL in a request");
	send(half, "show\tq", 6, MSG_NOSIGNAL);
	ok(*ask_on(half, "ueue\n") == 'H', "a request in two parts");
	ok(*ask_on(half, "show\tqueue\nshow\tstats\n") == 'H', "two at once");
	house_until(strstr(answer, "smtp.deferred") != NULL || (complete(half), false));
	ok(strstr(answer, "smtp.deferred") != NULL, "are both answered");
	for (int i = 0; i < 140; i++) {
		fds[i] = dial();
		if (i % 20 == 19) /* the listener's backlog */
			for (int turn = 0; turn < 30; turn++)
				event_base_loop(process.base, EVLOOP_NONBLOCK);
	}
	answer_len = 0;
	house_until(complete(fds[139]));
	ok(strstr(answer, "too many") != NULL, "too many clients are told so");
	ok(*ask_on(half, "show\tqueue\n") == 'H', "those before are served");
	for (int i = 0; i < 140; i++)
		close(fds[i]);
	close(half);
	for (int turn = 0; turn < 300; turn++)
		event_base_loop(process.base, EVLOOP_NONBLOCK);
	ok(*ask("show\tqueue\n") == 'H', "and others again when those have left");
}

/* A client that does not read holds up neither memory nor mail. */
static void
test_long(void)
{
	int slow = dial();
	int before = house.stored;

	house.lookup_later = true;
	for (int i = 0; i < 1000; i++)
		house_send((struct house_mail){ .sender = "a-sender-of-some-length@example.org",
		    .rcpts = { "a@x", "b@x", "c@x", "d@x", "e@x", "f@x", "g@x", "h@x" },
		    .data = "\n",
		    .len = 1 });
	house_until(house.stored == before + 1000 && envelope_count() == 0);
	is_int(spool_count_envelopes(), 8000, "8,000 envelopes wait");
	send(slow, "show\tqueue\n", 11, MSG_NOSIGNAL);
	for (int i = 0; i < 200; i++)
		event_base_loop(process.base, EVLOOP_NONBLOCK);
	ask("show\tqueue\n");
	is_int(lines('R'), 8000, "all are shown to one who reads");
	ask_on(slow, "");
	is_int(lines('R'), 8000, "and to one who reads late");
	close(slow);
	is(ask("remove\tall\n"), "T\t8000 removed\n.\n", "all removed");
	ok(house_empty(), "the spool is empty");
}

int
main(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	log_open("test", true, 0);
	if (freopen("/dev/null", "w", stderr) == NULL)
		return 1;
	house_start();
	snprintf(socket_path, sizeof(socket_path), "%s/control.sock", house_dir);
	strcpy(sun.sun_path, socket_path);
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1 || listen(fd, 128) == -1)
		return 1;
	queue_role.on_listener(LISTENER_CONTROL, fd);
	test_show();
	test_bad();
	test_long();
	queue_role.on_stop();
	house_clean();
	return done();
}
