/* Rules: every criterion, action and option, in any order; canonical text and its way back. */
#include "parsing.h"

#define MD "deliver to maildir \"~/Maildir\""

static void
criteria(void)
{
	rule_is("accept deliver to maildir", "accept from local for local " MD);
	rule_is("accept for any deliver to maildir", "accept from local for any " MD);
	rule_is("accept from any for local deliver to maildir", "accept from any for local " MD);
	rule_is("accept from source <t> for any deliver to maildir",
	    "accept from source <t> for any " MD);
	rule_is("accept from source !<t> for any deliver to maildir",
	    "accept from source ! <t> for any " MD);
	rule_is("accept from ! source <t> for any deliver to maildir",
	    "accept from source ! <t> for any " MD);
	rule_is("accept from source 192.0.2.0/24 for any deliver to maildir",
	    "accept from source \"192.0.2.0/24\" for any " MD);
	rule_is("accept from source { 192.0.2.1, [::1], 2001:db8::/32 } for any deliver to maildir",
	    "accept from source { \"192.0.2.1\", \"[::1]\", \"2001:db8::/32\" } for any " MD);
	rule_is("accept for domain example.org deliver to maildir",
	    "accept from local for domain \"example.org\" " MD);
	rule_is("accept for domain { example.org } deliver to maildir",
	    "accept from local for domain \"example.org\" " MD);
	rule_is("accept for domain { a.example, \"*.b.example\" } deliver to maildir",
	    "accept from local for domain { \"a.example\", \"*.b.example\" } " MD);
	rule_is(
	    "accept for ! domain <t> deliver to maildir", "accept from local for domain ! <t> " MD);
	rule_is("accept tagged DKIM for any deliver to maildir",
	    "accept tagged DKIM from local for any " MD);
	rule_is("accept ! tagged DKIM for any deliver to maildir",
	    "accept tagged ! DKIM from local for any " MD);
	rule_is("accept tagged ! \"x.y\" for any deliver to maildir",
	    "accept tagged ! x.y from local for any " MD);
	rule_is("accept authenticated for any deliver to maildir",
	    "accept authenticated from local for any " MD);
	rule_is("accept sender <t> for any deliver to maildir",
	    "accept from local sender <t> for any " MD);
	rule_is("accept sender ! <t> for any deliver to maildir",
	    "accept from local sender ! <t> for any " MD);
	rule_is("accept ! sender @example.org for any deliver to maildir",
	    "accept from local sender ! \"@example.org\" for any " MD);
	rule_is("accept recipient { a@example.org, b@example.org } for any deliver to maildir",
	    "accept from local for any recipient { \"a@example.org\", \"b@example.org\" } " MD);
	rule_is("accept for local recipient !<t> deliver to maildir",
	    "accept from local for local recipient ! <t> " MD);
	rule_is("accept for local alias <t> userbase <u> deliver to maildir",
	    "accept from local for local alias <t> userbase <u> " MD);
	rule_is(
	    "accept for local alias { root = joe, \"a\" = \"|b \\\"c\\\"\" } deliver to maildir",
	    "accept from local for local alias { \"root\" = \"joe\", \"a\" = \"|b \\\"c\\\"\" "
	    "} " MD);
	rule_is("accept for domain x.example virtual <t> deliver to maildir",
	    "accept from local for domain \"x.example\" virtual <t> " MD);
	rule_is("accept for local userbase { joe = 1:2:/h } deliver to maildir",
	    "accept from local for local userbase { \"joe\" = \"1:2:/h\" } " MD);
	rule_is("accept expire 2d for any deliver to maildir",
	    "accept from local for any " MD " expire 2d");
	rule_is("accept bounce-warn 90m, 1d expire 2d for any deliver to maildir",
	    "accept from local for any " MD " expire 2d bounce-warn 1h30m, 1d");
	rule_is("accept for any deliver to maildir bounce-warn none",
	    "accept from local for any " MD " bounce-warn none");
	rule_is("reject for any", "reject from local for any");
	rule_is("reject from any sender <t> for ! domain <u>",
	    "reject from any sender <t> for domain ! <u>");
	rule_is("reject", "reject from local for local");
}

static void
actions(void)
{
	rule_is("accept deliver to maildir ~/M/%{rcpt.domain}",
	    "accept from local for local deliver to maildir \"~/M/%{rcpt.domain}\"");
	rule_is("accept deliver to maildir \"/var/mail/%{user.username[0]:lowercase}\"",
	    "accept from local for local deliver to maildir "
	    "\"/var/mail/%{user.username[0]:lowercase}\"");
	rule_is("accept deliver to maildir %{user.directory}/Mail",
	    "accept from local for local deliver to maildir \"%{user.directory}/Mail\"");
	rule_is("accept deliver to mbox", "accept from local for local deliver to mbox");
	rule_is("accept deliver to mbox ~/mbox",
	    "accept from local for local deliver to mbox \"~/mbox\"");
	rule_is("accept deliver to mda procmail",
	    "accept from local for local deliver to mda \"procmail\"");
	rule_is("accept deliver to mda \"a \\\"b\\\" \\\\ %{sender}\"",
	    "accept from local for local deliver to mda \"a \\\"b\\\" \\\\ %{sender}\"");
	rule_is("accept deliver to lmtp 127.0.0.1:24",
	    "accept from local for local deliver to lmtp \"127.0.0.1:24\"");
	rule_is("accept rcpt-to deliver to lmtp /run/lmtp for any",
	    "accept from local for any deliver to lmtp \"/run/lmtp\" rcpt-to");
	rule_is("accept relay via smtp://127.0.0.1:10028 for any",
	    "accept from local for any relay via \"smtp://127.0.0.1:10028\"");
	rule_is("accept for any relay via \"lmtp://[::1]:24\"",
	    "accept from local for any relay via \"lmtp://[::1]:24\"");
	rule_is("accept for any relay via smtp+notls://mx.example.org",
	    "accept from local for any relay via \"smtp+notls://mx.example.org\"");
	rule_is("accept for any via mx.example.org relay",
	    "accept from local for any relay via \"mx.example.org\"");
}

static void
orders(void)
{
	static const char want[] =
	    "accept tagged T from any sender <t> for domain \"a.example\" alias <u> "
	    "deliver to lmtp \"x\" rcpt-to expire 1d12h";
	static const char *const parts[] = { "tagged T", "from any", "sender <t>",
		"for domain a.example", "alias <u>", "deliver to lmtp x", "rcpt-to", "expire 36h" };
	size_t n = sizeof(parts) / sizeof(parts[0]);

	for (size_t turn = 0; turn < n; turn++) { /* forwards and backwards from every part */
		struct text t = { 0 }, back = { 0 };
		text_put(&t, "accept");
		text_put(&back, "accept");
		for (size_t i = 0; i < n; i++) {
			text_putf(&t, " %s", parts[(turn + i) % n]);
			text_putf(&back, " \\\n  %s", parts[(turn + n - i) % n]);
		}
		rule_is(t.s, want);
		rule_is(back.s, want);
		text_free(&t);
		text_free(&back);
	}
}

static void
model(void)
{
	struct conf *c = parsed("table a file:/a\n"
				"accept from source 192.0.2.1 for domain { a.example, b.example } "
				"alias <a> deliver to maildir expire 1h\n"
				"reject from any for any\n"
				"accept for any deliver to lmtp /run/x\n");
	if (!ok(c != NULL, "three rules"))
		return;
	const struct conf_rule *r = STAILQ_FIRST(&c->rules);
	is_int(c->n_rules, 3, "counted");
	is_int(r->index, 1, "rules count from 1");
	is_int(r->line, 2, "and know their line");
	is_int(r->from, FROM_SOURCE, "from source");
	is(r->source.table->name, "<rule 1 source>", "an address is an anonymous table");
	is(r->domain.table->name, "<rule 1 domain>", "a list too");
	ok(r->domain.table->is_static, "which is static");
	ok(conf_table(c, r->domain.table->index) == r->domain.table, "and has a number");
	is(r->alias->name, "a", "a table by its name");
	is_int(r->expire_sec, 3600, "expire");
	is_int(r->action.kind, ACTION_MAILDIR, "maildir");
	is(r->action.arg, NULL, "without a path");
	ok(c->system_users != NULL, "the system's users are a table");
	is(c->system_users->type, "getpwnam", "of getpwnam");
	r = STAILQ_NEXT(r, entry);
	ok(r->reject, "reject");
	is_int(r->action.kind, ACTION_NONE, "has no action");
	ok(conf_action_find(c, "deliver to maildir \"~/Maildir\"") != NULL,
	    "an action by its text");
	ok(conf_action_find(c, "deliver to lmtp \"/run/x\"") != NULL, "another");
	ok(conf_action_find(c, "deliver to mbox") == NULL, "one that is gone");
	ok(conf_action_find(c, "") == NULL, "a reject rule is no action");
	conf_free(c);
	c = parsed("accept for any relay via smtp://x\n");
	ok(c != NULL && c->system_users == NULL, "relaying needs no users");
	conf_free(c);
}

static void
routes(void)
{
	static const char *const cases[][2] = {
		{ "relay via smtp://127.0.0.1:10028", "smtp://127.0.0.1:10028" },
		{ "relay via smtp://MX.Example.org", "smtp://mx.example.org:25" },
		{ "relay via mx.example.org:26", "smtp://mx.example.org:26" },
		{ "relay via smtp+notls://x.example", "smtp+notls://x.example:25" },
		{ "relay via lmtp://[IPv6:::1]", "lmtp://[::1]:24" },
		{ "deliver to lmtp 127.0.0.1:24", "lmtp://127.0.0.1:24" },
		{ "deliver to lmtp [::1]:2424 rcpt-to", "lmtp://[::1]:2424" },
		{ "deliver to lmtp localhost", "lmtp://localhost:24" },
		{ "deliver to lmtp lmtp://localhost:24", "lmtp://localhost:24" },
		{ "deliver to lmtp /run/dovecot/lmtp", "lmtp:/run/dovecot/lmtp" },
		{ "deliver to lmtp lmtp:/run/dovecot/lmtp", "lmtp:/run/dovecot/lmtp" },
		{ "relay via lmtp:/run/dovecot/lmtp", "lmtp:/run/dovecot/lmtp" },
		{ "relay", "mx:d.example" },
		{ "relay backup", "mx:d.example backup" },
		{ "relay backup MX2.example", "mx:d.example backup \"mx2.example\"" },
		{ "relay relayhost <t>", "relayhost:d.example relayhost <t>" },
		{ "relay via smtp://a via.example:26", "smtp://a:25,smtp://via.example:26" },
		{ "relay via { smtp://a, smtps://[::1] }", "smtp://a:25,smtps://[::1]:465" },
		{ "relay via secure://a", "smtps://a:465,smtp+tls://a:25" },
		{ "relay via tls://l@a auth <t>", "smtp+tls://l@a:25 auth <t>" },
		{ "relay via smtp+notls+auth://l@a auth <t>", "smtp+notls+auth://l@a:25 auth <t>" },
		{ "relay via smtp+notls://l@localhost auth <t>",
		    "smtp+notls+auth://l@localhost:25 auth <t>" },
		{ "deliver to maildir", NULL },
		{ "deliver to mbox", NULL },
		{ "deliver to mda x", NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = xasprintf("table t file:/t\naccept for any %s\n", cases[i][0]);
		struct conf *c = parsed(text);
		struct conf_url u;
		char *route =
		    c == NULL ? NULL
			      : conf_action_route(&STAILQ_FIRST(&c->rules)->action, "d.example");
		is(route, cases[i][1], "route of %s", cases[i][0]);
		if (route != NULL) {
			struct conf_route parsed_route;
			conf_route_parse(&parsed_route, c, route);
			ok(parsed_route.action != NULL, "and its options are found");
			for (const char *urls = parsed_route.where;
			     parsed_route.kind == ROUTE_URLS && urls != NULL;)
				is(conf_url_next(&u, &urls), NULL, "and it is a URL");
			conf_route_free(&parsed_route);
			conf_route_parse(&parsed_route, c, "mx:d.example source <gone>");
			ok(parsed_route.action == NULL, "others are not");
			conf_route_free(&parsed_route);
		}
		free(route);
		conf_free(c);
		free(text);
	}
}

int
main(void)
{
	criteria();
	actions();
	orders();
	model();
	routes();
	return done();
}
