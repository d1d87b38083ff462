/*
 * libFuzzer: the text of a table file (up to the first NUL), and a key (behind it), asked for in every service.
 * What is found can be put into a reply.
 */
#include "../../helpers/table-file/parse.c"

#include "tab.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static bool
load(struct tab_set *set, char *text)
{
	const char *wrong = NULL;
	struct parse p;
	char *line;

	parse_start(&p, set);
	while (wrong == NULL && (line = strsep(&text, "\n")) != NULL)
		wrong = parse_line(&p, line, strlen(line));
	if (wrong == NULL)
		wrong = parse_end(&p);
	parse_free(&p);
	return wrong == NULL;
}

static void
ask(struct tab_set *set, enum tab_op op, enum tab_service service, const char *key)
{
	static char line[TAB_LINE_MAX];
	const char *value;
	enum tab_answer answer = tab_set_ask(set, op, service, key, &value);
	struct tab_reply r = {
		.kind = TAB_LINE_REPLY, .op = op, .id = "1", .answer = answer, .value = value
	};

	if (answer != TAB_ERROR && tab_format_reply(&r, line, sizeof(line)) == 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t text_len = strnlen((const char *)data, len);
	char *text = strndup((const char *)data, text_len);
	size_t key_at = text_len + (text_len < len);
	char *key = strndup((const char *)data + key_at, len - key_at);
	struct tab_set *set = tab_set_new();

	if (load(set, text) && tab_key_ok(key))
		for (int i = 0; i < TAB_SERVICE_MAX; i++) {
			if (i == TAB_REGEX) /* they may take long, and are the administrator's */
				continue;
			ask(set, TAB_CHECK, (enum tab_service)i, key);
			ask(set, TAB_LOOKUP, (enum tab_service)i, key);
			ask(set, TAB_FETCH, (enum tab_service)i, "");
		}
	tab_set_free(set);
	free(text);
	free(key);
	return 0;
}
