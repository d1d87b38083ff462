/*
 * What a helper says on its standard error, logged line by line under the table's name.
 *
 * Lines are cut to LINE_LEN, and of more than PER_SEC in a second the rest is only counted: a helper
 * that shouts must not fill the disk, nor hold up lookup.
 */
#include "local.h"
#include "clock.h"
#include "log.h"
#include "text.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <unistd.h>

#define LINE_LEN 400
#define PER_SEC  20

struct helperlog {
	const char *table;
	int fd; /* -1: it has ended */
	struct event readable;
	struct evbuffer *text;
	int64_t second; /* in which the last line came */
	unsigned lines; /* in that second */
};

static void on_readable(evutil_socket_t, short, void *);

struct helperlog *
helperlog_open(const char *table, int fd)
{
	struct helperlog *h = xcalloc(1, sizeof(*h));

	h->table = table;
	h->fd = fd;
	h->text = evbuffer_new();
	evutil_make_socket_nonblocking(fd);
	event_assign(&h->readable, process.base, fd, EV_READ | EV_PERSIST, on_readable, h);
	event_add(&h->readable, NULL);
	return h;
}

static void
end(struct helperlog *h)
{
	if (h->fd == -1)
		return;
	event_del(&h->readable);
	close(h->fd);
	h->fd = -1;
}

void
helperlog_close(struct helperlog *h)
{
	if (h == NULL)
		return;
	end(h);
	evbuffer_free(h->text);
	free(h);
}

static void
log_line(struct helperlog *h, const char *line)
{
	int64_t second = clock_mono_ms() / 1000;

	if (second != h->second) {
		if (h->lines > PER_SEC)
			log_info("table=%s event=stderr dropped=%u", h->table, h->lines - PER_SEC);
		h->second = second;
		h->lines = 0;
	}
	if (++h->lines <= PER_SEC)
		log_info("table=%s event=stderr text=%s", h->table, log_quote(line));
}

/* A line without its end is logged when it is too long to wait for, or when no more comes. */
static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct helperlog *h = arg;
	char buf[4096], *line;

	(void)what;
	ssize_t n = read(fd, buf, sizeof(buf));
	if (n > 0)
		evbuffer_add(h->text, buf, (size_t)n);
	while ((line = evbuffer_readln(h->text, NULL, EVBUFFER_EOL_LF)) != NULL) {
		log_line(h, line);
		free(line);
	}
	size_t rest;
	while ((rest = evbuffer_get_length(h->text)) > LINE_LEN || (n <= 0 && rest > 0)) {
		char part[LINE_LEN + 1];
		int got = evbuffer_remove(h->text, part, LINE_LEN);
		part[got > 0 ? got : 0] = '\0';
		log_line(h, part);
	}
	if (n == 0)
		end(h);
}
