/*
 * The control socket: clients of tabmailctl, one request line at a time, answers as lines of base/row.h.
 *
 * Root and the daemon's own user may ask; anyone else gets a line that says so.  Clients, requests and
 * unsent answers are bounded; a client that is slow, silent or wrong loses its own connection and
 * nothing else.  What queue does not know it asks of lookup or parent, and passes the rows on.
 */
#include "local.h"
#include "conn.h"
#include "log.h"
#include "row.h"
#include "text.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS_MAX 128
#define WORDS_MAX   16
#define UNSENT_MAX  (256 * 1024)
#define IDLE_SEC    30
#define ANSWER_SEC  120

static TAILQ_HEAD(, control) clients = TAILQ_HEAD_INITIALIZER(clients);
static size_t n_clients;

static void on_accept(evutil_socket_t, short, void *);
static const char *refusal(int fd);
static void on_input(void *);
static void request(struct control *, char *line);
static void ask(struct control *, struct ipc *, const char *verb, char **words, size_t n);
static void ask_relay(struct control *, const char *what);
static void ask_all(struct control *, struct ipc *, const struct msg_ctl_ask *);
static void bench(struct control *, char **w);
static void explain(struct control *, char **w, size_t n);
static void on_ctl_end(const struct msg *, void *);
static void on_drained(void *);
static void on_again(evutil_socket_t, short, void *);
static void on_end(enum conn_end, int, void *);

static const struct conn_ops ops = {
	.on_input = on_input, .on_drained = on_drained, .on_end = on_end
};

void
control_listener(uint32_t index, int fd)
{
	if (index != LISTENER_CONTROL)
		log_bug("bug: listener %u is not for queue", index);
	evutil_make_socket_nonblocking(fd);
	event_add(event_new(process.base, fd, EV_READ | EV_PERSIST, on_accept, NULL), NULL);
}

static void
on_accept(evutil_socket_t listener, short what, void *arg)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)what;
	(void)arg;
	if (fd == -1)
		return;
	const char *no = refusal(fd);
	if (no != NULL) {
		struct text t = { 0 };
		row_line(&t, '!', no, NULL);
		text_put(&t, "\n");
		send(fd, t.s, t.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		text_free(&t);
		close(fd);
		return;
	}
	struct control *c = xcalloc(1, sizeof(*c));
	c->conn = conn_new(process.base, fd, &ops, c);
	c->again = evtimer_new(process.base, on_again, c);
	conn_limit_input(c->conn, ROW_REQUEST_MAX + 1);
	conn_deadline(c->conn, IDLE_SEC);
	TAILQ_INSERT_TAIL(&clients, c, entry);
	n_clients++;
}

/* NULL, or why this client is not served. */
static const char *
refusal(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == -1 ||
	    (peer.uid != 0 && peer.uid != geteuid()))
		return "permission denied: only root and the daemon's own user may control it";
	if (n_clients >= CLIENTS_MAX)
		return "too many control clients at once; try again";
	return NULL;
}

static void
drop(struct control *c)
{
	backup_gone(c);
	if (c->asked != NULL)
		ipc_cancel(c->asked);
	TAILQ_REMOVE(&clients, c, entry);
	n_clients--;
	event_free(c->again);
	select_free(&c->selected);
	conn_free(c->conn);
	free(c);
}

static void
on_input(void *arg)
{
	struct control *c = arg;
	struct evbuffer *in = conn_in(c->conn);
	char line[ROW_REQUEST_MAX + 1];

	if (c->step != NULL || c->asked != NULL)
		return; /* one at a time */
	struct evbuffer_ptr lf = evbuffer_search_eol(in, NULL, NULL, EVBUFFER_EOL_LF);
	if (lf.pos > ROW_REQUEST_MAX ||
	    (lf.pos == -1 && evbuffer_get_length(in) > ROW_REQUEST_MAX)) {
		drop(c);
		return;
	}
	if (lf.pos == -1)
		return;
	evbuffer_remove(in, line, (size_t)lf.pos);
	evbuffer_drain(in, 1);
	line[lf.pos] = '\0';
	conn_deadline(c->conn, ANSWER_SEC);
	if (strlen(line) != (size_t)lf.pos)
		control_end(c, "a request holds no NUL");
	else
		request(c, line);
}

static bool
is(char **words, size_t n, size_t want, const char *first, const char *second)
{
	return n == want && strcmp(words[0], first) == 0 &&
	       (second == NULL || strcmp(words[1], second) == 0);
}

static void
request(struct control *c, char *line)
{
	char *w[WORDS_MAX] = { 0 };
	size_t n = row_split(line, w, WORDS_MAX);

	if (n >= 2 && is(w, 2, 2, "show", "queue"))
		controlshow_queue(c, w + 2, n - 2);
	else if (is(w, n, 3, "show", "message"))
		controlmessage_show(c, w[2]);
	else if (is(w, n, 2, "show", "paused"))
		controlshow_paused(c);
	else if (is(w, n, 2, "queue", "backup"))
		backup_start(c);
	else if (is(w, n, 2, "show", "stats"))
		controlshow_stats(c);
	else if (is(w, n, 2, "show", "status"))
		ask(c, process.parent, "status", w, 0);
	else if (is(w, n, 2, "update", "pki"))
		ask(c, process.parent, "pki", w, 0);
	else if (is(w, n, 2, "show", "tables"))
		ask(c, queue_lookup, "tables", w, 0);
	else if (is(w, n, 2, "show", "routes") || is(w, n, 2, "show", "hosts") ||
		 is(w, n, 2, "show", "sources"))
		ask_relay(c, w[1]);
	else if (n == 3 && is(w, 1, 1, "table", NULL) &&
		 (strcmp(w[2], "update") == 0 || strcmp(w[2], "restart") == 0))
		ask(c, queue_lookup, w[2], w, n);
	else if (n == 5 && is(w, 1, 1, "table", NULL) &&
		 (strcmp(w[2], "lookup") == 0 || strcmp(w[2], "check") == 0))
		ask(c, queue_lookup, w[2], w, n);
	else if (n == 6 && is(w, 1, 1, "table", NULL) && strcmp(w[2], "bench") == 0)
		bench(c, w);
	else if (n >= 2 && is(w, 1, 1, "explain", NULL))
		explain(c, w, n);
	else if (is(w, n, 2, "clock", NULL))
		controldo_clock(c, w[1]);
	else if (controldo_is_command(w[0]))
		controldo_command(c, w, n);
	else if (n >= 1 && (is(w, 1, 1, "pause", NULL) || is(w, 1, 1, "resume", NULL)))
		controldo_pause(c, w, n);
	else
		control_end(c, "not a request that is known");
}

static void
ask(struct control *c, struct ipc *whom, const char *verb, char **words, size_t n)
{
	ask_all(c, whom,
	    &(struct msg_ctl_ask){ .verb = verb,
		.table = n > 1 ? words[1] : "",
		.service = n > 3 ? words[3] : "",
		.key = n > 4 ? words[4] : "" });
}

static void
ask_relay(struct control *c, const char *what)
{
	if (queue_relay == NULL)
		control_end(c, "the daemon is restarting");
	else
		ask(c, queue_relay, what, NULL, 0);
}

static void
ask_all(struct control *c, struct ipc *whom, const struct msg_ctl_ask *q)
{
	c->asked = ipc_call(whom, MSG_CTL_ASK, q, on_ctl_end, c);
	c->ask = ipc_call_id(c->asked);
}

/* table NAME bench SERVICE N KEYS, an LF between the keys */
static void
bench(struct control *c, char **w)
{
	ask_all(c, queue_lookup,
	    &(struct msg_ctl_ask){ .verb = w[2],
		.table = w[1],
		.service = w[3],
		.in_flight = (uint32_t)strtoul(w[4], NULL, 10),
		.key = w[5] });
}

/* explain RCPT, then pairs of a word and its value in any order */
static void
explain(struct control *c, char **w, size_t n)
{
	struct msg_ctl_ask q = { .verb = "explain", .key = w[1] };

	for (size_t i = 2; i < n; i += 2) {
		const char **value = strcmp(w[i], "from") == 0     ? &q.sender
				     : strcmp(w[i], "client") == 0 ? &q.client
				     : strcmp(w[i], "auth") == 0   ? &q.auth
				     : strcmp(w[i], "tag") == 0    ? &q.tag
								   : NULL;
		if (value == NULL || i + 1 == n) {
			control_end(c, "explain RCPT [from SENDER] [client ADDR] [auth USER] "
				       "[tag TAG]");
			return;
		}
		*value = w[i + 1];
	}
	ask_all(c, queue_lookup, &q);
}

/* Rows of an answer to a client that has left find nobody. */
void
control_row(struct ipc *ipc, struct msg *msg, void *arg)
{
	const struct msg_ctl_row *r = msg->body;
	struct control *c;

	(void)ipc;
	(void)arg;
	if (*r->row == '\0' || strchr("SHRT", *r->row) == NULL || strchr(r->row, '\n') != NULL)
		return;
	TAILQ_FOREACH(c, &clients, entry)
		if (c->asked != NULL && c->ask == r->ask) {
			struct text t = { 0 };
			text_put(&t, r->row);
			control_put(c, &t);
			text_free(&t);
			return;
		}
}

static void
on_ctl_end(const struct msg *msg, void *arg)
{
	struct control *c = arg;
	const struct msg_ctl_end *e = msg == NULL ? NULL : msg->body;

	c->asked = NULL;
	if (e == NULL)
		control_end(c, "the daemon is restarting");
	else
		control_end(c, *e->error == '\0' ? NULL : e->error);
}

bool
control_room(struct control *c)
{
	return evbuffer_get_length(conn_out(c->conn)) < UNSENT_MAX;
}

void
control_put_line(struct control *c, const char *line)
{
	struct text t = { 0 };

	text_put(&t, line);
	control_put(c, &t);
	text_free(&t);
}

void
control_put(struct control *c, struct text *t)
{
	evbuffer_add(conn_out(c->conn), t->s, t->len);
	evbuffer_add(conn_out(c->conn), "\n", 1);
	t->len = 0;
	conn_send(c->conn);
}

void
control_again(struct control *c)
{
	event_add(c->again, &(struct timeval){ 0, 0 });
}

void
control_end(struct control *c, const char *error)
{
	struct text t = { 0 };

	c->step = NULL;
	select_free(&c->selected);
	if (error == NULL)
		row_line(&t, '.', NULL);
	else
		row_line(&t, '!', error, NULL);
	control_put(c, &t);
	text_free(&t);
	conn_deadline(c->conn, IDLE_SEC);
	control_again(c); /* the next request may be here already */
}

static void
on_drained(void *arg)
{
	struct control *c = arg;

	if (c->step != NULL) {
		conn_deadline(c->conn, ANSWER_SEC);
		control_again(c);
	}
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	struct control *c = arg;

	(void)fd;
	(void)what;
	if (c->step != NULL) {
		conn_deadline(
		    c->conn, ANSWER_SEC); /* it is at work, and not for the client's sake */
		c->step(c);
	} else {
		on_input(c);
	}
}

static void
on_end(enum conn_end how, int error, void *arg)
{
	(void)how;
	(void)error;
	drop(arg);
}

/* "0123456789ab", "0123456789ab.4". */
bool
control_parse_id(const char *text, uint64_t *id, int64_t *n)
{
	size_t len = strspn(text, "0123456789abcdefABCDEF");
	const char *number = text + len;

	if (len == 0 || len > 11 + 1)
		return false;
	*id = strtoull(text, NULL, 16);
	*n = -1;
	if (*number == '\0')
		return true;
	number++;
	len = strspn(number, "0123456789");
	if (number[-1] != '.' || len == 0 || len > 6 || number[len] != '\0')
		return false;
	*n = strtol(number, NULL, 10);
	return *n <= SPOOL_N_MAX;
}
