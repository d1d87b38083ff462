/* A body on its way to a server; see client_body.h. */
#include "client_body.h"

#include <string.h>

size_t
client_body_encode(struct client_body *b, const char *data, size_t len, char *out)
{
	const char *end = data + len;
	char *start = out;

	while (data < end) {
		if (!b->in_line && *data == '.')
			*out++ = '.';
		const char *lf = memchr(data, '\n', (size_t)(end - data));
		size_t n = (size_t)((lf == NULL ? end : lf) - data);
		memcpy(out, data, n);
		for (char *cr = out; (cr = memchr(cr, '\r', (size_t)(out + n - cr))) != NULL;)
			*cr = ' ';
		out += n;
		data += n;
		b->in_line = true;
		if (lf != NULL) {
			*out++ = '\r';
			*out++ = '\n';
			data++;
			b->in_line = false;
		}
	}
	return (size_t)(out - start);
}

const char *
client_body_end(const struct client_body *b)
{
	return b->in_line ? "\r\n.\r\n" : ".\r\n";
}
