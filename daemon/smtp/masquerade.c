/*
 * The From field of a header, made to say whom the session has as its sender (`senders … masquerade`).
 *
 * Called by body_head.c with the whole header, lines ended by LF.  The author's display name stays, in
 * one plain form or not at all; other From fields go.  Pure.
 */
#include "local.h"
#include "text.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define NAME_MAX_LEN 200

/* Where the field that begins at p ends: its folded lines belong to it. */
static const char *
field_end(const char *p, const char *end)
{
	do {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		if (lf == NULL)
			return end;
		p = lf + 1;
	} while (p < end && (*p == ' ' || *p == '\t'));
	return p;
}

static bool
is_from(const char *p, size_t len)
{
	if (len < 5 || strncasecmp(p, "from", 4) != 0)
		return false;
	for (p += 4, len -= 4; len > 0 && (*p == ' ' || *p == '\t'); p++)
		len--;
	return len > 0 && *p == ':';
}

/* No quotes, or one at each end. */
static bool
is_quoted_well(const char *p, size_t len)
{
	const char *first = memchr(p, '"', len);

	if (first == NULL)
		return true;
	return first == p && len >= 2 && memchr(p + 1, '"', len - 1) == p + len - 1;
}

/* An encoded word (RFC 2047) may hold any address. */
static bool
is_plain(const char *p, size_t len)
{
	for (const char *end = p + len; p < end; p++)
		if (iscntrl((unsigned char)*p) || strchr("@,;:\\()<>[]", *p) != NULL ||
		    (*p == '=' && p + 1 < end && p[1] == '?'))
			return false;
	return true;
}

/* "Name <…>" of one mailbox: the name, when it is on one line and holds nothing that could deceive. */
static void
put_name(struct text *out, const char *field, size_t len)
{
	const char *colon = memchr(field, ':', len);
	const char *open = memchr(field, '<', len);

	if (open == NULL || memchr(open + 1, '<', len - (size_t)(open + 1 - field)) != NULL)
		return;
	const char *p = colon + 1, *end = open;
	while (p < end && *p == ' ')
		p++;
	while (end > p && end[-1] == ' ')
		end--;
	size_t name_len = (size_t)(end - p);
	if (name_len == 0 || name_len > NAME_MAX_LEN || !is_quoted_well(p, name_len) ||
	    !is_plain(p, name_len))
		return;
	text_putn(out, p, name_len);
	text_put(out, " ");
}

void
masquerade(struct text *out, const char *head, size_t len, const char *sender)
{
	const char *p = head, *end = head + len;
	bool done = false;

	while (p < end && *p != '\n') {
		const char *next = field_end(p, end);
		size_t field_len = (size_t)(next - p);
		if (!is_from(p, field_len)) {
			text_putn(out, p, field_len);
		} else if (!done) {
			text_put(out, "From: ");
			put_name(out, p, field_len);
			text_putf(out, "<%s>\n", sender);
			done = true;
		}
		p = next;
	}
	if (!done) {
		if (out->len > 0 && out->s[out->len - 1] != '\n')
			text_put(out, "\n");
		text_putf(out, "From: <%s>\n", sender);
	}
	text_putn(out, p, (size_t)(end - p));
}
