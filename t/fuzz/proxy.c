/* libFuzzer: the header of the PROXY protocol, and the arguments of XCLIENT. */
#include "smtp/local.h"
#include "text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
run_header(const char *in, size_t size)
{
	struct sockaddr_storage from, to;
	size_t len;
	enum proxy whole = proxy_header(in, size, &len, &from, &to);

	if (whole == PROXY_CLIENT && (from.ss_family != to.ss_family && from.ss_family == 0))
		abort();
	if (whole == PROXY_MORE && size >= PROXY_HEADER_MAX)
		abort(); /* it would wait for ever */
	if (whole != PROXY_CLIENT && whole != PROXY_SELF)
		return;
	if (len < 16 || len > size || len > PROXY_HEADER_MAX)
		abort();
	for (size_t n = 0; n < len; n++) {
		char *piece = malloc(n + 1);
		memcpy(piece, in, n);
		size_t none;
		if (proxy_header(piece, n, &none, &from, &to) != PROXY_MORE)
			abort();
		free(piece);
	}
}

static void
run_xclient(const char *in, size_t size)
{
	struct xclient x;
	char *args = xstrndup(in, size);
	const char *wrong = xclient_parse(&x, args, true);

	if (wrong != NULL && strncmp(wrong, "501 ", 4) != 0)
		abort();
	if (wrong == NULL && (text_has_control(x.name) || text_has_control(x.helo) ||
				 text_has_control(x.login) || strchr(x.login, ':') != NULL))
		abort();
	free(args);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0 && data[0] == '\r')
		run_header((const char *)data, size);
	else
		run_xclient((const char *)data, size);
	return 0;
}
