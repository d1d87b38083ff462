/* Every statement but rules: what it sets, and the defaults. */
#include "parsing.h"

#include <sys/socket.h>

static void
defaults(void)
{
	struct conf *c = parsed("");

	if (!ok(c != NULL, "an empty file is a configuration"))
		return;
	ok(c->hostname != NULL && *c->hostname != '\0', "there is a host name");
	is(c->spool, "/var/spool/tabmail", "spool");
	is(c->socket, "/run/tabmail/control.sock", "socket");
	is(c->helpers, LIBEXEC, "helpers");
	is(c->resolver, NULL, "the system's resolver");
	ok(c->dane == DANE_AUTO && c->trust_anchor == NULL && c->n_no_dnssec == 0, "dane auto");
	is_int(c->first_uid, 1000, "first-uid");
	is_int(c->n_bounce_warn, 1, "one warning");
	is_int(c->bounce_warn_sec[0], 4 * 3600, "after 4 h");
	is_int(c->expire_sec, 4 * 86400, "expire");
	is_int(c->max_message_len, 35 << 20, "max-message-size");
	is_int(c->max_hops, 100, "max-hops");
	is_int(c->smtp_processes, 1, "smtp processes");
	is_int(c->limit.sessions, 10000, "sessions");
	is_int(c->limit.recipients, 1000, "recipients");
	is_int(c->limit.relay_connections, 20, "relay-connections");
	is_int(c->limit.deliveries, 64, "deliveries");
	is_int(c->n_tables, 0, "no table");
	is_int(c->n_rules, 0, "no rule");
	is_int(c->n_listeners, 1, "one listener");
	is(conf_listener(c, 0)->where, "localhost", "on localhost");
	is_int(conf_listener(c, 0)->port, 25, "port 25");
	ok(conf_listener(c, 1) == NULL, "no other");
	ok(conf_table(c, 0) == NULL && conf_table_named(c, "x") == NULL, "no table is found");
	char *submit = conf_submit_socket(c);
	is(submit, "/run/tabmail/submit.sock", "the submission socket");
	free(submit);
	conf_free(c);
	conf_free(NULL);
}

static void
settings(void)
{
	struct conf *c = parsed("hostname mail.example.org\n"
				"spool \"/tmp/a spool\"\n"
				"socket '/tmp/s/c.sock'\n"
				"helpers /tmp/h # a comment\n"
				"resolver 127.0.0.1@5353\n"
				"dane yes\n"
				"trust-anchor \"/a.key\"\n"
				"no-dnssec corp, b.example\n"
				"first-uid 500\n"
				"bounce-warn 4h, 1d, 2d\n"
				"expire 5d\n"
				"max-message-size 100M\n"
				"max-hops 30\n"
				"smtp processes 4\n"
				"limit sessions 7 recipients 8\n"
				"limit relay-connections 9\n"
				"limit \\\n\tdeliveries \\\n 10");

	if (!ok(c != NULL, "all settings"))
		return;
	is(c->hostname, "mail.example.org", "hostname");
	is(c->spool, "/tmp/a spool", "spool in quotes");
	is(c->socket, "/tmp/s/c.sock", "socket in single quotes");
	is(c->helpers, "/tmp/h", "helpers");
	is(c->resolver, "127.0.0.1@5353", "resolver");
	is_int(c->dane, DANE_YES, "dane");
	is(conf_trust_anchor(c), "/a.key", "trust-anchor");
	is_int(c->n_no_dnssec, 2, "no-dnssec");
	is(c->no_dnssec[1], "b.example", "its second");
	is_int(c->first_uid, 500, "first-uid");
	is_int(c->n_bounce_warn, 3, "three warnings");
	is_int(c->bounce_warn_sec[1], 86400, "the second");
	is_int(c->bounce_warn_sec[2], 2 * 86400, "the third");
	is_int(c->expire_sec, 5 * 86400, "expire");
	is_int(c->max_message_len, 100 << 20, "max-message-size");
	is_int(c->max_hops, 30, "max-hops");
	is_int(c->smtp_processes, 4, "smtp processes");
	is_int(c->limit.sessions, 7, "sessions");
	is_int(c->limit.recipients, 8, "recipients, of the same line");
	is_int(c->limit.relay_connections, 9, "relay-connections");
	is_int(c->limit.deliveries, 10, "deliveries, over three lines and without an end");
	conf_free(c);
}

static void
resolvers(void)
{
	static const char *const cases[][2] = {
		{ "none", "none" },
		{ "192.0.2.1", "192.0.2.1@53" },
		{ "::1", "::1@53" },
		{ "[::1]@54", "::1@54" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = xasprintf("resolver %s\n", cases[i][0]);
		struct conf *c = parsed(text);
		is(c == NULL ? NULL : c->resolver, cases[i][1], "resolver %s", cases[i][0]);
		conf_free(c);
		free(text);
	}
	struct conf *c = parsed("bounce-warn none\n");
	is_int(c == NULL ? -1 : (int)c->n_bounce_warn, 0, "bounce-warn none");
	conf_free(c);
	c = parsed("bounce-warn 1h 2h\n");
	is_int(c == NULL ? -1 : (int)c->n_bounce_warn, 2, "bounce-warn without commas");
	ok(c != NULL && c->n_retry == 10 && c->retry_sec[0] == 120 && c->retry_sec[9] == 4 * 3600,
	    "retry by default");
	ok(c != NULL && !c->bounce_cleared && c->double_bounce == NULL,
	    "none of the other reports");
	conf_free(c);
	c = parsed("retry 1m, 15m, 15m, 2h\nbounce-cleared yes\ndouble-bounce postmaster\n"
		   "limit route-deliveries 7 all-deliveries 9\n");
	ok(c != NULL && c->n_retry == 4 && c->retry_sec[0] == 60 && c->retry_sec[2] == 900 &&
		c->retry_sec[3] == 7200,
	    "retry");
	ok(c != NULL && c->bounce_cleared, "bounce-cleared");
	is(c == NULL ? NULL : c->double_bounce, "postmaster", "double-bounce");
	ok(c != NULL && c->limit.route_deliveries == 7 && c->limit.all_deliveries == 9,
	    "limits in flight");
	conf_free(c);
	c = parsed("double-bounce none\nbounce-cleared no\n");
	ok(c != NULL && c->double_bounce == NULL && !c->bounce_cleared, "none, no");
	conf_free(c);
}

static void
tables(void)
{
	struct conf *c = parsed("table f file:/etc/mail/f\n"
				"table o ldap:/etc/l max-pending 1 timeout 5s user joe\n"
				"table o2 user joe:x timeout 1m max-pending 9\n"
				"table \"q\" getpwnam:\n"
				"table c command \"/usr/bin/prog a 'b c'\"\n"
				"table l { a, \"b c\"\n\td,\n\n e, }\n"
				"table m { a = b\n c = 'd, e' }\n"
				"table e {}\n"
				"table domain { local, any, deliver }\n");

	ok(c == NULL, "an option in front of the source is an error");
	conf_free(c);
	c = parsed(
	    "table f file:/etc/mail/f\n"
	    "table o ldap:/etc/l max-pending 1 timeout 5s user joe\n"
	    "table \"q\" getpwnam:\n"
	    "table c command \"/usr/bin/prog a 'b c'\" timeout 1m cache 5m negative 10s stale 1d\n"
	    "table l { a, \"b c\"\n\td,\n\n e, }\n"
	    "table m { a = b\n c = 'd, e' }\n"
	    "table e {}\n"
	    "table domain { local, any, deliver }\n");
	if (!ok(c != NULL, "tables"))
		return;
	is_int(c->n_tables, 8, "eight");
	const struct conf_table *t = conf_table(c, 0);
	is(t->name, "f", "name");
	is(t->type, "file", "type");
	is(t->arg, "/etc/mail/f", "argument");
	is(t->command, NULL, "no command");
	is(t->user, NULL, "no user");
	ok(!t->is_static, "a helper's");
	is_int(t->max_pending, 512, "max-pending by default");
	is_int(t->timeout_ms, 30000, "timeout by default");
	is_int(t->line, 1, "line");
	t = conf_table_named(c, "o");
	is_int(t->index, 1, "index");
	is_int(t->max_pending, 1, "max-pending");
	is_int(t->timeout_ms, 5000, "timeout");
	is(t->user, "joe", "user");
	is(conf_table_named(c, "q")->arg, "", "an empty argument");
	t = conf_table_named(c, "c");
	is(t->command, "/usr/bin/prog a 'b c'", "command");
	is(t->type, NULL, "no type");
	is_int(t->timeout_ms, 60000, "an option behind a command");
	is_int(t->cache_ms, 300000, "cache");
	is_int(t->negative_ms, 10000, "negative");
	is_int(t->stale_ms, 86400000, "stale");
	t = conf_table_named(c, "l");
	const struct conf_entry *e = STAILQ_FIRST(&t->entries);
	ok(t->is_static, "a list is static");
	static const char *const list[] = { "a", "b c", "d", "e" };
	for (size_t i = 0; i < 4; i++, e = STAILQ_NEXT(e, entry)) {
		is(e->key, list[i], "entry %zu", i);
		is(e->value, NULL, "has no value");
	}
	ok(e == NULL, "no more");
	e = STAILQ_FIRST(&conf_table_named(c, "m")->entries);
	is(e->key, "a", "key");
	is(e->value, "b", "value");
	e = STAILQ_NEXT(e, entry);
	is(e->key, "c", "second key");
	is(e->value, "d, e", "second value");
	ok(STAILQ_EMPTY(&conf_table_named(c, "e")->entries), "an empty list");
	t = conf_table_named(c, "domain");
	is(STAILQ_FIRST(&t->entries)->key, "local", "keywords may be names and entries");
	conf_free(c);
}

static void
listeners(void)
{
	struct conf *c = parsed("listen on egress\n"
				"listen on lo0 port 10029 tag DKIM\n"
				"listen on ::1 tag \"A.b_c-1\" inet6 no-dsn mask-source port smtp "
				"hostname mx.example.org received-auth\n"
				"listen on socket mask-source tag local\n"
				"listen on 127.0.0.1 inet4 port submission\n"
				"listen on egress port smtps\n");

	if (!ok(c != NULL, "listeners"))
		return;
	is_int(c->n_listeners, 6, "six");
	const struct conf_listener *l = conf_listener(c, 0);
	is(l->where, "egress", "where");
	is_int(l->port, 25, "port by default");
	is_int(l->family, AF_UNSPEC, "any family");
	is(l->tag, NULL, "no tag");
	is(l->hostname, NULL, "no name of its own");
	ok(!l->socket && !l->mask_source && !l->no_dsn && !l->received_auth, "no flag");
	l = conf_listener(c, 1);
	is_int(l->index, 1, "index");
	is_int(l->port, 10029, "port");
	is(l->tag, "DKIM", "tag");
	is_int(l->line, 2, "line");
	l = conf_listener(c, 2);
	is_int(l->family, AF_INET6, "inet6");
	is_int(l->port, 25, "port smtp");
	is(l->tag, "A.b_c-1", "a tag in quotes");
	is(l->hostname, "mx.example.org", "hostname");
	ok(l->mask_source && l->no_dsn && l->received_auth, "flags");
	l = conf_listener(c, 3);
	ok(l->socket, "the socket");
	is(l->tag, "local", "a keyword is a tag");
	ok(l->mask_source, "mask-source on the socket");
	is_int(conf_listener(c, 4)->port, 587, "port submission");
	is_int(conf_listener(c, 4)->family, AF_INET, "inet4");
	is_int(conf_listener(c, 5)->port, 465, "port smtps");
	conf_free(c);
	c = parsed("listen on lo inet4\nlisten on lo inet6\n");
	ok(c != NULL, "one interface, two families");
	conf_free(c);
	c = parsed("pki mail certificate /c key \"/k\" ca /ca\npki x ca /k\naccept for any "
		   "deliver to mbox\n");
	if (ok(c != NULL, "pki that nothing uses")) {
		const struct conf_pki *k = STAILQ_FIRST(&c->pkis);
		is(k->name, "mail", "its name");
		is(k->certificate, "/c", "its certificate");
		is(k->key, "/k", "its key");
		is(k->ca, "/ca", "its ca");
	}
	conf_free(c);
	c = parsed("hostname mx.example.org\npki a certificate /a key /ak\npki trust ca /t\n"
		   "listen on lo tls\nlisten on eth0 smtps pki a pki b ciphers X "
		   "protocols \"tlsv1.3,!tlsv1.2\"\nlisten on eth1 tls-require verify\n"
		   "pki b certificate /b key /bk\npki MX.example.org certificate /m key /mk\n");
	if (ok(c != NULL, "listeners with TLS")) {
		l = conf_listener(c, 0);
		is_int(l->tls, TLS_OFFERED, "tls");
		is_int(l->n_pki, 3, "no pki named: all that have a key");
		is(l->pki[0]->name, "MX.example.org", "that of the host's name in front");
		l = conf_listener(c, 1);
		is_int(l->tls, TLS_SMTPS, "smtps");
		is_int(l->port, 465, "on its port");
		is_int(l->n_pki, 2, "several pki");
		is(l->pki[1]->name, "b", "in their order");
		is(l->ciphers, "X", "ciphers");
		is(l->protocols, "tlsv1.3,!tlsv1.2", "protocols");
		l = conf_listener(c, 2);
		is_int(l->tls, TLS_REQUIRED, "tls-require");
		ok(l->tls_verify, "verify");
	}
	conf_free(c);
	c = parsed("table t { 192.0.2.2 }\nlisten on lo proxy-v2 from { 192.0.2.0/24, ::1 } "
		   "xclient from <t>\n"
		   "listen on eth0 xclient from 192.0.2.1\n");
	if (ok(c != NULL, "proxy-v2, xclient")) {
		l = conf_listener(c, 0);
		is(STAILQ_FIRST(&l->proxy->entries)->key, "192.0.2.0/24", "a list of proxies");
		is(l->xclient->name, "t", "a table");
		l = conf_listener(c, 1);
		ok(l->proxy == NULL, "none");
		is(STAILQ_FIRST(&l->xclient->entries)->key, "192.0.2.1", "a single one");
	}
	conf_free(c);
}

static void
macros(void)
{
	struct conf *c = parsed("dir = /etc/tabmail\n"
				"addr = \"127.0.0.1 port 2525\"  # comment\n"
				"two = $dir/two # x\n"
				"list = { a, \"b # c\" }\n"
				"table t file:$dir/t\n"
				"table u file:$two/u\n"
				"table l $list\n"
				"listen on $addr tag a\n"
				"hostname = mail\n"
				"hostname $hostname.example.org\n"
				"spool \"/$dir\"\n"
				"empty = ''\n"
				"helpers $empty/x$empty\n");

	if (!ok(c != NULL, "macros"))
		return;
	is(conf_table_named(c, "t")->arg, "/etc/tabmail/t", "in front of a word's rest");
	is(conf_table_named(c, "u")->arg, "/etc/tabmail/two/u", "a macro in a macro");
	is(STAILQ_NEXT(STAILQ_FIRST(&conf_table_named(c, "l")->entries), entry)->key, "b # c",
	    "a whole list");
	is_int(conf_listener(c, 0)->port, 2525, "several words");
	is(c->hostname, "mail.example.org", "a statement's word as a macro");
	is(c->spool, "/$dir", "not in quotes");
	is(c->helpers, "/x", "an empty value");
	conf_free(c);
}

/* Of each limit the first statement that names the domain, else the first for all. */
static void
relay_limits(void)
{
	struct conf *c = parsed(
	    "limit relay-connections 7\n"
	    "limit relay for domain { *.slow.example, big.example } connections 2 rate 10/m\n"
	    "limit relay for domain big.example connections 50, family inet4\n"
	    "limit relay messages 9, rate 5/s\n");
	struct conf_relay_limit l;

	conf_relay_limit(c, "a.slow.example", &l);
	is_int(l.connections, 2, "connections of a domain by its pattern");
	ok(l.rate == 10 && l.rate_ms == 60000, "its rate");
	is_int(l.messages, 9, "what it does not say is as for all");
	is_int(l.family, AF_UNSPEC, "both families");
	conf_relay_limit(c, "BIG.example", &l);
	ok(l.connections == 2 && l.family == AF_INET, "the first one that says it counts");
	conf_relay_limit(c, "other.example", &l);
	is_int(l.connections, 7, "the default");
	ok(l.rate == 5 && l.rate_ms == 1000, "and what holds for all");
	conf_free(c);
}

int
main(void)
{
	defaults();
	settings();
	resolvers();
	tables();
	listeners();
	macros();
	relay_limits();
	return done();
}
