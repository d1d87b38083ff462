/*
 * libFuzzer: what follows DATA and BDAT, whole and cut anywhere: the same comes out, ends at the same
 * octet; what is stored has no CR; the header scan, the masquerade and the token of what came out.
 */
#include "smtp/local.h"
#include "passage.h"
#include "text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Feeds in two pieces; how much was taken. */
static size_t
feed(struct data *d, const char *in, size_t len, size_t cut, char *out, size_t *out_len)
{
	size_t n, taken = data_feed(d, in, cut, out, &n);

	*out_len = n;
	if (taken == cut) {
		taken += data_feed(d, in + cut, len - cut, out + *out_len, &n);
		*out_len += n;
	}
	return taken;
}

static void
check_from(const char *text, size_t len)
{
	struct text out = { 0 };
	struct headscan before = { 0 }, after = { 0 };

	masquerade(&out, text, len, "a@example.org");
	if (strstr(out.s, "From: ") == NULL || strstr(out.s, "<a@example.org>\n") == NULL)
		abort();
	headscan_feed(&before, text, len);
	headscan_feed(&after, out.s, out.len);
	text_free(&out);
}

/* The token of a reentry goes, whatever stands around it. */
static void
check_passage(const char *text, size_t len)
{
	char token[PASSAGE_TOKEN_LEN], *header = malloc(len + 1);

	memcpy(header, text, len);
	size_t left = passage_take_token(header, len, "mx.example.org", token);
	if (left > len || (token[0] != '\0' && left == len))
		abort();
	if (passage_take_token(header, left, "mx.example.org", token) != left || token[0] != '\0')
		abort(); /* one of it was left */
	(void)passage_count(header, left, "mx.example.org");
	free(header);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	bool chunked = data[0] & 1;
	const char *in = (const char *)data + 2;
	size_t len = size - 2, cut = data[1] < len ? data[1] : len;
	char *whole = malloc(len + 1), *parts = malloc(len + 1);
	size_t whole_len, parts_len;
	struct data a = { .chunked = chunked }, b = { .chunked = chunked };

	size_t taken = data_feed(&a, in, len, whole, &whole_len);
	if (feed(&b, in, len, cut, parts, &parts_len) != taken || parts_len != whole_len ||
	    memcmp(whole, parts, whole_len) != 0 || a.state != b.state || a.bare != b.bare)
		abort();
	if (chunked ? a.state == DATA_ENDED : a.state != DATA_ENDED && taken != len)
		abort();
	if (a.state == DATA_ENDED && (taken < 3 || memcmp(in + taken - 3, ".\r\n", 3) != 0))
		abort();
	if (!a.bare && memchr(whole, '\r', whole_len) != NULL)
		abort();
	check_passage(whole, whole_len);
	if (memchr(whole, '\0', whole_len) == NULL)
		check_from(whole, whole_len);
	free(whole);
	free(parts);
	return 0;
}
