/* What entries say to a question: joined, in order, unwrapped; what is not sure is an error. */
#include "compose.h"

#include <lber.h>

#include "directory.h"
#include "settings.h"
#include "values.h"

#include "tap.h"

#define ENTRIES_MAX 8
#define ATTRS_MAX   8
#define VALUES_MAX  8

static struct directory_entry entries[ENTRIES_MAX];
static struct directory_attr attrs[ENTRIES_MAX][ATTRS_MAX];
static struct berval values[ENTRIES_MAX][ATTRS_MAX][VALUES_MAX];
static size_t n_entries;
static struct ldap_attrs asked;

static void
entry(const char *dn)
{
	entries[n_entries] = (struct directory_entry){ .dn = dn, .attrs = attrs[n_entries] };
	n_entries++;
}

static void
add_bytes(const char *name, const char *bytes, size_t len)
{
	struct directory_entry *e = &entries[n_entries - 1];
	size_t i = 0, row = (size_t)(e->attrs - attrs[0]) / ATTRS_MAX; /* they get sorted */

	while (i < e->n && strcmp(e->attrs[i].name, name) != 0)
		i++;
	if (i == e->n)
		e->attrs[e->n++] =
		    (struct directory_attr){ .name = name, .values = values[row][i], .n = 0 };
	values[row][i][e->attrs[i].n++] = (struct berval){ .bv_val = (char *)bytes, .bv_len = len };
}

static void
add(const char *name, const char *value)
{
	add_bytes(name, value, strlen(value));
}

static void
ask_for(const char *one, const char *two, const char *three)
{
	n_entries = 0;
	asked = (struct ldap_attrs){ .names = { one, two, three } };
	while (asked.names[asked.n] != NULL)
		asked.n++;
}

static const char *last_remark;

static void
says_at(enum tab_op op, enum tab_service service, const char *key, unsigned turn,
    enum tab_answer answer, const char *want)
{
	struct compose_ask ask = {
		.op = op, .service = service, .key = key, .attrs = &asked, .max = 5, .turn = turn
	};
	struct composed c;

	compose(&c, &ask, entries, n_entries);
	is_int(c.answer, answer, "%s of %s", tab_op_name(op), tab_service_name(service));
	is(c.answer == TAB_ERROR ? c.why : c.text, want, "says %s",
	    want == NULL ? "nothing" : want);
	last_remark = c.remark;
	free(c.text);
}

static void
found(enum tab_service service, const char *want)
{
	says_at(TAB_LOOKUP, service, "Bob", 0, TAB_FOUND, want);
}

static void
missing(enum tab_service service)
{
	says_at(TAB_LOOKUP, service, "Bob", 0, TAB_MISSING, NULL);
}

static void
fails(enum tab_service service, const char *why)
{
	says_at(TAB_LOOKUP, service, "Bob", 0, TAB_ERROR, why);
}

static void
lists(void)
{
	ask_for("maildrop", "mail", NULL);
	missing(TAB_ALIAS);
	entry("uid=b,dc=x");
	add("maildrop", "zoe");
	add("maildrop", "ann");
	add("other", "nobody");
	entry("UID=a,dc=x");
	add("mail", "m1");
	add("MailDrop", "joe");
	add("maildrop;lang-de", "jo");
	add("maildropx", "nobody");
	found(TAB_ALIAS, "joe, jo, m1, ann, zoe");
	found(TAB_MAILADDRMAP, "joe, jo, m1, ann, zoe");
	found(TAB_ADDRNAME, "joe");
	found(TAB_RELAYHOST, "joe");
	for (unsigned i = 0; i < 6; i++)
		says_at(TAB_FETCH, TAB_SOURCE, "", i, TAB_FOUND,
		    (const char *[]){ "joe", "jo", "m1", "ann", "zoe" }[i % 5]);
	says_at(TAB_CHECK, TAB_ALIAS, "Bob", 0, TAB_FOUND, NULL);
	add("maildrop", "JOE");
	add("maildrop", "");
	found(TAB_ALIAS, "joe, jo, m1, ann, zoe");
	add("maildrop", "six");
	fails(TAB_ALIAS, "more values than the limit (group_members)");
	ask_for("maildrop", NULL, NULL);
	entry("uid=a");
	missing(TAB_ALIAS);
	missing(TAB_SOURCE);
	says_at(TAB_FETCH, TAB_SOURCE, "", 0, TAB_MISSING, NULL);
	add_bytes("maildrop", "a\0b", 3);
	fails(TAB_ALIAS, "a value has a NUL or a line end in it");
	ask_for("maildrop", NULL, NULL);
	entry("uid=a");
	add("maildrop", "joe\nlookup-result|1|found|evil");
	fails(TAB_ALIAS, "a value has a NUL or a line end in it");
	ask_for("member", NULL, NULL);
	entry("cn=a");
	add("member;range=0-1499", "cn=x");
	fails(TAB_ALIAS, "the server gives only a part of an attribute's values (range)");
	ask_for("member", NULL, NULL);
	entry("cn=a");
	add("member;range=1500-*", "cn=x");
	found(TAB_ALIAS, "cn=x");
}

static void
parts(void)
{
	char buf[40];

	ok(values_rest("member;range=0-1499", buf, sizeof(buf)), "a part has a rest");
	is(buf, "member;range=1500-*", "which begins behind it");
	ok(values_rest("Member;Range=1500-2999", buf, sizeof(buf)), "so has the next one");
	is(buf, "Member;range=3000-*", "likewise");
	ok(!values_rest("member;range=0-x", buf, sizeof(buf)), "a part that is none");
	ok(!values_rest("member;range=0-99999999999999999999", buf, sizeof(buf)),
	    "a number that is none");
	ok(!values_rest("member;range=0-1499", buf, 10), "no room");
}

static void
matches(void)
{
	ask_for(NULL, NULL, NULL);
	missing(TAB_DOMAIN);
	says_at(TAB_CHECK, TAB_DOMAIN, "Bob", 0, TAB_MISSING, NULL);
	entry("dc=a");
	found(TAB_DOMAIN, "Bob");
	says_at(TAB_CHECK, TAB_NETADDR, "::1", 0, TAB_FOUND, NULL);
	ask_for("dc", NULL, NULL);
	entry("dc=a");
	found(TAB_MAILADDR, "Bob");
	add("dc", "a");
	found(TAB_DOMAIN, "a");
}

static void
credentials(void)
{
	ask_for("uid", "userPassword", NULL);
	missing(TAB_CREDENTIALS);
	entry("uid=a");
	add("uid", "a");
	missing(TAB_CREDENTIALS);
	ok(last_remark != NULL && strstr(last_remark, "lacks the user or the password") != NULL,
	    "and the log says so");
	add("userPassword", "{crypt}$6$x$y");
	found(TAB_CREDENTIALS, "a:$6$x$y");
	add("uid", "bob");
	found(TAB_CREDENTIALS, "bob:$6$x$y");
	add("userPassword", "plain");
	add("userPassword", "{SSHA}abc=");
	found(TAB_CREDENTIALS, "bob:$6$x$y");
	ok(last_remark == NULL, "one that can be checked is enough");
	entry("uid=b");
	add("uid", "bob");
	add("userPassword", "{CRYPT}$6$x$y");
	found(TAB_CREDENTIALS, "bob:$6$x$y");
	entry("uid=c");
	add("uid", "bob");
	add("userPassword", "{CRYPT}$6$x$z");
	fails(TAB_CREDENTIALS, "several entries match, and do not say the same");
	static const char *const others[] = { "{SSHA}abc=", "{SSHA512}abc", "{PBKDF2-SHA512}x",
		"{ARGON2}$argon2id$v=19$m=4096", "{MD5}x" };
	for (size_t i = 0; i < 5; i++) {
		ask_for("uid", "userPassword", NULL);
		entry("uid=a");
		add("uid", "a");
		add("userPassword", others[i]);
		fails(TAB_CREDENTIALS, "the password's scheme cannot be checked by crypt(3)");
		ok(last_remark != NULL && strstr(last_remark, "auth_filter") != NULL,
		    "and the log says what to do");
	}
	ask_for("userPassword", NULL, NULL);
	entry("uid=a");
	add("userPassword", "relay secret{x}");
	found(TAB_CREDENTIALS, "Bob:relay secret{x}");
	ask_for("uid", "userPassword", NULL);
	entry("uid=a");
	add("uid", "a:b");
	add("userPassword", "x");
	fails(TAB_CREDENTIALS, "a user with a colon in his name");
	ask_for("uid", "userPassword", NULL);
	entry("uid=a");
	add("uid", "a");
	add_bytes("userPassword", "x\0y", 3);
	missing(TAB_CREDENTIALS);
}

static void
userinfo(void)
{
	ask_for("uidNumber", "gidNumber", "homeDirectory");
	missing(TAB_USERINFO);
	entry("uid=a");
	add("uidNumber", "1000");
	add("gidNumber", "100");
	missing(TAB_USERINFO);
	ok(last_remark != NULL, "and the log says so");
	add("homeDirectory", "/home/a");
	found(TAB_USERINFO, "1000:100:/home/a");
	entry("uid=b");
	add("uidNumber", "1001");
	add("gidNumber", "100");
	add("homeDirectory", "/home/a");
	fails(TAB_USERINFO, "several entries match, and do not say the same");
	static const char *const odd[][3] = { { "-1", "1", "/" }, { "1000:0", "1", "/" },
		{ "x", "1", "/" }, { "1", "", "/" }, { "1", "1", "home" },
		{ "1", "12345678901", "/" } };
	for (size_t i = 0; i < 6; i++) {
		ask_for("u", "g", "h");
		entry("uid=a");
		add("u", odd[i][0]);
		add("g", odd[i][1]);
		add("h", odd[i][2]);
		if (i == 3)
			missing(TAB_USERINFO);
		else
			fails(TAB_USERINFO,
			    "uid and gid must be numbers, home a path that begins with /");
	}
}

int
main(void)
{
	lists();
	parts();
	matches();
	credentials();
	userinfo();
	fails(TAB_AUTH, "this service has no such operation");
	return done();
}
