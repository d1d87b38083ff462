/*
 * libFuzzer: a message as a program hands it to sendmail -t.  Whom its header names are addresses, Bcc
 * goes, and what is put in front is a field of the header.
 */
#include "../../daemon/ctl/header_rcpts.c"
#include "../../daemon/ctl/letter.c"

#include <stdint.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check_rcpts(const struct rcpts *r)
{
	char text[ADDR_TEXT_LEN];
	struct addr a;

	for (size_t i = 0; i < r->n; i++) {
		addr_text(&r->addrs[i], text);
		if (r->addrs[i].local[0] == '\0' || strpbrk(text, "\r\n") != NULL)
			abort();
		if (r->addrs[i].domain[0] != '\0' && addr_parse(&a, text, strlen(text)) != NULL)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct letter m;
	struct rcpts r = { 0 };
	int code;
	FILE *in = len == 0 ? NULL : fmemopen((void *)(uintptr_t)data, len, "r");

	if (in == NULL)
		return 0;
	if (letter_read(&m, in, true, &code) != NULL || m.header_len > m.len)
		abort();
	fclose(in);
	free(rcpts_add_header(&r, m.data, m.header_len));
	check_rcpts(&r);
	letter_strip_bcc(&m);
	if (m.header_len > m.len || rcpts_header_has(m.data, m.header_len, "Bcc") ||
	    rcpts_header_has(m.data, m.header_len, "Resent-Bcc"))
		abort();
	letter_prepend(&m, "X-First: x\n");
	if (m.header_len > m.len || !rcpts_header_has(m.data, m.header_len, "X-First"))
		abort();
	rcpts_free(&r);
	letter_free(&m);
	return 0;
}
