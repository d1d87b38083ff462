/* A body on its way to a server; see client_body.h. */
#include "client_body.h"

#include <string.h>

/* A run of one line's bytes; a CR among them becomes a space. */
static char *
put_run(struct client_body *b, char *out, const char *data, size_t len)
{
	memcpy(out, data, len);
	for (char *cr = out; (cr = memchr(cr, '\r', (size_t)(out + len - cr))) != NULL;)
		*cr = ' ';
	b->line_len += len;
	return out + len;
}

/* A line that is too long goes on in the next, behind a blank: in a header that is folding. */
static char *
fold(struct client_body *b, char *out)
{
	memcpy(out, "\r\n ", 3);
	b->line_len = 1;
	return out + 3;
}

size_t
client_body_encode(struct client_body *b, const char *data, size_t len, char *out)
{
	const char *end = data + len;
	char *start = out;

	while (data < end) {
		const char *lf = memchr(data, '\n', (size_t)(end - data));
		size_t n = (size_t)((lf == NULL ? end : lf) - data);
		if (!b->in_line && *data == '.')
			*out++ = '.';
		b->in_line = true;
		while (b->line_len + n > CLIENT_LINE_MAX) {
			size_t fits = CLIENT_LINE_MAX - b->line_len;
			out = fold(b, put_run(b, out, data, fits));
			data += fits;
			n -= fits;
		}
		out = put_run(b, out, data, n);
		data += n;
		if (lf != NULL) {
			*out++ = '\r';
			*out++ = '\n';
			data++;
			b->in_line = false;
			b->line_len = 0;
		}
	}
	return (size_t)(out - start);
}

const char *
client_body_end(const struct client_body *b)
{
	return b->in_line ? "\r\n.\r\n" : ".\r\n";
}
