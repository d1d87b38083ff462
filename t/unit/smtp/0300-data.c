/* The data of a message: its one end, stuffed dots, and every way to fake an end. */
#include "smtp/local.h"
#include "tap.h"

struct result {
	struct data data;
	size_t used, len;
	char out[4096];
};

static void
feed(struct result *r, const char *in, size_t len, size_t step)
{
	*r = (struct result){ 0 };
	while (r->used < len && r->data.state != DATA_ENDED) {
		size_t n = len - r->used < step ? len - r->used : step, got;
		r->used += data_feed(&r->data, in + r->used, n, r->out + r->len, &got);
		r->len += got;
	}
}

/* What is fed in pieces of any size gives the same. */
static void
same_in_pieces(const char *in, size_t len, const char *name)
{
	struct result whole, pieces;
	bool same = true;

	feed(&whole, in, len, len);
	for (size_t step = 1; step < 8; step++) {
		feed(&pieces, in, len, step);
		same &= pieces.used == whole.used && pieces.data.state == whole.data.state &&
			pieces.data.bare == whole.data.bare && pieces.data.size == whole.data.size;
		if (!whole.data.bare)
			same &= pieces.len == whole.len &&
				memcmp(pieces.out, whole.out, whole.len) == 0;
	}
	ok(same, "%s: whole and in pieces", name);
}

static void
good(const char *in, const char *want, const char *name)
{
	struct result r;

	feed(&r, in, strlen(in), strlen(in));
	ok(r.data.state == DATA_ENDED && !r.data.bare, "%s: ends, and is good", name);
	is_int(r.used, strstr(in, "NOOP") == NULL ? strlen(in) : (size_t)(strstr(in, "NOOP") - in),
	    "%s: takes no more than its own", name);
	is(r.out, want, "%s: what is stored", name);
	same_in_pieces(in, strlen(in), name);
}

static const char second[] = "MAIL FROM:<evil@example.net>\r\nRCPT TO:<x@example.org>\r\nDATA\r\n"
			     "Subject: smuggled\r\n\r\nx\r\n.\r\n";

/* A fake end, then a second mail with the real end: one message, and to be refused. */
static void
smuggled(const char *fake, size_t fake_len, const char *name)
{
	char in[1024];
	struct result r;
	size_t n = 0;

	memcpy(in, "Subject: x\r\n\r\nfirst", 19);
	n = 19;
	memcpy(in + n, fake, fake_len);
	n += fake_len;
	memcpy(in + n, second, sizeof(second) - 1);
	n += sizeof(second) - 1;
	feed(&r, in, n, n);
	ok(r.data.state == DATA_ENDED && r.used == n, "%s: all of it is one message", name);
	ok(r.data.bare, "%s: which is refused", name);
	same_in_pieces(in, n, name);
}

/*
 * Every text of up to nine bytes over the alphabet that matters, against the definition: it ends with
 * the first CRLF.CRLF (the DATA command's own CRLF counts), and is bare when a CR, an LF or a NUL is
 * left in front of the end once the CRLFs are taken out.
 */
static void
all_texts(void)
{
	static const char alphabet[] = { '\r', '\n', '.', '\0', 'a' };
	unsigned long wrong = 0, n = 0;

	for (size_t len = 1; len <= 9; len++) {
		unsigned long count = 1;
		for (size_t i = 0; i < len; i++)
			count *= 5;
		for (unsigned long v = 0; v < count; v++, n++) {
			char text[16] = "\r\n", *in = text + 2;
			unsigned long rest = v;
			for (size_t i = 0; i < len; i++, rest /= 5)
				in[i] = alphabet[rest % 5];
			const char *end = memmem(text, len + 2, "\r\n.\r\n", 5);
			size_t used = end == NULL ? len : (size_t)(end + 5 - in);
			bool bare = false;
			for (size_t i = 0; i < used; i++) {
				if (in[i] == '\r' && i + 1 < used && in[i + 1] == '\n')
					i++;
				else if (in[i] == '\n' || in[i] == '\0' ||
					 (in[i] == '\r' && i + 1 < used))
					bare = true; /* a CR at the very end may still get its LF */
			}
			struct data whole = { 0 }, bytes = { 0 };
			char out[16], out2[16];
			size_t out_len, got, len2 = 0;
			size_t took = data_feed(&whole, in, len, out, &out_len);
			for (size_t i = 0; i < len && bytes.state != DATA_ENDED; i++, len2 += got)
				data_feed(&bytes, in + i, 1, out2 + len2, &got);
			if (took != used || (whole.state == DATA_ENDED) != (end != NULL) ||
			    whole.bare != bare || bytes.state != whole.state ||
			    bytes.bare != bare || bytes.size != whole.size || len2 != out_len ||
			    memcmp(out, out2, len2) != 0)
				wrong++;
		}
	}
	is_int(wrong, 0, "%lu texts, all of up to nine bytes, are read as defined", n);
}

int
main(void)
{
	all_texts();
	good(".\r\n", "", "an empty message");
	good("a\r\n.\r\nNOOP\r\n", "a\n", "a line");
	good("..\r\n..a\r\n...\r\n.a\r\n.\r\n", ".\n.a\n..\na\n", "stuffed dots");
	good("\r\n\r\n.\r\n", "\n\n", "empty lines");
	good("a.\r\n.b\r\n.\r\n", "a.\nb\n", "dots elsewhere");

#define SMUGGLE(fake) smuggled(fake, sizeof(fake) - 1, #fake)
	SMUGGLE("\n.\n");
	SMUGGLE("\n.\r\n");
	SMUGGLE("\r\n.\n");
	SMUGGLE("\r.\r");
	SMUGGLE("\r.\r\n");
	SMUGGLE("\r\n.\r");
	SMUGGLE("\r\r\n.\r\r\n");
	SMUGGLE("\r\n.\r\r\n");
	SMUGGLE("\n.\r");
	SMUGGLE("\r.\n");
	SMUGGLE("\r\n\0.\r\n");
	SMUGGLE("\r\n.\0\r\n");
	SMUGGLE("\r\n.\r\0\n");
	SMUGGLE("\0\r\n..\r\n");
	SMUGGLE("\n\n.\n\n");
	SMUGGLE("\r\n..\n.\r\n.\n");

	struct result r;
	feed(&r, "a\r\r\n.\r\nMAIL", 11, 11);
	ok(r.data.bare && r.used == 7, "CR CR LF . CR LF is the real end of a refused message");
	feed(&r, "\x80\r\n.\r\n", 6, 1);
	ok(r.data.eightbit, "8-bit is noticed");
	feed(&r, "12345678abc\xff\r\n.\r\n", 17, 17);
	ok(r.data.eightbit, "8-bit at the end of a line is noticed");
	feed(&r, "12345678abc\r\n.\r\n", 16, 16);
	ok(!r.data.eightbit, "and 7-bit is not");
	is_int(r.data.size, 13, "the size counts CRLF, and not the end");
	feed(&r, "..\r\n.\r\n", 7, 7);
	is_int(r.data.size, 3, "nor a stuffed dot");
	size_t got;
	struct data d = { 0 };
	is_int(data_feed(&d, "abc\r\n.\r\nX", 9, NULL, &got), 8, "without an output");
	is_int(got, 0, "nothing is put out");
	return done();
}
