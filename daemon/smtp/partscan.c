/*
 * Looks for headers of parts in the body of a message in its stored form (LF line ends), in pieces: a line
 * that begins with "--" and more, then lines that are fields, up to one that is none.  Whether that is a
 * boundary which the header names is not asked: who is told that mail needs SMTPUTF8, though it would do
 * without, loses little, and the other way a server gets what it does not know.
 *
 * Called by body_head.c, for mail that came with SMTPUTF8 only (RFC 6531 3.2, "at any level").  Pure.
 */
#include "local.h"

#include <string.h>

/* What a byte makes of the states in which bytes are looked at one by one. */
static void
step(struct partscan *s, char c)
{
	switch (s->state) {
	case PART_LINE: s->state = c == '-' ? PART_DASH : c == '\n' ? PART_LINE : PART_BODY; break;
	case PART_DASH:
		s->state = c == '-' ? PART_DELIMITER : c == '\n' ? PART_LINE : PART_BODY;
		break;
	case PART_DELIMITER: /* "-- " is in front of a signature */
		s->state = c == '\n' ? PART_LINE : c == ' ' ? PART_BODY : PART_DELIMITER_REST;
		break;
	case PART_FIELD:
		s->state = c == '\n'               ? PART_LINE
			   : c == '-'              ? PART_DASH
			   : c == ' ' || c == '\t' ? PART_VALUE
			   : c > ' ' && c < 0x7f   ? PART_NAME
						   : PART_BODY;
		break;
	case PART_NAME:
		s->state = c == ':'               ? PART_VALUE
			   : c == '\n'            ? PART_LINE
			   : c >= ' ' && c < 0x7f ? PART_NAME
						  : PART_BODY;
		break;
	case PART_DELIMITER_REST:
	case PART_VALUE:
	case PART_BODY: break;
	}
}

static bool
has_high(const char *p, const char *end)
{
	for (; p < end; p++)
		if ((unsigned char)*p >= 0x80)
			return true;
	return false;
}

void
partscan_feed(struct partscan *s, const char *p, size_t len)
{
	const char *end = p + len;

	while (p < end && !s->high) {
		if (s->state < PART_DELIMITER_REST || s->state == PART_FIELD ||
		    s->state == PART_NAME) {
			step(s, *p++);
			continue;
		}
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		const char *stop = lf == NULL ? end : lf;
		if (s->state == PART_VALUE)
			s->high = has_high(p, stop);
		p = stop;
		if (lf != NULL) {
			s->state = s->state == PART_BODY ? PART_LINE : PART_FIELD;
			p++;
		}
	}
}
