/* A body on the wire: CRLF, dots doubled, no bare CR or LF; however it is cut into pieces. */
#include "client_body.h"

#include "tap.h"

static char out[4096];

/* Encodes in two pieces, cut at `cut`. */
static const char *
encode(const char *in, size_t len, size_t cut)
{
	struct client_body b = { 0 };
	size_t n = client_body_encode(&b, in, cut, out);

	n += client_body_encode(&b, in + cut, len - cut, out + n);
	strcpy(out + n, client_body_end(&b));
	return out;
}

static void
check(const char *in, const char *want, const char *name)
{
	size_t len = strlen(in), wrong = 0;

	for (size_t cut = 0; cut <= len; cut++)
		if (strcmp(encode(in, len, cut), want) != 0)
			wrong++;
	is(encode(in, len, 0), want, "%s", name);
	is_int(wrong, 0, "%s: cut anywhere", name);
}

/* No line is longer than 998 bytes, cut anywhere; those of 998 stay as they are. */
static void
long_lines(void)
{
	static char in[3100], want[3200];
	size_t n = 0;

	memset(in, 'x', 998);
	memcpy(in + 998, "\n", 2);
	snprintf(want, sizeof(want), "%.998s\r\n.\r\n", in);
	check(in, want, "998 bytes");
	memset(in, 'x', 2500);
	memcpy(in + 2500, "\n.\n", 4);
	for (size_t left = 2500, room = 998; left > 0; room = 997) {
		size_t some = left < room ? left : room;
		memset(want + n, 'x', some);
		n += some;
		left -= some;
		if (left > 0) {
			memcpy(want + n, "\r\n ", 3);
			n += 3;
		}
	}
	strcpy(want + n, "\r\n..\r\n.\r\n");
	check(in, want, "2500 bytes");
}

int
main(void)
{
	check("", ".\r\n", "nothing");
	check("a\n", "a\r\n.\r\n", "a line");
	check("a", "a\r\n.\r\n", "no line end at the end");
	check("\n", "\r\n.\r\n", "an empty line");
	check(".\n", "..\r\n.\r\n", "a dot");
	check(".a\n..b\nc.\n", "..a\r\n...b\r\nc.\r\n.\r\n", "dots");
	check("a\n\n.\n\nb\n", "a\r\n\r\n..\r\n\r\nb\r\n.\r\n", "a dot between empty lines");
	check("a\rb\r\n", "a b \r\n.\r\n", "no bare CR");
	check("\r.\r\n", " . \r\n.\r\n", "CR and a dot");
	check("h: v\n\n\xff\xfe\n", "h: v\r\n\r\n\xff\xfe\r\n.\r\n", "8-bit");

	long_lines();

	/* Random bodies: decoding gives them back. */
	unsigned wrong = 0;
	srandom(1);
	for (int round = 0; round < 20000; round++) {
		char in[64], back[256];
		size_t len = (size_t)random() % 60, n = 0;
		for (size_t i = 0; i < len; i++)
			in[i] = "\n.a\n. "[random() % 6];
		if (len == 0 || in[len - 1] != '\n')
			in[len++] = '\n';
		in[len] = '\0';
		encode(in, len, (size_t)random() % (len + 1));
		char *p = out;
		while (strcmp(p, ".\r\n") != 0) {
			char *end = strstr(p, "\r\n");
			if (end == NULL)
				break;
			if (*p == '.')
				p++;
			memcpy(back + n, p, (size_t)(end - p));
			n += (size_t)(end - p);
			back[n++] = '\n';
			p = end + 2;
		}
		if (strcmp(p, ".\r\n") != 0 || n != len || memcmp(back, in, len) != 0)
			wrong++;
	}
	is_int(wrong, 0, "20000 random bodies come back as they were");
	return done();
}
