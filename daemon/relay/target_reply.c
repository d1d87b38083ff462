/* Replies of the server that relay talks to; see target_reply.h. */
#include "target_reply.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static bool parse_code(const char *line, size_t len, unsigned *code, bool *last);
static void find_status(struct target_reply *);
static void add_text(struct target_reply *, const char *text, size_t len);

ssize_t
target_reply_line(struct target_reply *r, const char *data, size_t len)
{
	const char *lf = memchr(data, '\n', len);
	unsigned code;
	bool last;

	if (lf == NULL)
		return r->len + len >= TARGET_REPLY_MAX ? -1 : 0;
	size_t used = (size_t)(lf - data) + 1, line_len = used - 1;
	if (line_len > 0 && data[line_len - 1] == '\r')
		line_len--;
	if (r->len + used > TARGET_REPLY_MAX || !parse_code(data, line_len, &code, &last))
		return -1;
	bool first = r->len == 0;
	r->len += used;
	r->code = code; /* of the last line, should a server mix them */
	r->line = line_len > 4 ? data + 4 : data + line_len;
	r->line_len = line_len > 4 ? line_len - 4 : 0;
	if (first) {
		r->text_len = (size_t)snprintf(r->text, sizeof(r->text), "%03u", code);
		find_status(r);
	}
	add_text(r, r->line, r->line_len);
	r->whole = last;
	char class = (char)('0' + (code / 100 == 3 ? 2 : code / 100));
	if (last && r->status[0] != class)
		memcpy(r->status, (char[]){ class, '.', '0', '.', '0', '\0' }, 6);
	return (ssize_t)used;
}

static bool
parse_code(const char *line, size_t len, unsigned *code, bool *last)
{
	if (len < 3 || line[0] < '2' || line[0] > '5' || !isdigit((unsigned char)line[1]) ||
	    !isdigit((unsigned char)line[2]))
		return false;
	*code = (unsigned)((line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0'));
	*last = len == 3 || line[3] != '-';
	return len == 3 || line[3] == ' ' || line[3] == '-';
}

/* RFC 2034: class "." subject "." detail in front of the text, up to three digits each. */
static void
find_status(struct target_reply *r)
{
	const char *s = r->line, *end = r->line + r->line_len;
	int part;

	r->status[0] = '\0';
	for (part = 0; part < 3; part++) {
		int digits = 0;
		while (s < end && isdigit((unsigned char)*s)) {
			s++;
			digits++;
		}
		if (digits == 0 || digits > 3 || (part == 0 && digits > 1))
			return;
		if (part < 2 && (s == end || *s++ != '.'))
			return;
	}
	if (s < end && *s != ' ' && *s != '\t')
		return;
	memcpy(r->status, r->line, (size_t)(s - r->line));
	r->status[s - r->line] = '\0';
}

/* A further line repeats the status; once is enough. */
static void
add_text(struct target_reply *r, const char *text, size_t len)
{
	size_t status_len = strlen(r->status);

	if (r->text_len > 3 && status_len > 0 && len > status_len &&
	    memcmp(text, r->status, status_len) == 0 && text[status_len] == ' ') {
		text += status_len + 1;
		len -= status_len + 1;
	}
	if (len == 0 || r->text_len + 1 >= TARGET_REPLY_TEXT)
		return;
	r->text[r->text_len++] = ' ';
	for (size_t i = 0; i < len && r->text_len < TARGET_REPLY_TEXT; i++) {
		unsigned char c = (unsigned char)text[i];
		r->text[r->text_len++] = c == '\t' ? ' ' : c < 0x20 || c >= 0x7f ? '?' : (char)c;
	}
	r->text[r->text_len] = '\0';
}
