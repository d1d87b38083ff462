/*
 * Reads the header of a message in its stored form (LF line ends), in pieces: how many Received
 * fields it has (loops, RFC 5321 6.3), and whether Date and Message-ID are there.
 *
 * Called by body_head.c.  The header ends at an empty line, or at a line that is no field.  Pure.
 */
#include "local.h"

#include <string.h>
#include <strings.h>

static void got_name(struct headscan *);

size_t
headscan_feed(struct headscan *h, const char *text, size_t len)
{
	const char *p = text, *end = p + len;

	while (p < end && !h->over) {
		switch (h->state) {
		case HEAD_LINE:
			h->name_len = 0;
			if (*p == '\n')
				h->over = true;
			else if ((*p == ' ' || *p == '\t') && !h->some)
				h->over = h->malformed = true;
			else
				h->state = *p == ' ' || *p == '\t' ? HEAD_REST : HEAD_NAME;
			break;
		case HEAD_NAME:
		case HEAD_SPACE:
			if (*p == ':' && h->name_len > 0) {
				got_name(h);
				h->state = HEAD_REST;
			} else if (*p == ' ' || *p == '\t') {
				h->state = HEAD_SPACE;
			} else if (*p <= ' ' || *p >= 0x7f || *p == ':' || h->state == HEAD_SPACE) {
				h->over = h->malformed = true;
			} else if (h->name_len < sizeof(h->name)) {
				h->name[h->name_len++] = *p;
			}
			p++;
			break;
		case HEAD_REST:
			p = memchr(p, '\n', (size_t)(end - p));
			if (p == NULL)
				return len;
			h->state = HEAD_LINE;
			p++;
			break;
		}
	}
	return (size_t)(p - text);
}

/* A longer name than fits is cut at 15 bytes, which none of ours has. */
static bool
is_named(const struct headscan *h, const char *name)
{
	return h->name_len == strlen(name) && strncasecmp(h->name, name, h->name_len) == 0;
}

static void
got_name(struct headscan *h)
{
	h->some = true;
	if (is_named(h, "received"))
		h->received++;
	else if (is_named(h, "date"))
		h->date = true;
	else if (is_named(h, "message-id"))
		h->message_id = true;
}
