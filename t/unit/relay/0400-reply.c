/* Replies of a server: any bytes are safe, what is kept is one clean line. */
#include "target_reply.h"

#include "tap.h"

static struct target_reply
feed(const char *data, size_t len, size_t *used, ssize_t *last)
{
	struct target_reply r = { 0 };

	*used = 0;
	do {
		*last = target_reply_line(&r, data + *used, len - *used);
		if (*last > 0)
			*used += (size_t)*last;
	} while (*last > 0 && !r.whole);
	return r;
}

#define FEED(s) feed(s, sizeof(s) - 1, &used, &last)

int
main(void)
{
	size_t used;
	ssize_t last;
	struct target_reply r = FEED("250 2.1.5 Ok\r\n");

	is_int(r.code, 250, "code");
	ok(r.whole, "a line is a whole reply");
	is(r.status, "2.1.5", "enhanced status");
	is(r.text, "250 2.1.5 Ok", "text");
	is_int(used, 14, "bytes used");

	r = FEED("250 ok\r\n354 go\r\n");
	is_int(used, 8, "stops at the end of the first reply");
	is(r.status, "2.0.0", "a status is made from the code");

	r = FEED("550-5.7.1 one\r\n550-5.7.1 two\r\n550 5.7.1 three\r\n");
	is_int(r.code, 550, "several lines");
	is(r.text, "550 5.7.1 one two three", "lines are joined, the status is said once");
	is(r.status, "5.7.1", "status of several lines");

	r = FEED("553-\n553\n");
	is_int(r.code, 553, "bare LF, and nothing behind the code");
	is(r.text, "553", "no text");
	is(r.status, "5.0.0", "status 5.0.0");

	r = FEED("550 a\0b\x01\x7f\xff\tc\rd\r\n");
	is(r.text, "550 a?b??? c?d", "NUL, controls, 8-bit, CR are made safe");

	r = FEED("450 5.1.1 mixed\r\n");
	is(r.status, "4.0.0", "a status of another class than the code is not believed");
	r = FEED("250 2.1.5000 x\r\n");
	is(r.status, "2.0.0", "no status: four digits");
	r = FEED("250 2.1\r\n");
	is(r.status, "2.0.0", "no status: two numbers");

	FEED("250 ok");
	is_int(last, 0, "half a line: more is needed");
	FEED("25\r\n");
	is_int(last, -1, "two digits are no reply");
	FEED("650 x\r\n");
	is_int(last, -1, "6xx is no reply");
	FEED("SSH-2.0-x\r\n");
	is_int(last, -1, "another protocol is no reply");
	FEED("2500 x\r\n");
	is_int(last, -1, "four digits are no reply");
	FEED("\r\n");
	is_int(last, -1, "an empty line is no reply");

	static char big[TARGET_REPLY_MAX + 100];
	memset(big, 'x', sizeof(big));
	memcpy(big, "550 ", 4);
	feed(big, TARGET_REPLY_MAX - 1, &used, &last);
	is_int(last, 0, "a long line, not ended yet");
	feed(big, sizeof(big), &used, &last);
	is_int(last, -1, "a line without end is given up");
	for (size_t i = 0; i + 10 <= sizeof(big); i += 10)
		memcpy(big + i, "550-abcd\r\n", 10);
	r = feed(big, sizeof(big), &used, &last);
	is_int(last, -1, "lines without end are given up");
	ok(used <= TARGET_REPLY_MAX && strlen(r.text) <= TARGET_REPLY_TEXT, "all is bounded");

	/* Byte by byte: the same. */
	const char text[] = "250-mx.example\r\n250-SIZE 1000\r\n250 DSN\r\n";
	size_t at = 0;
	r = (struct target_reply){ 0 };
	for (size_t have = 1; have < sizeof(text); have++) {
		ssize_t n = target_reply_line(&r, text + at, have - at);
		if (n > 0)
			at += (size_t)n;
	}
	ok(r.whole && at == sizeof(text) - 1, "byte by byte");
	is(r.text, "250 mx.example SIZE 1000 DSN", "byte by byte: text");
	return done();
}
