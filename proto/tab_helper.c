/*
 * The runtime for helpers (tab_helper.h).  Called by each helper's main(); talks to the daemon over
 * stdin and stdout, which may be one socket, pipes, or files.
 *
 *	readable → take lines from the buffer → callbacks → answers gather → one write
 *
 * Invariants: a read takes as many lines as there are, a turn of the loop writes once.  No more than
 * PENDING_MAX questions are open and little more than OUT_HIGH bytes wait: beyond that nothing is read
 * until the daemon has taken its answers.  Silent until config|ready.
 */
#include "tab_helper.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define PENDING_MAX 4096
#define OUT_HIGH    (1024 * 1024)
#define OUT_PIECE \
	(8 * 1024)   /* so much is written while lines are left: the daemon works meanwhile */
#define EOF_WAIT   5 /* seconds that pending answers have after EOF */
#define REASON_MAX 500

struct query {
	struct tab_query q; /* first: the author's pointer is ours */
	char *id, *key;
	char text[];
};

static struct {
	const struct tab_helper *helper;
	struct event_base *base;
	struct event *readable, *writable, *work, *eof_timer;
	struct evbuffer *out;
	char in[2 * TAB_LINE_MAX];
	size_t in_start, in_len;
	unsigned pending;
	bool ready;  /* config|ready has come */
	bool ours;   /* the daemon is tabmail */
	bool paused; /* lines wait in `in`, or might, until there is room for answers */
	bool eof, over;
	int status;
} rt;

static void on_readable(int, short, void *);
static void on_work(int, short, void *);
static void take_lines(void);
static void take_line(char *, size_t);
static void take_question(const struct tab_question *);
static void flush(void);
static void on_writable(int, short, void *);

static void
stop(int status)
{
	rt.over = true;
	rt.status = status;
	event_base_loopbreak(rt.base);
}

static void
breach(const char *what)
{
	tab_log("protocol: %s", what);
	stop(1);
}

static bool
is_full(void)
{
	return rt.pending >= PENDING_MAX || evbuffer_get_length(rt.out) >= OUT_HIGH;
}

/* Not epoll: stdin may be a file, when a person tries a helper by hand. */
struct event_base *
tab_helper_base(void)
{
	if (rt.base != NULL)
		return rt.base;
	struct event_config *config = event_config_new();
	if (config != NULL) {
		event_config_avoid_method(config, "epoll");
		rt.base = event_base_new_with_config(config);
		event_config_free(config);
	}
	if (rt.base == NULL) {
		tab_log("cannot start: no event loop");
		exit(1);
	}
	return rt.base;
}

int
tab_helper_run(const struct tab_helper *helper)
{
	struct event_base *base = tab_helper_base();
	int in_flags = fcntl(STDIN_FILENO, F_GETFL), out_flags = fcntl(STDOUT_FILENO, F_GETFL);

	signal(SIGPIPE, SIG_IGN);
	fcntl(STDIN_FILENO, F_SETFL, in_flags | O_NONBLOCK);
	fcntl(STDOUT_FILENO, F_SETFL, out_flags | O_NONBLOCK);
	rt.helper = helper;
	rt.out = evbuffer_new();
	rt.readable = event_new(base, STDIN_FILENO, EV_READ | EV_PERSIST, on_readable, NULL);
	rt.writable = event_new(base, STDOUT_FILENO, EV_WRITE, on_writable, NULL);
	rt.work = event_new(base, -1, 0, on_work, NULL);
	rt.eof_timer = event_new(base, -1, 0, on_work, NULL);
	if (rt.out == NULL || rt.readable == NULL || rt.writable == NULL || rt.work == NULL ||
	    rt.eof_timer == NULL || event_add(rt.readable, NULL) == -1) {
		tab_log("cannot start: %s", strerror(errno));
		return 1;
	}
	event_base_dispatch(base);

	/* They may be a terminal that others use. */
	fcntl(STDIN_FILENO, F_SETFL, in_flags);
	fcntl(STDOUT_FILENO, F_SETFL, out_flags);
	event_free(rt.readable);
	event_free(rt.writable);
	event_free(rt.work);
	event_free(rt.eof_timer);
	evbuffer_free(rt.out);
	return rt.status;
}

static void
on_readable(int fd, short what, void *arg)
{
	(void)what;
	(void)arg;
	if (rt.in_start > 0) {
		/* What stays behind is wiped: it may be the beginning of a password. */
		size_t keep = rt.in_start > rt.in_len ? rt.in_start : rt.in_len;
		size_t end = rt.in_start + rt.in_len;

		memmove(rt.in, rt.in + rt.in_start, rt.in_len);
		explicit_bzero(rt.in + keep, end - keep);
		rt.in_start = 0;
	}
	/* A byte is kept free: the parser ends its line there. */
	ssize_t n = read(fd, rt.in + rt.in_len, sizeof(rt.in) - 1 - rt.in_len);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		struct timeval wait = { .tv_sec = EOF_WAIT };

		rt.eof = true;
		event_del(rt.readable);
		event_add(rt.eof_timer, &wait);
	} else
		rt.in_len += (size_t)n;
	take_lines();
	flush();
}

/* Something was answered, the daemon took answers, or (what has EV_TIMEOUT) it waits no longer. */
static void
on_work(int fd, short what, void *arg)
{
	(void)fd;
	(void)arg;
	if ((what & EV_TIMEOUT) != 0 && rt.eof) {
		if (rt.pending > 0)
			tab_log("%u questions left unanswered at the end", rt.pending);
		stop(0);
		return;
	}
	take_lines();
	flush();
}

static void
take_lines(void)
{
	size_t waiting = 0; /* what the daemon does not take is not offered anew for each line */

	while (!rt.over && !is_full()) {
		char *line = rt.in + rt.in_start;
		char *lf = memchr(line, '\n', rt.in_len);
		if (lf == NULL)
			break;
		size_t len = (size_t)(lf - line);
		rt.in_start += len + 1;
		rt.in_len -= len + 1;
		take_line(line, len);
		explicit_bzero(line, len); /* it may have held a password */
		if (evbuffer_get_length(rt.out) - waiting >= OUT_PIECE) {
			flush();
			waiting = evbuffer_get_length(rt.out);
		}
	}
	if (rt.over)
		return;
	rt.paused = is_full();
	if (!rt.paused && rt.in_len >= TAB_LINE_MAX)
		breach("a line longer than 65536 bytes");
	else if (rt.eof)
		return;
	else if (rt.paused)
		event_del(rt.readable);
	else
		event_add(rt.readable, NULL);
}

static bool
offers(enum tab_service service)
{
	return service < TAB_SERVICE_MAX && (rt.helper->services & 1u << service) != 0 &&
	       (rt.ours || !tab_service_is_ours(service));
}

static void
take_line(char *line, size_t len)
{
	struct tab_question q;
	const char *wrong = tab_parse_question(&q, line, len);

	if (wrong != NULL) {
		breach(wrong);
		return;
	}
	switch (q.kind) {
	case TAB_LINE_CONFIG:
		if (strcmp(q.config_key, TAB_OURS) == 0 && !rt.ready)
			rt.ours = strcmp(q.config_value, TAB_OURS_VERSION) == 0;
		if (rt.helper->config != NULL)
			rt.helper->config(q.config_key, q.config_value);
		return;
	case TAB_LINE_CONFIG_END:
		if (rt.ready)
			return;
		rt.ready = true;
		for (int i = 0; i < TAB_SERVICE_MAX; i++)
			if (offers((enum tab_service)i))
				evbuffer_add_printf(
				    rt.out, "register|%s\n", tab_service_name((enum tab_service)i));
		evbuffer_add_printf(rt.out, "register|ready\n");
		return;
	case TAB_LINE_OTHER:
	case TAB_LINE_QUESTION: break;
	}
	if (!rt.ready)
		breach("a question before config|ready");
	else if (q.kind == TAB_LINE_OTHER)
		tab_log("an operation that is not known here was ignored");
	else
		take_question(&q);
}

static void
put_reply(enum tab_op op, const char *id, enum tab_answer answer, const char *value)
{
	static char line[TAB_LINE_MAX];
	struct tab_reply r = {
		.kind = TAB_LINE_REPLY, .op = op, .id = id, .answer = answer, .value = value
	};
	size_t len = tab_format_reply(&r, line, sizeof(line));

	if (len == 0) {
		tab_log("a value that cannot be sent: empty, too long, or with a line end");
		r.answer = TAB_ERROR;
		r.value = "the value cannot be sent";
		len = tab_format_reply(&r, line, sizeof(line));
	}
	/* An answer that is lost would be waited for; the daemon can ask our successor. */
	if (evbuffer_add(rt.out, line, len) == -1)
		breach("out of memory");
}

static void
take_question(const struct tab_question *question)
{
	const struct tab_helper *h = rt.helper;
	void (*const callbacks[])(struct tab_query *) = {
		[TAB_UPDATE] = h->update,
		[TAB_CHECK] = h->check,
		[TAB_LOOKUP] = h->lookup,
		[TAB_FETCH] = h->fetch,
	};

	if (question->op != TAB_UPDATE && !offers(question->service)) {
		put_reply(question->op, question->id, TAB_ERROR, "no such service here");
		return;
	}
	if (callbacks[question->op] == NULL && question->op == TAB_UPDATE) {
		put_reply(question->op, question->id, TAB_FOUND, NULL);
		return;
	}
	if (callbacks[question->op] == NULL) {
		put_reply(question->op, question->id, TAB_ERROR, "no such operation here");
		return;
	}
	size_t id_len = strlen(question->id) + 1, table_len = strlen(question->table) + 1;
	size_t key_len = strlen(question->key) + 1;
	struct query *q = malloc(sizeof(*q) + id_len + table_len + key_len);
	if (q == NULL) {
		put_reply(question->op, question->id, TAB_ERROR, "out of memory");
		return;
	}
	q->id = memcpy(q->text, question->id, id_len);
	char *table = memcpy(q->text + id_len, question->table, table_len);
	q->key = memcpy(table + table_len, question->key, key_len);
	q->q = (struct tab_query){
		.op = question->op, .service = question->service, .table = table, .key = q->key
	};
	rt.pending++;
	callbacks[question->op](&q->q);
}

static void
answer(struct tab_query *query, enum tab_answer what, const char *value)
{
	struct query *q = (struct query *)query;

	put_reply(q->q.op, q->id, what, value);
	if (q->q.service == TAB_AUTH)
		explicit_bzero(q->key, strlen(q->key));
	free(q);
	rt.pending--;
	event_active(rt.work, 0, 0); /* writes once for all that are answered in this turn */
}

void
tab_found(struct tab_query *q, const char *value)
{
	answer(q, TAB_FOUND, value);
}

void
tab_missing(struct tab_query *q)
{
	if (q->op == TAB_UPDATE)
		tab_error(q, "missing");
	else
		answer(q, TAB_MISSING, NULL);
}

/* A reason may hold foreign text: no line end may get through. */
void
tab_error(struct tab_query *q, const char *reason)
{
	char text[REASON_MAX];

	snprintf(text, sizeof(text), "%s", reason == NULL ? "" : reason);
	for (char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	answer(q, TAB_ERROR, text);
}

static void
flush(void)
{
	if (rt.over && rt.status != 0)
		return;
	while (evbuffer_get_length(rt.out) > 0) {
		int n = evbuffer_write(rt.out, STDOUT_FILENO);

		if (n == -1 && errno == EAGAIN) {
			event_add(rt.writable, NULL);
			break;
		}
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) { /* nobody reads any more */
			stop(errno == EPIPE || errno == ECONNRESET ? 0 : 1);
			return;
		}
	}
	if (rt.paused && !is_full())
		event_active(rt.work, 0, 0);
	else if (rt.eof && rt.pending == 0 && evbuffer_get_length(rt.out) == 0)
		stop(0);
}

static void
on_writable(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	flush();
}

void
tab_log(const char *fmt, ...)
{
	char line[2000];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	size_t len = (size_t)n < sizeof(line) - 2 ? (size_t)n : sizeof(line) - 2;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	line[len] = '\n';
	if (write(STDERR_FILENO, line, len + 1) == -1)
		return; /* there is nobody else to tell */
}
