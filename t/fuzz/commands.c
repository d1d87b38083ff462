/* libFuzzer: command lines of SMTP as session.c cuts them, with their parameters; base64 of AUTH. */
#include "base64.h"
#include "smtp/local.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
run_line(char *line)
{
	struct mail_params mail;
	struct rcpt_params rcpt;
	struct addr addr;
	char *args = smtp_parse_verb(line);
	char *copy = strdup(args);
	size_t len;
	const char *wrong;

	(void)smtp_parse_helo(args);
	wrong = smtp_parse_mail(args, OFFERS_DSN | OFFERS_AUTH, &addr, &mail);
	if (wrong != NULL && wrong[0] != '5')
		abort();
	if (wrong == NULL && strpbrk(mail.envid, "\r\n") != NULL)
		abort();
	strcpy(args, copy);
	wrong = smtp_parse_rcpt(args, OFFERS_DSN | OFFERS_UTF8, &addr, &rcpt);
	if (wrong != NULL && wrong[0] != '5')
		abort();
	strcpy(args, copy);
	if (base64_decode(args, args, &len)) {
		char *text = malloc(BASE64_TEXT_LEN(len));
		if (strcmp(base64_encode(args, len, text), copy) != 0)
			abort(); /* there is one way to write it */
		free(text);
	}
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *in = (const char *)data;
	char line[COMMAND_LINE_MAX + 1];
	size_t len;

	while (size > 0) {
		enum line got = smtp_parse_scan(in, size, &len);
		if (got == LINE_MORE || got == LINE_LONG)
			return 0;
		if (len == 0 || len > size)
			abort();
		if (got == LINE_OK) {
			memcpy(line, in, len - 2);
			line[len - 2] = '\0';
			if (strpbrk(line, "\r\n") != NULL || strlen(line) != len - 2)
				abort();
			run_line(line);
		}
		in += len;
		size -= len;
	}
	return 0;
}
