/* utf8.h, idna.h, xtext.h: characters beyond ASCII, in addresses, domains and parameters. */
#include "idna.h"
#include "tap.h"
#include "text.h"
#include "utf8.h"
#include "xtext.h"

static void
characters(void)
{
	static const char *const bad[] = { "\x80", "\xbf", "\xc0\xaf", "\xc1\xbf", "\xc3", "\xc3(",
		"\xe0\x80\xaf", "\xe0\x9f\xbf", "\xe2\x82", "\xed\xa0\x80", "\xed\xbf\xbf",
		"\xf0\x80\x80\xaf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
		"\xf8\x88\x80\x80\x80", "\xff", "\xfe" };
	static const struct {
		const char *s;
		uint32_t code;
	} good[] = { { "a", 'a' }, { "\xc2\x80", 0x80 }, { "\xdf\xbf", 0x7ff },
		{ "\xe0\xa0\x80", 0x800 }, { "\xef\xbf\xbd", 0xfffd }, { "\xed\x9f\xbf", 0xd7ff },
		{ "\xee\x80\x80", 0xe000 }, { "\xf0\x90\x80\x80", 0x10000 },
		{ "\xf4\x8f\xbf\xbf", 0x10ffff } };
	uint32_t code;
	char out[5];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		is_int(utf8_char(bad[i], &code), 0, "no character: %zu", i);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		is_int(utf8_char(good[i].s, &code), (int)strlen(good[i].s), "%s", good[i].s);
		is_int(code, (int)good[i].code, "its number");
		out[utf8_encode(code, out)] = '\0';
		is(out, good[i].s, "and back");
		for (size_t n = 0; n < strlen(good[i].s); n++)
			is_int(utf8_char_within(good[i].s, n, &code), 0, "cut after %zu", n);
	}
	static const uint32_t odd[] = { 0, 0x1f, 0x7f, 0x85, 0x9f, 0x200b, 0x200e, 0x2028, 0x202e,
		0x2067, 0xfeff, 0xfffe, 0x1ffff, 0xfdd0 };
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		ok(!utf8_is_plain(odd[i]), "U+%04X is not shown", (unsigned)odd[i]);
	ok(utf8_is_plain(' ') && utf8_is_plain(0xfc) && utf8_is_plain(0x1f600), "letters are");
}

static void
domain(const char *text, const char *want)
{
	char out[DOMAIN_MAX + 1] = "";
	bool good = idna_ascii(out, text);

	if (want == NULL)
		ok(!good, "no domain: %s", text);
	else
		is(good ? out : "none", want, "%s", text);
}

static void
domains(void)
{
	char text[IDNA_TEXT_LEN], label[300], out[80];

	domain("Example.ORG", "example.org");
	domain("_dmarc.example.org", "_dmarc.example.org");
	domain("b\xc3\xbc"
	       "cher.example",
	    "xn--bcher-kva.example");
	domain("B\xc3\x9c"
	       "CHER.Example",
	    "xn--bcher-kva.example");
	domain("bu\xcc\x88"
	       "cher.example",
	    "xn--bcher-kva.example");
	domain("XN--BCHER-KVA.example", "xn--bcher-kva.example");
	domain("stra\xc3\x9f"
	       "e.example",
	    "xn--strae-oqa.example");
	domain("\xe4\xbe\x8b\xe3\x81\x88.jp", "xn--r8jz45g.jp");
	domain("b\xc3\xbc"
	       "cher\xe3\x80\x82"
	       "example",
	    "xn--bcher-kva.example");
	domain("\xef\xbd\x85xample.org", "example.org");
	domain("", NULL);
	domain("b\xc3", NULL);
	domain("\xc0\xaf.example", NULL);
	domain("a\xef\xbc\xa0"
	       "b.example",
	    NULL);                             /* a wide @ */
	domain("a\xe2\x84\x80.example", NULL); /* maps to a/c */
	domain("a\xef\xbc\x8f.example", NULL); /* a wide slash */
	domain("\xe2\x80\x8b.example", NULL);  /* nothing to be seen */
	domain("ex\xef\xbb\xbf\xc3\xbc.example", NULL);
	domain("-\xc3\xbc.example", NULL);
	domain("\xc3\xbc..example", NULL);
	domain("\xc3\xbc example", NULL);
	memset(label, 'a', sizeof(label));
	memcpy(label + 58, "\xc3\xbc.org", 7);
	domain(label, NULL); /* 59 letters are more than 63 octets of an A-label */

	ok(idna_unicode(text, "xn--bcher-kva.example"), "the form that people write");
	is(text,
	    "b\xc3\xbc"
	    "cher.example",
	    "is found");
	ok(!idna_unicode(text, "example.org"), "ASCII has none");
	ok(!idna_unicode(text, "xn--\x01"), "nor has what is no A-label");
	ok(idna_entry_ascii(out, sizeof(out), "J@B\xc3\xbc.org"), "an address");
	is(out, "J@xn--b-eha.org", "of a table");
	ok(idna_entry_ascii(out, sizeof(out), "*.b\xc3\xbc.org"), "a pattern");
	is(out, "*.xn--b-eha.org", "of one");
	ok(idna_entry_ascii(out, sizeof(out), "@b\xc3\xbc.org"), "a whole domain");
	is(out, "@xn--b-eha.org", "of one");
	ok(!idna_entry_ascii(out, sizeof(out), "\xc3\xbc@b.org"), "a local part stays");
	ok(!idna_entry_ascii(out, sizeof(out), "b*\xc3\xbc.org"), "and a pattern within a label");
	ok(!idna_entry_ascii(out, 5, "J@B\xc3\xbc.org"), "no room");
	ok(idna_key_unicode(out, sizeof(out), "\xc3\xbc@xn--b-eha.org"), "a key");
	is(out, "\xc3\xbc@b\xc3\xbc.org", "in the other form");
	ok(!idna_key_unicode(out, sizeof(out),
	       "xn--b-eha"
	       "@b.org"),
	    "a local part is no domain");
}

static void
orcpt(const char *value, bool utf8, bool want)
{
	ok(xtext_is_orcpt(value, utf8) == want, "%s %s", value, want ? "is taken" : "is not");
}

static void
parameters(void)
{
	struct text t = { 0 };
	char longest[ORCPT_MAX + 2];

	ok(xtext_is_valid("a+2Bb", false), "xtext");
	ok(!xtext_is_valid("a+2b", false) && !xtext_is_valid("a=", false) &&
		!xtext_is_valid("", false) && !xtext_is_valid("a b", false) &&
		!xtext_is_valid("a+0A", false) && !xtext_is_valid("\xc3\xbc", false),
	    "what is none");
	ok(xtext_is_valid("j\xc3\xbc+2B", true) && !xtext_is_valid("\xc3", true), "with UTF-8");
	orcpt("rfc822;a@b", false, true);
	orcpt("utf-8;j\\x{FC}rgen@b", false, true);
	orcpt("UTF-8;\\x{5C}\\x{2B}\\x{3D}\\x{20}", false, true);
	orcpt("utf-8;\\x{1F600}\\x{10FFFF}", false, false); /* the last is no character */
	orcpt("utf-8;\\x{1F600}\\x{10FFFD}", false, true);
	orcpt("utf-8;j\xc3\xbcrgen@b", true, true);
	orcpt("utf-8;j\xc3\xbcrgen@b", false, false);
	orcpt("utf-8;j+C3", false, false);
	orcpt("utf-8;", true, false);
	orcpt("utf-8;\\", true, false);
	orcpt("utf-8;\\x{", true, false);
	orcpt("utf-8;\\x{FC", true, false);
	orcpt("utf-8;\\x{fc}", true, false);
	orcpt("utf-8;\\x{F}", true, false);
	orcpt("utf-8;\\x{0FC}", true, false);
	orcpt("utf-8;\\x{41}", true, false);
	orcpt("utf-8;\\x{0A}", true, false);
	orcpt("utf-8;\\x{85}", true, false);
	orcpt("utf-8;\\x{DFFF}", true, false);
	orcpt("utf-8;\\x{110000}", true, false);
	orcpt("utf-8;\\x{1234567}", true, false);
	orcpt("utf-8;\xed\xa0\x80", true, false);
	orcpt("utf-\xc3\xbc;x", true, false);
	memset(longest, 'a', sizeof(longest));
	memcpy(longest, "utf-8;", 6);
	longest[ORCPT_MAX] = '\0';
	ok(xtext_is_orcpt(longest, false), "the longest");
	memcpy(longest + ORCPT_MAX, "a", 2);
	ok(!xtext_is_orcpt(longest, false), "a longer one");

	xtext_put_ascii(&t, "utf-8;j\xc3\xbcrgen@\xf0\x9f\x98\x80.x\xff");
	is(t.s, "utf-8;j\\x{FC}rgen@\\x{1F600}.x?", "in ASCII");
	t.len = 0;
	xtext_put_decoded(&t, "utf-8;j\\x{FC}rgen\\x{2B}@\xce\xb1");
	is(t.s, "utf-8;j\xc3\xbcrgen+@\xce\xb1", "decoded");
	t.len = 0;
	xtext_put_decoded(&t, "rfc822;a+2Bb\\x{FC}");
	is(t.s, "rfc822;a+b\\x{FC}", "each type in its own way");
	text_free(&t);
}

int
main(void)
{
	characters();
	domains();
	parameters();
	return done();
}
