/*
 * What a server answers to relay, and what relay makes of a body: any bytes, in any pieces.  What is
 * kept of a reply is one clean line; what is sent holds no bare CR or LF and no line of more than 998
 * bytes, and ends once.
 */
#include "../../daemon/relay/client_body.c"
#include "../../daemon/relay/target_reply.c"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check_replies(const char *data, size_t len)
{
	struct target_reply r = { 0 };

	while (len > 0) {
		ssize_t n = target_reply_line(&r, data, len);
		if (n <= 0)
			return;
		if ((size_t)n > len || r.text_len > TARGET_REPLY_TEXT || r.code < 200 ||
		    r.code > 599)
			abort();
		for (size_t i = 0; i < r.text_len; i++)
			if (r.text[i] < ' ' || r.text[i] > '~')
				abort();
		if (r.whole) {
			if (strlen(r.status) < 5 ||
			    (r.status[0] != '2' && r.status[0] != '4' && r.status[0] != '5'))
				abort();
			r = (struct target_reply){ 0 };
		}
		data += n;
		len -= (size_t)n;
	}
}

static void
check_body(const char *data, size_t len)
{
	struct client_body b = { 0 };
	char *out = malloc(2 * len + 16);
	size_t cut = len == 0 ? 0 : (unsigned char)data[0] % (len + 1), line = 0;

	if (out == NULL)
		return;
	size_t n = client_body_encode(&b, data, cut, out);
	if (n > 2 * cut + 3)
		abort();
	n += client_body_encode(&b, data + cut, len - cut, out + n);
	if (n > 2 * len + 6)
		abort();
	for (size_t i = 0; i < n; i++) {
		if (out[i] == '\n' && (i == 0 || out[i - 1] != '\r'))
			abort();
		if (out[i] == '\r' && (i + 1 == n || out[i + 1] != '\n'))
			abort();
		line = out[i] == '\n' ? 0 : line + 1;
		if (line > CLIENT_LINE_MAX + 2)
			abort();
		if (out[i] == '.' && line == 1 && (i + 1 == n || out[i + 1] != '.'))
			abort();
	}
	free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	check_replies((const char *)data, len);
	check_body((const char *)data, len);
	return 0;
}
