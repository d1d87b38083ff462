/*
 * What a client sends after DATA (RFC 5321 4.5.2), as a state machine: it ends with CRLF.CRLF and
 * nothing else, wherever the pieces are cut.
 *
 * Called by body.c; with `chunked` for BDAT, where a dot is a dot and the length ends it.  A CR without LF, an LF without CR or a NUL makes the message one to be
 * refused, and never ends it: so no two servers can see two messages where one was sent (security
 * row 10).  Pure.  What is stored has LF line ends and no stuffed dots.
 */
#include "local.h"

#include <string.h>

const char data_bare[] = "550 5.6.0 the message holds a bare CR, a bare LF or a NUL";

static bool has_high_bit(const char *p, size_t len);

/* The middle of a line, up to its CR.  Returns where it stopped. */
static const char *
take_text(struct data *d, const char *p, const char *end, char **out)
{
	const char *cr = memchr(p, '\r', (size_t)(end - p));
	size_t len = (size_t)((cr == NULL ? end : cr) - p);

	if (memchr(p, '\n', len) != NULL || memchr(p, '\0', len) != NULL)
		d->bare = true;
	if (!d->eightbit && has_high_bit(p, len))
		d->eightbit = true;
	if (*out != NULL) {
		memcpy(*out, p, len);
		*out += len;
	}
	d->size += len;
	if (cr == NULL)
		return end;
	d->state = DATA_CR;
	return cr + 1;
}

/* After a CR that no LF followed: it was bare, and *p is looked at anew. */
static void
bare_cr(struct data *d)
{
	d->bare = true;
	d->size++;
	d->state = DATA_TEXT;
}

size_t
data_feed(struct data *d, const char *in, size_t in_len, char *out, size_t *out_len)
{
	const char *p = in, *end = in + in_len;
	char *o = out;

	while (p < end && d->state != DATA_ENDED) {
		switch (d->state) {
		case DATA_LINE_START:
			if (*p == '.' && !d->chunked) {
				d->state = DATA_DOT;
				p++;
			} else {
				d->state = DATA_TEXT;
			}
			break;
		case DATA_DOT:
			if (*p == '\r') {
				d->state = DATA_DOT_CR;
				p++;
			} else {
				d->state = DATA_TEXT;
			}
			break;
		case DATA_DOT_CR:
			if (*p == '\n') {
				d->state = DATA_ENDED;
				p++;
			} else {
				bare_cr(d);
			}
			break;
		case DATA_TEXT: p = take_text(d, p, end, &o); break;
		case DATA_CR:
			if (*p == '\n') {
				d->state = DATA_LINE_START;
				d->size += 2;
				if (o != NULL)
					*o++ = '\n';
				p++;
			} else {
				bare_cr(d);
			}
			break;
		case DATA_ENDED: break;
		}
	}
	*out_len = out == NULL ? 0 : (size_t)(o - out);
	return (size_t)(p - in);
}

/* The last chunk is over: a CR at its end is a bare one. */
void
data_end(struct data *d)
{
	if (d->state == DATA_CR)
		d->bare = true;
}

static bool
has_high_bit(const char *p, size_t len)
{
	uint64_t all = 0, word;

	for (; len >= sizeof(word); p += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		all |= word;
	}
	for (; len > 0; p++, len--)
		all |= (unsigned char)*p;
	return (all & 0x8080808080808080u) != 0;
}
