/* A message as programs give it to sendmail. */
#include "tap.h"

#include "ctl/local.h"

#include <sysexits.h>

static struct letter
read_text(const char *text, size_t len, bool dot_ends)
{
	struct letter m = { 0 };
	int code = 0;
	FILE *in = len == 0 ? fopen("/dev/null", "r") : fmemopen((char *)(uintptr_t)text, len, "r");

	ok(in != NULL && letter_read(&m, in, dot_ends, &code) == NULL, "read %zu bytes", len);
	fclose(in);
	return m;
}

#define READ(s, dot) read_text(s, sizeof(s) - 1, dot)

int
main(void)
{
	struct letter m = READ("To: a\r\nSubject: b\r\n\r\nc\r\n.\r\nd\r\n", true);
	is(m.data, "To: a\nSubject: b\n\nc\n", "CRLF becomes LF, a dot ends");
	is_int(m.header_len, strlen("To: a\nSubject: b\n"), "the header's length");
	ok(!m.eightbit, "7-bit");
	letter_prepend(&m, "From: x\n");
	is(m.data, "From: x\nTo: a\nSubject: b\n\nc\n", "From in front");
	is_int(m.header_len, strlen("From: x\nTo: a\nSubject: b\n"), "the header has grown");
	letter_free(&m);

	m = READ("To: a\n\n.\n..\nb", false);
	is(m.data, "To: a\n\n.\n..\nb\n", "-i: dots are text; the last line gets its end");
	letter_free(&m);

	m = READ("hello\n", true);
	is_int(m.header_len, 0, "no header");
	letter_prepend(&m, "From: x\n");
	is(m.data, "From: x\n\nhello\n", "an empty line comes between");
	letter_free(&m);

	m = READ("", true);
	letter_prepend(&m, "From: x\n");
	is(m.data, "From: x\n\n", "an empty message");
	letter_free(&m);

	m = READ("To: a\n", true);
	letter_prepend(&m, "From: x\n");
	is(m.data, "From: x\nTo: a\n\n", "a header without its end");
	letter_free(&m);

	m = READ("\nbody: text\n", true);
	is_int(m.header_len, 0, "an empty header");
	letter_prepend(&m, "From: x\n");
	is(m.data, "From: x\n\nbody: text\n", "no second empty line");
	letter_free(&m);

	m = READ("A: b\n c\nnot a field\nD: e\n", true);
	is_int(m.header_len, strlen("A: b\n c\n"), "the header ends where no field is");
	letter_free(&m);

	m = READ("From bob Mon Nov 23 20:48:57 2026\nTo: a\nBcc: s\n\nFrom b\n", true);
	letter_strip_bcc(&m);
	is(m.data, "To: a\n\nFrom b\n", "a mailbox's line and Bcc go, the body stays");
	is_int(m.len, strlen(m.data), "length after Bcc");
	letter_free(&m);

	m = READ("To: a\n\n\xc3\xa4\n", true);
	ok(m.eightbit, "8-bit");
	letter_free(&m);

	m = READ("a\0b\n\n", true);
	is_int(m.len, 5, "a NUL is kept");
	letter_free(&m);

	struct text t = { 0 };
	letter_from(&t, "Bob Public", "bob@x.org");
	letter_from(&t, "Bob Q. Public", "bob@x.org");
	letter_from(&t, "B\"ob\\", "bob@x.org");
	letter_from(&t, "", "bob@x.org");
	letter_from(&t,
	    "B\xc3\xb6"
	    "b",
	    "bob@x.org");
	letter_from(&t, "B\nEvil: x", "bob@x.org");
	is(t.s,
	    "From: Bob Public <bob@x.org>\nFrom: \"Bob Q. Public\" <bob@x.org>\n"
	    "From: \"B\\\"ob\\\\\" <bob@x.org>\nFrom: bob@x.org\n"
	    "From: =?UTF-8?B?QsO2Yg==?= <bob@x.org>\n"
	    "From: =?UTF-8?B?QgpFdmlsOiB4?= <bob@x.org>\n",
	    "From fields");
	t.len = 0;
	char name[121];
	for (int i = 0; i < 120; i += 2)
		memcpy(name + i, "\xc3\xb6", 2);
	name[120] = '\0';
	letter_from(&t, name, "b");
	size_t word = 0, longest = 0;
	for (char *p = t.s; *p != '\0'; p++) {
		word = *p == ' ' ? 0 : word + 1;
		longest = word > longest ? word : longest;
	}
	ok(longest <= 75, "an encoded word has at most 75 characters: %zu", longest);
	text_free(&t);

	static const char *const gecos[][3] = { { "Bob Public,Room 1,,", "bob", "Bob Public" },
		{ "& Public", "bob", "Bob Public" }, { "", "bob", "" }, { ",", "bob", "" } };
	for (size_t i = 0; i < sizeof(gecos) / sizeof(gecos[0]); i++) {
		char *full = letter_full_name(gecos[i][0], gecos[i][1]);
		is(full, gecos[i][2], "the name in \"%s\"", gecos[i][0]);
		free(full);
	}
	return done();
}
