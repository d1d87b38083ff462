/* libFuzzer: paths of MAIL and RCPT.  What parses is written out and must parse to the same. */
#include "addr.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char buf[ADDR_TEXT_LEN], path[ADDR_TEXT_LEN + 3];
	struct addr a, b;
	const char *rest;
	char *text = malloc(len + 1);

	memcpy(text, data, len);
	text[len] = '\0';
	if (addr_parse_path(&a, text, true, &rest) == NULL) {
		if (rest < text || rest > text + len)
			abort();
		snprintf(path, sizeof(path), "<%s>", addr_text(&a, buf));
		if (addr_parse_path(&b, path, true, &rest) != NULL || *rest != '\0')
			abort();
		if (strcmp(a.local, b.local) != 0 || strcmp(a.domain, b.domain) != 0)
			abort();
	}
	free(text);
	return 0;
}
