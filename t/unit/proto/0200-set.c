/* The matching rules of the services, the nasty ones too. */
#include "tab_set.h"
#include "tap.h"

static struct tab_set *
list(const char *const *entries)
{
	struct tab_set *s = tab_set_new();

	for (; *entries != NULL; entries++)
		tab_set_add(s, *entries, NULL);
	return s;
}
#define LIST(...) list((const char *const[]){ __VA_ARGS__, NULL })

static void
check(struct tab_set *s, enum tab_service service, const char *key, enum tab_answer want)
{
	const char *value = NULL;

	is_int(tab_set_ask(s, TAB_CHECK, service, key, &value), want, "%s '%.60s'",
	    tab_service_name(service), key);
	if (want != TAB_ERROR)
		is(value, "", "a check has no value");
}

static void
yes(struct tab_set *s, enum tab_service service, const char *key)
{
	check(s, service, key, TAB_FOUND);
}

static void
no(struct tab_set *s, enum tab_service service, const char *key)
{
	check(s, service, key, TAB_MISSING);
}

static void
gives(
    struct tab_set *s, enum tab_op op, enum tab_service service, const char *key, const char *want)
{
	const char *value = NULL;
	enum tab_answer a = tab_set_ask(s, op, service, key, &value);

	is(a == TAB_FOUND      ? value
	    : a == TAB_MISSING ? NULL
			       : "(error)",
	    want, "%s %s %s", tab_op_name(op), tab_service_name(service), key);
}

static void
domains(void)
{
	struct tab_set *s = LIST("example.org", "*.example.net", "*.a.example.net",
	    "MX*.Example.COM", "x.*.example.edu", "sub.*", "[192.0.2.1]");

	yes(s, TAB_DOMAIN, "example.org");
	yes(s, TAB_DOMAIN, "EXAMPLE.org");
	no(s, TAB_DOMAIN, "a.example.org");
	no(s, TAB_DOMAIN, "xexample.org");
	no(s, TAB_DOMAIN, "example.or");
	no(s, TAB_DOMAIN, "example.org.");
	no(s, TAB_DOMAIN, "");
	no(s, TAB_DOMAIN, "org");
	yes(s, TAB_DOMAIN, "a.example.net");
	yes(s, TAB_DOMAIN, "b.a.example.net");
	yes(s, TAB_DOMAIN, "b.c.d.example.net");
	no(s, TAB_DOMAIN, "example.net");
	no(s, TAB_DOMAIN, ".example.net");
	no(s, TAB_DOMAIN, "evilexample.net");
	no(s, TAB_DOMAIN, "a.example.net.evil.org");
	yes(s, TAB_DOMAIN, "mx1.example.com");
	yes(s, TAB_DOMAIN, "mx.example.com");
	no(s, TAB_DOMAIN, "amx1.example.com");
	no(s, TAB_DOMAIN, "mx1.example.com.org");
	yes(s, TAB_DOMAIN, "x.y.example.edu");
	no(s, TAB_DOMAIN, "y.y.example.edu");
	yes(s, TAB_DOMAIN, "sub.anything");
	yes(s, TAB_DOMAIN, "[192.0.2.1]");
	no(s, TAB_DOMAIN, "user@example.org");
	no(s, TAB_DOMAIN, "@example.org");
	gives(s, TAB_LOOKUP, TAB_DOMAIN, "q.example.net", "*.example.net");
	gives(s, TAB_LOOKUP, TAB_DOMAIN, "q.a.example.net", "*.a.example.net");
	tab_set_free(s);

	s = LIST("*");
	yes(s, TAB_DOMAIN, "anything.example");
	no(s, TAB_DOMAIN, "");
	tab_set_free(s);

	s = tab_set_new();
	no(s, TAB_DOMAIN, "example.org");
	no(s, TAB_DOMAIN, "");
	char dots[60000];
	memset(dots, '.', sizeof(dots) - 1);
	dots[sizeof(dots) - 1] = '\0';
	tab_set_add(s, "*.", NULL);
	no(s, TAB_DOMAIN, dots);
	no(s, TAB_MAILADDR, dots);
	no(s, TAB_NETADDR, dots);
	tab_set_free(s);
}

static void
netaddrs(void)
{
	struct tab_set *s = LIST("192.0.2.1", "198.51.100.0/24", "10.9.8.7/8", "2001:db8::/32",
	    "[2001:db9::1]", "[IPv6:2001:dba::]/33", "::ffff:203.0.113.0/120", "local",
	    "0.0.0.1/33", "1.2.3.4/", "1.2.3.4/x", "1.2.3.4/-1", "1.2.3.4/08", "300.1.1.1",
	    "5.6.7.8/ 8", "172.16.0.0/12", "[192.0.2.77]");

	yes(s, TAB_NETADDR, "192.0.2.1");
	yes(s, TAB_NETADDR, "[192.0.2.1]");
	yes(s, TAB_NETADDR, "::ffff:192.0.2.1");
	yes(s, TAB_NETADDR, "::FFFF:c000:0201");
	no(s, TAB_NETADDR, "192.0.2.2");
	no(s, TAB_NETADDR, "192.0.2.10");
	no(s, TAB_NETADDR, "192.0.2.1.");
	no(s, TAB_NETADDR, "192.0.2");
	no(s, TAB_NETADDR, "::192.0.2.1");
	yes(s, TAB_NETADDR, "192.0.2.77");
	yes(s, TAB_NETADDR, "198.51.100.0");
	yes(s, TAB_NETADDR, "198.51.100.255");
	no(s, TAB_NETADDR, "198.51.101.0");
	no(s, TAB_NETADDR, "198.51.99.255");
	yes(s, TAB_NETADDR, "10.0.0.0");
	yes(s, TAB_NETADDR, "10.255.255.255");
	no(s, TAB_NETADDR, "11.0.0.0");
	yes(s, TAB_NETADDR, "172.31.255.255");
	no(s, TAB_NETADDR, "172.32.0.0");
	yes(s, TAB_NETADDR, "2001:db8::1");
	yes(s, TAB_NETADDR, "2001:DB8:ffff:ffff:ffff:ffff:ffff:ffff");
	yes(s, TAB_NETADDR, "[2001:db8::1]");
	yes(s, TAB_NETADDR, "[IPv6:2001:db8::1]");
	yes(s, TAB_NETADDR, "[ipv6:2001:db8::1]");
	yes(s, TAB_NETADDR, "2001:0db8:0000::0001");
	no(s, TAB_NETADDR, "2001:db7::1");
	yes(s, TAB_NETADDR, "2001:db9::1");
	no(s, TAB_NETADDR, "2001:db9::2");
	yes(s, TAB_NETADDR, "2001:dba:7fff::1");
	no(s, TAB_NETADDR, "2001:dba:8000::1");
	yes(s, TAB_NETADDR, "203.0.113.9");
	no(s, TAB_NETADDR, "203.0.114.9");
	yes(s, TAB_NETADDR, "local");
	no(s, TAB_NETADDR, "");
	no(s, TAB_NETADDR, "[]");
	no(s, TAB_NETADDR, "[");
	no(s, TAB_NETADDR, "]");
	no(s, TAB_NETADDR, "unknown");
	no(s, TAB_NETADDR, "0.0.0.1");
	no(s, TAB_NETADDR, "1.2.3.4");
	no(s, TAB_NETADDR, "5.6.7.8");
	no(s, TAB_NETADDR, "10.0.0.0/16");
	no(s, TAB_NETADDR, "[192.0.2.1");
	gives(s, TAB_LOOKUP, TAB_NETADDR, "10.1.1.1", "10.9.8.7/8");
	tab_set_add(s, "10.1.0.0/16", NULL);
	gives(s, TAB_LOOKUP, TAB_NETADDR, "10.1.1.1", "10.1.0.0/16");
	tab_set_free(s);

	s = LIST("::/0");
	yes(s, TAB_NETADDR, "2001:db8::1");
	yes(s, TAB_NETADDR, "fe80::1%eth0");
	no(s, TAB_NETADDR, "192.0.2.1");
	no(s, TAB_NETADDR, "::ffff:192.0.2.1");
	tab_set_free(s);
	s = LIST("0.0.0.0/0");
	yes(s, TAB_NETADDR, "255.255.255.255");
	no(s, TAB_NETADDR, "::1");
	no(s, TAB_NETADDR, "local");
	tab_set_free(s);
}

static void
mailaddrs(void)
{
	struct tab_set *s =
	    LIST("joe@example.org", "ann@*.example.org", "@example.net", "@*.sub.example.net",
		"root", "bob+tag@example.org", "@mx*.example.com", "*@example.edu");

	yes(s, TAB_MAILADDR, "joe@example.org");
	yes(s, TAB_MAILADDR, "JOE@Example.Org");
	yes(s, TAB_MAILADDR, "joe+x@example.org");
	yes(s, TAB_MAILADDR, "joe+x+y@example.org");
	no(s, TAB_MAILADDR, "joex@example.org");
	no(s, TAB_MAILADDR, "joe@a.example.org");
	no(s, TAB_MAILADDR, "joe");
	no(s, TAB_MAILADDR, "+x@example.org");
	no(s, TAB_MAILADDR, "@example.org");
	yes(s, TAB_MAILADDR, "ann@a.example.org");
	yes(s, TAB_MAILADDR, "ann@a.b.example.org");
	yes(s, TAB_MAILADDR, "ann+tag@a.example.org");
	no(s, TAB_MAILADDR, "ann@example.org");
	no(s, TAB_MAILADDR, "bann@a.example.org");
	yes(s, TAB_MAILADDR, "any@example.net");
	no(s, TAB_MAILADDR, "any@a.example.net");
	yes(s, TAB_MAILADDR, "any@a.sub.example.net");
	no(s, TAB_MAILADDR, "any@sub.example.net");
	yes(s, TAB_MAILADDR, "root");
	yes(s, TAB_MAILADDR, "root@anywhere.example");
	yes(s, TAB_MAILADDR, "root+x@anywhere.example");
	no(s, TAB_MAILADDR, "roots@anywhere.example");
	yes(s, TAB_MAILADDR, "bob+tag@example.org");
	no(s, TAB_MAILADDR, "bob@example.org");
	no(s, TAB_MAILADDR, "bob+other@example.org");
	yes(s, TAB_MAILADDR, "a@mx3.example.com");
	no(s, TAB_MAILADDR, "a@my3.example.com");
	no(s, TAB_MAILADDR, "joe@example.edu"); /* a * is a local part like any other */
	yes(s, TAB_MAILADDR, "*@example.edu");
	yes(s, TAB_MAILADDR, "odd@local@example.net");
	no(s, TAB_MAILADDR, "any@example.net@example.biz");
	no(s, TAB_MAILADDR, "");
	no(s, TAB_MAILADDR, "@");
	gives(s, TAB_LOOKUP, TAB_MAILADDR, "joe+x@example.org", "joe@example.org");
	tab_set_free(s);

	s = LIST("@");
	yes(s, TAB_MAILADDR, "joe@example.org");
	yes(s, TAB_MAILADDR, "joe");
	no(s, TAB_MAILADDR, "");
	tab_set_free(s);
	s = LIST("@*");
	yes(s, TAB_MAILADDR, "joe@example.org");
	no(s, TAB_MAILADDR, "joe");
	tab_set_free(s);

	char deep[1200] = "user@";
	for (int i = 0; i < 480; i++)
		strcat(deep, "a.");
	strcat(deep, "example.net");
	s = LIST("@*.example.net");
	yes(s, TAB_MAILADDR, deep);
	tab_set_free(s);
}

static void
mappings(void)
{
	struct tab_set *s = tab_set_new();
	ok(tab_set_add(s, "Root", "joe@example.org, ann"), "a new key");
	ok(tab_set_add(s, "bob", "$6$salt$hash"), "another");
	tab_set_add(s, "label", "user:pa:ss");
	tab_set_add(s, "joe", "1000:1000:/home/joe");
	tab_set_add(s, "2001:DB8::1", "six.example");
	tab_set_add(s, "[192.0.2.1]", "four.example");
	tab_set_add(s, "198.51.100.0/24", "net.example");
	tab_set_add(s, "@example.org", "catchall");
	tab_set_add(s, "empty", "");
	tab_set_add(s, "*.example.org", "wild");

	gives(s, TAB_LOOKUP, TAB_ALIAS, "root", "joe@example.org, ann");
	gives(s, TAB_LOOKUP, TAB_ALIAS, "ROOT", "joe@example.org, ann");
	gives(s, TAB_LOOKUP, TAB_ALIAS, "@example.org", "catchall");
	gives(s, TAB_LOOKUP, TAB_ALIAS, "joe@example.org", NULL);
	gives(s, TAB_LOOKUP, TAB_ALIAS, "roo", NULL);
	gives(s, TAB_LOOKUP, TAB_ALIAS, "", NULL);
	gives(s, TAB_LOOKUP, TAB_ALIAS, "empty", NULL);
	gives(s, TAB_CHECK, TAB_ALIAS, "root", "");
	gives(s, TAB_LOOKUP, TAB_CREDENTIALS, "bob", "bob:$6$salt$hash");
	gives(s, TAB_LOOKUP, TAB_CREDENTIALS, "label", "user:pa:ss");
	gives(s, TAB_LOOKUP, TAB_CREDENTIALS, "empty", NULL);
	gives(s, TAB_LOOKUP, TAB_USERINFO, "joe", "1000:1000:/home/joe");
	gives(s, TAB_LOOKUP, TAB_ADDRNAME, "2001:db8::1", "six.example");
	gives(s, TAB_LOOKUP, TAB_ADDRNAME, "2001:db8:0::0:1", "six.example");
	gives(s, TAB_LOOKUP, TAB_ADDRNAME, "[IPv6:2001:db8::1]", "six.example");
	gives(s, TAB_LOOKUP, TAB_ADDRNAME, "192.0.2.1", "four.example");
	gives(s, TAB_LOOKUP, TAB_ADDRNAME, "198.51.100.7", NULL);
	gives(s, TAB_LOOKUP, TAB_NETADDR, "198.51.100.7", "net.example");
	gives(s, TAB_LOOKUP, TAB_DOMAIN, "a.example.org", "wild");
	gives(s, TAB_LOOKUP, TAB_MAILADDRMAP, "bob", "$6$salt$hash");
	gives(s, TAB_LOOKUP, TAB_STRING, "bob", "$6$salt$hash");
	gives(s, TAB_CHECK, TAB_AUTH, "bob:pw", "(error)");
	gives(s, TAB_CHECK, TAB_SERVICE_MAX, "bob", "(error)");
	gives(s, TAB_UPDATE, TAB_ALIAS, "", "(error)");
	gives(s, TAB_FETCH, TAB_ALIAS, "", "(error)");

	ok(!tab_set_add(s, "ROOT", "new"), "a key that is there");
	gives(s, TAB_LOOKUP, TAB_ALIAS, "root", "new");
	is_int(tab_set_count(s), 10, "is there once");
	tab_set_free(s);

	s = LIST("root");
	gives(s, TAB_LOOKUP, TAB_ALIAS, "root", NULL);
	gives(s, TAB_CHECK, TAB_ALIAS, "root", "");
	gives(s, TAB_LOOKUP, TAB_STRING, "root", "root");
	tab_set_free(s);
	tab_set_free(NULL);
}

static void
turns(void)
{
	struct tab_set *s = LIST("192.0.2.1", "192.0.2.2", "192.0.2.3");
	char name[] = "192.0.2.1";

	for (int i = 0; i < 10; i++) {
		name[8] = (char)('1' + i % 3);
		gives(s, TAB_FETCH, TAB_SOURCE, "", name);
	}
	tab_set_free(s);
	s = tab_set_new();
	gives(s, TAB_FETCH, TAB_SOURCE, "", NULL);
	tab_set_add(s, "a", "smtp://a.example");
	gives(s, TAB_FETCH, TAB_RELAYHOST, "", "smtp://a.example");
	gives(s, TAB_LOOKUP, TAB_RELAYHOST, "a", "smtp://a.example");
	tab_set_free(s);
}

static void
regexes(void)
{
	struct tab_set *s =
	    LIST("^joe[0-9]+$", "[[:digit:]]{3}x", "(?i)SPAM", "a|b\\.c", "^\\S+@x$");

	yes(s, TAB_REGEX, "joe12");
	no(s, TAB_REGEX, "joe");
	no(s, TAB_REGEX, "joe12z");
	yes(s, TAB_REGEX, "z123x");
	yes(s, TAB_REGEX, "some spam here");
	no(s, TAB_REGEX, "q@xz");
	yes(s, TAB_REGEX, "q@x");
	no(s, TAB_REGEX, "");
	tab_set_add(s, "(unclosed", NULL);
	yes(s, TAB_REGEX, "joe12");
	check(s, TAB_REGEX, "nothing", TAB_ERROR);
	tab_set_free(s);
	s = tab_set_new();
	no(s, TAB_REGEX, "x");
	yes((tab_set_add(s, "", NULL), s), TAB_REGEX, "x");
	tab_set_free(s);
}

static void
many(void)
{
	struct tab_set *s = tab_set_new();
	char key[64];
	unsigned wrong = 0;
	const char *value;

	for (unsigned i = 0; i < 200000; i++) {
		snprintf(key, sizeof(key), "10.%u.%u.%u/32", i >> 16, i >> 8 & 255, i & 255);
		tab_set_add(s, key, NULL);
		snprintf(key, sizeof(key), "*.d%u.example.org", i);
		tab_set_add(s, key, NULL);
	}
	is_int(tab_set_count(s), 400000, "400000 entries");
	for (unsigned i = 0; i < 250000; i++) {
		bool there = i < 200000;

		snprintf(key, sizeof(key), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		wrong +=
		    (tab_set_ask(s, TAB_CHECK, TAB_NETADDR, key, &value) == TAB_FOUND) != there;
		snprintf(key, sizeof(key), "mx.a.D%u.example.org", i);
		wrong += (tab_set_ask(s, TAB_CHECK, TAB_DOMAIN, key, &value) == TAB_FOUND) != there;
	}
	is_int(wrong, 0, "500000 questions are answered right");
	tab_set_free(s);
}

int
main(void)
{
	domains();
	netaddrs();
	mailaddrs();
	mappings();
	turns();
	regexes();
	many();
	return done();
}
