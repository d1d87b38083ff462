/* Command lines: their ends, verbs, paths and parameters. */
#include "smtp/local.h"
#include "tap.h"

static enum line
scan(const char *in, size_t len, size_t *used)
{
	return smtp_parse_scan(in, len, used);
}

static void
lines(void)
{
	static char longest[COMMAND_LINE_MAX + 8];
	size_t n;

	is_int(scan("NOOP\r\nX", 7, &n), LINE_OK, "a whole line");
	is_int(n, 6, "its length with the end");
	is_int(scan("NOOP\r", 5, &n), LINE_MORE, "half an end is no end");
	is_int(scan("NOOP", 4, &n), LINE_MORE, "no end");
	is_int(scan("NOOP\n", 5, &n), LINE_BARE_LF, "a bare LF");
	is_int(n, 5, "is taken with it");
	is_int(scan("\n", 1, &n), LINE_BARE_LF, "a bare LF alone");
	is_int(scan("\r\n", 2, &n), LINE_OK, "an empty line");
	is_int(scan("NO\rOP\r\n", 7, &n), LINE_CONTROL, "a bare CR");
	is_int(scan("NOOP\r\r\n", 7, &n), LINE_CONTROL, "CR CR LF");
	is_int(scan("NO\0OP\r\n", 7, &n), LINE_CONTROL, "a NUL");
	is_int(n, 7, "the whole line is taken");
	memset(longest, 'x', sizeof(longest));
	is_int(scan(longest, COMMAND_LINE_MAX - 1, &n), LINE_MORE, "not too long yet");
	is_int(scan(longest, COMMAND_LINE_MAX, &n), LINE_LONG, "too long");
	memcpy(longest + COMMAND_LINE_MAX - 2, "\r\n", 2);
	is_int(scan(longest, COMMAND_LINE_MAX, &n), LINE_OK, "the longest line");
	memcpy(longest + COMMAND_LINE_MAX - 2, "x\r\n", 3);
	is_int(scan(longest, COMMAND_LINE_MAX + 1, &n), LINE_LONG, "one byte more");
}

static void
verbs(void)
{
	char a[] = "mail FROM:<a@b>  ", b[] = "QUIT", c[] = "noop \t x y ", d[] = "", e[] = "  x";

	is(smtp_parse_verb(a), "FROM:<a@b>", "arguments, without the blanks at the end");
	is(a, "MAIL", "the verb in upper case");
	is(smtp_parse_verb(b), "", "no arguments");
	is(smtp_parse_verb(c), "x y", "blanks between");
	is(smtp_parse_verb(d), "", "an empty line");
	is(smtp_parse_verb(e), "x", "a line that begins with a blank");
	is(e, "", "has no verb");
	ok(smtp_parse_helo("mail.example.org"), "HELO name");
	ok(smtp_parse_helo("[IPv6:2001:db8::1]"), "HELO literal");
	ok(smtp_parse_helo("my_host"), "HELO with an underscore");
	ok(!smtp_parse_helo(""), "HELO nothing");
	ok(!smtp_parse_helo("a b"), "HELO two words");
	ok(!smtp_parse_helo("a\nX: y"), "HELO with LF");
	ok(!smtp_parse_helo("a;(b)"), "HELO with what a header would read");
	ok(!smtp_parse_helo("b\xc3\xbc"), "HELO 8-bit");
}

static const char *
mail(const char *args, struct mail_params *p, char out[ADDR_TEXT_LEN])
{
	static char buf[4096];
	struct addr a = { 0 };

	snprintf(buf, sizeof(buf), "%s", args);
	const char *wrong = smtp_parse_mail(buf, OFFERS_DSN, &a, p);
	addr_text(&a, out);
	return wrong == NULL ? "ok" : wrong;
}

static void
mails(void)
{
	struct mail_params p;
	char a[ADDR_TEXT_LEN];

	is(mail("FROM:<bob@Example.ORG>", &p, a), "ok", "MAIL");
	is(a, "bob@example.org", "its address");
	is_int(p.size, -1, "no size");
	is(mail("from: <bob@example.org>", &p, a), "ok", "a blank after the colon");
	is(mail("FROM:<>", &p, a), "ok", "the null path");
	is(a, "", "is empty");
	is(mail("FROM:<@a,@b:c@d.org>", &p, a), "ok", "a source route");
	is(a, "c@d.org", "is dropped");
	is(mail("FROM:<a@b.org> SIZE=1000 BODY=8BITMIME RET=HDRS ENVID=QQ+2B1", &p, a), "ok",
	    "all parameters");
	is_int(p.size, 1000, "SIZE");
	is_int(p.ret, RET_HDRS, "RET");
	is(p.envid, "QQ+2B1", "ENVID as given");
	is(mail("FROM:<a@b.org> body=7bit ret=full", &p, a), "ok", "in lower case");
	is(mail("FROM:<a@b.org> SIZE=99999999999999999999", &p, a), "ok", "a size beyond any");
	ok(p.size == INT64_MAX, "is the greatest");
	static const char *const bad[] = { "FROM:<a@b.org> SIZE=", "FROM:<a@b.org> SIZE=-1",
		"FROM:<a@b.org> SIZE=1x", "FROM:<a@b.org> SIZE", "FROM:<a@b.org> SIZE=1 SIZE=2",
		"FROM:<a@b.org> BODY=BINARYMIME", "FROM:<a@b.org> RET=NONE",
		"FROM:<a@b.org> ENVID=a+b", "FROM:<a@b.org> ENVID=a+0A", "FROM:<a@b.org> ENVID=a=b",
		"FROM:<a@b.org> =x", "FROM:<a@b.org> SIZE=1\x01" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		is(mail(bad[i], &p, a), "501 5.5.4 a parameter is malformed", "%s", bad[i]);
	is(mail("FROM:<a@b.org> AUTH=<>", &p, a), "555 5.5.4 a parameter is not known here",
	    "AUTH is not known");
	is(mail("<a@b.org>", &p, a), "501 5.5.4 write it as MAIL FROM:<address>", "no FROM");
	static const char *const no_address[] = { "FROM:", "FROM:a@b.org", "FROM:<a@b.org",
		"FROM:<a@b.org>SIZE=1", "FROM:<;touch x;>", "FROM:<a@>", "FROM:<@b.org>",
		"FROM:<a b@c.org>", "FROM:<a\tb@c.org>", "FROM:<a@b..org>", "FROM:<b\xc3@c.org>",
		"FROM:<\"a\x01\"@b.org>", "FROM:<<a@b.org>>", "FROM:<a@b.org>>" };
	for (size_t i = 0; i < sizeof(no_address) / sizeof(no_address[0]); i++)
		is(mail(no_address[i], &p, a), "501 5.1.7 no valid sender address", "%s",
		    no_address[i]);
}

/* RFC 6531 3.4, 3.5 */
static void
mails_in_utf8(void)
{
	static const char needs[] = "550 5.6.7 a sender beyond ASCII needs SMTPUTF8";
	static const char bad[] = "501 5.5.4 a parameter is malformed";
	static const char none[] = "501 5.1.7 no valid sender address";
	struct mail_params p;
	char a[ADDR_TEXT_LEN];

	is(mail("FROM:<a@b.org> SMTPUTF8", &p, a), "ok", "SMTPUTF8");
	ok(p.utf8, "is noted");
	is(mail("FROM:<a@b.org>", &p, a), "ok", "without it");
	ok(!p.utf8, "it is not");
	is(mail("FROM:<b\xc3\xbc@c.org> smtputf8 BODY=8BITMIME", &p, a), "ok", "in UTF-8");
	is(a, "b\xc3\xbc@c.org", "stays as it is");
	is(mail("FROM:<b\xc3\xbc@B\xc3\x9c.org> SMTPUTF8", &p, a), "ok", "the domain, too");
	is(a, "b\xc3\xbc@xn--b-eha.org", "has the form of the DNS");
	is(mail("FROM:<b\xc3\xbc@c.org>", &p, a), needs, "without the parameter");
	is(mail("FROM:<b@\xc3\xbc.org> BODY=8BITMIME", &p, a), needs, "a domain without it");
	is(mail("FROM:<@\xc3\xbc.org:b@c.org>", &p, a), needs, "a route without it");
	is(mail("FROM:<a@b.org> SMTPUTF8=1", &p, a), bad, "a value");
	is(mail("FROM:<a@b.org> SMTPUTF8=", &p, a), bad, "an empty value");
	is(mail("FROM:<a@b.org> SMTPUTF8 SMTPUTF8", &p, a), bad, "twice");
	is(mail("FROM:<a@b.org> SMTPUTF8\xc3\xbc", &p, a), bad, "a keyword in UTF-8");
	is(mail("FROM:<a@b.org> SMTPUTF8 SIZE=\xc3\xbc", &p, a), bad, "a number in UTF-8");
	is(mail("FROM:<a@b.org> SMTPUTF8 ENVID=\xc3\xbc", &p, a), bad, "ENVID is ASCII");
	is(mail("FROM:<\xc0\xaf@b.org> SMTPUTF8", &p, a), none, "an overlong form");
	is(mail("FROM:<a@\xed\xa0\x80.org> SMTPUTF8", &p, a), none, "a surrogate");
	is(mail("FROM:<\xc2\x85@b.org> SMTPUTF8", &p, a), none, "a control");
	is(mail("FROM:<b\xc3@c.org>", &p, a), none, "no UTF-8, without the parameter");
}

static const char *
rcpt(const char *args, unsigned dsn, struct rcpt_params *p, char out[ADDR_TEXT_LEN])
{
	static char buf[4096];
	struct addr a = { 0 };

	snprintf(buf, sizeof(buf), "%s", args);
	const char *wrong = smtp_parse_rcpt(buf, dsn, &a, p);
	addr_text(&a, out);
	return wrong == NULL ? "ok" : wrong;
}

static void
rcpts(void)
{
	struct rcpt_params p;
	char a[ADDR_TEXT_LEN];

	is(rcpt("TO:<bob@example.org> NOTIFY=SUCCESS,delay ORCPT=rfc822;Bob+40x", true, &p, a),
	    "ok", "RCPT with both parameters");
	is_int(p.notify, NOTIFY_SUCCESS | NOTIFY_DELAY, "NOTIFY");
	is(p.orcpt, "rfc822;Bob+40x", "ORCPT as given");
	is(rcpt("TO:<x@y.org> NOTIFY=NEVER", true, &p, a), "ok", "NOTIFY=NEVER");
	is_int(p.notify, NOTIFY_NEVER, "its bit");
	is(rcpt("TO:<PostMaster>", true, &p, a), "ok", "postmaster alone");
	is(a, "postmaster", "its address");
	is(rcpt("TO:<\"a b\"@y.org>", true, &p, a), "ok", "a quoted local part");
	is(a, "\"a b\"@y.org", "stays quoted");
	static const char *const bad[] = { "TO:<x@y.org> NOTIFY=", "TO:<x@y.org> NOTIFY=MAYBE",
		"TO:<x@y.org> NOTIFY=NEVER,DELAY", "TO:<x@y.org> NOTIFY=DELAY,DELAY",
		"TO:<x@y.org> NOTIFY=DELAY NOTIFY=DELAY", "TO:<x@y.org> NOTIFY=DELAY,",
		"TO:<x@y.org> ORCPT=bob@x", "TO:<x@y.org> ORCPT=;bob", "TO:<x@y.org> ORCPT=rfc822;",
		"TO:<x@y.org> ORCPT=rfc822;a+0Ab", "TO:<x@y.org> ORCPT=rfc822;a+0a" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		is(rcpt(bad[i], true, &p, a), "501 5.5.4 a parameter is malformed", "%s", bad[i]);
	is(rcpt("TO:<x@y.org> NOTIFY=DELAY", false, &p, a),
	    "555 5.5.4 a parameter is not known here", "NOTIFY where DSN is not offered");
	is(rcpt("TO:<>", true, &p, a), "501 5.1.3 no valid recipient address", "an empty path");
	is(rcpt("TO:<root>", true, &p, a), "501 5.1.3 no valid recipient address", "no domain");
	is(rcpt("FROM:<x@y.org>", true, &p, a), "501 5.5.4 write it as RCPT TO:<address>", "no TO");
}

static void
rcpts_in_utf8(void)
{
	static const char bad[] = "501 5.5.4 a parameter is malformed";
	unsigned both = OFFERS_DSN | OFFERS_UTF8;
	struct rcpt_params p;
	char a[ADDR_TEXT_LEN];

	is(rcpt("TO:<\xce\xb1@y.org>", both, &p, a), "ok", "RCPT in UTF-8");
	is(a, "\xce\xb1@y.org", "its address");
	is(rcpt("TO:<\xce\xb1@y.org>", OFFERS_DSN, &p, a),
	    "553 5.6.7 a recipient beyond ASCII needs SMTPUTF8", "when MAIL had no SMTPUTF8");
	is(rcpt("TO:<\"\xce\xb1 b\"@y.org>", both, &p, a), "ok", "quoted");
	is(a, "\"\xce\xb1 b\"@y.org", "stays quoted");
	is(rcpt("TO:<x@y.org> ORCPT=utf-8;\xce\xb1@y.org", both, &p, a), "ok", "ORCPT in UTF-8");
	is(p.orcpt, "utf-8;\xce\xb1@y.org", "as given");
	is(rcpt("TO:<x@y.org> ORCPT=utf-8;\\x{3B1}@y.org", OFFERS_DSN, &p, a), "ok",
	    "its form in ASCII, without SMTPUTF8");
	is(rcpt("TO:<x@y.org> ORCPT=utf-8;\xce\xb1@y.org", OFFERS_DSN, &p, a), bad,
	    "ORCPT in UTF-8 without SMTPUTF8");
	is(rcpt("TO:<x@y.org> ORCPT=rfc822;\xce\xb1@y.org", both, &p, a), bad,
	    "of a type that is ASCII");
	is(rcpt("TO:<x@y.org> ORCPT=utf-8;\\x{D800}", both, &p, a), bad, "a surrogate");
	is(rcpt("TO:<x@y.org> ORCPT=utf-8;\xce", both, &p, a), bad, "half a character");
}

/* Security row 1: refused, or taken as the harmless atom that it is. */
static void
metacharacters(void)
{
	static const char chars[] = ";|&$`<>(){}'\"\\ \t\n\r\x01\x7f";
	struct rcpt_params p;
	char a[ADDR_TEXT_LEN], args[64];

	for (const char *c = chars; *c != '\0'; c++) {
		bool atom = strchr("|&$`{}'", *c) != NULL;
		snprintf(args, sizeof(args), "TO:<x%cy@z.org>", *c);
		ok((strcmp(rcpt(args, true, &p, a), "ok") == 0) == atom, "0x%02x in a local part",
		    (unsigned char)*c);
		snprintf(args, sizeof(args), "TO:<x%cy>", *c);
		is(rcpt(args, true, &p, a), "501 5.1.3 no valid recipient address",
		    "0x%02x without a domain", (unsigned char)*c);
		snprintf(args, sizeof(args), "TO:<x@y%cz.org>", *c);
		is(rcpt(args, true, &p, a), "501 5.1.3 no valid recipient address",
		    "0x%02x in a domain", (unsigned char)*c);
	}
}

int
main(void)
{
	lines();
	verbs();
	mails();
	mails_in_utf8();
	rcpts();
	rcpts_in_utf8();
	metacharacters();
	return done();
}
