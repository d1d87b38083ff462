/*
 * The SMTP client of sendmail: hands a message to tabmaild's submission socket.  Called by
 * sendmail.c; talks to smtp.  It waits and blocks: it has one thing to do.
 *
 * MAIL and all RCPTs go out together.  One recipient put off (4xx): nothing is sent and the exit
 * code says "try again", so a caller that does makes no doubles.  Some refused for good: they are
 * named, the others get the message, and the exit code says that not all did.
 */
#include "local.h"
#include "utf8.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#define SERVER_SILENT_SEC 300 /* RFC 5321 4.5.3.2; the dot may take 600 */
#define REPLY_LEN         16384

struct client {
	int fd;
	struct submission *sub;
	char in[4096];
	size_t in_len, in_at;
	int code;                  /* of the last reply; 0: the connection has ended */
	char reply[REPLY_LEN];     /* its lines without codes, LF between them */
	char host[DOMAIN_MAX + 1]; /* the server's name */
	bool eightbit, dsn, size, utf8;
};

static int greet(struct client *);
static int envelope(struct client *);
static int say_rcpts(struct client *);
static int data(struct client *);
static void put_body(struct text *, const struct letter *);
static bool get_reply(struct client *);
static bool say(struct client *, const struct text *);
static bool say_line(struct client *, const char *line);
static int exit_code_of(const struct client *);
static int complain(const struct client *, const char *what);

int
submission_send(struct submission *sub)
{
	int fd = ask_connect(sub->socket_path);

	return fd == -1 ? EX_TEMPFAIL : submission_send_on(fd, sub);
}

int
submission_send_on(int fd, struct submission *sub)
{
	struct timeval silent = { .tv_sec = 2L * SERVER_SILENT_SEC };
	struct client *c = xcalloc(1, sizeof(*c));
	int code;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silent, sizeof(silent));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &silent, sizeof(silent));
	c->fd = fd;
	c->sub = sub;
	code = greet(c);
	if (c->code != 0)
		say_line(c, "QUIT");
	close(fd);
	free(c);
	return code;
}

/* The banner, and what the server can. */
static int
greet(struct client *c)
{
	char name[256] = "localhost";
	char *line, *rest = c->reply;

	if (!get_reply(c) || c->code / 100 != 2)
		return complain(c, "tabmaild");
	if (gethostname(name, sizeof(name) - 1) == -1 || !addr_is_domain(name))
		memcpy(name, "localhost", sizeof("localhost"));
	struct text hello = { 0 };
	text_putf(&hello, "EHLO %s\r\n", name);
	bool sent = say(c, &hello);
	text_free(&hello);
	if (!sent || !get_reply(c) || c->code / 100 != 2)
		return complain(c, "EHLO");
	for (bool first = true; (line = strsep(&rest, "\n")) != NULL; first = false) {
		if (first) {
			line[strcspn(line, " ")] = '\0';
			snprintf(
			    c->host, sizeof(c->host), "%s", addr_is_domain(line) ? line : name);
		}
		c->eightbit = c->eightbit || strcasecmp(line, "8BITMIME") == 0;
		c->utf8 = c->utf8 || strcasecmp(line, "SMTPUTF8") == 0;
		c->dsn = c->dsn || strcasecmp(line, "DSN") == 0;
		c->size = c->size || strncasecmp(line, "SIZE", 4) == 0;
	}
	return envelope(c);
}

/* The address as text, the host's name put where it has none. */
static const char *
full_address(const struct client *c, const struct addr *a, char buf[ADDR_TEXT_LEN])
{
	struct addr full = *a;

	if (full.local[0] != '\0' && full.domain[0] == '\0')
		snprintf(full.domain, sizeof(full.domain), "%s", c->host);
	return addr_text(&full, buf);
}

/* RFC 3461 4 */
static void
put_xtext(struct text *t, const char *s)
{
	for (; *s != '\0'; s++) {
		unsigned char u = (unsigned char)*s;
		if (u > ' ' && u < 0x7f && u != '+' && u != '=')
			text_putn(t, s, 1);
		else
			text_putf(t, "+%02X", (unsigned)u);
	}
}

/* RFC 1870: with CRLF at the lines' ends, without dots doubled. */
static size_t
sent_len(const struct letter *m)
{
	size_t n = m->len;

	for (size_t i = 0; i < m->len; i++)
		n += m->data[i] == '\n';
	return n;
}

/* An address, or the header, is in UTF-8 (RFC 6531 3.4); other octets beyond ASCII are sent as ever. */
static bool
needs_utf8(const struct submission *sub)
{
	const struct letter *m = sub->message;
	bool beyond = !utf8_is_ascii(sub->sender.local);
	uint32_t code;

	for (size_t i = 0; i < sub->rcpts->n && !beyond; i++)
		beyond = !utf8_is_ascii(sub->rcpts->addrs[i].local);
	if (beyond || !utf8_has_high(m->data, m->header_len))
		return beyond;
	for (size_t at = 0, n; at < m->header_len; at += n)
		if ((n = utf8_char_within(m->data + at, m->header_len - at, &code)) == 0)
			return false;
	return true;
}

static int
envelope(struct client *c)
{
	struct submission *sub = c->sub;
	struct text t = { 0 };
	char address[ADDR_TEXT_LEN];

	if (sub->add_from &&
	    !rcpts_header_has(sub->message->data, sub->message->header_len, "From")) {
		letter_from(&t, sub->full_name, full_address(c, &sub->from, address));
		letter_prepend(sub->message, t.s);
		t.len = 0;
	}
	text_putf(&t, "MAIL FROM:<%s>", full_address(c, &sub->sender, address));
	if (c->size)
		text_putf(&t, " SIZE=%zu", sent_len(sub->message));
	if (c->eightbit && sub->message->eightbit)
		text_put(&t, " BODY=8BITMIME");
	if (c->utf8 && needs_utf8(sub))
		text_put(&t, " SMTPUTF8");
	if (c->dsn && sub->ret != NULL)
		text_putf(&t, " RET=%s", sub->ret);
	if (c->dsn && sub->envid != NULL) {
		text_put(&t, " ENVID=");
		put_xtext(&t, sub->envid);
	}
	text_put(&t, "\r\n");
	bool sent = say(c, &t);
	text_free(&t);
	if (!sent)
		return complain(c, "MAIL");
	return say_rcpts(c);
}

/* Recipients go out in runs, so that neither side waits with a full buffer for the other. */
#define RUN 50

static int
say_rcpts(struct client *c)
{
	const struct rcpts *r = c->sub->rcpts;
	size_t accepted = 0, later = 0;
	bool mail_read = false;
	int code = EX_OK;
	char address[ADDR_TEXT_LEN];

	for (size_t at = 0; at < r->n; at += RUN) {
		struct text t = { 0 };
		size_t end = at + RUN < r->n ? at + RUN : r->n;
		for (size_t i = at; i < end; i++) {
			text_putf(&t, "RCPT TO:<%s>", full_address(c, &r->addrs[i], address));
			if (c->dsn && c->sub->notify != NULL)
				text_putf(&t, " NOTIFY=%s", c->sub->notify);
			text_put(&t, "\r\n");
		}
		bool sent = say(c, &t);
		text_free(&t);
		if (!sent)
			return complain(c, "RCPT");
		if (!mail_read && (!get_reply(c) || c->code / 100 != 2))
			return complain(c, full_address(c, &c->sub->sender, address));
		mail_read = true;
		for (size_t i = at; i < end; i++) {
			if (!get_reply(c))
				return complain(c, "RCPT");
			if (c->code / 100 == 2) {
				accepted++;
				continue;
			}
			int this = complain(c, full_address(c, &r->addrs[i], address));
			later += this == EX_TEMPFAIL;
			if (code != EX_UNAVAILABLE)
				code = this;
		}
	}
	if (later > 0) {
		safe_warn("nothing was sent; try again later");
		return EX_TEMPFAIL;
	}
	if (accepted == 0)
		return code;
	int sent = data(c);
	return sent == EX_OK ? code : sent;
}

static int
data(struct client *c)
{
	struct text t = { 0 };

	if (!say_line(c, "DATA") || !get_reply(c) || c->code / 100 != 3)
		return c->code / 100 == 2 ? EX_PROTOCOL : complain(c, "DATA");
	put_body(&t, c->sub->message);
	bool verbose = c->sub->verbose;
	c->sub->verbose = false;
	bool sent = say(c, &t);
	c->sub->verbose = verbose;
	text_free(&t);
	if (!sent || !get_reply(c) || c->code / 100 != 2)
		return complain(c, "the message");
	return EX_OK;
}

/* CRLF at the lines' ends, a dot doubled at their start, the dot that ends it (RFC 5321 4.5.2). */
static void
put_body(struct text *t, const struct letter *m)
{
	const char *p = m->data, *end = m->data + m->len;

	while (p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		size_t len = lf == NULL ? (size_t)(end - p) : (size_t)(lf - p);
		if (*p == '.')
			text_put(t, ".");
		text_putn(t, p, len);
		text_put(t, "\r\n");
		p += len + 1;
	}
	text_put(t, ".\r\n");
}

static int
get_byte(struct client *c)
{
	if (c->in_at == c->in_len) {
		ssize_t n;
		while ((n = read(c->fd, c->in, sizeof(c->in))) == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		c->in_at = 0;
		c->in_len = (size_t)n;
	}
	return (unsigned char)c->in[c->in_at++];
}

/* Reads a line without its end into buf, what is too long cut off.  False: the connection's end. */
static bool
get_line(struct client *c, char *buf, size_t size)
{
	size_t n = 0;
	int b;

	while ((b = get_byte(c)) != -1 && b != '\n')
		if (n + 1 < size && b != '\0')
			buf[n++] = (char)b;
	if (n > 0 && buf[n - 1] == '\r')
		n--;
	buf[n] = '\0';
	return b == '\n';
}

/* Reads a reply into code and reply; false when there is none, and code is 0. */
static bool
get_reply(struct client *c)
{
	char line[1024] = "";
	size_t used = 0;
	bool more = true;

	c->code = 0;
	c->reply[0] = '\0';
	while (more) {
		if (!get_line(c, line, sizeof(line)))
			return false;
		if (c->sub->verbose)
			safe_warn("<<< %s", line);
		if (strspn(line, "0123456789") != 3 || strchr(" -", line[3]) == NULL) {
			snprintf(c->reply, sizeof(c->reply), "no SMTP reply: %s", line);
			return false;
		}
		more = line[3] == '-';
		const char *text = line[3] == '\0' ? "" : line + 4;
		if (used + strlen(text) + 2 < sizeof(c->reply))
			used += (size_t)snprintf(c->reply + used, sizeof(c->reply) - used, "%s%s",
			    used > 0 ? "\n" : "", text);
	}
	c->code = (int)strtol(line, NULL, 10);
	return true;
}

static bool
say(struct client *c, const struct text *t)
{
	if (c->sub->verbose) {
		char *copy = xstrdup(t->s), *rest = copy, *line;
		while ((line = strsep(&rest, "\r")) != NULL) {
			line += *line == '\n';
			if (*line != '\0')
				safe_warn(">>> %s", line);
		}
		free(copy);
	}
	for (size_t sent = 0; sent < t->len;) {
		ssize_t n = send(c->fd, t->s + sent, t->len - sent, MSG_NOSIGNAL);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) { /* a last word of the server may be there */
			if (!get_reply(c))
				c->code = 0;
			return false;
		}
		sent += (size_t)n;
	}
	return true;
}

static bool
say_line(struct client *c, const char *line)
{
	struct text t = { 0 };

	text_putf(&t, "%s\r\n", line);
	bool sent = say(c, &t);
	text_free(&t);
	return sent;
}

/* By the enhanced status code (RFC 3463) where there is one: X.1.1 is no such mailbox. */
static int
exit_code_of(const struct client *c)
{
	if (c->code / 100 == 4 || c->code == 0)
		return EX_TEMPFAIL;
	if (strncmp(c->reply, "5.1.1 ", 6) == 0)
		return EX_NOUSER;
	return EX_UNAVAILABLE;
}

/* Names what was refused, with the server's words; the exit code. */
static int
complain(const struct client *c, const char *what)
{
	struct text words = { 0 };

	for (const char *p = c->reply; *p != '\0'; p++)
		text_putn(&words, *p == '\n' ? " " : p, 1);
	if (c->code == 0)
		safe_warn("%s: tabmaild has ended the connection%s%s", what,
		    words.len > 0 ? ": " : "", words.len > 0 ? words.s : "");
	else
		safe_warn("%s: %d %s", *what == '\0' ? "<>" : what, c->code,
		    words.len > 0 ? words.s : "");
	text_free(&words);
	return exit_code_of(c);
}

struct pipe_end {
	int from, to;
	char tail[8]; /* the last bytes that went through */
};

/* Copies what there is; false at the end of it. */
static bool
copy(struct pipe_end *e)
{
	char buf[16384];
	ssize_t n = read(e->from, buf, sizeof(buf));

	if (n == -1 && (errno == EINTR || errno == EAGAIN))
		return true;
	for (ssize_t at = 0; at < n;) {
		ssize_t w = write(e->to, buf + at, (size_t)(n - at));
		if (w == -1 && errno == EINTR)
			continue;
		if (w == -1)
			return false;
		at += w;
	}
	for (ssize_t i = n > 8 ? n - 8 : 0; i < n; i++) {
		memmove(e->tail, e->tail + 1, sizeof(e->tail) - 1);
		e->tail[sizeof(e->tail) - 1] = buf[i];
	}
	return n > 0;
}

/*
 * After QUIT the server ends the session when all before it has been answered; who only stops
 * talking is a client that has gone.
 */
int
submission_pipe(const char *socket_path, int in, int out)
{
	int fd = ask_connect(socket_path);
	struct pipe_end to_server = { .from = in, .to = fd }, to_client = { .from = fd, .to = out };
	struct pollfd pfds[2] = { { .fd = in, .events = POLLIN }, { .fd = fd, .events = POLLIN } };

	if (fd == -1)
		return EX_TEMPFAIL;
	for (;;) {
		if (poll(pfds, 2, -1) == -1) {
			if (errno == EINTR)
				continue;
			break;
		}
		if (pfds[1].revents != 0 && !copy(&to_client))
			break;
		if (pfds[0].fd != -1 && pfds[0].revents != 0 && !copy(&to_server)) {
			pfds[0].fd = -1;
			if (strncasecmp(to_server.tail + 2, "QUIT\r\n", 6) != 0)
				shutdown(fd, SHUT_WR);
		}
	}
	close(fd);
	return EX_OK;
}
