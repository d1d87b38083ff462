/* libFuzzer: the configuration's text.  It parses, or says what is wrong; never neither. */
#include "conf.h"
#include "text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct text errors = { 0 };
	char *text = malloc(len + 1);

	memcpy(text, data, len);
	text[len] = '\0';
	struct conf *conf = conf_parse(text, len, "fuzz", &errors);
	if (conf == NULL && errors.len == 0)
		abort();
	if (conf != NULL)
		conf_free(conf);
	text_free(&errors);
	free(text);
	return 0;
}
