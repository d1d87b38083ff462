/* The words of commands: what is asked of the daemon, and what a wrong one is answered. */
#include "tap.h"

#include "ctl/local.h"

/* The request with "|" between its words, or "!" and the complaint. */
static const char *
parse(const char *words)
{
	static struct text out;
	const char *request[CTL_WORDS + 1];
	char *copy = xstrdup(words), *rest = *copy == '\0' ? NULL : copy;
	char *argv[16] = { 0 };
	size_t n = 0;

	while (rest != NULL && n < 15)
		argv[n++] = strsep(&rest, " ");
	char *wrong = ctl_parse(argv, request);
	out.len = 0;
	text_put(&out, wrong == NULL ? "" : "!");
	text_put(&out, wrong == NULL ? "" : wrong);
	for (size_t i = 0; wrong == NULL && request[i] != NULL; i++)
		text_putf(&out, "%s%s", i == 0 ? "" : "|", request[i]);
	free(wrong);
	free(copy);
	return out.s;
}

int
main(void)
{
	static const char *const cases[][2] = {
		{ "show queue", "show|queue" },
		{ "show message 00ff1A", "show|message|00ff1A" },
		{ "show message ff.2", "show|message|ff.2" },
		{ "table devs update", "table|devs|update" },
		{ "table devs lookup alias bob", "table|devs|lookup|alias|bob" },
		{ "table devs check netaddr 192.0.2.1", "table|devs|check|netaddr|192.0.2.1" },
		{ "table ips lookup source", "table|ips|lookup|source|" },
		{ "table devs bench alias keys", "table|devs|bench|alias|keys" },
		{ "table devs bench alias keys 512", "table|devs|bench|alias|keys|512" },
		{ "table devs bench alias keys 0", "!\"0\" is no number from 1 to 4096" },
		{ "table devs bench alias",
		    "!more is needed after \"table devs bench alias\": FILE" },
		{ "explain bob@example.org", "explain|bob@example.org" },
		{ "explain bob@example.org tag DKIM from a@b client 192.0.2.1 auth x",
		    "explain|bob@example.org|tag|DKIM|from|a@b|client|192.0.2.1|auth|x" },
		{ "explain", "!more is needed after \"explain\": RCPT" },
		{ "pause",
		    "!more is needed after \"pause\": local, relay, smtp or a route as \"show "
		    "queue\" has it" },
		{ "explain bob@example.org from", "!more is needed after \"from\"" },
		{ "explain bob@example.org form a@b",
		    "!\"form\" is no word of explain; did you mean \"from\"?" },
		{ "explain bob@example.org sender a@b",
		    "!\"sender\" is no word of explain: one of from client auth tag" },
		{ "explain b@c tag x tag y", "!\"tag\" is there twice" },
		{ "schedule all", "schedule|all" },
		{ "remove 1f", "remove|1f" },
		{ "hold 1f.2", "hold|1f.2" },
		{ "show queue sender *@x state held", "show|queue|sender|*@x|state|held" },
		{ "remove recipient a@b route smtp://x sender <> state deferred",
		    "remove|recipient|a@b|route|smtp://x|sender|<>|state|deferred" },
		{ "release stat held",
		    "!\"stat\" is no word to choose by; did you mean \"state\"?" },
		{ "release from held",
		    "!\"from\" is no word to choose by: one of sender recipient route state" },
		{ "reroute state helt", "!\"helt\" is no state; did you mean \"held\"?" },
		{ "reroute state odd",
		    "!\"odd\" is no state: one of new expanding waiting delivering deferred held "
		    "paused" },
		{ "hold sender", "!more is needed after \"sender\"" },
		{ "hold sender a sender b", "!\"sender\" is there twice" },
		{ "hold all sender a", "!\"all\" is no word to choose by: one of sender recipient "
				       "route state" },
		{ "hold", "!more is needed after \"hold\": ID|all|FILTER" },
		{ "hodl all", "!\"hodl\" is no command; did you mean \"hold\"?" },
		{ "pause smtp", "pause|smtp" },
		{ "resume mx:example.org", "resume|mx:example.org" },
		{ "pause relya", "!\"relya\" is no route; did you mean \"relay\"?" },
		{ "pause everything",
		    "!\"everything\" is neither local, relay nor smtp, nor a route as "
		    "\"show queue\" has it" },
		{ "queue backup f", "queue|backup|f" },
		{ "encrypt", "encrypt" },
		{ "encrypt word", "encrypt|word" },
		{ "",
		    "!a command is missing: one of show update table explain schedule hold release "
		    "remove reroute queue pause resume encrypt "
		    "sendmail "
		    "mailq "
		    "newaliases" },
		{ "shwo queue", "!\"shwo\" is no command; did you mean \"show\"?" },
		{ "show qeue", "!\"qeue\" may not follow \"show\"; did you mean \"queue\"?" },
		{ "show nonsense", "!\"nonsense\" may not follow \"show\": one of queue message "
				   "paused tables routes hosts sources stats status" },
		{ "show", "!more is needed after \"show\": one of queue message paused tables "
			  "routes hosts sources stats status" },
		{ "show queue now",
		    "!\"now\" is no message id: one of all sender recipient route state" },
		{ "show message", "!more is needed after \"show message\": ID" },
		{ "show message xyz", "!\"xyz\" is no message id" },
		{ "show message all", "!\"all\" is no message id" },
		{ "show message 1.", "!\"1.\" is no message id" },
		{ "show message 11112222333344445", "!\"11112222333344445\" is no message id" },
		{ "remove al", "!\"al\" is no message id; did you mean \"all\"?" },
		{ "table devs updaet",
		    "!\"updaet\" may not follow \"table devs\"; did you mean \"update\"?" },
		{ "table devs lookup alais bob",
		    "!\"alais\" is no service: did you mean \"alias\"?; see tabmail-tables(7)" },
		{ "table devs lookup alias",
		    "!more is needed after \"table devs lookup alias\": KEY" },
		{ "table devs lookup alias a b",
		    "!\"b\" may not follow \"table devs lookup alias a\"" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		is(parse(cases[i][0]), cases[i][1], "%s", cases[i][0]);
	return done();
}
