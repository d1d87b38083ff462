/* TLSA records: what can be used of a set, which digest counts, what matches. */
#include "tlsa.h"

#include "tap.h"
#include "text.h"

#include <sha2.h>

static const char certificate[] = "a whole certificate", key[] = "its key";
static const struct bytes certificate_der = { certificate, sizeof(certificate) - 1 };
static const struct bytes key_der = { key, sizeof(key) - 1 };

static void
parses(void)
{
	static const unsigned char rdata[] = { 3, 1, 1, 0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c };
	char text[TLSA_TEXT_LEN];
	struct tlsa t;

	ok(tlsa_parse(&t, (struct bytes){ rdata, sizeof(rdata) }), "a record");
	ok(t.usage == 3 && t.selector == 1 && t.matching == 1 && t.data.len == 7, "its fields");
	is(tlsa_text(&t, text), "3 1 1 e3b0c44298fc…", "for people");
	ok(tlsa_parse(&t, (struct bytes){ rdata, 3 }), "one without data");
	is(tlsa_text(&t, text), "3 1 1 ", "for people");
	ok(!tlsa_parse(&t, (struct bytes){ rdata, 2 }), "too short");
	ok(!tlsa_parse(&t, (struct bytes){ rdata, 0 }), "empty");
	t = (struct tlsa){ 255, 255, 255, { rdata, sizeof(rdata) } };
	is(tlsa_text(&t, text), "255 255 255 030101e3b0c4…", "the longest text");
}

/* usage, selector, matching, length of data; "ends" with usage 9. */
struct record {
	unsigned usage, selector, matching;
	size_t len;
};

static void
choose_is(const struct record *v, const char *want, const char *name)
{
	static const char data[200];
	struct tlsa t[TLSA_MAX];
	struct text got = { 0 };
	size_t n = 0;

	for (; v->usage != 9; v++)
		t[n++] = (struct tlsa){ v->usage, v->selector, v->matching, { data, v->len } };
	n = tlsa_choose(t, n);
	text_put(&got, "");
	for (size_t i = 0; i < n; i++)
		text_putf(
		    &got, "%s%u%u%u", i == 0 ? "" : " ", t[i].usage, t[i].selector, t[i].matching);
	is(got.s, want, "%s", name);
	text_free(&got);
}

static void
chooses(void)
{
	choose_is((struct record[]){ { .usage = 9 } }, "", "none of none");
	choose_is(
	    (struct record[]){ { 0, 0, 1, 32 }, { 1, 1, 1, 32 }, { 4, 1, 1, 32 }, { .usage = 9 } },
	    "", "usages that SMTP does not have");
	choose_is((struct record[]){ { 3, 2, 1, 32 }, { 3, 1, 3, 32 }, { 3, 1, 255, 1 },
		      { 255, 1, 1, 32 }, { .usage = 9 } },
	    "", "selectors and digests that nobody knows");
	choose_is((struct record[]){ { 3, 1, 1, 31 }, { 3, 1, 1, 33 }, { 3, 1, 2, 32 },
		      { 3, 1, 0, 0 }, { .usage = 9 } },
	    "", "digests of the wrong length");
	choose_is(
	    (struct record[]){ { 3, 1, 1, 32 }, { 3, 1, 1, 32 }, { 2, 0, 1, 32 }, { .usage = 9 } },
	    "311 311 201", "two keys, as while one is replaced, and an authority");
	choose_is((struct record[]){ { 3, 1, 1, 32 }, { 3, 1, 2, 64 }, { .usage = 9 } }, "312",
	    "the strongest digest counts");
	choose_is(
	    (struct record[]){ { 3, 1, 2, 64 }, { 3, 1, 1, 32 }, { 3, 1, 1, 32 }, { .usage = 9 } },
	    "312", "in any order");
	choose_is((struct record[]){ { 3, 1, 1, 32 }, { 3, 1, 2, 63 }, { .usage = 9 } }, "311",
	    "unless it is malformed");
	choose_is(
	    (struct record[]){ { 3, 1, 1, 32 }, { 3, 0, 2, 64 }, { 2, 1, 2, 64 }, { .usage = 9 } },
	    "311 302 212", "each selector and usage for itself");
	choose_is(
	    (struct record[]){ { 3, 1, 0, 90 }, { 3, 1, 1, 32 }, { 3, 1, 2, 64 }, { .usage = 9 } },
	    "310 312", "what is no digest stays");
}

static bool
matches(unsigned selector, unsigned matching, const void *data, size_t len)
{
	struct tlsa t = { TLSA_DANE_EE, selector, matching, { data, len } };

	return tlsa_matches(&t, certificate_der, key_der);
}

static void
matching(void)
{
	uint8_t d256[SHA256_DIGEST_LENGTH], nothing[SHA256_DIGEST_LENGTH],
	    d512[SHA512_DIGEST_LENGTH];
	SHA2_CTX sha;

	ok(matches(0, 0, certificate, sizeof(certificate) - 1), "the whole certificate");
	ok(matches(1, 0, key, sizeof(key) - 1), "the whole key");
	ok(!matches(1, 0, certificate, sizeof(certificate) - 1), "one is not the other");
	ok(!matches(1, 0, key, sizeof(key) - 2), "nor a part of it");
	ok(!matches(1, 0, "", 0), "nor nothing");
	SHA256Init(&sha);
	SHA256Update(&sha, (const uint8_t *)key, sizeof(key) - 1);
	SHA256Final(d256, &sha);
	SHA512Init(&sha);
	SHA512Update(&sha, (const uint8_t *)certificate, sizeof(certificate) - 1);
	SHA512Final(d512, &sha);
	ok(matches(1, 1, d256, sizeof(d256)), "SHA-256 of the key");
	ok(!matches(0, 1, d256, sizeof(d256)), "which is not that of the certificate");
	ok(matches(0, 2, d512, sizeof(d512)), "SHA-512 of the certificate");
	ok(!matches(1, 2, d512, sizeof(d512)), "which is not that of the key");
	SHA256Init(&sha);
	SHA256Final(nothing, &sha);
	d256[31] ^= 1;
	ok(!tlsa_matches(&(struct tlsa){ 3, 1, 1, { nothing, sizeof(nothing) } }, certificate_der,
	       (struct bytes){ key, 0 }),
	    "what is empty matches nothing, not even its own digest");
	ok(!matches(1, 1, d256, sizeof(d256)), "one bit is enough");
	ok(!matches(1, 3, d256, sizeof(d256)), "a digest that nobody knows");
}

static void
packs(void)
{
	unsigned char set[64] = { 0 };
	struct tlsa v[4];
	size_t len = tlsa_packed_len(5);

	tlsa_pack(set, (struct bytes){ "\3\1\1ab", 5 });
	tlsa_pack(set + len, (struct bytes){ "\2\0\1c", 4 });
	len += tlsa_packed_len(4);
	is_int(tlsa_unpack(v, 4, (struct bytes){ set, len }), 2, "two come back");
	ok(v[0].usage == 3 && v[0].data.len == 2 && v[1].usage == 2 && v[1].data.len == 1,
	    "as they were");
	is_int(tlsa_unpack(v, 1, (struct bytes){ set, len }), 1, "so many at most");
	is_int(tlsa_unpack(v, 4, (struct bytes){ set, len - 1 }), 1, "a set that is cut off");
	is_int(tlsa_unpack(v, 4, (struct bytes){ set, 1 }), 0, "in the length");
	is_int(tlsa_unpack(v, 4, (struct bytes){ set, 0 }), 0, "an empty one");
}

int
main(void)
{
	parses();
	chooses();
	matching();
	packs();
	return done();
}
