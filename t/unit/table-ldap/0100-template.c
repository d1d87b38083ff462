/* Filters and DNs with places for the key: what is taken, what is filled in, what can never get out. */
#include "template.h"

#include "tap.h"

static void
fills_by(
    enum template_kind kind, const char *text, const char *key, bool is_domain, const char *want)
{
	char why[TEMPLATE_WHY_LEN] = "", *out = NULL;
	struct template *t = template_new(kind, text, why);
	struct template_key k;

	template_split(&k, key, is_domain, "devs");
	if (!ok(t != NULL, "%s is taken%s%s", text, *why == '\0' ? "" : ": ", why))
		return;
	enum template_outcome outcome = template_fill(t, &k, &out);
	is_int(
	    outcome, want == NULL ? TEMPLATE_NO_MATCH : TEMPLATE_DONE, "%s with '%s'", text, key);
	is(out, want, "gives %s", want == NULL ? "nothing" : want);
	free(out);
	template_free(t);
}

static void
filter(const char *text, const char *key, const char *want)
{
	fills_by(TEMPLATE_FILTER, text, key, false, want);
}

static void
dn(const char *text, const char *key, const char *want)
{
	fills_by(TEMPLATE_DN, text, key, false, want);
}

static void
refused(const char *text, const char *want)
{
	char why[TEMPLATE_WHY_LEN] = "";
	struct template *t = template_new(TEMPLATE_FILTER, text, why);

	ok(t == NULL, "%s is refused", text);
	ok(strstr(why, want) != NULL, "because %s: %s", want, why);
	template_free(t);
}

static void
places(void)
{
	filter("(uid=%s)", "bob", "(uid=bob)");
	filter("(uid=%u)", "bob", "(uid=bob)");
	filter("uid=%u", "bob", "(uid=bob)");
	filter("(|(uid=%u)(mail=%s)(x=%u))", "bob", "(|(uid=bob)(mail=bob)(x=bob))");
	filter("(cn=%h-%u-%%)", "bob", "(cn=devs-bob-%)");
	filter("(&(uid=%l)(dc=%d)(mail=%u))", "bob@example.org",
	    "(&(uid=bob)(dc=example.org)(mail=bob@example.org))");
	filter("(uid=%l)", "a@b@c", "(uid=a@b)");
	filter("(dc=%d)", "a@b@c", "(dc=c)");
	filter("(uid=%l)", "bob", "(uid=bob)");
	filter("(dc=%d)", "bob", NULL);
	filter("(dc=%d)", "bob@", NULL);
	filter("(uid=%l)", "@example.org", NULL);
	filter("(dc=%d)", "@example.org", "(dc=example.org)");
	filter("(uid=%u)", "", NULL);
	filter("(uid=*)", "", "(uid=*)");
	fills_by(TEMPLATE_FILTER, "(dc=%d)", "example.org", true, "(dc=example.org)");
	fills_by(TEMPLATE_FILTER, "(uid=%l)", "example.org", true, NULL);
	filter("( & (uid=%u) ( ! (x=1) ) )", "bob", "( & (uid=bob) ( ! (x=1) ) )");
	filter("(cn:caseExactMatch:=%u)", "bob", "(cn:caseExactMatch:=bob)");
	filter("(memberOf:1.2.840.113556.1.4.1941:=cn=%u,dc=x)", "g",
	    "(memberOf:1.2.840.113556.1.4.1941:=cn=g,dc=x)");
	filter("(mail=*:%u)", "bob", "(mail=*:bob)");
	filter("(cn=a\\28b%u)", "c", "(cn=a\\28bc)");
	filter("(n>=%u)", "5", "(n>=5)");
	dn("uid=%u,ou=people,dc=%d", "b@example.org", "uid=b@example.org,ou=people,dc=example.org");
	dn("dc=example,dc=org", "x", "dc=example,dc=org");
}

/* Row 14. */
static void
injection(void)
{
	filter("(uid=%u)", "*", "(uid=\\2a)");
	filter("(uid=%u)", "a)(uid=*", "(uid=a\\29\\28uid=\\2a)");
	filter("(uid=%u)", "\\2a", "(uid=\\5c2a)");
	filter("(uid=%u)", "%u%s%%", "(uid=%u%s%%)");
	filter("(uid=%u)", "\xff\xfe", "(uid=\\ff\\fe)");
	filter("(uid=%u)", "j\xc3\xbcrgen", "(uid=j\\c3\\bcrgen)");
	filter("(uid=%u)", " a\tb ", "(uid=\\20a\\09b\\20)");
	filter("(uid=%u)", "x,ou=admin", "(uid=x,ou=admin)");
	dn("uid=%u,ou=people", "x,ou=admin", "uid=x\\2cou\\3dadmin,ou=people");
	dn("uid=%u,ou=people", "x+cn=y", "uid=x\\2bcn\\3dy,ou=people");
	dn("uid=%u,ou=people", "#04", "uid=\\2304,ou=people");
	dn("uid=%u,ou=people", " x\\,\"<>;", "uid=\\20x\\5c\\2c\\22\\3c\\3e\\3b,ou=people");
	dn("uid=%u,ou=people", "j\xc3\xbcrgen", "uid=j\\c3\\bcrgen,ou=people");
	dn("uid=%u,ou=people", "\xff", NULL);
	dn("uid=%u,ou=people", "\xc0\xaf", NULL);
	dn("uid=%u,ou=people", "\xed\xa0\x80", NULL);
	dn("uid=%u,ou=people", "\xf4\x90\x80\x80", NULL);
	dn("uid=%u,ou=people", "a\xe2\x82", NULL);
	dn("uid=%u,ou=people", "\xe2\x82\xac\xf0\x9f\x98\x80",
	    "uid=\\e2\\82\\ac\\f0\\9f\\98\\80,ou=people");
}

static void
faults(void)
{
	refused("(uid=%x)", "% stands only before");
	refused("(uid=%)", "% stands only before");
	refused("(uid=a%", "% stands only before");
	refused("(uid=%u", "lacks a )");
	refused("(&(uid=%u)", "lacks a )");
	refused("(uid=%u))", "goes on");
	refused("(uid=%u)(x=y)", "goes on");
	refused("(%u=x)", "not in the name");
	refused("(=x)", "lacks the name");
	refused("()", "lacks the name");
	refused("(uid)", "lacks a =");
	refused("(uid~x)", "lacks a =");
	refused("(uid=a(b)", "\\28");
	refused("(uid=\\2)", "hexadecimal");
	refused("(uid=\\zz)", "hexadecimal");
	refused("(!uid=x)", "begins with (");
	char deep[300] = "";
	for (int i = 0; i < 60; i++)
		strcat(deep, "(!");
	refused(deep, "too deep");
}

static void
lengths(void)
{
	static char key[TEMPLATE_OUT_MAX], text[2000];
	char why[TEMPLATE_WHY_LEN], *out;
	struct template_key k;

	memset(key, '*', 4096);
	template_split(&k, key, false, "devs");
	strcpy(text, "(|");
	for (int i = 0; i < 5; i++)
		strcat(text, "(a=%u)");
	strcat(text, ")");
	struct template *t = template_new(TEMPLATE_FILTER, text, why);
	is_int(template_fill(t, &k, &out), TEMPLATE_DONE, "five times 4096 bytes");
	is_int(strlen(out), 3 + 5 * (4 + 3 * 4096), "all escaped");
	free(out);
	template_free(t);
	text[strlen(text) - 1] = '\0';
	strcat(text, "(a=%u))");
	t = template_new(TEMPLATE_FILTER, text, why);
	is_int(template_fill(t, &k, &out), TEMPLATE_TOO_LONG, "six times is too long");
	ok(out == NULL, "and gives nothing");
	template_free(t);
}

int
main(void)
{
	places();
	injection();
	faults();
	lengths();
	return done();
}
