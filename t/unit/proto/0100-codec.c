/* The codec: what is a line of the protocol, and what is not. */
#include "tab.h"
#include "tap.h"

static char line[TAB_LINE_MAX + 64];

static const char *
question(struct tab_question *q, const char *text)
{
	strcpy(line, text);
	return tab_parse_question(q, line, strlen(line));
}

static const char *
reply(struct tab_reply *r, const char *text)
{
	strcpy(line, text);
	return tab_parse_reply(r, line, strlen(line));
}

static void
questions_taken(void)
{
	struct tab_question q;

	is(question(&q, "config|smtpd-version|7.8.0"), NULL, "config");
	is_int(q.kind, TAB_LINE_CONFIG, "is a config line");
	is(q.config_key, "smtpd-version", "its key");
	is(q.config_value, "7.8.0", "its value");
	is(question(&q, "config|x|a|b"), NULL, "config with | in the value");
	is(q.config_value, "a|b", "| stays");
	is(question(&q, "config|x"), NULL, "config without a value");
	is(q.config_value, "", "is empty");
	is(question(&q, "config|ready"), NULL, "config|ready");
	is_int(q.kind, TAB_LINE_CONFIG_END, "ends the configuration");

	is(question(&q, "table|0.1|1713795082.354255|devs|update|ab"), NULL, "update");
	is_int(q.kind, TAB_LINE_QUESTION, "is a question");
	is_int(q.op, TAB_UPDATE, "op");
	is(q.id, "ab", "id");
	is(q.table, "devs", "table");
	is(q.key, "", "no key");

	is(question(&q, "table|0.1|1.1|devs|check|netaddr|7|192.0.2.1"), NULL, "check");
	is_int(q.op, TAB_CHECK, "op");
	is_int(q.service, TAB_NETADDR, "service");
	is(q.id, "7", "id");
	is(q.key, "192.0.2.1", "key");

	is(question(&q, "table|0.1|1.1|t|lookup|alias|7|a|b|"), NULL, "a key with |");
	is(q.key, "a|b|", "whole");
	is(question(&q, "table|0.1|1.1|t|lookup|alias|7|"), NULL, "an empty key");
	is(q.key, "", "is empty");
	is(question(&q, "table|0.1|1.1|t|fetch|source|9"), NULL, "fetch");
	is_int(q.op, TAB_FETCH, "op");
	is_int(q.service, TAB_SOURCE, "service");
	is(question(&q, "table|0.1|1.1|t|lookup|frob|7|k"), NULL, "an unknown service");
	is_int(q.service, TAB_SERVICE_MAX, "is none of ours");
	is(q.service_name, "frob", "has its name");
	is(q.id, "7", "and an id to answer");
	is(question(&q, "table|0.1|1.1|t|frob|7|k"), NULL, "an unknown operation");
	is_int(q.kind, TAB_LINE_OTHER, "is to be ignored");
}

static void
questions_refused(void)
{
	static const char *const bad[] = { "", "x", "|", "config", "config|", "config||x", "table",
		"table|", "table|0.1", "table|0.1|1.1", "table|0.1|1.1|t", "table|0.1|1.1|t|",
		"table|0.1|1.1|t|update", "table|0.1|1.1|t|update|", "table|0.1|1.1|t|update|1|x",
		"table|0.1|1.1|t|check", "table|0.1|1.1|t|check|alias",
		"table|0.1|1.1|t|check|alias|1", "table|0.1|1.1|t|check|alias||k",
		"table|0.1|1.1|t|check||1|k", "table|0.1|1.1|t|fetch|source|",
		"table|0.1|1.1|t|fetch|source|1|k", "table|0.2|1.1|t|update|1",
		"table||1.1|t|update|1", "table|0.1||t|update|1", "table|0.1|1.1||update|1",
		"tables|0.1|1.1|t|update|1", "TABLE|0.1|1.1|t|update|1",
		"table|0.1|1.1|t|update|1\r", "table|0.1|1.1|t|lookup|alias|1|a\rb",
		"table|0.1|1.1|t|lookup|alias|1|a\nb", "config|ready\r",
		"table|0.1|1.1|t|update|0123456789012345678901234567890123" };
	struct tab_question q;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ok(question(&q, bad[i]) != NULL, "no question: '%s'", bad[i]);
	memcpy(line, "config|a\0b", 10);
	ok(tab_parse_question(&q, line, 10) != NULL, "no question: a NUL");
	memset(line, 'x', sizeof(line));
	memcpy(line, "table|0.1|1.1|t|lookup|alias|1|", 31);
	ok(tab_parse_question(&q, line, TAB_LINE_MAX) != NULL, "no question: too long");
	ok(tab_parse_question(&q, line, TAB_LINE_MAX - 1) == NULL, "the longest one");
	is_int(strlen(q.key), TAB_LINE_MAX - 1 - 31, "has all its key");
}

static void
replies_taken(void)
{
	static const struct {
		const char *text, *id, *value;
		enum tab_op op;
		enum tab_answer answer;
	} good[] = {
		{ "update-result|1|ok", "1", "", TAB_UPDATE, TAB_FOUND },
		{ "update-result|1|error", "1", "", TAB_UPDATE, TAB_ERROR },
		{ "update-result|1|error|f:3: bad", "1", "f:3: bad", TAB_UPDATE, TAB_ERROR },
		{ "check-result|1|found", "1", "", TAB_CHECK, TAB_FOUND },
		{ "check-result|1|not-found", "1", "", TAB_CHECK, TAB_MISSING },
		{ "check-result|1|error", "1", "", TAB_CHECK, TAB_ERROR },
		{ "check-result|1|error|", "1", "", TAB_CHECK, TAB_ERROR },
		{ "check-result|1|error|a|b", "1", "a|b", TAB_CHECK, TAB_ERROR },
		{ "lookup-result|x y|found|v", "x y", "v", TAB_LOOKUP, TAB_FOUND },
		{ "lookup-result|1|found|v|w|", "1", "v|w|", TAB_LOOKUP, TAB_FOUND },
		{ "lookup-result|1|found||", "1", "|", TAB_LOOKUP, TAB_FOUND },
		{ "lookup-result|1|not-found", "1", "", TAB_LOOKUP, TAB_MISSING },
		{ "lookup-result|1|error|down", "1", "down", TAB_LOOKUP, TAB_ERROR },
		{ "fetch-result|1|found|192.0.2.1", "1", "192.0.2.1", TAB_FETCH, TAB_FOUND },
		{ "fetch-result|1|not-found", "1", "", TAB_FETCH, TAB_MISSING },
		{ "fetch-result|1|error", "1", "", TAB_FETCH, TAB_ERROR },
	};
	struct tab_reply r;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		is(reply(&r, good[i].text), NULL, "a reply: %s", good[i].text);
		is_int(r.kind, TAB_LINE_REPLY, "kind");
		is_int(r.op, good[i].op, "op");
		is_int(r.answer, good[i].answer, "answer");
		is(r.id, good[i].id, "id");
		is(r.value, good[i].value, "value");
	}
	is(reply(&r, "register|alias"), NULL, "register");
	is_int(r.kind, TAB_LINE_REGISTER, "kind");
	is(r.registered, "alias", "service");
	is(reply(&r, "register|frob"), NULL, "register an unknown service");
	is(r.registered, "frob", "by its name");
	is(reply(&r, "register|ready"), NULL, "register|ready");
	is_int(r.kind, TAB_LINE_REGISTER_END, "ends the handshake");
}

static void
replies_refused(void)
{
	static const char *const bad[] = { "", "x", "|", "register", "register|", "register|a|b",
		"register|ready\r", "-result|1|found", "result|1|found", "check", "check-result",
		"check-result|", "check-result|1", "check-result||found", "check-result|1|",
		"check-result|1|found|", "check-result|1|found|v", "check-result|1|not-found|",
		"check-result|1|not-found|x", "check-result|1|ok", "check-result|1|Found",
		"check-result|1|found ", " check-result|1|found", "check-result|1|found\r",
		"check-results|1|found", "check-result-x|1|found", "lookup-result|1|found",
		"lookup-result|1|found|", "lookup-result|1|ok", "lookup-result|1|found|a\rb",
		"lookup-result|1|found|a\nb", "lookup-result|1|notfound", "lookup-result|1|errors",
		"fetch-result|1|found", "fetch-result|1|found|", "update-result|1|found",
		"update-result|1|not-found", "update-result|1|ok|", "update-result|1|ok|x",
		"frob-result|1|found", "table|0.1|1.1|t|update|1", "config|ready" };
	struct tab_reply r;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ok(reply(&r, bad[i]) != NULL, "no reply: '%s'", bad[i]);
	memcpy(line, "lookup-result|1|found|\0x", 24);
	ok(tab_parse_reply(&r, line, 24) != NULL, "no reply: a NUL");
	memset(line, 'x', sizeof(line));
	memcpy(line, "lookup-result|1|found|", 22);
	ok(tab_parse_reply(&r, line, TAB_LINE_MAX) != NULL, "no reply: too long");
	ok(tab_parse_reply(&r, line, TAB_LINE_MAX - 1) == NULL, "the longest one");
}

/* Whatever bytes come: an error, or a reply whose parts are within the line. */
static void
garbage(void)
{
	static const char *const words[] = { "check-result", "lookup-result", "found", "not-found",
		"error", "register", "ready", "|", "|", "|", "|", "1", "", "config", "table", "0.1",
		"update", "alias", "\r", "x" };
	unsigned seed = 7, n_good = 0;
	bool sound = true;

	for (int round = 0; round < 100000; round++) {
		char text[300] = "";
		struct tab_reply r;
		struct tab_question q;

		for (int w = 0; w < 9; w++) {
			seed = seed * 1103515245 + 12345;
			strcat(text, words[seed / 65536 % (sizeof(words) / sizeof(*words))]);
		}
		size_t len = strlen(text);
		if (reply(&r, text) == NULL) {
			n_good++;
			sound &= r.value >= line || *r.value == '\0';
			sound &= r.value <= line + len || *r.value == '\0';
			sound &= r.kind != TAB_LINE_REPLY || *r.id != '\0';
			sound &= !(r.answer == TAB_FOUND && r.op >= TAB_LOOKUP && *r.value == '\0');
		}
		if (question(&q, text) == NULL)
			sound &= q.kind != TAB_LINE_QUESTION || *q.id != '\0';
	}
	ok(sound, "100000 random lines: what is taken is sound (%u taken)", n_good);
}

static void
formats(void)
{
	char buf[TAB_LINE_MAX];
	struct tab_question p,
	    q = { .kind = TAB_LINE_CONFIG, .config_key = "a", .config_value = "b|c" };
	size_t n = tab_format_question(&q, buf, sizeof(buf));
	ok(n == 13 && memcmp(buf, "config|a|b|c\n", 13) == 0, "a config line");
	q.kind = TAB_LINE_CONFIG_END;
	n = tab_format_question(&q, buf, sizeof(buf));
	ok(n == 13 && memcmp(buf, "config|ready\n", 13) == 0, "config|ready");

	for (int op = TAB_UPDATE; op <= TAB_FETCH; op++) {
		for (int s = 0; s < TAB_SERVICE_MAX; s++) {
			q = (struct tab_question){ .kind = TAB_LINE_QUESTION,
				.op = (enum tab_op)op,
				.service = (enum tab_service)s,
				.table = "t",
				.id = "1f",
				.key = "k|y" };
			n = tab_format_question(&q, buf, sizeof(buf));
			ok(n > 0 && buf[n - 1] == '\n' &&
				tab_parse_question(&p, buf, n - 1) == NULL && p.op == q.op &&
				strcmp(p.id, "1f") == 0 && strcmp(p.table, "t") == 0 &&
				(op == TAB_UPDATE || p.service == q.service) &&
				strcmp(p.key, op == TAB_CHECK || op == TAB_LOOKUP ? "k|y" : "") ==
				    0,
			    "round trip: %s %s", tab_op_name(q.op), tab_service_name(q.service));
		}
	}

	static const struct {
		const char *table, *id, *key;
	} bad[] = { { "", "1", "k" }, { "t|", "1", "k" }, { "t\n", "1", "k" }, { "t", "", "k" },
		{ "t", "1|2", "k" }, { "t", "1\r", "k" }, { "t", "1", "a\nb" },
		{ "t", "1", "a\rb" }, { "t", "1", NULL }, { NULL, "1", "k" }, { "t", NULL, "k" },
		{ "t", "01234567890123456789012345678901", "k" },
		{ "t", "1", "k\ntable|0.1|1.1|t|update|1" } };
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		q = (struct tab_question){ .kind = TAB_LINE_QUESTION,
			.op = TAB_LOOKUP,
			.service = TAB_ALIAS,
			.table = bad[i].table,
			.id = bad[i].id,
			.key = bad[i].key };
		is_int(tab_format_question(&q, buf, sizeof(buf)), 0,
		    "no question is made of bad %zu", i);
	}
	q = (struct tab_question){ .kind = TAB_LINE_QUESTION,
		.op = TAB_LOOKUP,
		.service = TAB_ALIAS,
		.table = "t",
		.id = "1",
		.key = "k" };
	n = tab_format_question(&q, buf, sizeof(buf));
	is_int(tab_format_question(&q, buf, n), n, "fits to the byte");
	is_int(tab_format_question(&q, buf, n - 1), 0, "does not fit");
	is_int(tab_format_question(&q, buf, 0), 0, "nothing fits into nothing");
	ok(tab_key_ok("") && tab_key_ok("a|b c\t"), "keys that may be asked");
	ok(!tab_key_ok("a\nb") && !tab_key_ok("\r"), "keys that may not");
	memset(line, 'k', TAB_KEY_MAX + 1);
	line[TAB_KEY_MAX + 1] = '\0';
	ok(!tab_key_ok(line), "a key too long");
	ok(tab_key_ok(line + 1), "the longest");
}

static void
format_replies(void)
{
	static const struct {
		enum tab_op op;
		enum tab_answer answer;
		const char *id, *value, *want;
	} all[] = {
		{ TAB_UPDATE, TAB_FOUND, "1", "", "update-result|1|ok\n" },
		{ TAB_UPDATE, TAB_FOUND, "1", NULL, "update-result|1|ok\n" },
		{ TAB_UPDATE, TAB_MISSING, "1", "", "" },
		{ TAB_UPDATE, TAB_ERROR, "1", "why|so", "update-result|1|error|why|so\n" },
		{ TAB_CHECK, TAB_FOUND, "1", "dropped", "check-result|1|found\n" },
		{ TAB_CHECK, TAB_MISSING, "1", "", "check-result|1|not-found\n" },
		{ TAB_CHECK, TAB_ERROR, "1", "", "check-result|1|error\n" },
		{ TAB_LOOKUP, TAB_FOUND, "1", "v|w", "lookup-result|1|found|v|w\n" },
		{ TAB_LOOKUP, TAB_FOUND, "1", "", "" },
		{ TAB_LOOKUP, TAB_FOUND, "1", NULL, "" },
		{ TAB_LOOKUP, TAB_FOUND, "1", "a\nb", "" },
		{ TAB_LOOKUP, TAB_FOUND, "1", "a\r", "" },
		{ TAB_LOOKUP, TAB_FOUND, "1|2", "v", "" },
		{ TAB_LOOKUP, TAB_FOUND, "", "v", "" },
		{ TAB_LOOKUP, TAB_MISSING, "1", "v", "lookup-result|1|not-found\n" },
		{ TAB_LOOKUP, TAB_ERROR, "1", "a\nb", "" },
		{ TAB_FETCH, TAB_FOUND, "1", "v", "fetch-result|1|found|v\n" },
		{ TAB_FETCH, TAB_FOUND, "1", "", "" },
	};
	char buf[TAB_LINE_MAX];

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		struct tab_reply r = { .kind = TAB_LINE_REPLY,
			.op = all[i].op,
			.id = all[i].id,
			.answer = all[i].answer,
			.value = all[i].value };
		size_t n = tab_format_reply(&r, buf, sizeof(buf) - 1);
		buf[n] = '\0';
		is(buf, all[i].want, "reply %zu", i);
	}
	struct tab_reply r = { .kind = TAB_LINE_REGISTER, .registered = "alias" };
	size_t n = tab_format_reply(&r, buf, sizeof(buf));
	ok(n == 15 && memcmp(buf, "register|alias\n", 15) == 0, "register");
	r.kind = TAB_LINE_REGISTER_END;
	n = tab_format_reply(&r, buf, sizeof(buf));
	ok(n == 15 && memcmp(buf, "register|ready\n", 15) == 0, "register|ready");
	for (int s = 0; s < TAB_SERVICE_MAX; s++)
		is_int(tab_service_find(tab_service_name((enum tab_service)s)), s, "service %s",
		    tab_service_name((enum tab_service)s));
	is_int(tab_service_find("Alias"), TAB_SERVICE_MAX, "names have their case");
	is_int(tab_service_find(""), TAB_SERVICE_MAX, "no name");
}

int
main(void)
{
	questions_taken();
	questions_refused();
	replies_taken();
	replies_refused();
	garbage();
	formats();
	format_replies();
	return done();
}
