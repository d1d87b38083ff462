/*
 * "limit smtp …": what a client may do to the SMTP server.  Called by parse.y; a table of the words,
 * so that another limit is a line.
 */
#include "local.h"

#include <string.h>

#define MEMORY_MIN (16LL << 20)
#define MEMORY_MAX (1LL << 40)

enum kind { NUMBER, SECONDS, MILLISECONDS, SIZE };

static void
set_memory(struct parser *p, const struct loc *at, const char *value)
{
	char shown[FAULT_SHOWN_LEN];
	int64_t size = text_size(value);

	if (size < MEMORY_MIN || size > MEMORY_MAX)
		fail(p, at, "memory: \"%s\" is not a size between 16M and 1024G",
		    fault_shown(value, shown));
	else
		p->conf->limit.smtp.memory = size;
}

void
model_smtp_limit(struct parser *p, const struct loc *loc, const char *what, const struct loc *at,
    const char *value)
{
	struct conf *c = p->conf;
	struct conf_smtp_limits *l = &c->limit.smtp;
	const struct {
		const char *what;
		enum kind kind;
		unsigned *field;
		int64_t min, max;
	} limits[] = {
		{ "sessions", NUMBER, &c->limit.sessions, 1, 1000000 },
		{ "sessions-per-address", NUMBER, &l->sessions_per_address, 0, 1000000 },
		{ "sessions-per-network", NUMBER, &l->sessions_per_network, 0, 1000000 },
		{ "rate", NUMBER, &l->rate, 0, 1000000 },
		{ "rate-per-address", NUMBER, &l->rate_per_address, 0, 1000000 },
		{ "data-rate", NUMBER, &l->data_rate, 0, 1000000 },
		{ "messages", NUMBER, &l->messages, 1, 1000000 },
		{ "recipients", NUMBER, &c->limit.recipients, 1, 100000 },
		{ "recipients-per-session", NUMBER, &l->recipients, 1, 10000000 },
		{ "errors", NUMBER, &l->errors, 1, 1000 },
		{ "auth-failures", NUMBER, &l->auth_failures, 1, 1000 },
		{ "timeout", SECONDS, &l->timeout_sec, 1, 3600 },
		{ "greet-delay", MILLISECONDS, &l->greet_delay_ms, 0, 60000 },
		{ "memory", SIZE, NULL, 0, 0 },
	};
	struct nearest nearest = { 0 };
	char shown[FAULT_SHOWN_LEN];

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		fault_nearer(&nearest, what, limits[i].what);
		if (strcmp(what, limits[i].what) != 0)
			continue;
		if (!model_once_of_all(p, loc, limits[i].what))
			return;
		if (limits[i].kind == SIZE) {
			set_memory(p, at, value);
		} else if (limits[i].kind == NUMBER) {
			*limits[i].field = (unsigned)model_number(
			    p, at, what, value, limits[i].min, limits[i].max);
		} else {
			int64_t ms = model_duration(p, at, what, value);
			int64_t n = limits[i].kind == SECONDS ? ms / 1000 : ms;
			if (n > limits[i].max)
				fail(p, at, "%s: %s is too long", what, value);
			else
				*limits[i].field = (unsigned)n;
		}
		return;
	}
	fault_shown(what, shown);
	if (nearest.word != NULL)
		fail(p, loc, "smtp has no limit \"%s\"; did you mean \"%s\"?", shown, nearest.word);
	else
		fail(p, loc, "smtp has no limit \"%s\"", shown);
}
