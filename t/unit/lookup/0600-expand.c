/*
 * Rules and expansion over tables that stand in the configuration: which rule matches, where aliases
 * lead, loops and bounds (security row 19), users that cannot be (row 25).
 */
#include "lookup/local.h"
#include "log.h"
#include "tap.h"
#include "text.h"

#include <event2/event.h>

struct process process;

static const char config[] =
    "hostname mail.example.org\n"
    "table aliases { root = bob, \"info\" = \"bob, alice@example.org, carol@far.example\",\n"
    "  a = b, b = a, self = self, deep = d1, d1 = d2, d2 = bob, bad = \"|/bin/sh\", worse = "
    "'\"|/bin/sh -c x\"', nobodys = gone,\n"
    "  both = \"bob,gone\", bob+vip = alice, esc = \"\\\\info\" }\n"
    "table users { bob = 2000:2000:/home/bob, alice = 2001:2001:/home/alice,\n"
    "  self = 2002:2002:/home/self, rooty = 0:0:/root, rel = 2003:2003:home,\n"
    "  dots = 2004:2004:/home/../etc, neg = -1:2000:/home/neg, big = 4294967296:1:/h,\n"
    "  info = 2005:2005:/home/info }\n"
    "table vmap { bob@virtual.example = bob, sales = alice@example.org, @virtual.example = bob }\n"
    "table lists { spammer@evil.example, @bad.example }\n"
    "table nets { 192.0.2.0/24, 2001:db8::/32 }\n"
    "table mine { example.org, *.sub.example.org }\n"
    "reject sender <lists> for any\n"
    "accept tagged DKIM for any relay via smtp://127.0.0.1:26\n"
    "accept from any for domain <mine> alias <aliases> userbase <users> deliver to maildir\n"
    "accept from any for domain virtual.example virtual <vmap> userbase <users> deliver to mbox\n"
    "accept from any for domain lmtp.example deliver to lmtp localhost:24 rcpt-to\n"
    "reject from any for domain closed.example\n"
    "accept from any for domain forward.example alias <aliases> userbase <users> forward-only\n"
    "accept from source <nets> for domain nets.example relay via smtp://127.0.0.1:27\n"
    "accept from source ! <nets> for domain notnets.example relay via smtp://127.0.0.1:28\n"
    "accept from any for domain chosen.example recipient { one@chosen.example } relay via "
    "lmtp://127.0.0.1:29\n"
    "accept for local alias <aliases> userbase <users> deliver to maildir\n"
    "accept for any relay via smtp://relay.example:25 expire 2h\n";

static struct expansion *got;
static struct text answer_text;

static void
on_expanded(struct expansion *e, void *arg)
{
	(void)arg;
	got = e;
}

static struct facts from_net = { .client = "198.51.100.7", .helo = "x", .tag = "", .auth = "" };
static struct facts from_here = {
	.client = "local", .helo = "x", .tag = "", .auth = "", .local = true
};

/* The expansion as text: "ACCEPT dest>route-or-user …", or the verdict and reply. */
static const char *
expanded(const struct facts *facts, const char *sender, const char *rcpt)
{
	struct text t = answer_text;
	struct facts f = *facts;
	struct addr to = { 0 };

	t.len = 0;
	f.sender = (struct addr){ 0 };
	if (sender[0] != '\0')
		addr_parse(&f.sender, sender, strlen(sender));
	if (strcmp(rcpt, "postmaster") == 0)
		strcpy(to.local, rcpt);
	else
		addr_parse(&to, rcpt, strlen(rcpt));
	got = NULL;
	expand_start(&f, &to, on_expanded, NULL);
	if (got != NULL)
		return "answered inside the call";
	for (int i = 0; i < 100000 && got == NULL; i++)
		event_base_loop(process.base, EVLOOP_NONBLOCK);
	if (got == NULL)
		return "no answer";
	text_put(&t, got->verdict == VERDICT_ACCEPT ? "ACCEPT" : got->reply);
	for (size_t i = 0; i < got->n_items; i++) {
		struct item *item = &got->items[i];
		text_putf(&t, " %s>%s", item->dest,
		    item->error != NULL      ? "FAILED"
		    : item->route[0] != '\0' ? item->route
					     : item->user);
	}
	expansion_release(got);
	answer_text = t;
	return t.s;
}

static void
rules(void)
{
	const char *any = "x@y.example";

	is(expanded(&from_net, any, "bob@example.org"), "ACCEPT bob@example.org>bob",
	    "a local user");
	is(expanded(&from_net, any, "BOB@EXAMPLE.ORG"), "ACCEPT BOB@example.org>bob",
	    "in any case");
	is(expanded(&from_net, any, "bob@a.sub.example.org"), "ACCEPT bob@a.sub.example.org>bob",
	    "a wildcard domain");
	is(expanded(&from_net, any, "bob+tag@example.org"), "ACCEPT bob+tag@example.org>bob",
	    "a sub-address");
	is(expanded(&from_net, any, "bob+vip@example.org"), "ACCEPT alice@example.org>alice",
	    "an alias of the whole sub-address wins");
	is(expanded(&from_net, any, "gone@example.org"), "550 5.1.1 No such user here", "no user");
	is(expanded(&from_net, any, "x@other.example"),
	    "550 5.7.1 No rule accepts mail for this recipient from you", "no relaying");
	is(expanded(&from_here, any, "x@other.example"),
	    "ACCEPT x@other.example>smtp://relay.example:25", "but for ourselves");
	from_net.auth = "bob";
	is(expanded(&from_net, any, "x@other.example"),
	    "ACCEPT x@other.example>smtp://relay.example:25", "and for who has authenticated");
	from_net.auth = "";
	is(expanded(&from_here, "spammer@evil.example", "bob@example.org"),
	    "550 5.7.1 Mail for this recipient is refused here", "a refused sender");
	is(expanded(&from_here, "Any@BAD.example", "bob@example.org"),
	    "550 5.7.1 Mail for this recipient is refused here", "a refused sender's domain");
	is(expanded(&from_here, "", "bob@example.org"), "ACCEPT bob@example.org>bob",
	    "the null sender is in no list");
	is(expanded(&from_here, any, "x@closed.example"),
	    "550 5.7.1 Mail for this recipient is refused here", "a rule that rejects");
	from_here.tag = "DKIM";
	is(expanded(&from_here, any, "bob@example.org"),
	    "ACCEPT bob@example.org>smtp://127.0.0.1:26", "a tag");
	from_here.tag = "dkim";
	is(expanded(&from_here, any, "bob@example.org"), "ACCEPT bob@example.org>bob",
	    "another tag");
	from_here.tag = "";
	is(expanded(&from_here, any, "postmaster"), "550 5.1.1 No such user here",
	    "postmaster without a domain is looked for here");
	is(expanded(&from_here, any, "root@localhost"), "ACCEPT bob@localhost>bob", "for local");
}

static void
criteria(void)
{
	const char *any = "x@y.example";

	is(expanded(&from_net, any, "a@nets.example"),
	    "550 5.7.1 No rule accepts mail for this recipient from you", "from outside the nets");
	is(expanded(&from_net, any, "a@notnets.example"),
	    "ACCEPT a@notnets.example>smtp://127.0.0.1:28", "which the negation takes");
	from_net.client = "192.0.2.77";
	is(expanded(&from_net, any, "a@nets.example"), "ACCEPT a@nets.example>smtp://127.0.0.1:27",
	    "from inside");
	from_net.client = "2001:db8::77";
	is(expanded(&from_net, any, "a@nets.example"), "ACCEPT a@nets.example>smtp://127.0.0.1:27",
	    "IPv6 too");
	from_net.client = "198.51.100.7";
	is(expanded(&from_net, any, "one@chosen.example"),
	    "ACCEPT one@chosen.example>lmtp://127.0.0.1:29", "a recipient of the list");
	is(expanded(&from_net, any, "two@chosen.example"),
	    "550 5.7.1 No rule accepts mail for this recipient from you", "and one that is not");
	is(expanded(&from_net, any, "who@lmtp.example"),
	    "ACCEPT who@lmtp.example>lmtp://localhost:24", "lmtp asks for no user");
}

static void
aliases(void)
{
	const char *any = "x@y.example";

	is(expanded(&from_net, any, "root@example.org"), "ACCEPT bob@example.org>bob", "an alias");
	is(expanded(&from_net, any, "info@example.org"),
	    "ACCEPT carol@far.example>smtp://relay.example:25 bob@example.org>bob "
	    "alice@example.org>alice",
	    "several: a name, an address here, an address elsewhere as if from here");
	is(expanded(&from_net, any, "deep@example.org"), "ACCEPT bob@example.org>bob",
	    "of aliases");
	is(expanded(&from_net, any, "self@example.org"), "ACCEPT self@example.org>self",
	    "a name that is its own alias is the user");
	is(expanded(&from_net, any, "esc@example.org"), "ACCEPT info@example.org>info",
	    "so is one with a backslash");
	is(expanded(&from_net, any, "a@example.org"),
	    "550 5.4.6 The aliases of this address lead nowhere", "a loop ends");
	is(expanded(&from_net, any, "info@forward.example"),
	    "ACCEPT carol@far.example>smtp://relay.example:25 bob@forward.example>FAILED "
	    "alice@example.org>alice",
	    "forward-only: what leads on is taken, a user here is not");
	is(expanded(&from_net, any, "bob@forward.example"), "550 5.1.1 No such address here",
	    "and not at all without an alias");
	is(expanded(&from_net, any, "nobodys@example.org"), "550 5.1.1 No such user here",
	    "to nobody");
	is(expanded(&from_net, any, "both@example.org"),
	    "ACCEPT bob@example.org>bob gone@example.org>FAILED", "one of two fails alone");
	ok(strncmp(expanded(&from_net, any, "bad@example.org"), "451 ", 4) == 0,
	    "a command is not run, and the mail not refused");
	ok(strncmp(expanded(&from_net, any, "worse@example.org"), "451 ", 4) == 0,
	    "nor one in quotes");
	is(expanded(&from_net, any, "bob@virtual.example"), "ACCEPT bob@virtual.example>bob",
	    "a virtual address");
	is(expanded(&from_net, any, "sales@virtual.example"), "ACCEPT alice@example.org>alice",
	    "a virtual user that leads to an address");
	is(expanded(&from_net, any, "\"sales\"@virtual.example"), "ACCEPT alice@example.org>alice",
	    "quotes alone change nothing");
	is(expanded(&from_net, any, "\"bob@virtual.example\"@virtual.example"),
	    "550 5.1.1 No such address here", "a quoted @ makes no key of another address");
	is(expanded(&from_net, any, "\"bob@x\"@example.org"), "550 5.1.1 No such address here",
	    "nor in an alias table");
	is(expanded(&from_net, any, "whoever@virtual.example"), "ACCEPT bob@virtual.example>bob",
	    "the domain's catch-all");
}

static void
users(void)
{
	static const char *const impossible[] = { "rooty", "rel", "dots", "neg", "big" };
	char rcpt[64];

	for (size_t i = 0; i < sizeof(impossible) / sizeof(impossible[0]); i++) {
		snprintf(rcpt, sizeof(rcpt), "%s@example.org", impossible[i]);
		ok(strncmp(expanded(&from_net, "x@y.example", rcpt), "451 ", 4) == 0,
		    "%s is not delivered to", impossible[i]);
	}
}

/* Expansion bombs: each in bounded time and memory. */
static void
bombs(const char *text, const char *rcpt, const char *want, const char *what)
{
	struct text errors = { 0 };
	struct conf *conf = conf_parse(text, strlen(text), "bomb", &errors);

	if (!ok(conf != NULL, "the bomb parses: %s", what)) {
		printf("# %s\n", errors.s);
		return;
	}
	process.conf = conf;
	table_init();
	const char *was = expanded(&from_net, "x@y.example", rcpt);
	ok(strncmp(was, want, strlen(want)) == 0, "%s: %.60s", what, was);
	table_free();
	conf_free(conf);
	text_free(&errors);
}

static void
make_bombs(void)
{
	struct text t = { 0 };
	const char *rule = "accept from any for any alias <a> userbase { x = 2000:2000:/home/x } "
			   "deliver to maildir\n";

	text_put(&t, "table a { n0 = n1");
	for (int i = 1; i < 1001; i++)
		text_putf(&t, ", n%d = n%d", i, i + 1);
	text_putf(&t, ", n1001 = x }\n%s", rule);
	bombs(t.s, "n0@example.org", "451 ", "a chain of 1,001");
	t.len = 0;
	text_put(&t, "table a { all = \"l0");
	for (int i = 1; i < 100; i++)
		text_putf(&t, ",l%d", i);
	text_put(&t, "\"");
	for (int i = 0; i < 100; i++) {
		text_putf(&t, ", l%d = \"m%d", i, i * 100);
		for (int j = 1; j < 100; j++)
			text_putf(&t, ",m%d", i * 100 + j);
		text_put(&t, "\"");
	}
	text_putf(&t, " }\n%s", rule);
	bombs(t.s, "all@example.org", "451 ", "10,000 members");
	text_free(&t);
}

int
main(void)
{
	struct text errors = { 0 };

	log_open("test", false, 0);
	process.base = event_base_new();
	struct conf *conf = conf_parse(config, strlen(config), "test", &errors);
	process.conf = conf;
	if (process.conf == NULL) {
		printf("Bail out! %s\n", errors.s);
		return 1;
	}
	table_init();
	rules();
	criteria();
	aliases();
	users();
	table_free();
	conf_free(conf);
	make_bombs();
	event_base_free(process.base);
	text_free(&answer_text);
	return done();
}
